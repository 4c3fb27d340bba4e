"""Queries that people asked, and the documents that were judged or rated for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragtime.errors import GenerationError
from ragtime.records.training import Rater
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.items import JudgedQuery
from ragtime.services.training_data_gen.sources.ratings import MergedRating, merge_ratings
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Unit, register_strategy
from ragtime.services.training_data_gen.strategies.passages import FoundPassage, named_passage, recovered_passage
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["QueryBased"]

_GUESSED = 0.5  # what the weight of a pair that nobody stated is multiplied by
_BEST = 5.0  # stars
_LEAST_WEIGHT = 0.1  # of a rating, however old


class QueryBased:
    """Makes examples of judged queries and of rated answers.

    A query should retrieve the documents that were judged relevant or whose answers were rated good. Those judged not
    relevant or rated bad are its negatives; when there are none but these, they make examples with the label 0. A
    judgement weighs more than a rating that contradicts it. Where no document is known, it is searched for, by query
    and answer together, and the example is flagged weak; when none stands out, a good answer stands in its place.
    """

    name = "query_based"

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Read queries and ratings; a unit is a query with all that is known of it. See ``Strategy``."""
        if not (sources.has("queries") or sources.has("feedback")):
            raise GenerationError(
                "The strategy 'query_based' makes examples of queries and of rated answers, and neither were given; "
                "give them as queries= or feedback="
            )
        ratings: dict[str, list[MergedRating]] = {}
        for rating in merge_ratings(sources.feedback(), tools.settings):
            ratings.setdefault(normalize_text(rating.query), []).append(rating)
        best_grade = max(
            (grade for query in sources.queries() for grade in (query.judgements or {}).values()), default=0
        )
        judged: set[str] = set()
        for query in sources.queries():
            key = normalize_text(query.text)
            judged.add(key)
            yield _unit(query.text, query, best_grade, ratings.get(key, ()))
        for key, rated in ratings.items():
            if key not in judged:
                yield _unit(min(one.query for one in rated), None, best_grade, rated)

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Make examples of queries; see ``Strategy``."""
        return [_Query(unit, tools).outcomes() for unit in units]


def _unit(text: str, query: JudgedQuery | None, best_grade: int, ratings: Sequence[MergedRating]) -> dict[str, Any]:
    judgements = None if query is None or query.judgements is None else dict(query.judgements)
    return {
        "query": text,
        "query_id": None if query is None else query.id,
        "judgements": judgements,
        "best_grade": best_grade,
        "ratings": [
            {
                "document_id": rating.document_id,
                "response": rating.response,
                "stars": rating.stars,
                "weight": rating.weight,
                "votes": rating.votes,
                "verdict": rating.verdict,
                "feedback_ids": list(rating.feedback_ids),
                "raters": [rater.model_dump() for rater in rating.raters],
                "wrote_query": query is None and rating.query == text,
            }
            for rating in ratings
        ],
    }


@dataclass(slots=True)
class _Known:
    """A passage that was judged or rated."""

    passage: FoundPassage
    weight: float
    metadata: dict[str, Any]
    judged: bool
    ratings: list[Mapping[str, Any]] = field(default_factory=list)


class _Query:
    """One query, on its way to examples."""

    def __init__(self, unit: Unit, tools: Tools) -> None:
        self._unit = unit
        self._tools = tools
        self._text: str = unit["query"]
        self._most = tools.settings.training_data.max_examples_per_query
        self._good: dict[str, _Known] = {}
        self._bad: dict[str, _Known] = {}
        self._lost: list[Mapping[str, Any]] = []  # good ratings whose document is not known
        self._rejected: list[Outcome] = []

    def outcomes(self) -> list[Outcome]:
        self._read_judgements()
        self._read_ratings()
        made = [self._passage_example(one, self._wrong, label=1.0) for one in self._good.values()]
        if made:
            self._rejected += [Rejected("a good rating names no known document") for _ in self._lost]
        else:
            made = self._recovered()
        if not made:
            made = [self._passage_example(one, (), label=0.0) for one in self._bad.values()]
        surplus = [Rejected("enough examples of its query", one) for one in made[self._most :]]
        return [*made[: self._most], *self._rejected, *surplus]

    # --- what is known ------------------------------------------------------------------------------------------

    def _read_judgements(self) -> None:
        judgements: dict[str, int] = self._unit["judgements"] or {}
        for document_id, grade in sorted(judgements.items(), key=lambda one: (-one[1], one[0])):
            passage = named_passage(document_id, self._text, None, self._tools)
            if passage is None:
                self._rejected.append(Rejected("a judged document is not in the corpus"))
                continue
            weight = grade / self._unit["best_grade"] if grade else 1.0
            known = _Known(passage, weight, {"grade": grade}, judged=True)
            if passage.document.id not in self._good:  # as when it has two parts of one document, of two grades
                (self._good if grade else self._bad).setdefault(passage.document.id, known)

    def _read_ratings(self) -> None:
        ratings: list[Mapping[str, Any]] = self._unit["ratings"]
        for rating in sorted(ratings, key=lambda one: (-one["stars"], -one["weight"], one["feedback_ids"])):
            verdict = rating["verdict"]
            if verdict == "undecided":
                self._rejected.append(Rejected("the rating is neither good nor bad"))
                continue
            document_id = rating["document_id"]
            passage = None if document_id is None else named_passage(document_id, self._text, None, self._tools)
            if passage is not None:
                self._read_rating(rating, passage, good=verdict == "good")
            elif verdict == "good":
                self._lost.append(rating)
            else:
                self._rejected.append(Rejected("a bad rating names no known document"))

    def _read_rating(self, rating: Mapping[str, Any], passage: FoundPassage, *, good: bool) -> None:
        same, other = (self._good, self._bad) if good else (self._bad, self._good)
        key = passage.document.id
        if key in other:
            what = "a judgement" if other[key].judged else "that of another part of its document"
            self._rejected.append(Rejected(f"the rating contradicts {what}"))
            return
        stars: float = rating["stars"]
        share = stars / _BEST if good else (_BEST + 1.0 - stars) / _BEST
        weight = share * max(_LEAST_WEIGHT, min(1.0, rating["weight"]))
        metadata = {"stars": stars, "votes": rating["votes"]}
        known = same.setdefault(key, _Known(passage, weight, metadata, judged=False))
        known.ratings.append(rating)

    @property
    def _wrong(self) -> list[_Known]:
        return list(self._bad.values())

    # --- what has to be found -----------------------------------------------------------------------------------

    def _recovered(self) -> list[TrainingExample]:
        """Search for the passages of good answers, or of the query alone when nobody has judged or rated anything."""
        wanted = list(self._lost)
        if not (wanted or self._bad or self._unit["ratings"]) and self._may_be_relevant:
            wanted = [{}]
        made: dict[str, TrainingExample] = {}
        for rating in wanted:
            answer: str | None = rating.get("response")
            passage = recovered_passage(self._text, answer, self._tools)
            if passage is not None and passage.document.id not in self._bad:
                made.setdefault(passage.document.id, self._found_example(rating, passage))
            elif answer is not None and answer.strip():
                made.setdefault(f"\n{answer}", self._answer_example(rating, answer))  # no id holds a line break
            else:
                self._rejected.append(Rejected("no document is known, and none stands out"))
        return list(made.values())

    @property
    def _may_be_relevant(self) -> bool:
        """Whether nobody has judged anything, or something was judged relevant."""
        judgements: Mapping[str, int] | None = self._unit["judgements"]
        return not judgements or any(judgements.values())

    # --- examples -----------------------------------------------------------------------------------------------

    def _passage_example(self, known: _Known, wrong: Sequence[_Known], *, label: float) -> TrainingExample:
        part_of = known.passage.part_of
        return self._example(
            known.passage.document.content,
            (known.passage.document.id,),
            wrong,
            known.ratings,
            label=label,
            weight=known.weight * (_GUESSED if known.passage.guessed else 1.0),
            weak=known.passage.guessed,
            metadata=known.metadata if part_of is None else {**known.metadata, "part_of": part_of},
        )

    def _found_example(self, rating: Mapping[str, Any], passage: FoundPassage) -> TrainingExample:
        stars = {"stars": rating["stars"], "votes": rating["votes"]} if rating else {}
        return self._example(
            passage.document.content,
            (passage.document.id,),
            self._wrong,
            [rating] if rating else [],
            weight=_GUESSED * rating.get("stars", _BEST) / _BEST,
            weak=True,
            metadata={**stars, "recovered": passage.by},
        )

    def _answer_example(self, rating: Mapping[str, Any], answer: str) -> TrainingExample:
        return self._example(
            answer,
            (),
            self._wrong,
            [rating],
            weight=_GUESSED * rating["stars"] / _BEST,
            weak=True,
            metadata={"kind": "answer", "stars": rating["stars"], "votes": rating["votes"]},
        )

    def _example(
        self,
        response: str,
        document_ids: tuple[str, ...],
        wrong: Sequence[_Known],
        ratings: Sequence[Mapping[str, Any]],
        **fields: Any,
    ) -> TrainingExample:
        query_id = self._unit["query_id"]
        bad = [one for one in wrong if one.passage.document.content != response]
        told = [*ratings, *(rating for one in bad for rating in one.ratings)]
        told += self._writers(told)
        return TrainingExample(
            query=self._text,
            response=response,
            negatives=tuple(dict.fromkeys(one.passage.document.content for one in bad)),
            strategy=QueryBased.name,
            lineage=self._tools.lineage(
                source="feedback" if query_id is None else "queries",
                document_ids=document_ids,
                query_id=query_id,
                feedback_ids=tuple(dict.fromkeys(one for rating in told for one in rating["feedback_ids"])),
                raters=tuple(dict.fromkeys(Rater(**one) for rating in told for one in rating["raters"])),
            ),
            **fields,
        )

    def _writers(self, told: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the ratings whose wording of the query was taken, where none of those that count has it."""
        wrote = [rating for rating in self._unit["ratings"] if rating["wrote_query"]]
        return [] if any(rating in wrote for rating in told) else wrote[:1]


register_strategy(QueryBased.name, QueryBased)
