import conversation_compat
import template_manager_compat as templates
from conversation_compat import Conversation as Memory

memory = Memory()
memory.add_interaction("a?", "b")
other = conversation_compat.Conversation()
other.add_interaction("a?", "b")
print(templates.TemplateManager().get_prompt("standard", "initial", {}))
