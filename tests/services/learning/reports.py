"""Reports to try pages and files with: one for each outcome, with texts and counts as a run gives them.

``python -m tests.services.learning.reports FOLDER`` writes them all, to be looked at.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragtime.services.learning.rendering import write_report
from ragtime.services.learning.report import (
    DataAccount,
    FigureEstimate,
    HeldOutAccount,
    LearningOutcome,
    LearningReport,
    LossPoint,
    MeasuredModel,
    QuestionOutcome,
    RankedPassage,
    ShownExample,
    TrainingAccount,
    ValidationPoint,
)
from ragtime.services.model_finetuner import Decision
from ragtime.services.model_finetuner.comparison import ComparisonSummary
from ragtime.services.model_finetuner.metrics import Choice
from ragtime.services.training_data_gen import GenerationMetrics, StageLedger

__all__ = ["OUTCOMES", "account", "ledger", "sample_report"]

OUTCOMES: tuple[LearningOutcome, ...] = ("promoted", "kept", "too_little_data")
_BASE, _IN_USE, _TUNED = "5b1f0a9c77de", "8e40b7d3215c", "c2d97fa0e613"


def sample_report(outcome: LearningOutcome = "promoted") -> LearningReport:
    """Make the report of a run that has ended in this way."""
    return _stopped() if outcome == "too_little_data" else _decided(promoted=outcome == "promoted")


def account(
    stages: Mapping[str, Mapping[str, tuple[int, Mapping[str, int]]]], sources: Sequence[StageLedger] = ()
) -> GenerationMetrics:
    """Make a balanced account of what each stage kept and rejected of each strategy."""
    ledgers = [ledger(stage, name, kept, fell) for stage, of in stages.items() for name, (kept, fell) in of.items()]
    last = {one.strategy: one.kept for one in ledgers}
    return GenerationMetrics(produced=sum(last.values()), sources=tuple(sources), stages=tuple(ledgers))


def ledger(stage: str, strategy: str, kept: int, rejected: Mapping[str, int]) -> StageLedger:
    """Make what one stage did with the candidates of one strategy."""
    return StageLedger(
        stage=stage, strategy=strategy, candidates=kept + sum(rejected.values()), kept=kept, rejected=dict(rejected)
    )


_SOURCES = (
    ledger("read", "documents", 997, {"text is missing": 3}),
    ledger("read", "feedback", 4180, {"rating is not on its scale": 12, "query is missing": 8}),
    ledger("read", "conversations", 214, {}),
)
_METRICS = account(
    {
        "make": {
            "conversation_based": (388, {"no passage is cited": 40}),
            "query_based": (1302, {"the rating is undecided": 611, "no document is known": 74}),
            "synthetic": (
                2240,
                {"the passage has no sentence that answers a question": 318, "the passage is too short to crop": 96},
            ),
        },
        "quality": {
            "conversation_based": (371, {"the query is too short": 17}),
            "query_based": (1287, {"the query is copied from the passage": 15}),
            "synthetic": (2068, {"the query is copied from the passage": 139, "the query is no question": 33}),
        },
        "round_trip": {
            "conversation_based": (340, {"the query does not find its passage": 31}),
            "query_based": (1287, {}),
            "synthetic": (1702, {"the query does not find its passage": 366}),
        },
        "duplicates": {
            "conversation_based": (331, {"a near-duplicate": 9}),
            "query_based": (1215, {"a duplicate": 28, "a near-duplicate": 44}),
            "synthetic": (1654, {"a near-duplicate": 48}),
        },
        "choose": {
            "conversation_based": (331, {}),
            "query_based": (1184, {"enough examples of its query": 31}),
            "synthetic": (997, {"not needed": 657}),
        },
    },
    _SOURCES,
)
_NOTE = "180 of the 512 held-out questions were made up from passages: so many stated ones there are not."


def _decided(*, promoted: bool) -> LearningReport:
    rise = 0.0412 if promoted else 0.0037
    in_use = (0.3528, 0.5431, 0.3222, 0.7312)
    tuned = tuple(value + rise for value in in_use)
    before = (in_use[0], tuned[0])
    target = _comparison("held-out questions", before, 512, (141, 74) if promoted else (98, 93), 0.0137)
    general = _comparison("general check", (0.6121, 0.6102), 100, (12, 14), 0.0131)
    (low, high), told = target.interval, "better" if promoted else "that may be chance"
    means = f"ndcg@10 on held-out questions went from {before[0]:.4f} to {before[1]:.4f}"
    decision = Decision(
        promote=promoted,
        reasons=(
            f"{means}, by {rise:+.4f} (95 % interval {low:+.4f} to {high:+.4f}): {told} at the 5 % level.",
            "General check: no significant fall, and none of more than 0.0200.",
        ),
        cautions=("The general check has 100 questions: a true fall of less than 0.0331 may well go unseen.",),
        target=target,
        general=general,
        alpha=0.05,
        most_general_fall=0.02,
        power=0.8,
        questions_needed=None if promoted else 9120,
    )
    sentence = (
        "The tuned model answers held-out questions better than the one in use, and is in production: nDCG@10 rose "
        "from 0.353 to 0.394 on 512 questions."
        if promoted
        else "The model in use stays: the tuned model is not shown to be better, for a rise of 0.004 nDCG@10 on 512 "
        "questions may be chance."
    )
    return LearningReport(
        name="helpdesk",
        run_id="7f3a91c04be2d856",
        outcome="promoted" if promoted else "kept",
        sentence=sentence,
        data=_data(),
        models=(
            _model("base", "all-MiniLM-L6-v2", None, _BASE, (0.3318, 0.5148, 0.3010, 0.7104)),
            _model("in_use", "helpdesk, first version", f"helpdesk@{_IN_USE}", _IN_USE, in_use),
            _model("tuned", "helpdesk, tuned", f"helpdesk@{_TUNED}", _TUNED, tuned),
        ),
        training=_training(),
        decision=decision,
        won=_questions(0.2, 1.0),
        lost=_questions(0.63, 0.43)[:2],
        lineage={"conversations": 214, "documents": 641, "ratings": 1530, "turns": 980, "users": 37},
        version=f"helpdesk@{_TUNED}",
        next_step='embedding.model_name = "registry:helpdesk"' if promoted else None,
        settings={
            "embedding": {"model_name": "all-MiniLM-L6-v2", "normalize": True},
            "training_data": {"positive_rating": 4.0, "negative_rating": 2.0, "max_examples_per_query": 5},
            "learning": {"min_training_pairs": 200, "min_held_out_questions": 100, "held_out_share": 0.2},
            "finetuning": {"learning_rate": 2e-05, "num_epochs": 2, "negatives": ["mined", "in batch"]},
        },
        settings_hash="d41c0f7a9b3e",
        seed=42,
        packages={"ragtime": "0.9.0", "sentence-transformers": "5.1.0", "torch": "2.9.1", "transformers": "4.57.1"},
        notes=(_NOTE,),
    )


def _stopped() -> LearningReport:
    metrics = account(
        {
            "make": {"query_based": (59, {"no document is known": 3, "the rating is undecided": 17})},
            "quality": {"query_based": (57, {"the query is too short": 2})},
            "duplicates": {"query_based": (57, {})},
        },
        (ledger("read", "feedback", 79, {}),),
    )
    return LearningReport(
        name="helpdesk",
        run_id="02be57d1",
        outcome="too_little_data",
        sentence="Too little data: 154 training pairs and 89 held-out questions are missing. Nothing was trained.",
        data=DataAccount(
            sources={"feedback": "b0e51a77"},
            dataset_id="2d2f9a1c",
            training_pairs=46,
            validation_pairs=0,
            held_out=HeldOutAccount(
                source="held_out", name="held-out questions", questions=11, stated=11, unseen_passages=9, passages=57
            ),
            missing_pairs=154,
            missing_questions=89,
            metrics=metrics,
            kept=_KEPT[:1],
            rejected=_REJECTED[:2],
        ),
        next_step="Collect more ratings, or give the documents (--docs) for questions to be made up from them.",
        settings_hash="d41c0f7a9b3e",
        seed=42,
    )


def _data() -> DataAccount:
    return DataAccount(
        sources={"conversations": "19c2f0aa54d1", "documents": "a97be2c41f03", "feedback": "5cd3381be9f7"},
        dataset_id="e8b26fd0417a",
        training_pairs=1758,
        validation_pairs=251,
        held_out=HeldOutAccount(
            source="held_out", name="held-out questions", questions=512, stated=332, unseen_passages=398, passages=997
        ),
        metrics=_METRICS,
        kept=_KEPT,
        rejected=_REJECTED,
    )


def _model(role: Any, name: str, reference: str | None, model_id: str, values: Sequence[float]) -> MeasuredModel:
    names = ("ndcg@10", "recall@10", "mrr@10", "recall@100")
    figures = {
        name: FigureEstimate(value=value, low=value - 0.031, high=value + 0.032)
        for name, value in zip(names, values, strict=True)
    }
    general = {"ndcg@10": FigureEstimate(value=0.6102 + 0.001 * len(role), low=0.5401, high=0.6812)}
    return MeasuredModel(role=role, name=name, reference=reference, model_id=model_id, figures=figures, general=general)


def _comparison(
    data: str, means: tuple[float, float], questions: int, won_lost: tuple[int, int], half: float
) -> ComparisonSummary:
    difference = means[1] - means[0]
    return ComparisonSummary(
        base_model=_IN_USE,
        tuned_model=_TUNED,
        data_name=data,
        data_fingerprint="f00d",
        figure="ndcg@10",
        questions=questions,
        won=won_lost[0],
        lost=won_lost[1],
        base=means[0],
        tuned=means[1],
        difference=difference,
        spread=0.17,
        confidence=0.95,
        interval=(difference - half, difference + 1.05 * half),
        p_better=0.0001 if difference > half else 0.31,
        p_worse=0.9999 if difference > half else 0.69,
        p_two_sided=0.0002 if difference > half else 0.62,
        exact=False,
        resamples=10_000,
        seed=42,
    )


def _training() -> TrainingAccount:
    steps = 220
    losses = tuple(
        LossPoint(
            step=step,
            loss=1.9 * math.exp(-step / 70) + 0.55 + 0.16 * math.sin(step * 12.9898) * math.cos(step * 4.1),
            learning_rate=2e-5 * min(1.0, step / 22) * (1 - step / (steps + 1)),
        )
        for step in range(1, steps + 1)
    )
    course = (0.3481, 0.3604, 0.3712, 0.3778, 0.3831, 0.3859, 0.3852, 0.3838)
    validation = tuple(
        ValidationPoint(step=step, value=value) for step, value in zip((0, *range(31, 218, 31)), course, strict=False)
    )
    return TrainingAccount(
        strategy="lora",
        metric="ndcg@10",
        epochs=2,
        steps=steps,
        best_step=155,
        losses=losses,
        validation=validation,
        choices=(
            Choice(name="loss_function", value="multiple_negatives", reason="The data are pairs with negatives"),
            Choice(name="warmup_steps", value="22", reason="A tenth of the steps."),
        ),
    )


_KEPT = (
    ShownExample(
        strategy="query_based",
        query="How do I read a file line by line without loading all of it?",
        response="A file object is its own iterator: looping over it yields one line at a time, so that memory use "
        "stays small however large the file is.",
    ),
    ShownExample(
        strategy="synthetic",
        query="What does a context manager's exit method get when the block raised?",
        response="If an exception occurred, the type, the value and the traceback are passed as arguments; otherwise "
        "all three are None.",
        weak=True,
    ),
    ShownExample(
        strategy="conversation_based",
        query="heap queue: how do I get the three smallest items?",
        response="Return a list with the n smallest elements from the dataset. For larger values it is more efficient "
        "to use the sorted function.",
    ),
)
_REJECTED = (
    ShownExample(
        strategy="synthetic",
        query="Return the number of seconds since the epoch.",
        response="Return the number of seconds since the epoch. Fractions of a second may be present.",
        reason="the query is copied from the passage",
        weak=True,
    ),
    ShownExample(strategy="query_based", query="help", reason="the query is too short"),
    ShownExample(
        strategy="synthetic",
        query="What is returned?",
        response="Return true when the object is callable.",
        reason="the query does not find its passage",
        weak=True,
    ),
)
_PASSAGES = (
    ("heapq.nsmallest", "Return a list with the n smallest elements from the dataset defined by iterable."),
    ("heapq.heappop", "Pop and return the smallest item from the heap, maintaining the heap invariant."),
    ("sorted", "Return a new sorted list from the items in iterable."),
    ("min", "Return the smallest item in an iterable or the smallest of two or more arguments."),
    ("statistics.quantiles", "Divide data into n continuous intervals with equal probability."),
)
_QUESTIONS = (
    "How do I get the three smallest items of a long list?",
    "Which function tells how often each element occurs?",
    "How can I run a function again when it failed, with growing pauses?",
)


def _questions(before: float, after: float) -> tuple[QuestionOutcome, ...]:
    return tuple(
        QuestionOutcome(
            question=question,
            before=before,
            after=after,
            ranking_before=_ranking(4 if after > before else 0, shift=number + 1),
            ranking_after=_ranking(0 if after > before else 4, shift=number + 1),
        )
        for number, question in enumerate(_QUESTIONS)
    )


def _ranking(relevant_at: int, *, shift: int) -> tuple[RankedPassage, ...]:
    others = [*_PASSAGES[shift:], *_PASSAGES[:shift]]
    answer = others.pop(-1)
    others.insert(relevant_at, answer)
    return tuple(
        RankedPassage(rank=rank, title=title, text=text, relevant=rank == relevant_at + 1)
        for rank, (title, text) in enumerate(others, start=1)
    )


if __name__ == "__main__":
    for one in OUTCOMES:
        write_report(sample_report(one), Path(sys.argv[1]) / one)
