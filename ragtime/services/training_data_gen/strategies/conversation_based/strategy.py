"""Question turns become queries; what their answers drew on becomes what the queries should retrieve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ragtime.errors import GenerationError
from ragtime.records.training import Rater
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Unit, register_strategy
from ragtime.services.training_data_gen.strategies.conversation_based.exchanges import questions_of
from ragtime.services.training_data_gen.strategies.conversation_based.follow_ups import asks_something
from ragtime.services.training_data_gen.strategies.conversation_based.rewriting import QueryRewriter, Rewritten, as_text
from ragtime.services.training_data_gen.strategies.passages import FoundPassage, named_passage
from ragtime.services.training_data_gen.text import declines
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["ConversationBased"]

_UNRATED = 0.5  # weight of what nobody has rated; a rated answer weighs its share of five stars
_GUESSED = 0.5  # what the weight of an answer in the place of a passage, or of a part that was chosen, is multiplied by
_BEST = 5.0


class ConversationBased:
    """Makes examples of conversations.

    A question should retrieve the documents that its answer cites; those of an answer that was rated bad it should
    not. Where nothing is cited, the answer itself stands in their place, flagged weak. Questions that lean on what was
    said before are completed. Two answers to one question, of which one was rated better, make a pair of preference:
    the better one as the response, the other as its negative.
    """

    name = "conversation_based"

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:  # noqa: ARG002 - conversations are enough
        """Read the conversations; a unit is a question with its answers. See ``Strategy``."""
        if not sources.has("conversations"):
            raise GenerationError(
                "The strategy 'conversation_based' makes examples of conversations, and none were given; "
                "give them as conversations="
            )
        for conversation in sources.conversations():
            yield from questions_of(conversation)

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Make examples of questions; see ``Strategy``."""
        rewriter = QueryRewriter(tools)
        return [_Question(unit, tools, rewriter).outcomes() for unit in units]


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, and what was thought of it: good, bad, undecided, or ``None`` when nobody said."""

    text: str
    turn_id: str
    document_ids: tuple[str, ...]
    stars: float | None
    feedback_ids: tuple[str, ...]
    raters: tuple[str, ...]
    verdict: str | None

    @property
    def weight(self) -> float:
        return _UNRATED if self.stars is None else self.stars / _BEST

    @property
    def weight_as_bad(self) -> float:
        return _UNRATED if self.stars is None else (_BEST + 1.0 - self.stars) / _BEST

    @property
    def usable(self) -> bool:
        return self.verdict in {"good", None}


@dataclass(frozen=True, slots=True)
class _Cited:
    """A passage that an answer cites."""

    passage: FoundPassage
    answer: _Answer


class _Question:
    """One question, on its way to examples."""

    def __init__(self, unit: Unit, tools: Tools, rewriter: QueryRewriter) -> None:
        self._unit = unit
        self._tools = tools
        self._rewriter = rewriter
        self._text: str = unit["question"]
        self._context: list[tuple[str, str]] = [(role, text) for role, text in unit["context"]]
        self._evidence = ""  # what is known of the answer
        self._most = tools.settings.training_data.max_examples_per_query

    def outcomes(self) -> list[Outcome]:
        if not self._text.strip():
            return [Rejected("the question has no text")]
        if not asks_something(self._text):
            return [Rejected("the turn asks nothing")]
        answers = [self._answer(one) for one in self._unit["answers"]]
        if not answers:
            return [Rejected("the question has no answer")]
        cited = [self._cited(answer) for answer in answers]
        self._evidence = "\n".join(
            text
            for answer, found in zip(answers, cited, strict=True)
            if answer.usable
            for text in (answer.text, *(one.passage.document.content for one in found))
        )
        made = [*self._from_answers(answers, cited), *self._preferences(answers)]
        examples = [one for one in made if not isinstance(one, Rejected)]
        rejected = [one for one in made if isinstance(one, Rejected)]
        surplus = [Rejected("enough examples of its query", one) for one in examples[self._most :]]
        return [*examples[: self._most], *rejected, *surplus]

    @cached_property
    def _rewritten(self) -> Rewritten:
        return self._rewriter.rewrite(self._text, self._context, self._evidence)

    def _answer(self, told: Mapping[str, Any]) -> _Answer:
        limits = self._tools.settings.training_data
        stars = told["stars"]
        verdict = None
        if stars is not None:
            good, bad = stars >= limits.positive_rating, stars <= limits.negative_rating
            verdict = "good" if good else "bad" if bad else "undecided"
        return _Answer(
            text=told["text"],
            turn_id=told["turn_id"],
            document_ids=tuple(told["document_ids"]),
            stars=stars,
            feedback_ids=tuple(told["feedback_ids"]),
            raters=tuple(told["raters"]),
            verdict=verdict,
        )

    # --- passages and answers -----------------------------------------------------------------------------------

    def _from_answers(self, answers: Sequence[_Answer], cited: Sequence[list[_Cited]]) -> list[Outcome]:
        """Make examples of what answers cite, the best rated first, and of answers that cite nothing."""
        rejected: list[Outcome] = [
            Rejected("the rating is neither good nor bad") for one in answers if one.verdict == "undecided"
        ]
        best = max((one.stars for one in answers if one.stars is not None), default=0.0)
        good: dict[str, _Cited] = {}
        bad: dict[str, _Cited] = {}
        uncited: list[_Answer] = []
        # The sort is stable: of equals, the first comes first.
        for answer, found in sorted(zip(answers, cited, strict=True), key=lambda one: -one[0].weight):
            if answer.verdict == "undecided":
                continue
            if not found:
                if answer.usable and declines(answer.text):
                    rejected.append(Rejected("the answer says that nothing is known"))
                elif answer.usable:
                    uncited.append(answer)
                elif answer.stars == best:  # else it is the worse one of a pair of preference
                    rejected.append(Rejected("a bad answer cites no known document"))
            for one in found:
                (good if answer.usable else bad).setdefault(one.passage.document.id, one)
        # A bad answer to the same question does not show that its document is wrong when a good one draws on it.
        bad = {key: one for key, one in bad.items() if key not in good}
        wrong = list(bad.values())
        made: list[Outcome] = [self._passage_example(one, wrong, label=1.0) for one in good.values()]
        made.extend(self._answer_example(one, wrong) for one in uncited)
        if not made:
            made.extend(self._passage_example(one, (), label=0.0) for one in bad.values())
        return [*made, *rejected]

    def _cited(self, answer: _Answer) -> list[_Cited]:
        found = (named_passage(one, self._text, answer.text, self._tools) for one in answer.document_ids)
        return [_Cited(passage, answer) for passage in found if passage is not None]

    def _passage_example(self, cited: _Cited, wrong: Sequence[_Cited], *, label: float) -> TrainingExample:
        answer, passage = cited.answer, cited.passage
        bad = [one for one in wrong if one.passage.document.content != passage.document.content]
        metadata: dict[str, Any] = {} if passage.part_of is None else {"part_of": passage.part_of}
        return self._example(
            [answer, *(one.answer for one in bad)],
            response=passage.document.content,
            document_ids=(passage.document.id,),
            negatives=_texts(bad),
            label=label,
            weight=(answer.weight if label else answer.weight_as_bad) * (_GUESSED if passage.guessed else 1.0),
            weak=passage.guessed,
            metadata=metadata,
        )

    def _answer_example(self, answer: _Answer, wrong: Sequence[_Cited]) -> TrainingExample:
        bad = [one for one in wrong if one.passage.document.content != answer.text]
        return self._example(
            [answer, *(one.answer for one in bad)],
            response=answer.text,
            document_ids=answer.document_ids,
            negatives=_texts(bad),
            weight=answer.weight * _GUESSED,
            weak=True,
            metadata={"kind": "answer"},
        )

    # --- preferences --------------------------------------------------------------------------------------------

    def _preferences(self, answers: Sequence[_Answer]) -> list[Outcome]:
        """Pair the best rated answer with each that was rated worse."""
        rated = sorted((-one.stars, one.text, place) for place, one in enumerate(answers) if one.stars is not None)
        if not rated:
            return []
        best = answers[rated[0][2]]
        made: list[Outcome] = []
        for stars, text, place in rated:
            if best.stars is None or -stars == best.stars:
                continue
            if best.verdict == "bad":
                made.append(Rejected("the better answer is bad, too"))
            elif text.split() == best.text.split():
                made.append(Rejected("two answers say the same and are rated differently"))
            else:
                made.append(self._preference(best, answers[place]))
        return made

    def _preference(self, better: _Answer, worse: _Answer) -> TrainingExample:
        return self._example(
            [better, worse],
            response=better.text,
            document_ids=better.document_ids,
            negatives=(worse.text,),
            weight=better.weight * _GUESSED,
            weak=True,
            metadata={"kind": "preference", "stars": better.stars, "stars_of_negative": worse.stars},
        )

    # --- examples -----------------------------------------------------------------------------------------------

    def _example(
        self, answers: Sequence[_Answer], *, document_ids: tuple[str, ...], metadata: dict[str, Any], **fields: Any
    ) -> TrainingExample:
        query, by = self._rewritten
        if by is not None:
            metadata |= {"rewritten": True, "rewritten_by": by, "original_query": self._text}
        if self._unit["forked_from"] is not None:
            metadata["forked_from"] = self._unit["forked_from"]
        if answers[0].stars is not None:
            metadata.setdefault("stars", answers[0].stars)
        others = {one for answer in answers for one in answer.raters} - {self._unit["user_id"]}
        return TrainingExample(
            query=query,
            context=as_text(self._context) or None,
            strategy=ConversationBased.name,
            metadata=metadata,
            lineage=self._tools.lineage(
                source="conversations",
                user_id=self._unit["user_id"],
                conversation_id=self._unit["conversation_id"],
                turn_ids=(self._unit["turn_id"], *dict.fromkeys(one.turn_id for one in answers)),
                context_turn_ids=tuple(self._unit["context_turn_ids"]),
                document_ids=document_ids,
                feedback_ids=tuple(dict.fromkeys(one for answer in answers for one in answer.feedback_ids)),
                raters=tuple(Rater(user_id=one) for one in sorted(others)),
            ),
            **fields,
        )


def _texts(cited: Sequence[_Cited]) -> tuple[str, ...]:
    """Return the passages, each once."""
    return tuple(dict.fromkeys(one.passage.document.content for one in cited))


register_strategy(ConversationBased.name, ConversationBased)
