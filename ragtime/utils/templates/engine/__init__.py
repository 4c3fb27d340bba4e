"""The engine below prompts and pages: a bounded sandbox around Jinja, the simple ``{name}`` syntax, and plain data."""

from ragtime.utils.templates.engine.engine import Source, TemplateCache, TemplateEngine
from ragtime.utils.templates.engine.limits import RenderLimits
from ragtime.utils.templates.engine.plain import TrustedHTML, plain
from ragtime.utils.templates.engine.simple import SimpleTemplate

__all__ = ["RenderLimits", "SimpleTemplate", "Source", "TemplateCache", "TemplateEngine", "TrustedHTML", "plain"]
