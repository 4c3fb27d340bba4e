"""The stage that keeps what may be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.quality.language import CorpusLanguages
from ragtime.services.training_data_gen.quality.redaction import ExampleRedactor
from ragtime.services.training_data_gen.quality.texts import (
    asks_back,
    is_boilerplate,
    is_copied,
    says_unknown,
    speaks,
)
from ragtime.services.training_data_gen.sources.feedback import LONGEST_QUERY
from ragtime.services.training_data_gen.tools import Tools
from ragtime.services.training_data_gen.verdict import Verdict
from ragtime.utils.stems import stems_of

__all__ = ["QualityCheck"]

_SHORTEST_PASSAGE = 10  # characters
_SUPPORT = 0.3  # of an answer's different stems, at least so many stand in the documents that it names
_KEPT = 2048  # passages whose fitness is remembered: each comes with several queries
_LEAST_STEMS = 5  # of an answer, for their share to say anything
_VERBATIM = frozenset({"crop", "heading", "independent_crop"})  # methods whose queries stand in the passage by design


class QualityCheck:
    """Rejects what teaches nothing, and blacks out personal data in the rest.

    - Queries that are too short, too long, or have no word; passages that are too short or too long.
    - Queries and passages in a language that the corpus is not in; see ``CorpusLanguages``.
    - Boilerplate, and queries that stand in their passage word for word, from twelve words on, but for strategies that
      take them from there on purpose and say so in ``metadata["method"]``.
    - Answers in the place of a passage that say that they do not know, only ask back, or hold too little of the
      documents they name.

    Personal data are replaced by what they are, in all texts: ``[email]``, ``[phone 2]``; see ``ExampleRedactor``.
    """

    stage = "quality"

    def __init__(self, tools: Tools) -> None:
        """Check by the settings of a run.

        Args:
            tools: The corpus and the settings.
        """
        self._tools = tools
        self._limits = tools.settings.training_data
        self._redactor = ExampleRedactor(tools)
        self._known_reason = lru_cache(_KEPT)(self._reason_of)

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Do nothing: no example counts for another; see ``Check``."""

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it is kept; see ``Check``."""
        named = {one for example in examples if example.weak for one in example.lineage.document_ids}
        documents = self._tools.corpus.find(sorted(named)) if named else {}
        return [self._verdict(example, documents) for example in examples]

    def _verdict(self, example: TrainingExample, documents: Mapping[str, Document]) -> Verdict:
        reason = self._query_reason(example) or self._passage_reason(example)
        if not reason and example.weak:
            reason = _answer_reason(example, documents)
        return Verdict(None, reason) if reason else Verdict(self._redactor.redacted(example))

    def _query_reason(self, example: TrainingExample) -> str:
        query = example.query.strip()
        if len(query) < self._limits.min_query_characters:
            return "the query is too short"
        if len(query) > LONGEST_QUERY:
            return "the query is too long"
        if not speaks(query):
            return "the query has no word"
        if self._languages.is_foreign(query):
            return "the query is in no language of the corpus"
        return ""

    def _passage_reason(self, example: TrainingExample) -> str:
        if reason := self._known_reason(example.response):
            return reason
        if example.metadata.get("method") not in _VERBATIM and is_copied(example.query, example.response):
            return "the query is copied from the passage"
        return ""

    def _reason_of(self, passage: str) -> str:
        if len(passage.strip()) < _SHORTEST_PASSAGE:
            return "the passage is too short"
        if len(passage) > self._limits.max_passage_characters:
            return "the passage is too long"
        if is_boilerplate(passage):
            return "the passage is boilerplate"
        if self._languages.is_foreign(passage):
            return "the passage is in no language of the corpus"
        return ""

    @cached_property
    def _languages(self) -> CorpusLanguages:
        return CorpusLanguages(document.text for document in self._tools.corpus)


def _answer_reason(example: TrainingExample, documents: Mapping[str, Document]) -> str:
    """Say why an answer that stands in the place of a passage is none; nothing for a passage that was guessed."""
    named = [documents[one] for one in example.lineage.document_ids if one in documents]
    if "method" in example.metadata or any(example.response == document.content for document in named):
        return ""  # a passage, or a part of one
    if example.metadata.get("kind") not in {"answer", "preference"} and not named:
        return ""
    if says_unknown(example.response):
        return "the answer says that it does not know"
    if asks_back(example.response):
        return "the answer only asks back"
    stems = set(stems_of(example.response))
    if named and len(stems) >= _LEAST_STEMS:
        held = stems.intersection(stem for document in named for stem in stems_of(document.content))
        if len(held) < _SUPPORT * len(stems):
            return "the documents do not support the answer"
    return ""
