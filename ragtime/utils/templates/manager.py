"""One door to prompts and pages, and to answers composed of a style and a kind of question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import Message
from ragtime.utils.templates.engine.engine import TemplateCache
from ragtime.utils.templates.pages.manager import HTMLTemplateManager
from ragtime.utils.templates.prompts.manager import PromptManager
from ragtime.utils.templates.prompts.prompt import Prompt, PromptSource, RenderedMessages, RenderedPrompt

__all__ = ["ComposedPrompt", "TemplateManager"]

_log = get_logger(__name__)
_ANSWER = "answer"
_STYLES = "style"
_CONTEXTS = "context"
_STANDARD = "standard"
_INITIAL = "initial"


class ComposedPrompt(RenderedPrompt):
    """The text of a composed prompt; a ``str`` that knows its messages and where they come from.

    Attributes:
        messages: The same as messages: the system instruction, then what the user asks with its context.
        source: The prompt of the style.
        context_source: The prompt that formatted the context.
        fallbacks: What was asked for and is not there, and what was taken instead; empty when all was there.
    """

    messages: tuple[Message, ...]
    context_source: PromptSource | None
    fallbacks: tuple[str, ...]

    @classmethod
    def of(
        cls, messages: RenderedMessages, *, context_source: PromptSource | None, fallbacks: tuple[str, ...]
    ) -> ComposedPrompt:
        """Build it from the messages of a style.

        Args:
            messages: The messages.
            context_source: The prompt that formatted the context.
            fallbacks: What was not there.

        Returns:
            Their contents with a blank line between two.
        """
        made = cls("\n\n".join(message["content"] for message in messages), messages.source)
        made.messages = tuple(messages)
        made.context_source = context_source
        made.fallbacks = fallbacks
        return made


class TemplateManager:
    """Prompts, pages and composed answers behind one object.

        >>> templates = TemplateManager()
        >>> "Ann" in templates.get_prompt("greeting", name="Ann")
        True
        >>> "<title>Test</title>" in templates.render("template.html", title="Test")
        True

    Both kinds share one bounded cache of compiled templates; results are not cached.

    Attributes:
        prompts: The prompts.
        pages: The pages.
        cache: The compiled templates of both.
    """

    def __init__(self, path: str | Path | None = None, *, settings: Settings | None = None) -> None:
        """Set up both.

        Args:
            path: A folder with the folders ``prompts`` and ``pages``, either of which may be missing; wins over all
                others. ``None`` means none.
            settings: The settings; ``None`` means the current ones.

        Raises:
            InvalidArgumentError: `path` is no folder, or holds neither.
        """
        chosen = settings or get_settings()
        prompts, pages = _folders(path)
        self.cache = TemplateCache(chosen.templates.cache_size)
        self.prompts = PromptManager(prompts, settings=chosen, cache=self.cache)
        self.pages = HTMLTemplateManager(pages, settings=chosen, cache=self.cache)
        self._told: set[str] = set()

    def get_prompt(self, name: str, /, **variables: Any) -> RenderedPrompt:
        """Render a prompt as text; see ``PromptManager.get_prompt``."""
        return self.prompts.get_prompt(name, **variables)

    def get_messages(self, name: str, /, **variables: Any) -> RenderedMessages:
        """Render a prompt as messages; see ``PromptManager.get_messages``."""
        return self.prompts.get_messages(name, **variables)

    def render(self, name: str, /, **context: Any) -> str:
        """Render a page, or a prompt: a name with a suffix is a page's; see ``HTMLTemplateManager.render``."""
        return self.pages.render(name, **context) if "." in name else self.prompts.get_prompt(name, **context)

    def render_string(self, source: str, /, **context: Any) -> str:
        """Render a template that is no file as HTML; see ``HTMLTemplateManager.render_string``."""
        return self.pages.render_string(source, **context)

    def stream(self, name: str, /, **context: Any) -> Iterator[str]:
        """Render a page piece by piece; see ``HTMLTemplateManager.stream``."""
        return self.pages.stream(name, **context)

    def register_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Add a filter for pages; see ``HTMLTemplateManager.register_filter``."""
        self.pages.register_filter(name, function)

    def reload(self) -> int:
        """Read changed files of both again; returns how many there were."""
        return self.prompts.reload() + self.pages.reload()

    def compose(self, style: str, query_type: str, params: Mapping[str, Any]) -> ComposedPrompt:
        """Compose the prompt of an answer: a system instruction, and the question with its context.

        The context is formatted by the prompt of the category ``context`` that `query_type` names (``initial``,
        ``follow_up``, ``with_previous_content`` come with the package), and goes into the prompt of the style: the
        wording of ``answer`` itself (``standard``), one of its variants (``creative``), or a prompt of the category
        ``style`` of that name, which takes ``context`` and ``question``. A style or type that there is not falls back
        to ``standard`` and ``initial``, with a warning in the log and an entry in ``fallbacks``. Everything is filled
        in one pass: nothing in `params` is read as a template.

        Args:
            style: Name of the style.
            query_type: Kind of the question; ``_`` and ``-`` are the same.
            params: The variables of both prompts, such as ``question``, ``context`` and ``previous_content``; further
                ones are not looked at.

        Returns:
            The text, with the messages it is made of.

        Raises:
            TemplateVariableError: Variables are missing or mistyped.
            TemplateError: A prompt cannot be used, or its rendering failed.
        """
        fallbacks: list[str] = []
        section = self._context_prompt(query_type, fallbacks)
        answer = self._style_prompt(style, fallbacks)
        for fallback in fallbacks:
            if fallback not in self._told:
                self._told.add(fallback)
                _log.warning("Another prompt is taken than was asked for", reason=fallback)
        context = section.render(**_taken(section, params))
        messages = answer.messages(**_taken(answer, {**params, "context": str(context)}))
        return ComposedPrompt.of(messages, context_source=section.source, fallbacks=tuple(fallbacks))

    def _context_prompt(self, query_type: str, fallbacks: list[str]) -> Prompt:
        for name in dict.fromkeys((query_type, query_type.replace("_", "-"))):
            if name in self.prompts.list_prompts(_CONTEXTS):
                return self.prompts.get(name)
        fallbacks.append(f"there is no query type {query_type[:100]!r}; {_INITIAL} is taken")
        return self.prompts.get(_INITIAL)

    def _style_prompt(self, style: str, fallbacks: list[str]) -> Prompt:
        answer = self.prompts.get(_ANSWER)
        if style == _STANDARD:
            return answer
        if style in answer.definition.variants:
            return self.prompts.get(_ANSWER, variant=style)
        if style in self.prompts.list_prompts(_STYLES):
            return self.prompts.get(style)
        fallbacks.append(f"there is no style {style[:100]!r}; {_STANDARD} is taken")
        return answer


def _taken(prompt: Prompt, params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in prompt.variables if name in params}


def _folders(path: str | Path | None) -> tuple[Path | None, Path | None]:
    if path is None:
        return None, None
    prompts, pages = Path(path, "prompts"), Path(path, "pages")
    if not prompts.is_dir() and not pages.is_dir():
        raise InvalidArgumentError(f"{str(path)!r} holds neither a folder prompts nor a folder pages")
    return prompts if prompts.is_dir() else None, pages if pages.is_dir() else None
