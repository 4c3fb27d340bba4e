"""Rendering a prompt within a budget of tokens: what is cut, and how far."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragtime.errors import InvalidArgumentError, TemplateError
from ragtime.protocols import Message, TokenCounter
from ragtime.utils.templates.prompts.definitions import PromptVariable
from ragtime.utils.tokens import EstimatedTokenCounter

if TYPE_CHECKING:
    from ragtime.utils.templates.prompts.prompt import PromptSource

__all__ = ["Cut", "FittedPrompt", "fit_values"]

_ELLIPSIS = "…"
_FENCE = re.compile(r"^ {0,3}(?P<mark>`{3,}|~{3,}).*?(?:^ {0,3}(?P=mark)[`~]*[^\S\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\S+")
_LONG_WORD = 40  # characters; longer ones, as in writing without spaces, may be cut inside
_JOINER = "\N{ZERO WIDTH JOINER}"
_SKIN_TONES = ("\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}", "\N{EMOJI MODIFIER FITZPATRICK TYPE-6}")
_CUTTABLE = {"string", "any", "list", "messages"}


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut of one variable.

    Attributes:
        variable: Its name.
        kept: Characters, items or messages kept.
        of: Characters, items or messages before.
    """

    variable: str
    kept: int
    of: int


@dataclass(frozen=True)
class FittedPrompt:
    """A prompt within its budget.

    Attributes:
        messages: The messages; of a text prompt, one of the user.
        tokens: Tokens of it all, by the counter.
        max_tokens: The budget.
        counter: Name of the counter.
        exact: Whether the counter is a tokenizer, not an estimate.
        cuts: What was cut, in the order of cutting; empty when all fitted.
        source: The prompt that made it.
    """

    messages: tuple[Message, ...]
    tokens: int
    max_tokens: int
    counter: str
    exact: bool
    cuts: tuple[Cut, ...]
    source: PromptSource

    @property
    def text(self) -> str:
        """The contents of its messages, with a blank line between two."""
        return "\n\n".join(message["content"] for message in self.messages)

    def __str__(self) -> str:
        return self.text


def fit_values(
    values: dict[str, Any],
    variables: Mapping[str, PromptVariable],
    *,
    write: Callable[[dict[str, Any]], str | list[Message]],
    who: str,
    max_tokens: int,
    counter: TokenCounter | None,
    tokens_per_message: int,
    source: PromptSource,
) -> FittedPrompt:
    """Cut values until what `write` makes of them fits; see ``Prompt.fit``.

    Args:
        values: The values of all variables.
        variables: What is declared of them.
        write: Renders values.
        who: The prompt, for errors.
        max_tokens: The budget, in tokens.
        counter: Counts; ``None`` means the estimate.
        tokens_per_message: What each message costs beside its content, in tokens.
        source: The prompt that made it.

    Returns:
        The fitted prompt.

    Raises:
        InvalidArgumentError: The budget is not positive.
        TemplateError: It does not fit with everything cut that may be.
    """
    if max_tokens < 1 or tokens_per_message < 0:
        raise InvalidArgumentError(
            f"max_tokens is at least 1 and tokens_per_message at least 0, found {max_tokens} and {tokens_per_message}"
        )
    counting = EstimatedTokenCounter() if counter is None else counter
    if not isinstance(counting, TokenCounter):
        raise InvalidArgumentError("A counter has count(text), name and exact, as ragtime.protocols.TokenCounter says")

    def measure(changed: dict[str, Any]) -> tuple[int, list[Message]]:
        written = write(dict(changed))
        messages: list[Message] = [{"role": "user", "content": written}] if isinstance(written, str) else written
        return sum(counting.count(message["content"]) + tokens_per_message for message in messages), messages

    tokens, messages = measure(values)
    cuts: list[Cut] = []
    for name in _order(variables):
        whole = values.get(name)
        if tokens <= max_tokens or not isinstance(whole, str | list) or not whole:
            continue
        parts = (
            _TextParts(whole, variables[name].cut) if isinstance(whole, str) else _ListParts(whole, variables[name].cut)
        )
        low, high = 0, len(parts)  # what is kept is at least low and less than high
        values = {**values, name: parts.keep(0)}
        tokens, messages = measure(values)
        while tokens <= max_tokens and high - low > 1:
            middle = (low + high) // 2
            tried = {**values, name: parts.keep(middle)}
            found, written = measure(tried)
            if found <= max_tokens:
                low, values, tokens, messages = middle, tried, found, written
            else:
                high = middle
        cuts.append(Cut(name, parts.kept(low), len(whole)))
    if tokens > max_tokens:
        raise TemplateError(
            f"{who} does not fit: it needs {tokens:,} tokens with everything cut that has a priority, and may have "
            f"{max_tokens:,}"
        )
    return FittedPrompt(
        messages=tuple(messages),
        tokens=tokens,
        max_tokens=max_tokens,
        counter=counting.name,
        exact=counting.exact,
        cuts=tuple(cuts),
        source=source,
    )


def _order(variables: Mapping[str, PromptVariable]) -> list[str]:
    """Return the variables that may be cut, the first to be cut first."""
    ranked = [
        (variable.priority, place, name)
        for place, (name, variable) in enumerate(variables.items())
        if variable.priority is not None and variable.type in _CUTTABLE
    ]
    return [name for _, _, name in sorted(ranked)]


class _ListParts:
    """The items of a list, fewer and fewer of them."""

    def __init__(self, items: list[Any], cut: str) -> None:
        self._items, self._cut = items, cut

    def __len__(self) -> int:
        return 1 if self._cut == "drop" else len(self._items)

    def keep(self, count: int) -> list[Any]:
        """Return the list with `count` items left."""
        if self._cut == "start":
            return self._items[len(self._items) - count :]
        tail = count // 2 if self._cut == "middle" else 0
        return [*self._items[: count - tail], *self._items[len(self._items) - tail :]]

    def kept(self, count: int) -> int:
        """Return the number of items left."""
        return count


class _TextParts:
    """The pieces of a text between which it may be cut, fewer and fewer of them."""

    def __init__(self, text: str, cut: str) -> None:
        self._text, self._cut = text, cut
        self._pieces = [] if cut == "drop" else _pieces(text)

    def __len__(self) -> int:
        return max(1, len(self._pieces))

    def keep(self, count: int) -> str:
        """Return the text with `count` pieces left, and an ellipsis where the others were."""
        if not count:
            return ""
        head, tail = self._ends(count)
        return f"{self._text[:head]}{_ELLIPSIS}{self._text[tail:]}"

    def kept(self, count: int) -> int:
        """Return the number of characters left."""
        if not count:
            return 0
        head, tail = self._ends(count)
        return head + len(self._text) - tail

    def _ends(self, count: int) -> tuple[int, int]:
        """Return where the first part ends and the last one begins."""
        after = {"end": 0, "start": count, "middle": count // 2}[self._cut]
        before = count - after
        head = self._pieces[before - 1][1] if before else 0
        tail = self._pieces[len(self._pieces) - after][0] if after else len(self._text)
        return head, tail


def _pieces(text: str) -> list[tuple[int, int]]:
    """Return start and end of each piece that is kept or cut as a whole: words, and fenced blocks of code."""
    found: list[tuple[int, int]] = []
    end = 0
    for fence in _FENCE.finditer(text):
        found.extend(_words(text, end, fence.start()))
        found.append(fence.span())
        end = fence.end()
    found.extend(_words(text, end, len(text)))
    return found


def _words(text: str, start: int, end: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for word in _WORD.finditer(text, start, end):
        if word.end() - word.start() <= _LONG_WORD:
            found.append(word.span())
            continue
        inner = range(word.start() + 1, word.end())
        cuts = [word.start(), *(place for place in inner if not _belongs_together(text[place - 1], text[place]))]
        found.extend(zip(cuts, [*cuts[1:], word.end()], strict=True))
    return found


def _belongs_together(one: str, other: str) -> bool:
    """Whether two signs are one to a reader, as far as that can be told without a grammar of scripts."""
    return (
        unicodedata.category(other).startswith("M")
        or _JOINER in {one, other}
        or _SKIN_TONES[0] <= other <= _SKIN_TONES[1]
    )
