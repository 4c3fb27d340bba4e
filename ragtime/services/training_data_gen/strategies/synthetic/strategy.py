"""Passages in, questions out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from ragtime.errors import GenerationError
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Unit
from ragtime.services.training_data_gen.strategies.synthetic.cloze import cloze_pairs
from ragtime.services.training_data_gen.strategies.synthetic.crops import crop_pairs
from ragtime.services.training_data_gen.strategies.synthetic.heading import heading_pairs, read_passage
from ragtime.services.training_data_gen.strategies.synthetic.pair import Pair, Passage
from ragtime.services.training_data_gen.strategies.synthetic.prompted import PromptedQueries
from ragtime.services.training_data_gen.strategies.synthetic.wording import keyword_pairs, question_pairs
from ragtime.services.training_data_gen.text import CorpusWords
from ragtime.services.training_data_gen.text.statistics import CorpusWordsCache
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["SyntheticStrategy"]

_HEADINGS = 4  # most pairs of each kind that one passage gives
_CLOZES = 2
_CROPS = 1
_QUESTIONS = 3
_KEYWORDS = 2
_PROMPTED = 4
_SPARE = 8  # pairs by rules that stand in for what a model did not write


class SyntheticStrategy:
    """Makes up queries for passages.

    Without a language model: headings for their sections, sentences for the passages they were taken out of (inverse
    cloze task), parts for other parts (independent crops), questions that sentences answer, and keyphrases. With one,
    its queries take the place of the last two; where it fails or writes something else, they stand in for each query
    that is missing. Which method made an example stands in its metadata. All pairs are weak: nobody has judged them.
    """

    name = "synthetic"

    def __init__(self) -> None:
        """Get ready; the corpus is counted at the first use."""
        self._words = CorpusWordsCache()

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Give a unit for each passage; see ``Strategy``."""
        del sources  # their documents are the corpus
        if not len(tools.corpus):
            raise GenerationError(
                f"The strategy {self.name!r} asks about passages, and there are none; give documents="
            )
        for document in tools.corpus:
            yield {"document_id": document.id}

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Make up queries for some passages; see ``Strategy``."""
        words = self._words.of(tools.corpus)
        prompted = PromptedQueries(tools, tools.generator) if tools.generator is not None else None
        documents = tools.corpus.find([unit["document_id"] for unit in units])
        made: list[list[Outcome]] = []
        for unit in units:
            passage = read_passage(documents[unit["document_id"]])
            examples = [_example(pair, passage, tools) for pair in _pairs(passage, words, tools, prompted)]
            made.append(list(examples) or [Rejected("the passage is too short to ask about")])
        return made


def _pairs(passage: Passage, words: CorpusWords, tools: Tools, prompted: PromptedQueries | None) -> list[Pair]:
    chance = tools.random("synthetic", passage.document.id)
    pairs: dict[str, Pair] = {}

    def add(found: Iterable[Pair]) -> int:
        before = len(pairs)
        for pair in found:
            query = normalize_text(pair.query)
            if query and query not in pairs and query != normalize_text(pair.response) and pair.response.strip():
                pairs[query] = pair
        return len(pairs) - before

    add(list(heading_pairs(passage, words, form=chance.randrange(12)))[:_HEADINGS])
    add(cloze_pairs(passage, chance, _CLOZES))
    add(crop_pairs(passage, chance, _CROPS))
    if prompted is None:
        add(question_pairs(passage, words, chance, _QUESTIONS))
        add(keyword_pairs(passage, words, chance, _KEYWORDS))
        return list(pairs.values())
    missing = _PROMPTED - add(prompted.pairs(passage, _PROMPTED))
    if missing:
        for pair in _by_rules(passage, words, chance):
            details = {**pair.details, "instead_of": "prompted"}
            missing -= add([Pair(pair.query, pair.response, pair.method, pair.span, details)])
            if not missing:
                break
    return list(pairs.values())


def _by_rules(passage: Passage, words: CorpusWords, chance: random.Random) -> Iterator[Pair]:
    """Yield what can stand in for queries of a model, the most alike first."""
    yield from question_pairs(passage, words, chance, _SPARE)
    yield from keyword_pairs(passage, words, chance, _SPARE)
    yield from cloze_pairs(passage, chance, _SPARE)
    yield from crop_pairs(passage, chance, _SPARE)


def _example(pair: Pair, passage: Passage, tools: Tools) -> TrainingExample:
    return TrainingExample(
        query=pair.query,
        response=pair.response,
        strategy=SyntheticStrategy.name,
        weak=True,
        metadata={"method": pair.method, **pair.details},
        lineage=tools.lineage(source="documents", document_ids=(passage.document.id,), span=pair.span),
    )
