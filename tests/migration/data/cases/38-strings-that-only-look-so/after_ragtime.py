"""Uses conversation.Conversation and prompts."""

NAMES = ["conversation", "prompts", "template.html", "conversation.started"]
print(f"conversation.Conversation {NAMES}")
