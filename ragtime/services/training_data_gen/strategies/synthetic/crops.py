"""Independent crops: two parts of a passage belong together.

Izacard et al., Unsupervised Dense Information Retrieval with Contrastive Learning, 2022 (Contriever): two spans of
words are cut out of a passage independently of each other. Here the one that asks is as short as a query, and never
stands whole within the other.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from ragtime.services.training_data_gen.strategies.synthetic.pair import Pair, Passage
from ragtime.services.training_data_gen.text import plain

__all__ = ["crop_pairs"]

_WORD = re.compile(r"\S+")
_FEWEST = 30  # words of a passage that is cropped
_QUERY = (6, 16)  # words
_RESPONSE = (0.4, 0.8)  # share of the words of the passage
_TRIES = 6  # for each pair; a cut may be no good
_READ = 8000  # characters


def crop_pairs(passage: Passage, chance: random.Random, limit: int) -> Iterator[Pair]:
    """Cut pairs of parts out of a passage.

    Args:
        passage: The passage; one with less than 30 words between spaces gives none.
        chance: Decides where to cut.
        limit: Most pairs.

    Yields:
        The pairs; the span is that of the response, and ``query_span`` in the details that of the query.
    """
    text = passage.document.text
    words = [found.span() for found in _WORD.finditer(text, passage.start, passage.start + _READ)]
    if len(words) < _FEWEST:
        return
    made = 0
    for _ in range(_TRIES * limit):
        if made == limit:
            return
        size = chance.randint(*_QUERY)
        first = chance.randrange(len(words) - size + 1)
        length = int(chance.uniform(*_RESPONSE) * len(words))
        start = chance.randrange(len(words) - length + 1)
        if start <= first and first + size <= start + length:
            continue
        asked = (words[first][0], words[first + size - 1][1])
        span = (words[start][0], words[start + length - 1][1])
        query = plain(text[slice(*asked)])
        if "```" in query or sum(map(str.isalpha, query)) < len(query) // 2:
            continue
        made += 1
        yield Pair(query, text[slice(*span)], "crop", span, {"query_span": list(asked)})
