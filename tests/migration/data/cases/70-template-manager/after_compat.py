from template_manager_compat import TemplateManager

templates = TemplateManager("./prompt_templates.json")
prompt = templates.get_prompt("standard", "initial", {"context": "c", "question": "q"})
system = templates.get_system_instruction("standard")
if templates.using_legacy:
    prompt = templates.get_legacy_template("standard")
print(prompt, system, templates.get_prompt("greeting", name="Ann"))
