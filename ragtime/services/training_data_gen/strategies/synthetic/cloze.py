"""The inverse cloze task: a sentence asks for the passage that it was taken out of.

Lee, Chang and Toutanova, Latent Retrieval for Weakly Supervised Open Domain Question Answering, 2019 (ORQA): the
sentence is taken out of its passage in nine of ten cases, so that a model learns meaning, and left in place in one, so
that it does not unlearn to match words.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from ragtime.services.training_data_gen.strategies.synthetic.pair import Pair, Passage

__all__ = ["cloze_pairs"]

_KEPT_IN_PLACE = 0.1
_FEWEST, _MOST = 5, 40  # words of a sentence
_FEWEST_SIGNS, _MOST_SIGNS = 16, 240  # characters of a sentence
_FEWEST_WIDE = 10  # for each space, in writing without them
_REST = 40  # fewest characters that remain


def cloze_pairs(passage: Passage, chance: random.Random, limit: int) -> Iterator[Pair]:
    """Take sentences out of a passage.

    Args:
        passage: The passage.
        chance: Decides which sentences, and which of them stay in place.
        limit: Most sentences.

    Yields:
        The pairs; the span is where the sentence stands.
    """
    text, title = passage.document.text, passage.document.title
    rooms = [one for one in passage.sentences if one.closed and _is_whole(one.text)]
    for sentence in chance.sample(rooms, min(limit, len(rooms))):
        before, after = text[passage.start : sentence.start].rstrip(), text[sentence.end :].strip()
        in_place = chance.random() < _KEPT_IN_PLACE
        if len(before) + len(after) < _REST:
            continue
        rest = text if in_place else f"{before}{_joint(text, sentence.start) if before and after else ''}{after}"
        response = f"{title}\n{rest}" if title else rest
        yield Pair(sentence.text, response, "cloze", (sentence.start, sentence.end), {"sentence_in_place": in_place})


def _is_whole(sentence: str) -> bool:
    spaced = sentence.count(" ") + 1
    if spaced < _FEWEST:  # too short, or writing without spaces
        return not sentence.isascii() and _FEWEST_WIDE * spaced <= len(sentence) <= _MOST_SIGNS
    return spaced <= _MOST and _FEWEST_SIGNS <= len(sentence) <= _MOST_SIGNS


def _joint(text: str, start: int) -> str:
    """Return what stands between the sentences around a gap: the line break before it, or a space."""
    gap = text[:start]
    white = gap[len(gap.rstrip()) :]
    return white if "\n" in white else " "
