"""One line of a page as a question for the rest of it: a strategy of our own for ``TrainingDataGenerator``.

The pages of ``retrieval-tldr`` are lists of examples, a line each: what it does, a colon, the command. What it does is
worded as the training questions are, for that is how people wrote the pages, and the test questions are such lines,
too, which are on no page any more. The strategy ``synthetic`` takes out sentences, of which a line of a list is none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ragtime.records import Document
from ragtime.services.training_data_gen import Outcome, Rejected, TrainingExample, register_strategy
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Unit
from ragtime.services.training_data_gen.tools import Tools

IN_PLACE = "line in place"
TAKEN_OUT = "line"
_FEWEST = 4  # words, as of the questions
_MOST = 4  # lines of a page
_TOGETHER = 16  # pages of a unit


class Line(NamedTuple):
    """A line of a page that can be asked for.

    Attributes:
        place: Which line of the text it is, from 0.
        question: What stands before the colon.
    """

    place: int
    question: str


def lines_of(text: str) -> list[Line]:
    """Find the lines that say what something does, and then how it is done.

    Args:
        text: The text of a page, without its title. Its first line tells what the page is about, and is none of them.

    Returns:
        The lines whose first part has at least four words, in their order.
    """
    found = []
    for place, line in enumerate(text.split("\n")[1:], start=1):
        question, colon, answer = line.partition(": ")
        if colon and answer.strip() and len(question.split()) >= _FEWEST:
            found.append(Line(place, question.strip()))
    return found


def without_line(document: Document, place: int) -> str:
    """Return what a passage holds but for one line of its text."""
    rest = "\n".join(line for number, line in enumerate(document.text.split("\n")) if number != place)
    return f"{document.title}\n{rest}" if document.title else rest


class Lines:
    """Asks for a page by some of its lines, in an order by chance.

    Attributes:
        name: ``line`` or ``line in place``.
    """

    def __init__(self, name: str = TAKEN_OUT) -> None:
        """Take the line out of the page that it asks for, or leave it ``in place``."""
        self.name = name

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:  # noqa: ARG002 - as the protocol
        """Give some passages at a time; see ``Strategy``."""
        ids = (document.id for document in tools.corpus)
        while some := list(islice(ids, _TOGETHER)):
            yield {"document_ids": some}

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Take lines out of passages; see ``Strategy``."""
        return [[one for key in unit["document_ids"] for one in self._made(key, tools)] for unit in units]

    def _made(self, key: str, tools: Tools) -> list[Outcome]:
        document = tools.corpus.find([key])[key]
        lines = lines_of(document.text)
        if not lines:
            return [Rejected("the passage has no line to take out")]
        chance: random.Random = tools.random("lines", key)
        return [self._example(document, line, tools) for line in chance.sample(lines, min(_MOST, len(lines)))]

    def _example(self, document: Document, line: Line, tools: Tools) -> TrainingExample:
        return TrainingExample(
            query=line.question,
            response=document.content if self.name == IN_PLACE else without_line(document, line.place),
            strategy=self.name,
            weak=True,
            metadata={"method": self.name},
            lineage=tools.lineage(source="documents", document_ids=(document.id,)),
        )


register_strategy(TAKEN_OUT, Lines)
register_strategy(IN_PLACE, lambda: Lines(IN_PLACE))
