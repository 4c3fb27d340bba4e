"""What the templates of a prompt include: found and checked before anything is rendered."""

from __future__ import annotations

from collections.abc import Callable

from ragtime.errors import TemplateNotFoundError, TemplateSyntaxError, did_you_mean
from ragtime.utils.templates.engine.engine import Source, TemplateEngine
from ragtime.utils.templates.prompts.definitions import PromptDefinition

__all__ = ["Closure"]

_PARTIAL = ", partial "  # between the name of a prompt and that of its partial
_DEEPEST = 50  # includes in each other


class Closure:
    """All sources that the templates of a prompt include, found before anything is rendered.

    A name means a partial of the prompt that the including template belongs to, or else another text prompt.
    """

    def __init__(
        self, definition: PromptDefinition, engine: TemplateEngine, find: Callable[[str], PromptDefinition | None]
    ) -> None:
        """Start with nothing included.

        Args:
            definition: The prompt.
            engine: Parses templates.
            find: Returns another prompt by name; ``None`` when there is none.
        """
        self._engine, self._find = engine, find
        self._root = definition
        self._targets: dict[str, Source] = {}  # by who refers, and the name
        self._owners: dict[str, PromptDefinition] = {}  # by the name of a source
        self._used: dict[str, tuple[dict[str, int], dict[str, int]]] = {}  # by the name of a source

    @property
    def hashes(self) -> dict[str, str]:
        """The hashes of all included sources, by name; the prompt's own name is no part of them."""
        own = f"{self._root.name}{_PARTIAL}"
        return {source.name.removeprefix(own): source.hash for source in self._targets.values()}

    @property
    def partials(self) -> frozenset[str]:
        """The names of the prompt's own partials that are included."""
        owned = (source.name for source in self._targets.values() if self._owners[source.name] is self._root)
        return frozenset(name.partition(_PARTIAL)[2] for name in owned)

    def lookup(self, reference: str) -> Source:
        """Find what a template refers to; see ``SandboxEnvironment.join_path``."""
        return self._targets[reference]

    def add(
        self, source: Source, owner: PromptDefinition | None = None, path: tuple[str, ...] = ()
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Add what `source` includes; returns its required and optional variables, each with a line of `source`."""
        from ragtime.utils.templates.engine.analysis import analyse  # noqa: PLC0415 - imports Jinja
        from ragtime.utils.templates.engine.sandbox import REFERENCE  # noqa: PLC0415

        if source.name in self._used:
            return self._used[source.name]
        self._owners[source.name] = owner or self._root
        facts = analyse(self._engine, source)
        if facts.dynamic:
            raise TemplateSyntaxError(
                f"Template {source.name!r}, line {facts.dynamic[0]}: the name of what is included must be written out"
            )
        required, optional = dict(facts.required), {**facts.perhaps, **facts.optional}
        for name, line in facts.references.items():
            target, target_owner = self._found(name, source, line)
            if target.name in path or target.name == source.name or len(path) > _DEEPEST:
                circle = " → ".join([*path, source.name, target.name][-5:])
                raise TemplateSyntaxError(f"Template {source.name!r}, line {line}: includes itself: {circle}")
            self._targets[f"{source.name}{REFERENCE}{name}"] = target
            inner = self.add(target, target_owner, (*path, source.name))
            here = facts.bound[name]
            required |= {variable: line for variable in inner[0] if variable not in required.keys() | here}
            optional |= {variable: line for variable in inner[1] if variable not in optional.keys() | here}
        optional = {name: line for name, line in optional.items() if name not in required}
        self._used[source.name] = required, optional
        return required, optional

    def _found(self, name: str, by: Source, line: int) -> tuple[Source, PromptDefinition]:
        owner = self._owners[by.name]
        if name in owner.partials:
            return Source(f"{owner.name}{_PARTIAL}{name}", owner.partials[name], by.file), owner
        other = self._find(name)
        if other is not None and other.template is not None and other.effective_syntax == "jinja":
            return Source(other.name, other.template), other
        hint = did_you_mean(name, owner.partials)
        raise TemplateNotFoundError(
            f"Template {by.name!r}, line {line}: includes {name[:100]!r}, which is neither a partial of this prompt "
            f"nor a text prompt in Jinja's syntax{hint}"
        )
