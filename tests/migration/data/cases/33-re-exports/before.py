from conversation import Conversation, Interaction
from template import load_html_template

__all__ = ["Conversation", "Interaction", "load_html_template"]
