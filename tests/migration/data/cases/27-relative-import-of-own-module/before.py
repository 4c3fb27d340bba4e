from . import prompts
from .template import load_html_template

prompts.get_template(load_html_template())
