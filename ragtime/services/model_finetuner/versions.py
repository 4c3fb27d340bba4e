"""Tuned models in the registry: what their folders tell goes with them, and versions are compared by what was measured.

version = register_model(metrics.model_path, "support", evaluations=[evaluated])
compared = compare_versions("support", version.reference)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue, ValidationError

from ragtime.backends.resolution import INT8_MARKER, check_model_folder
from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Lineage
from ragtime.services.model_finetuner.comparison import Comparison, EvaluationResult, bootstrap_interval, compare
from ragtime.services.model_finetuner.saving import ModelAbout, read_about, read_prompts
from ragtime.storage.registry import EvaluationStore, ModelRegistry, ModelVersion, TamperedModelError
from ragtime.storage.registry.references import split_reference
from ragtime.utils.hashing import content_hash

__all__ = ["compare_versions", "evaluations_of", "register_model"]

_CONFIDENCE = 0.95
_RESAMPLES = 2_000  # enough for intervals of three digits
_FEWEST = 2  # questions of an interval
_LISTS = {
    "turns": "turn_ids",
    "context_turns": "context_turn_ids",
    "documents": "document_ids",
    "feedback": "feedback_ids",
    "examples": "example_ids",
}
_ONES = {"users": "user_id", "conversations": "conversation_id", "queries": "query_id", "models": "model_id"}


def register_model(
    folder: str | Path,
    name: str,
    *,
    registry: ModelRegistry | None = None,
    parent: str | None = None,
    evaluations: Sequence[EvaluationResult] = (),
) -> ModelVersion:
    """Add a model folder to the registry as a candidate, with all that is known of it.

    What a run has written beside the weights gives parent, data sets, hash of the configuration, validation figures,
    package versions and lineage; of a folder from elsewhere the prompts are known. Evaluations become figures with 95 %
    bootstrap intervals, and are kept question by question, so that :func:`compare_versions` can pair them. A folder
    that is registered already gets no second version, but the evaluations are kept.

    Args:
        folder: The folder.
        name: What the model is called in the registry.
        registry: The registry; ``None`` means that of the current settings.
        parent: What it was trained from: another version, or the name of a model; ``None`` means what the folder tells.
        evaluations: What was measured of it, on one data set each.

    Returns:
        The version.

    Raises:
        InvalidArgumentError: There is no such folder, evaluations are of the same data or of several models, or an
            argument has a wrong value.
        BackendError: The folder holds no model, or one that needs pickles or code of its own.
        StorageError: It cannot be read or copied.
        MissingExtraError: There are evaluations, and scipy is not installed.
    """
    source = Path(folder).expanduser().absolute()
    if not source.is_dir():
        raise InvalidArgumentError(f"There is no folder '{source}'; a model is a folder")
    if not (source / INT8_MARKER).is_file():
        check_model_folder(source)
    fingerprints = [one.data_fingerprint for one in evaluations]
    if len(set(fingerprints)) < len(fingerprints):
        raise InvalidArgumentError("Two of the evaluations are of the same data; give one for each data set")
    if len({one.model_id for one in evaluations}) > 1:
        names = ", ".join(sorted({one.model_name for one in evaluations}))
        raise InvalidArgumentError(f"The evaluations are of several models ({names}); give those of '{source}'")
    about, prompts = read_about(source), read_prompts(source)
    chosen = registry if registry is not None else ModelRegistry()
    version = chosen.register(
        source,
        name,
        parent=parent if parent is not None else about.base_model,
        dataset_ids=about.data.dataset_ids,
        settings_hash=None if about.config is None else content_hash(about.config),
        metrics=_metrics(about, evaluations),
        packages=about.packages,
        prompts={role: prompt for role, prompt in prompts.items() if prompt},
        lineage=_lineage(about.data.lineage),
    )
    store = EvaluationStore(chosen)
    for one in evaluations:
        store.add(name, version.version, data=one.data_fingerprint, result=one.model_dump(mode="json"))
    return version


def evaluations_of(reference: str, *, registry: ModelRegistry | None = None) -> list[EvaluationResult]:
    """Read the evaluations that are kept with a version.

    Args:
        reference: ``NAME`` for the version in production, or ``NAME@VERSION``.
        registry: The registry; ``None`` means that of the current settings.

    Returns:
        The evaluations, one for each data set.

    Raises:
        ModelNotFoundError: There is no such model or version, or none is in production.
        TamperedModelError: A file is not what was written.
        StorageError: A file cannot be read.
        InvalidArgumentError: It is no such reference, or several versions begin so.
    """
    name, version = split_reference(reference)
    found = []
    for kept in EvaluationStore(registry if registry is not None else ModelRegistry()).of(name, version):
        try:
            found.append(EvaluationResult.model_validate(kept.result))
        except ValidationError as error:
            problem = f"{error.error_count()} wrong fields"
        else:
            continue
        raise TamperedModelError(f"An evaluation kept with {reference!r} holds something else: {problem}")
    return found


def compare_versions(
    base: str, tuned: str, *, registry: ModelRegistry | None = None, figure: str = "ndcg@10"
) -> list[Comparison]:
    """Compare two versions on all data sets of which evaluations of both are kept.

    Args:
        base: ``NAME`` for the version in production, or ``NAME@VERSION``.
        tuned: The other, in the same form.
        registry: The registry; ``None`` means that of the current settings.
        figure: What to compare.

    Returns:
        A comparison for each data set of which both have the figure by question; none where there is no such.

    Raises:
        ModelNotFoundError: There is no such model or version, or none is in production.
        TamperedModelError: A file is not what was written.
        StorageError: A file cannot be read.
        InvalidArgumentError: It is no such reference, or several versions begin so.
        MissingExtraError: scipy is not installed.
    """
    known = {one.data_fingerprint: one for one in evaluations_of(base, registry=registry)}
    return [
        compare(known[one.data_fingerprint], one, figure=figure)
        for one in evaluations_of(tuned, registry=registry)
        if one.data_fingerprint in known and _can_be_compared(known[one.data_fingerprint], one, figure)
    ]


def _can_be_compared(base: EvaluationResult, tuned: EvaluationResult, figure: str) -> bool:
    return (
        figure in base.by_question
        and figure in tuned.by_question
        and base.question_ids == tuned.question_ids
        and base.questions >= _FEWEST
    )


def _metrics(about: ModelAbout, evaluations: Sequence[EvaluationResult]) -> dict[str, JsonValue]:
    metrics: dict[str, JsonValue] = {"validation": dict(about.validation)} if about.validation else {}
    for one in evaluations:
        name = one.data_name if one.data_name not in metrics else f"{one.data_name} ({one.data_fingerprint[:8]})"
        metrics[name] = {"questions": one.questions, **dict(_figures(one))}
    return metrics


def _figures(result: EvaluationResult) -> Iterator[tuple[str, JsonValue]]:
    for name, value in result.figures.items():
        values = result.by_question.get(name, ())
        if len(values) < _FEWEST:
            yield name, value
            continue
        interval = bootstrap_interval(values, confidence=_CONFIDENCE, resamples=_RESAMPLES)
        yield name, {"value": value, "interval": list(interval)}


def _lineage(ids: Mapping[str, Sequence[str]]) -> Lineage | None:
    """Return ids of training data as a record; those of several users and conversations stay in the model's folder."""
    lists = {field: tuple(ids[kind]) for kind, field in _LISTS.items() if kind in ids}
    ones = {field: ids[kind][0] for kind, field in _ONES.items() if len(ids.get(kind, ())) == 1}
    return Lineage.model_validate({**lists, **ones}) if lists or ones else None
