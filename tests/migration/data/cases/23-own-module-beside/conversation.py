class Conversation:
    """The user's own."""
