import prompts_compat as prompts
from template_compat import get_template_path, load_html_template

page = load_html_template()
print(page, get_template_path())
for name in prompts.DEFAULT_TEMPLATES:
    text = prompts.get_template(name)
    print(text.format(context="c", question="q"))
