"""Which definition a name stands for: layer, version, locale and variant, with every step told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragtime.errors import InvalidArgumentError, TemplateNotFoundError, TemplateSyntaxError, did_you_mean
from ragtime.utils.hashing import keyed_uniform
from ragtime.utils.templates.prompts.catalogue import Entry, Snapshot
from ragtime.utils.templates.prompts.definitions import PromptDefinition, check_locale, check_name, version_key

__all__ = ["Resolution", "choose_variant", "resolve"]

_VERSION_HINT = re.compile(r"v\d[\w-]*")
_LAST_LOCALE = "en"  # the packaged prompts'


@dataclass(frozen=True, slots=True)
class Resolution:
    """The definition found, and how.

    Attributes:
        entry: The definition and where it comes from.
        steps: What was looked at, in order, for people.
        fallback: Why something else was taken than what was asked for; ``None`` when it was not.
    """

    entry: Entry
    steps: tuple[str, ...]
    fallback: str | None = None


def resolve(
    snapshot: Snapshot,
    layers: Sequence[str],
    name: str,
    *,
    version: str | None,
    locale: str | None,
    default_locale: str,
) -> Resolution:
    """Find a prompt.

    For each locale in turn, the one asked for, the default, English, the layers are gone through from the strongest; in
    a layer the most special locale wins (``pt-BR``, then ``pt``, then a prompt that serves every locale), then the
    highest version.

    Args:
        snapshot: All prompts.
        layers: Names of the layers, the strongest first.
        name: Name of the prompt.
        version: Its version; ``None`` means the highest.
        locale: Its locale; ``None`` means the default.
        default_locale: The default.

    Returns:
        What was found.

    Raises:
        TemplateNotFoundError: There is none; names the nearest, or the versions and locales that there are.
        TemplateSyntaxError: A file named after it cannot be used, and would win.
        InvalidArgumentError: The locale does not look like one.
    """
    wanted = _locale(locale) if locale is not None else None
    entries = [entry for entry in snapshot.entries.get(name, ()) if version in {None, entry.definition.version}]
    steps: list[str] = []
    for asked in dict.fromkeys(each for each in (wanted, default_locale, _LAST_LOCALE) if each is not None):
        chain = [*_parents(asked), None]
        for layer in layers:
            _check_broken(snapshot, name, layer, version, chain)
            fitting = [one for one in entries if one.layer == layer and one.definition.locale in chain]
            steps.append(f"{layer}, locale {asked}: {_told(fitting)}")
            if fitting:
                best = min(fitting, key=lambda one: (chain.index(one.definition.locale), _Downwards(one.definition)))
                fallback = None if wanted in {None, asked} else f"there is none in {wanted}; {asked} is taken"
                return Resolution(best, (*steps, f"taken: {_told([best])}"), fallback)
    raise TemplateNotFoundError(_missing(snapshot, name, version, locale))


class _Downwards:
    """Sorts definitions by version, the highest first."""

    def __init__(self, definition: PromptDefinition) -> None:
        self._key = version_key(definition.version)

    def __lt__(self, other: _Downwards) -> bool:
        return self._key > other._key


def _locale(locale: str) -> str:
    try:
        return check_locale(locale)
    except ValueError as error:
        raise InvalidArgumentError(f"{error}; found {locale[:50]!r}") from None


def _parents(locale: str) -> Iterator[str]:
    """Yield a locale and those it belongs to: ``zh-Hant-TW``, ``zh-Hant``, ``zh``."""
    while locale:
        yield locale
        locale = locale.rpartition("-")[0]


def _told(entries: Sequence[Entry]) -> str:
    found = (
        f"version {entry.definition.version}, locale {entry.definition.locale or 'any'}, {entry.file or 'by code'}"
        for entry in entries
    )
    return "; ".join(found) or "nothing"


def _check_broken(snapshot: Snapshot, name: str, layer: str, version: str | None, chain: Sequence[str | None]) -> None:
    """Raise when a file that cannot be read might be the one that is asked for, by what its name tells."""
    for problem in snapshot.problems:
        if problem.layer != layer or problem.name != name or problem.kept or problem.duplicate:
            continue
        versions = [hint[1:] for hint in problem.hints if _VERSION_HINT.fullmatch(hint)]
        locales = [_known_locale(hint) for hint in problem.hints if not _VERSION_HINT.fullmatch(hint)]
        other_version = version is not None and bool(versions) and version not in versions
        other_locale = bool(locales) and not any(locale in chain for locale in locales)
        if not (other_version or other_locale):
            raise TemplateSyntaxError(f"Prompt {name!r}: the file {problem.file} {problem.message}")


def _known_locale(hint: str) -> str | None:
    try:
        return check_locale(hint)
    except ValueError:
        return None


def _missing(snapshot: Snapshot, name: str, version: str | None, locale: str | None) -> str:
    entries = snapshot.entries.get(name)
    if entries is None:
        try:
            check_name(name)
        except ValueError as error:
            return f"There is no prompt of that name: {error}"
        hint = did_you_mean(name, snapshot.entries) or f"; there are: {', '.join(snapshot.entries)}"
        return f"There is no prompt {name!r}{hint}"
    versions = sorted({entry.definition.version for entry in entries}, key=version_key)
    locales = sorted({entry.definition.locale or "any" for entry in entries})
    asked = [f"version {version[:50]}" if version else "", f"locale {locale}" if locale else ""]
    return (
        f"There is no prompt {name!r} in {', '.join(filter(None, asked)) or 'the default locale'}; there are the "
        f"versions {', '.join(versions)} and the locales {', '.join(locales)}"
    )


def choose_variant(definition: PromptDefinition, subject: str) -> str | None:
    """Choose the variant of a subject, the same one every time and on every machine.

    The choice depends on the prompt's name, the subject and the weights alone, so that a new version does not shuffle
    the subjects.

    Args:
        definition: The prompt.
        subject: Who or what sees it, such as a user's id.

    Returns:
        The variant; ``None`` for the prompt's own wording.

    Raises:
        InvalidArgumentError: All weights are 0.
    """
    weights: dict[str | None, float] = {None: definition.weight}
    weights |= {name: variant.weight for name, variant in sorted(definition.variants.items())}
    total = sum(weights.values())
    if total <= 0:
        raise InvalidArgumentError(f"Prompt {definition.name!r}: the weights of all variants are 0")
    place = keyed_uniform(0, "prompt variant", definition.name, subject) * total
    for name, weight in weights.items():
        place -= weight
        if place < 0:
            return name
    return next(reversed([name for name, weight in weights.items() if weight > 0]))
