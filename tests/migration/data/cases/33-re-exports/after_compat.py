from conversation_compat import Conversation, Interaction
from template_compat import load_html_template

__all__ = ["Conversation", "Interaction", "load_html_template"]
