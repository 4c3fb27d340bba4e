"""One model measured on one data set, with a figure of every question."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder
from ragtime.services.model_finetuner.comparison.data import EvaluationData
from ragtime.services.model_finetuner.comparison.results import EvaluationResult
from ragtime.services.model_finetuner.saving import load_encoder
from ragtime.utils.hashing import content_hash

__all__ = ["ModelSource", "OpenedModel", "evaluate_model", "open_model"]

_log = get_logger(__name__)

_SHOWN = 200  # characters

ModelSource: TypeAlias = "str | PathLike[str] | TextEncoder"
"""A folder, ``registry:NAME[@VERSION]``, the name of a model, or an encoder."""


class OpenedModel(NamedTuple):
    """A model that texts can be given to.

    Attributes:
        name: What it is called in reports.
        encoder: The model.
    """

    name: str
    encoder: TextEncoder


def open_model(
    model: ModelSource, settings: Settings | None = None, *, registry: RegistryResolver | None = None
) -> OpenedModel:
    """Open a model, wherever it is.

    Args:
        model: A folder, also one with int8 weights; ``registry:NAME[@VERSION]``; a name, bundled or on the hub; or an
            encoder.
        settings: Section ``embedding`` says where it runs; ``None`` means the current settings.
        registry: Finds models of the registry; ``None`` means the usual one.

    Returns:
        The model. It may be loaded only when it is used, and what is wrong with it told only then.

    Raises:
        InvalidArgumentError: It is something else.
        BackendError: There is no such folder, or it holds no model that can be used.
    """
    if isinstance(model, str | PathLike):
        name = str(model)
        if not name.strip():
            raise InvalidArgumentError("model is a blank text; give a folder, registry:NAME or the name of a model")
        folder = Path(name).expanduser()
        if isinstance(model, PathLike) or _is_folder(folder):
            return OpenedModel(folder.resolve().name, load_encoder(folder, settings))
        chosen = settings if settings is not None else get_settings()
        return OpenedModel(name, SentenceTransformerEncoder(chosen, model_name=name, registry=registry))
    # A look at `dimension`, which isinstance would take, may load the model.
    if isinstance(model, type) or not all(
        callable(getattr(model, method, None)) for method in ("encode", "fingerprint")
    ):
        raise InvalidArgumentError(
            f"model must be a path, a name or an encoder, found {type(model).__name__}; "
            "SentenceTransformerEncoder(model=...) takes a model of sentence-transformers"
        )
    return OpenedModel(str(getattr(model, "model_name", "") or type(model).__name__), model)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise BackendError(f"{str(path)[:_SHOWN]!r} names no model: {error.strerror}") from error


def evaluate_model(model: OpenedModel, data: EvaluationData) -> EvaluationResult:
    """Measure a model.

    The figures are those of the validation of a training run, by the same code.

    Args:
        model: The model.
        data: What to measure it on.

    Returns:
        ``ndcg@k``, ``mrr@k``, ``recall@k`` and ``accuracy@k`` at 1, 3, 5, 10 and 100 and ``map``, of every question and
        in the mean; of labelled pairs ``auc`` and ``average_precision``, where some fit and others do not, and
        ``pearson`` and ``spearman``, where labels differ.

    Raises:
        BackendError: The model cannot be loaded, or failed.
        MissingExtraError: A package is not installed.
    """
    validation = data.validation
    with log_operation(_log, "evaluate_model", model=model.name, data=data.name) as operation:
        queries = model.encoder.encode(validation.queries, role="query")
        passages = model.encoder.encode(validation.passages, role="passage")
        roles = model.encoder.fingerprint("query"), model.encoder.fingerprint("passage")
        result = EvaluationResult.from_questions(
            data.questions,
            {name: values.tolist() for name, values in validation.measure_questions(queries, passages).items()},
            model_id=content_hash(list(roles)),
            model_name=model.name,
            data_name=data.name,
            data_fingerprint=data.fingerprint,
            other_figures=validation.measure_pairs(queries, passages),
        )
        operation.add(questions=result.questions, passages=len(validation.passages))
    return result
