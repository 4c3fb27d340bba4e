"""The prompts of an application: found in layers, chosen by version, locale and variant, changed while it runs."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError, TemplateError, TemplateNotFoundError, TemplateSyntaxError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.utils.files import remove_file, resolve_inside, write_json
from ragtime.utils.templates.engine.engine import TemplateCache, TemplateEngine
from ragtime.utils.templates.engine.limits import RenderLimits
from ragtime.utils.templates.findings import Finding
from ragtime.utils.templates.prompts.catalogue import (
    Entry,
    Layer,
    Snapshot,
    explain_validation,
    read_layers,
)
from ragtime.utils.templates.prompts.definitions import PromptDefinition, check_locale
from ragtime.utils.templates.prompts.prompt import Prompt, PromptSource, RenderedMessages, RenderedPrompt
from ragtime.utils.templates.prompts.resolution import Resolution, choose_variant, resolve

__all__ = ["PromptExplanation", "PromptManager"]

_log = get_logger(__name__)
_PACKAGED = Layer("packaged", Path(__file__).parent / "packaged")
_STRONGEST_FIRST = ("added", "explicit", "user", "packaged")
_MOST_ASKED = 4096  # ways to ask for a prompt that are remembered, or warned of


@functools.cache
def _packaged() -> tuple[Entry, ...]:
    """Read the packaged prompts, once a process: they do not change."""
    snapshot = read_layers([_PACKAGED])
    return tuple(entry for entries in snapshot.entries.values() for entry in entries)


@dataclass(frozen=True)
class PromptExplanation:
    """Which prompt a name stands for, and why.

    Attributes:
        source: Name, version, content hash, variant and locale of what is taken.
        layer: ``packaged``, ``user``, ``explicit`` or ``added``.
        file: Its file; ``None`` when code has added it.
        fallback: Why something else was taken than what was asked for; ``None`` when it was not.
        steps: What was looked at, in order.
    """

    source: PromptSource
    layer: str
    file: Path | None
    fallback: str | None
    steps: tuple[str, ...]

    def __str__(self) -> str:
        source = self.source
        told = f"{source.name}, version {source.version}, locale {source.locale or 'any'}"
        told += f", variant {source.variant}" if source.variant else ""
        where = f"{self.layer}: {self.file}" if self.file else self.layer
        lines = [f"{told} ({where})", f"content hash {source.content_hash}", *self.steps]
        return "\n  ".join([*lines, f"fallback: {self.fallback}"] if self.fallback else lines)


_Asked = tuple[str, str | None, str | None, str | None]  # name, version, locale, variant


class _State:
    """A snapshot and the prompts bound to it; replaced as a whole, so that readers need no lock."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.bound: dict[_Asked, Prompt] = {}  # by what was asked for
        self.prompts: dict[tuple[object, ...], Prompt] = {}  # by what that stands for


class PromptManager:
    """Prompts by name.

        >>> prompts = PromptManager()
        >>> prompts.get_prompt("greeting", name="Ann")[:10]
        'Hello Ann!'

    A prompt is a JSON file; see ``PromptDefinition``. Prompts come from the package, from ``prompts`` in the folder
    that ``templates.directory`` names, and from `path`; the later wins, and a name that is missing there falls to the
    one before. All methods may be called from many threads.
    """

    def __init__(
        self, path: str | Path | None = None, *, settings: Settings | None = None, cache: TemplateCache | None = None
    ) -> None:
        """Read all prompt files.

        Args:
            path: A folder of prompt files, or one file; wins over all others. ``None`` means none.
            settings: The settings; ``None`` means the current ones.
            cache: Where compiled templates are kept; ``None`` means a cache of its own, of ``templates.cache_size``.

        Raises:
            InvalidArgumentError: `path` is neither a folder nor a file.
        """
        chosen = (settings or get_settings()).templates
        self._default_locale = _usual_locale(chosen.locale, "templates.locale")
        self._auto_reload = chosen.auto_reload
        self._engine = TemplateEngine(
            autoescape=False,
            limits=RenderLimits.from_settings(chosen),
            cache=TemplateCache(chosen.cache_size) if cache is None else cache,
            filters=_prompt_filters,
            scoped=True,
        )
        self._layers: list[Layer] = []
        if chosen.directory is not None:
            self._layers.append(Layer("user", chosen.directory / "prompts"))
        if path is not None:
            root = Path(path)
            if not root.exists():
                raise InvalidArgumentError(f"There is no folder or file of prompts {str(path)!r}")
            self._layers.append(Layer("explicit", root))
        self._added: dict[tuple[str, str, str | None], Entry] = {}
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._state = _State(Snapshot())
        self._read("load_prompts")

    # --- finding and rendering ----------------------------------------------------------------------------------

    def get_prompt(self, name: str, /, **variables: Any) -> RenderedPrompt:
        """Render a prompt as text, in its highest version and the default locale.

        Args:
            name: Name of the prompt; by position, so that every name is free for the variables.
            **variables: The variables.

        Returns:
            The text, a ``str`` with ``source``.

        Raises:
            TemplateNotFoundError: There is no such prompt; names the nearest.
            TemplateVariableError: Variables are missing, extra or mistyped.
            TemplateError: The prompt is wrong, or its rendering failed.
        """
        return self.get(name).render(**variables)

    def get_messages(self, name: str, /, **variables: Any) -> RenderedMessages:
        """Render a prompt as messages, in its highest version and the default locale.

        Args:
            name: Name of the prompt; by position, so that every name is free for the variables.
            **variables: The variables.

        Returns:
            The messages, a list with ``source``; of a text prompt, one of the user.

        Raises:
            TemplateError: As ``get_prompt``.
        """
        return self.get(name).messages(**variables)

    def get(
        self,
        name: str,
        *,
        version: str | int | None = None,
        locale: str | None = None,
        variant: str | None = None,
        subject: str | None = None,
    ) -> Prompt:
        """Find a prompt.

        Args:
            name: Name of the prompt.
            version: Its version; ``None`` means the highest.
            locale: Its locale; ``None`` means ``templates.locale``. One that there is not falls to that, then to
                English, with a warning in the log.
            variant: Its variant; ``None`` means its own wording.
            subject: Who or what sees it, such as a user's id: chooses among the variants by their weights, always the
                same one for a subject. ``None`` chooses none.

        Returns:
            The prompt; it stays as it is, whatever happens to its file.

        Raises:
            TemplateNotFoundError: There is no such prompt, version or variant; names the nearest.
            TemplateSyntaxError: It cannot be used.
            InvalidArgumentError: Both `variant` and `subject` are given, or a locale does not look like one.
        """
        if not isinstance(name, str):
            raise InvalidArgumentError(f"A prompt is got by its name, a text; found {type(name).__name__}")
        state = self._current()
        key = (name, str(version) if version is not None else None, locale, variant)
        found = state.bound.get(key) if subject is None else None
        return found or self._bind(state, key, subject)

    def _bind(self, state: _State, key: _Asked, subject: str | None) -> Prompt:
        name, version, locale, variant = key
        resolution = self._resolve(state.snapshot, name, version, locale)
        if subject is not None:
            if variant is not None:
                raise InvalidArgumentError("Give either a variant or a subject, not both")
            variant = choose_variant(resolution.entry.definition, subject)
            key = (name, version, locale, variant)
            if key in state.bound:
                return state.bound[key]
        if resolution.fallback is not None:
            self._warn_once(f"{name}: {resolution.fallback}", name, resolution.fallback)
        entry = resolution.entry
        place = (entry.layer, entry.key, variant)
        prompt = state.prompts.get(place) or self._prompt(entry, state.snapshot, variant)
        state.prompts[place] = prompt
        if len(state.bound) < _MOST_ASKED:  # locales may come from outside, so there is no end of them
            state.bound[key] = prompt
        return prompt

    def _resolve(self, snapshot: Snapshot, name: str, version: str | None, locale: str | None) -> Resolution:
        return resolve(
            snapshot, _STRONGEST_FIRST, name, version=version, locale=locale, default_locale=self._default_locale
        )

    def _prompt(self, entry: Entry, snapshot: Snapshot, variant: str | None) -> Prompt:
        def find(name: str) -> PromptDefinition | None:
            if name not in snapshot.entries:
                return None
            return self._resolve(snapshot, name, None, entry.definition.locale).entry.definition

        file = str(entry.file) if entry.file else None
        return Prompt(entry.definition, engine=self._engine, variant=variant, file=file, find=find)

    def _warn_once(self, key: str, name: str, reason: str) -> None:
        if key not in self._told and len(self._told) < _MOST_ASKED:
            self._told.add(key)
            _log.warning("Another prompt is taken than was asked for", template=name, reason=reason)

    def list_prompts(self, category: str | None = None) -> list[str]:
        """List the prompts.

        Args:
            category: Only those of this category; ``None`` means all.

        Returns:
            Their names, sorted.
        """
        entries = self._current().snapshot.entries
        return [
            name
            for name, found in entries.items()
            if category is None or any(entry.definition.category == category for entry in found)
        ]

    def entries(self) -> list[Entry]:
        """Return every definition of every layer with where it comes from, sorted by name, the winning layer first."""
        return [entry for found in self._current().snapshot.entries.values() for entry in found]

    def explain(
        self, name: str, *, version: str | int | None = None, locale: str | None = None, variant: str | None = None
    ) -> PromptExplanation:
        """Tell which prompt ``get`` takes, and why.

        Args:
            name: As for ``get``.
            version: As for ``get``.
            locale: As for ``get``.
            variant: As for ``get``.

        Returns:
            File, layer, version and locale, what was looked at, and the reason of a fallback.

        Raises:
            TemplateError: As ``get``.
        """
        state = self._current()
        resolution = self._resolve(state.snapshot, name, str(version) if version is not None else None, locale)
        prompt = self._prompt(resolution.entry, state.snapshot, variant)
        return PromptExplanation(
            prompt.source, resolution.entry.layer, resolution.entry.file, resolution.fallback, resolution.steps
        )

    # --- changing -----------------------------------------------------------------------------------------------

    def add(self, prompt: PromptDefinition | Mapping[str, Any], *, overwrite: bool = False) -> Prompt:
        """Add a prompt to this manager, in memory; it wins over all files.

        Args:
            prompt: The definition, or its fields.
            overwrite: Whether it may take the place of one that was added with the same name, version and locale.

        Returns:
            The prompt.

        Raises:
            TemplateSyntaxError: It is wrong; names every wrong field.
            InvalidArgumentError: There is one already.
        """
        entry = Entry(_definition(prompt), "added")
        with self._lock:
            if entry.key in self._added and not overwrite:
                raise InvalidArgumentError(
                    f"Prompt {entry.definition.name!r} was already added in this version and locale; say overwrite=True"
                )
            bound = self._check(entry)
            self._added[entry.key] = entry
            self._replace(anew=True)
        return bound

    def save(self, prompt: str | PromptDefinition | Mapping[str, Any]) -> Path:
        """Write a prompt to its file, whole or not at all.

        It goes into the folder of the explicit path, or else into that of ``templates.directory``; one with the same
        name, version and locale there is replaced.

        Args:
            prompt: The name of one that was added, which is then no longer held in memory; or a definition, or its
                fields.

        Returns:
            The file.

        Raises:
            InvalidArgumentError: There is no folder to write to.
            TemplateNotFoundError: None of that name was added.
            TemplateSyntaxError: It is wrong.
            StorageError: The file cannot be written.
        """
        with self._lock:
            entry = self._to_save(prompt)
            self._check(entry)
            layer = self._writable()
            known = [one for one in self._state.snapshot.entries.get(entry.definition.name, ()) if one.key == entry.key]
            former = next((one.file for one in known if one.layer == layer.name), None)
            file = former or _new_file(layer, entry.definition)
            write_json(file, entry.definition.model_dump(mode="json", exclude_defaults=True))
            self._added.pop(entry.key, None)
            self._replace(anew=True)
        _log.debug("Prompt saved", template=entry.definition.name, version=entry.definition.version, file=file.name)
        return file

    def _to_save(self, prompt: str | PromptDefinition | Mapping[str, Any]) -> Entry:
        if not isinstance(prompt, str):
            return Entry(_definition(prompt), "added")
        added = [entry for entry in self._added.values() if entry.definition.name == prompt]
        if len(added) != 1:
            raise TemplateNotFoundError(
                f"{len(added)} prompts of the name {prompt[:100]!r} were added; to save one by name there has to be one"
            )
        return added[0]

    def remove(self, name: str, *, version: str | int | None = None, locale: str | None = None) -> int:
        """Remove a prompt from memory and from the folder that ``save`` writes to; a weaker layer's is then taken.

        Args:
            name: Name of the prompt.
            version: Its version; ``None`` means all.
            locale: Its locale; ``None`` means all.

        Returns:
            How many definitions were removed.

        Raises:
            TemplateNotFoundError: There is none to remove; packaged ones cannot be.
            StorageError: A file cannot be removed.
        """
        wanted = locale and _usual_locale(locale, "locale")

        def meant(entry: Entry) -> bool:
            definition = entry.definition
            return (
                definition.name == name
                and (version is None or str(version) == definition.version)
                and wanted in {None, definition.locale}
            )

        with self._lock:
            added = [key for key, entry in self._added.items() if meant(entry)]
            writable = self._layers[-1].name if self._layers else None
            entries = self._state.snapshot.entries.get(name, ())
            files = [entry.file for entry in entries if entry.layer == writable and entry.file and meant(entry)]
            if not added and not files:
                raise TemplateNotFoundError(
                    f"There is no prompt {name[:100]!r} to remove in this version and locale; packaged ones stay, and "
                    "are replaced by saving one of the same name"
                )
            for key in added:
                del self._added[key]
            for file in files:
                remove_file(file)
            self._replace(anew=True)
        _log.debug("Prompt removed", template=name, definitions=len(added) + len(files))
        return len(added) + len(files)

    def reload(self) -> int:
        """Read changed files again.

        A file that has become wrong or unreadable keeps what it said before, with an error in the log; a file that is
        gone takes its prompt with it. Prompts that were taken out by ``get`` stay as they are.

        Returns:
            How many files were read anew, or have gone.
        """
        return self._read("reload_prompts")

    def validate(self, name: str | None = None) -> list[Finding]:
        """Look for mistakes in prompts; see ``ragtime prompts check``.

        Args:
            name: Name of the prompt; ``None`` means all that do not come with the package.

        Returns:
            The findings, those of files that cannot be used first.

        Raises:
            TemplateNotFoundError: There is no such prompt.
        """
        from ragtime.utils.templates.prompts.lint import lint_prompts  # noqa: PLC0415 - imports Jinja

        state = self._current()
        if name is not None and name not in state.snapshot.entries:
            problems = [problem for problem in state.snapshot.problems if problem.name == name]
            if not problems:
                self._resolve(state.snapshot, name, None, None)
        return lint_prompts(
            state.snapshot, name, bind=lambda entry, variant: self._prompt(entry, state.snapshot, variant)
        )

    # --- inside -------------------------------------------------------------------------------------------------

    def _current(self) -> _State:
        if self._auto_reload:
            self._read("reload_prompts", level=logging.DEBUG)
        return self._state

    def _read(self, operation: str, *, level: int = logging.INFO) -> int:
        with self._lock, log_operation(_log, operation, level=level) as told:
            snapshot = self._replace()
            told.add(prompts=len(snapshot.entries), changed=snapshot.changed, problems=len(snapshot.problems))
            return snapshot.changed

    def _replace(self, *, anew: bool = False) -> Snapshot:
        """Read what has changed and put a new state in the place of the old one; the lock is held."""
        state = self._state
        snapshot = read_layers(
            self._layers, added=list(self._added.values()), weakest=_packaged(), before=state.snapshot
        )
        snapshot = self._without_worse(snapshot, state.snapshot)
        snapshot.tell_problems(state.snapshot)
        if anew or snapshot.changed or not state.snapshot.entries:
            self._state = _State(snapshot)
        else:
            state.snapshot = snapshot  # the same prompts, with newer time stamps
        return snapshot

    def _without_worse(self, snapshot: Snapshot, before: Snapshot) -> Snapshot:
        """Put former definitions in the place of changed ones that cannot be used."""
        worse: dict[Path, str] = {}
        for entry in snapshot.changes(before):
            try:
                self._check(entry, snapshot)
            except TemplateError as error:
                worse[cast("Path", entry.file)] = str(error)
        return snapshot.rejecting(worse, before) if worse else snapshot

    def _check(self, entry: Entry, snapshot: Snapshot | None = None) -> Prompt:
        """Bind every variant of a definition, so that what is wrong is told before it is kept."""
        among = snapshot or self._state.snapshot
        for variant in entry.definition.variants:
            self._prompt(entry, among, variant)
        return self._prompt(entry, among, None)

    def _writable(self) -> Layer:
        if not self._layers:
            raise InvalidArgumentError(
                "There is no folder to save prompts in: give PromptManager a path, or set templates.directory"
            )
        return self._layers[-1]


def _usual_locale(locale: str, what: str) -> str:
    try:
        return check_locale(locale)
    except ValueError as error:
        raise InvalidArgumentError(f"{what}: {error}; found {locale[:50]!r}") from None


def _prompt_filters() -> Mapping[str, Callable[..., Any]]:
    from ragtime.utils.templates.filters import PROMPT_FILTERS  # noqa: PLC0415 - imports what Jinja brings

    return PROMPT_FILTERS


def _definition(prompt: PromptDefinition | Mapping[str, Any]) -> PromptDefinition:
    if isinstance(prompt, PromptDefinition):
        return prompt
    try:
        return PromptDefinition.model_validate(prompt)
    except ValidationError as error:
        reason = explain_validation(error)
    raise TemplateSyntaxError(f"Not a prompt: {reason}")


def _new_file(layer: Layer, definition: PromptDefinition) -> Path:
    root = layer.root
    if root is None or root.is_file():
        raise InvalidArgumentError(f"{str(root)!r} is one prompt's file; another prompt needs a folder")
    version = "" if definition.version == "1" else f".v{definition.version}"
    locale = f".{definition.locale}" if definition.locale else ""
    file = resolve_inside(root, f"{definition.name}{version}{locale}.json")
    if file.exists():
        raise InvalidArgumentError(f"The file {file.name!r} is there, and holds something else")
    return file
