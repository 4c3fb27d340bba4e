"""Prompts and pages that no value can change: ``PromptManager``, ``HTMLTemplateManager`` and ``TemplateManager``."""

from ragtime.utils.templates.engine import RenderLimits, TrustedHTML
from ragtime.utils.templates.findings import RULES, Finding
from ragtime.utils.templates.manager import ComposedPrompt, TemplateManager
from ragtime.utils.templates.pages import HTMLTemplateManager
from ragtime.utils.templates.prompts import (
    FittedPrompt,
    Prompt,
    PromptDefinition,
    PromptExplanation,
    PromptManager,
    PromptSource,
    PromptVariable,
    RenderedMessages,
    RenderedPrompt,
)

__all__ = [
    "RULES",
    "ComposedPrompt",
    "Finding",
    "FittedPrompt",
    "HTMLTemplateManager",
    "Prompt",
    "PromptDefinition",
    "PromptExplanation",
    "PromptManager",
    "PromptSource",
    "PromptVariable",
    "RenderLimits",
    "RenderedMessages",
    "RenderedPrompt",
    "TemplateManager",
    "TrustedHTML",
]
