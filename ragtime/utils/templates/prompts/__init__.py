"""Prompts: JSON files with declared variables, in versions, locales and variants."""

from ragtime.utils.templates.prompts.definitions import PromptDefinition, PromptVariable
from ragtime.utils.templates.prompts.fitting import Cut, FittedPrompt
from ragtime.utils.templates.prompts.manager import PromptExplanation, PromptManager
from ragtime.utils.templates.prompts.prompt import Prompt, PromptSource, RenderedMessages, RenderedPrompt

__all__ = [
    "Cut",
    "FittedPrompt",
    "Prompt",
    "PromptDefinition",
    "PromptExplanation",
    "PromptManager",
    "PromptSource",
    "PromptVariable",
    "RenderedMessages",
    "RenderedPrompt",
]
