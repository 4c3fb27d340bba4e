"""What is known of queries and passages before negatives are mined: which fit, which do not, and which are copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragtime.records.training import Lineage, Rater
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.dedup.shingles import Offsets, normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.utils.hashing import text_hash

if TYPE_CHECKING:
    from ragtime.records.retrieval import Document

__all__ = ["JudgedPassages", "KnownPassages", "KnownQuery", "RatedBy"]


class KnownPassages:
    """The passages of a corpus, by id and by text.

    Attributes:
        ids: Their ids, sorted.
        numbers: For each of them the same number for near-duplicates, int64 of shape ``[n]``.
        groups: The number of each passage that has a near-duplicate, by its id.
    """

    def __init__(self, corpus: Corpus) -> None:
        """Read the corpus once."""
        documents: list[Document] = list(corpus)
        self._corpus = corpus
        self.ids = [document.id for document in documents]
        self.numbers: Offsets = group_near_duplicates([document.content for document in documents])
        members: dict[int, list[str]] = {}
        for one, number in zip(self.ids, self.numbers.tolist(), strict=True):
            members.setdefault(number, []).append(one)
        self._copies = {number: some for number, some in members.items() if len(some) > 1}
        self.groups = {one: number for number, some in self._copies.items() for one in some}
        self._known = frozenset(self.ids)
        self._by_text: dict[str, str] = {}
        for document in documents:
            self._by_text.setdefault(_key(document.content), document.id)

    def named(self, example: TrainingExample) -> set[str]:
        """Return the passages that stand in the place of an example's response: those it names, and those of its text.

        Of a document that was divided, they are all its parts.
        """
        found = set()
        for one in example.lineage.document_ids:
            found |= {one} if one in self._known else set(self._corpus.parts_of(one))
        return found | self.of_texts([example.response])

    def of_texts(self, texts: Iterable[str]) -> set[str]:
        """Return the passages that have some of these texts."""
        return {self._by_text[key] for key in map(_key, texts) if key in self._by_text}

    def with_copies(self, ids: Iterable[str]) -> set[str]:
        """Return some passages and all near-duplicates of them."""
        found = set(ids)
        for number in {self.groups[one] for one in found if one in self.groups}:
            found.update(self._copies[number])
        return found


def _key(text: str) -> str:
    return text_hash(normalize_text(text))


class KnownQuery(NamedTuple):
    """A query with what is known of its passages.

    Attributes:
        text: The query.
        positives: Those that it should find.
        bad: Those that it should not; none of them is a positive of this or a near-duplicate query, or a copy of one.
        excluded: All that can be no mined negative: positives of this and of near-duplicate queries, copies of these,
            and what is known as bad.
        group: The same number for near-duplicate queries.
    """

    text: str
    positives: frozenset[str]
    bad: frozenset[str]
    excluded: frozenset[str]
    group: int


class RatedBy(NamedTuple):
    """Whose ratings tell that a passage does not answer a query.

    Attributes:
        feedback_ids: The ratings, sorted.
        raters: Who gave them, sorted.
    """

    feedback_ids: tuple[str, ...]
    raters: tuple[Rater, ...]


class JudgedPassages:
    """Gathers what examples say about queries and passages."""

    def __init__(self, passages: KnownPassages) -> None:
        """Gather for these passages."""
        self._passages = passages
        self._texts: dict[str, str] = {}
        self._positives: dict[str, set[str]] = {}
        self._bad: dict[str, set[str]] = {}
        self._rated: dict[tuple[str, str], list[Lineage]] = {}

    def add(self, example: TrainingExample) -> None:
        """Learn from an example: its passage fits its query, or does not, and its negatives do not."""
        key = normalize_text(example.query)
        self._texts[key] = min(example.query, self._texts.get(key, example.query))
        named, bad = self._passages.named(example), self._passages.of_texts(example.negatives)
        if example.is_positive:
            self._positives.setdefault(key, set()).update(named)
        else:
            bad = bad | named
        self._bad.setdefault(key, set()).update(bad)
        if example.lineage.feedback_ids:
            for one in bad:
                self._rated.setdefault((key, one), []).append(example.lineage)

    def rated_by(self, query: str, passage: str) -> RatedBy:
        """Return whose ratings tell that a passage does not answer a query; none where it was judged so.

        Args:
            query: The query.
            passage: Id of the passage.

        Returns:
            All ratings that the examples which say so were made of.
        """
        found = self._rated.get((normalize_text(query), passage), ())
        raters = {rater for lineage in found for rater in lineage.raters}
        raters |= {
            Rater(user_id=one.user_id, conversation_id=one.conversation_id)
            for one in found
            if one.conversation_id is not None
        }
        return RatedBy(
            tuple(sorted({one for lineage in found for one in lineage.feedback_ids})),
            tuple(sorted(raters, key=lambda one: (one.user_id or "", one.conversation_id or ""))),
        )

    def queries(self) -> list[KnownQuery]:
        """Return the queries that have a positive, by their normalised texts."""
        keys: Sequence[str] = sorted(self._texts)
        groups = group_near_duplicates([self._texts[key] for key in keys]).tolist()
        of_group: dict[int, set[str]] = {}
        for key, group in zip(keys, groups, strict=True):
            of_group.setdefault(group, set()).update(self._positives.get(key, ()))
        found = []
        for key, group in zip(keys, groups, strict=True):
            own = self._positives.get(key)
            if not own:
                continue
            fitting = self._passages.with_copies(of_group[group])
            bad = self._bad.get(key, set()) - fitting
            excluded = frozenset(fitting | self._passages.with_copies(bad))
            found.append(KnownQuery(self._texts[key], frozenset(own), frozenset(bad), excluded, group))
        return found
