"""Exporting a model: a folder that is complete, checked and described, or nothing."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.model_finetuner.comparison import ComparisonSummary
from ragtime.services.model_finetuner.exporting.card import COMPARISON_PLOT, TRAINING_PLOT, model_card
from ragtime.services.model_finetuner.exporting.check import installed_packages, write_probes
from ragtime.services.model_finetuner.exporting.exporter import Exporter
from ragtime.services.model_finetuner.exporting.manifest import (
    CARD_NAME,
    REQUIREMENTS_NAME,
    ExportFacts,
    check_sums,
    read_facts,
    write_facts,
    write_sums,
)
from ragtime.services.model_finetuner.exporting.plots import plot_comparison, plot_training
from ragtime.services.model_finetuner.exporting.source import ExportSource
from ragtime.services.model_finetuner.saving.plain import load_plain_folder
from ragtime.services.model_finetuner.saving.staging import check_free, staged_folder
from ragtime.services.model_finetuner.strategies.comparison import (
    CHECK_TEXTS,
    RoleEmbeddings,
    embed_for_check,
    largest_difference,
)
from ragtime.services.model_finetuner.training.processes import Processes
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.files import write_text

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
else:
    np = LazyModule("numpy")

__all__ = ["ExportedModel", "export_model"]

_UNIT = 1e-3  # how far from 1 the length of a vector may be; half precision rounds that much
_HALF_TOLERANCE = 1e-2  # of weights in half precision, which processors add up differently in the second digit

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A model that was exported.

    Attributes:
        path: Its folder.
        digest: SHA-256 of its ``SHA256SUMS``: keep it elsewhere, and ``check_export`` finds changes by others.
        facts: What it tells of itself.
    """

    path: Path
    digest: str
    facts: ExportFacts


def export_model(
    source: ExportSource,
    folder: str | Path,
    exporter: Exporter,
    *,
    comparisons: Sequence[ComparisonSummary] = (),
    texts: Sequence[str] = CHECK_TEXTS,
    device: str = "auto",
) -> ExportedModel:
    """Export a model.

    The folder is written beside its place, loaded again as a server would, and gets its name when that gives the
    embeddings of the model. The same model and figures give the same bytes, with the same packages. Of several
    processes that torchrun has started all must call this: the main one writes, the others wait for it.

    Args:
        source: The model, and what is known of it.
        folder: The folder, which must not exist.
        exporter: Writes it in the form of a target.
        comparisons: Comparisons with the base model, for the card.
        texts: Texts of the self-check, embedded in both roles.
        device: What the settings say of it: ``cpu`` keeps several processes off the GPUs.

    Returns:
        What was exported.

    Raises:
        InvalidArgumentError: There is something at `folder` already, or there are no texts.
        FineTuningError: The model cannot be loaded, has no such form, or what was written gives other embeddings.
        StorageError: The folder cannot be written. Nothing is left of it, as after any failure.
        MissingExtraError: A package is not installed.
    """
    if isinstance(texts, str) or not texts:
        raise InvalidArgumentError("texts must be a list of at least one text")
    place = Path(folder).expanduser().absolute()
    processes = Processes(device=device)
    try:
        if processes.is_main:
            return _export(source, place, exporter, comparisons, texts)
    finally:
        processes.wait()
    if not place.is_dir():
        raise FineTuningError(f"The main process has not exported the model to '{place}'; its error tells why")
    return ExportedModel(place, check_sums(place), read_facts(place))


def _export(
    source: ExportSource,
    place: Path,
    exporter: Exporter,
    comparisons: Sequence[ComparisonSummary],
    texts: Sequence[str],
) -> ExportedModel:
    check_free(place)
    with log_operation(_log, "export_model", model=source.name, target=exporter.target, path=str(place)) as operation:
        model = _load(source.path)
        added = _ensure_unit_length(model, texts)
        embeddings = embed_for_check(model, texts)
        facts = _facts(source, model, exporter, normalization_added=added)
        with staged_folder(place) as staged:
            try:
                exporter.write(model, staged)
                _check(exporter, staged, texts, embeddings, facts)
                write_facts(staged, facts)
                write_probes(staged, texts, embeddings)
                _describe(staged, place.name, source, comparisons, facts, exporter)
                digest = write_sums(staged)
                _share(staged)
            except OSError as error:
                raise StorageError(f"Cannot write '{place}': {error.strerror or error}") from error
            except require("safetensors", "finetune").SafetensorError as error:  # what a full disk is to it
                raise StorageError(f"Cannot write '{place}': {error}") from error
        operation.add(digest=digest[:12], dimension=facts.dimension)
    return ExportedModel(place, digest, facts)


def _load(folder: Path) -> SentenceTransformer:
    """Load a model; weights that its files do not hold, such as an unused pooler, are the same each time."""
    torch = require("torch", "finetune")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # that of the CPU, where weights are made
        return load_plain_folder(folder, "cpu")


def _ensure_unit_length(model: SentenceTransformer, texts: Sequence[str]) -> bool:
    """Append a module that brings vectors to unit length unless the model does so; return whether it was needed."""
    lengths = [np.linalg.norm(table, axis=1) for table in embed_for_check(model, texts)]
    if all(bool((np.abs(found - 1) <= _UNIT).all()) for found in lengths):
        return False
    modules = require("sentence_transformers.sentence_transformer.modules", "finetune")
    model.append(modules.Normalize())
    return True


def _facts(
    source: ExportSource, model: SentenceTransformer, exporter: Exporter, *, normalization_added: bool
) -> ExportFacts:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise FineTuningError("The model does not tell the length of its vectors, and cannot be exported")
    dtype = str(model.dtype).removeprefix("torch.")
    return ExportFacts(
        target=exporter.target,
        model=source.name,
        base_model=source.base_model,
        parameters=sum(weight.numel() for weight in model.parameters()),
        dimension=dimension,
        max_seq_length=model.max_seq_length,
        dtype=dtype,
        prompts={role: prompt for role, prompt in model.prompts.items() if prompt},
        normalization_added=normalization_added,
        packages=installed_packages(exporter.packages),
        tolerance=exporter.tolerance if dtype == "float32" else max(exporter.tolerance, _HALF_TOLERANCE),
        training=source.training,
    )


def _share(folder: Path) -> None:
    """Give all files the permissions of a new one: safetensors lets only their owner read, and servers are others."""
    mode = stat.S_IMODE((folder / REQUIREMENTS_NAME).stat().st_mode)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def _check(
    exporter: Exporter, folder: Path, texts: Sequence[str], expected: RoleEmbeddings, facts: ExportFacts
) -> None:
    difference = largest_difference(exporter.embed(folder, texts), expected)
    if not difference <= facts.tolerance:
        raise FineTuningError(
            f"The export is refused: what was written gives other embeddings (difference {difference:.2g}, expected at "
            f"most {facts.tolerance:.0e})"
        )


def _describe(
    folder: Path,
    name: str,
    source: ExportSource,
    comparisons: Sequence[ComparisonSummary],
    facts: ExportFacts,
    exporter: Exporter,
) -> None:
    pins = [f"{package}=={version}\n" for package, version in sorted(facts.packages.items())]
    write_text(folder / REQUIREMENTS_NAME, "".join(pins))
    if source.run is not None and source.run.steps:
        write_text(folder / TRAINING_PLOT, plot_training(source.run))
    if comparisons:
        write_text(folder / COMPARISON_PLOT, plot_comparison(comparisons))
    instructions = exporter.instructions(name, dimension=facts.dimension)
    write_text(folder / CARD_NAME, model_card(name, facts, source, comparisons, instructions))
