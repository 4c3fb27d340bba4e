import conversation.models
from template.engine import render

render(conversation.models)
