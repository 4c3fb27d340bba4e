"""Checking examples that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ragtime.config.settings import Settings
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder, TextGenerator
from ragtime.services.training_data_gen.checks import Check, all_checks
from ragtime.services.training_data_gen.example import TrainingExample, checked_examples
from ragtime.services.training_data_gen.ledger import GenerationMetrics, Ledger
from ragtime.services.training_data_gen.report import ExampleVerdict, ValidationReport
from ragtime.services.training_data_gen.run import prepared_run
from ragtime.services.training_data_gen.sources.items import Sources

__all__ = ["validate_examples"]

_log = get_logger(__name__)
_AT_ONCE = 1024
_BY_HAND = "-"
_FEW = 20
_LEAST_POSITIVE, _MOST_POSITIVE = 0.2, 0.8
_MOST_DUPLICATES = 0.1


def validate_examples(
    examples: Iterable[TrainingExample],
    settings: Settings,
    sources: Sources,
    *,
    encoder: TextEncoder | None = None,
    generator: TextGenerator | None = None,
) -> ValidationReport:
    """Check examples as those that are generated are checked.

    Args:
        examples: The examples; of several that are the same, the first is kept.
        settings: The settings.
        sources: Where the documents are that queries should find.
        encoder: As for ``Tools``.
        generator: As for ``Tools``.

    Returns:
        What was found about each, and about all of them.

    Raises:
        InvalidArgumentError: One is no example.
    """
    given = list(checked_examples(examples))
    documents = replace(Sources(), documents=sources.documents, origin=sources.origin)
    with (
        log_operation(_log, "validate_training_data", examples=len(given)) as operation,
        prepared_run(settings, documents, [], encoder=encoder, generator=generator) as run,
    ):
        run.staging.forget_seen()
        checks = all_checks(run.tools, run.staging)
        ledger = Ledger(check.stage for check in checks)
        verdicts: list[ExampleVerdict] = []
        originals: dict[str, str] = {}
        for start in range(0, len(given), _AT_ONCE):
            verdicts += _verdicts(given[start : start + _AT_ONCE], start, checks, ledger, originals)
        kept = [given[verdict.number] for verdict in verdicts if verdict.kept]
        for example in kept:
            run.figures.add(example)
        stages = ledger.stages()
        duplicates = sum(verdict.duplicate_of is not None for verdict in verdicts)
        metrics = GenerationMetrics(
            requested=len(given),
            produced=len(kept),
            sources=run.sources(),
            stages=stages,
            duplicates=duplicates,
            diversity=run.figures.diversity,
            balance=run.figures.balance,
            notes=run.tools.notes,
        )
        warnings = _warnings(given, duplicates)
        valid = bool(given) and len(kept) == len(given) and not warnings
        operation.add(kept=len(kept), valid=valid)
    return ValidationReport(valid=valid, verdicts=tuple(verdicts), warnings=warnings, metrics=metrics)


def _verdicts(
    examples: Sequence[TrainingExample],
    start: int,
    checks: Sequence[Check],
    ledger: Ledger,
    originals: dict[str, str],
) -> list[ExampleVerdict]:
    fallen: dict[int, ExampleVerdict] = {}
    left = list(enumerate(examples, start=start))
    for check in checks:
        going_on = []
        for (number, example), verdict in zip(left, check.check([one for _, one in left]), strict=True):
            strategy = example.strategy or _BY_HAND
            if verdict.example is not None:
                ledger.keep(check.stage, strategy)
                if verdict.example is not example:  # a check has changed it, and later ones know it by another id
                    originals.setdefault(verdict.example.id, examples[number - start].id)
                going_on.append((number, verdict.example))
                continue
            ledger.reject(check.stage, strategy, verdict.reason)
            fallen[number] = ExampleVerdict(
                number=number,
                id=examples[number - start].id,
                kept=False,
                stage=check.stage,
                reason=verdict.reason,
                duplicate_of=originals.get(verdict.keeper or "", verdict.keeper),
            )
        left = going_on
    return [
        fallen.get(number) or ExampleVerdict(number=number, id=example.id, kept=True)
        for number, example in enumerate(examples, start=start)
    ]


def _warnings(examples: Sequence[TrainingExample], duplicates: int) -> tuple[str, ...]:
    found = []
    if len(examples) < _FEW:
        found.append(f"Few examples: {len(examples)}, of at least {_FEW}")
    if not examples:
        return tuple(found)
    positive = sum(example.is_positive for example in examples) / len(examples)
    negatives = any(example.negatives for example in examples)
    if positive < _LEAST_POSITIVE:
        found.append(f"Few positive examples: {positive:.0%}")
    elif positive > _MOST_POSITIVE and positive < 1 and not negatives:
        found.append(f"Few negative examples: {1 - positive:.0%}")
    if duplicates / len(examples) > _MOST_DUPLICATES:
        found.append(f"Many duplicates: {duplicates / len(examples):.0%}")
    return tuple(found)
