"""Passages in, questions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

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
_TOGETHER = 4  # passages of a unit without a model; so many small units would cost as much as what is made of them

_METHODS = ("heading", "cloze", "crop", "question", "keywords")
_METHODS_WITH_A_MODEL = ("heading", "cloze", "crop", "prompted")
_NOTHING = {
    "heading": "the passage has no heading that tells anything",
    "cloze": "the passage has no sentence to take out",
    "crop": "the passage is too short to crop",
    "question": "the passage has no sentence that answers a question",
    "keywords": "the passage has too few keyphrases",
    "prompted": "the passage is too short to ask about",
}


class SyntheticStrategy:
    """Makes up queries for passages.

    Without a language model: headings for their sections, sentences for the passages they were taken out of (inverse
    cloze task), parts for other parts (independent crops), questions that sentences answer, and keyphrases. With one,
    its queries take the place of the last two; where it fails or writes something else, they stand in for each query
    that is missing. Which method made an example stands in its metadata. All pairs are weak: nobody has judged them.

    Each method works on a passage by itself, so that the first thousand examples are of many passages. Trainers take
    what the other queries of a batch should retrieve for wrong, which two queries about one passage contradict.
    """

    name = "synthetic"

    def __init__(self) -> None:
        """Get ready; the corpus is counted at the first use."""
        self._words = CorpusWordsCache()

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Give a unit for each method and some passages, with a language model for one; see ``Strategy``."""
        if not len(tools.corpus):  # which is what the sources' documents have become
            raise GenerationError(f"The strategy {self.name!r} asks about documents, and {sources.lack('documents')}")
        ids = (document.id for document in tools.corpus)
        methods, together = (_METHODS, _TOGETHER) if tools.generator is None else (_METHODS_WITH_A_MODEL, 1)
        while passages := list(islice(ids, together)):
            for method in methods:
                yield {"document_ids": passages, "method": method}

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Make up queries for some passages, each by one method; see ``Strategy``."""
        words = self._words.of(tools.corpus)
        prompted = PromptedQueries(tools, tools.generator) if tools.generator is not None else None
        documents = tools.corpus.find([key for unit in units for key in unit["document_ids"]])
        made: list[list[Outcome]] = []
        for unit in units:
            outcomes: list[Outcome] = []
            for key in unit["document_ids"]:
                passage = read_passage(documents[key])
                pairs = _pairs(passage, unit["method"], words, tools, prompted)
                outcomes += [_example(pair, passage, tools) for pair in pairs] or [Rejected(_NOTHING[unit["method"]])]
            made.append(outcomes)
        return made


def _pairs(
    passage: Passage, method: str, words: CorpusWords, tools: Tools, prompted: PromptedQueries | None
) -> list[Pair]:
    pairs: dict[str, Pair] = {}

    def add(found: Iterable[Pair]) -> int:
        before = len(pairs)
        for pair in found:
            query = normalize_text(pair.query)
            if query and query not in pairs and query != normalize_text(pair.response) and pair.response.strip():
                pairs[query] = pair
        return len(pairs) - before

    if method != "prompted" or prompted is None:
        add(_by_rule(method, passage, words, tools))
        return list(pairs.values())
    for other in _METHODS_WITH_A_MODEL[:-1]:  # what stands in for the model's queries repeats none of theirs
        add(_by_rule(other, passage, words, tools))
    theirs = len(pairs)
    if missing := _PROMPTED - add(prompted.pairs(passage, _PROMPTED)):
        for pair in _instead(passage, words, tools):
            missing -= add([pair])
            if not missing:
                break
    return list(pairs.values())[theirs:]


def _by_rule(method: str, passage: Passage, words: CorpusWords, tools: Tools) -> Iterable[Pair]:
    chance = tools.random("synthetic", method, passage.document.id)
    match method:
        case "heading":
            return islice(heading_pairs(passage, words, form=chance.randrange(12)), _HEADINGS)
        case "cloze":
            return cloze_pairs(passage, chance, _CLOZES)
        case "crop":
            return crop_pairs(passage, chance, _CROPS)
        case "question":
            return question_pairs(passage, words, chance, _QUESTIONS)
        case _:
            return keyword_pairs(passage, words, chance, _KEYWORDS)


def _instead(passage: Passage, words: CorpusWords, tools: Tools) -> Iterator[Pair]:
    """Yield what can stand in for queries of a model, the most alike first."""
    chance = tools.random("synthetic", "instead of prompted", passage.document.id)
    for pair in chain(
        question_pairs(passage, words, chance, _SPARE),
        keyword_pairs(passage, words, chance, _SPARE),
        cloze_pairs(passage, chance, _SPARE),
        crop_pairs(passage, chance, _SPARE),
    ):
        yield replace(pair, details={**pair.details, "instead_of": "prompted"})


def _example(pair: Pair, passage: Passage, tools: Tools) -> TrainingExample:
    return TrainingExample(
        query=pair.query,
        response=pair.response,
        strategy=SyntheticStrategy.name,
        weak=True,
        metadata={"method": pair.method, **pair.details},
        lineage=tools.lineage(source="documents", document_ids=(passage.document.id,), span=pair.span),
    )
