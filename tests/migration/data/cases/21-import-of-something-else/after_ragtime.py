from prompts import Prompt
from template import Template
import conversation

Prompt(Template("x"))
conversation.begin()
