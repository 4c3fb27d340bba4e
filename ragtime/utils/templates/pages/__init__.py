"""Pages: HTML that is always escaped, in a folder over the packaged ones."""

from ragtime.utils.templates.pages.manager import HTMLTemplateManager

__all__ = ["HTMLTemplateManager"]
