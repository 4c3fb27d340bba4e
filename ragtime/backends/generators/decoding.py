"""Token by token: text out of tokens, and sampling that touches no global random state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragtime.backends.generators.stopping import StopCutter
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = ["SeededDraw", "TokenText", "TokenWatch", "sampling_chain"]

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
_IMPOSSIBLE = -float("inf")


class TokenText:
    """Turns tokens into text as they come.

    Only the last tokens are decoded again with each new one, from the last place where the text was complete, as text
    generation servers do: tokens can be parts of a character, and some tokenizers write a word with a space only after
    another one. The pieces joined are the text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Use a tokenizer's own decoder, without special tokens."""
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # where the window begins that gives the tokens to come their context
        self._read = 0  # up to where the text is out

    def feed(self, token: int) -> str:
        """Take the next token; return the text that is complete with it, ``""`` included."""
        self._ids.append(token)
        return self._next(final=False)

    def flush(self) -> str:
        """Return the rest, whose last character may be incomplete."""
        return self._next(final=True)

    def _next(self, *, final: bool) -> str:
        known = self._decode(self._ids[self._start : self._read])
        text = self._decode(self._ids[self._start :])
        if len(text) <= len(known) or (text.endswith(_INCOMPLETE) and not final):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        text: Any = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)


class TokenWatch:
    """Follows a generation from inside: a stopping criterion of transformers that hands on each token's text.

    Attributes:
        tokens: Tokens written.
        last_token: The newest of them; -1 before the first.
        cutter: Cuts at the stop texts.
    """

    def __init__(
        self,
        text: TokenText,
        stop: Sequence[str],
        *,
        prompt_tokens: int,
        give: Callable[[str], None],
        aborted: Callable[[], bool],
    ) -> None:
        """Watch the tokens after the first `prompt_tokens`.

        Args:
            text: Turns tokens into text.
            stop: Texts that end the answer.
            prompt_tokens: Tokens of the prompt.
            give: Takes each piece of the answer, ``""`` included.
            aborted: Tells whether the work is no longer wanted.
        """
        self._text = text
        self._give = give
        self._prompt_tokens = prompt_tokens
        self.cutter = StopCutter(stop)
        self.tokens = 0
        self.last_token = -1
        self._aborted = aborted

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:  # noqa: ARG002
        """Take the newest token; tell whether the generation should stop."""
        written = input_ids.shape[1] - self._prompt_tokens
        if not self.cutter.stopped and written > self.tokens:
            self.tokens = written
            self.last_token = int(input_ids[0, -1])
            self._give(self.cutter.feed(self._text.feed(self.last_token)))
        package = require("torch", "generation")
        stop: torch.Tensor = package.full(
            (1,), self.cutter.stopped or self._aborted(), dtype=package.bool, device=input_ids.device
        )
        return stop

    def finish(self) -> None:
        """Give out what was held back."""
        if not self.cutter.stopped:
            self._give(self.cutter.feed(self._text.flush()))
        if not self.cutter.stopped:
            self._give(self.cutter.flush())


class SeededDraw:
    """Draws each token with a random generator of its own: the last logits processor, before a greedy choice.

    Transformers draws from the global random state, which threads share. So the draw happens here, and all but the
    drawn token become impossible.
    """

    def __init__(self, seed: int | None) -> None:
        """Draw with `seed`; ``None`` takes one from the operating system."""
        # On the CPU whatever the device, so that a seed means the same draws everywhere.
        self._random = require("torch", "generation").Generator(device="cpu")
        if seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(seed)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Leave only the drawn token possible, for each row of `scores` (``[batch, vocabulary]``)."""
        package = require("torch", "generation")
        chances = package.softmax(scores.float(), dim=-1).cpu()
        drawn = package.multinomial(chances, 1, generator=self._random).to(scores.device)
        only: torch.Tensor = package.full_like(scores, _IMPOSSIBLE).scatter_(1, drawn, 0.0)
        return only


def sampling_chain(config: Any, *, temperature: float, seed: int | None) -> list[Any]:
    """Build the logits processors of a sampled generation.

    Args:
        config: The model's generation configuration; its ``top_k``, ``top_p`` and ``min_p`` hold.
        temperature: Sampling temperature, above 0.
        seed: Seed of the draws; ``None`` leaves it open.

    Returns:
        The processors, in order.
    """
    processors = require("transformers.generation.logits_process", "generation")
    chain: list[Any] = [processors.TemperatureLogitsWarper(temperature)]
    if getattr(config, "top_k", None):
        chain.append(processors.TopKLogitsWarper(top_k=config.top_k))
    if getattr(config, "top_p", None) is not None and config.top_p < 1:
        chain.append(processors.TopPLogitsWarper(top_p=config.top_p))
    if getattr(config, "min_p", None) is not None:
        chain.append(processors.MinPLogitsWarper(min_p=config.min_p))
    return [*chain, SeededDraw(seed)]
