import importlib
import sys

module = importlib.import_module("conversation")
other = __import__("template_manager")
third = importlib.import_module("conversation_compat")
sys.modules["prompts"] = None
sys.modules.pop("model_finetuner", None)
print("conversation", {"template": "prompts"})
