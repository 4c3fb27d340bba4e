import ragtime.services.conversation
import template_manager_compat as templates
from ragtime.services.conversation import Conversation as Memory

memory = Memory()
memory.add_exchange("a?", "b")
other = ragtime.services.conversation.Conversation()
other.add_exchange("a?", "b")
print(templates.TemplateManager().get_prompt("standard", "initial", {}))
