"""What the process of one run does: it trains, and measures what came out."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import EvaluationResult, FineTuningMetrics, ModelFineTuner
from ragtime.services.model_finetuner.saving.int8 import save_int8
from ragtime.services.model_finetuner.strategies.quantized_models import quantize_after
from ragtime.services.training_data_gen import TrainingExample
from ragtime.utils.files import write_json
from ragtime.utils.retrieval_sets import load_retrieval_set
from tests.benchmarks import finetune_measures as speed
from tests.benchmarks import finetune_peers as peers
from tests.benchmarks.quality_data import (
    MTRAG,
    TLDR,
    dev_set,
    glimpse,
    glimpse_of_pages,
    halves,
    judged_examples,
    training_keys,
)
from tests.benchmarks.quality_measures import measure_bm25, measure_encoder
from tests.benchmarks.quality_recipe import tune
from tests.benchmarks.quality_runs import EXACT, GENERAL, INT8, PAGES, THREADS, Outcome, Run

if TYPE_CHECKING:
    from ragtime.config.settings import Settings

_LOOKED_AT = 48  # questions of a trial of the code


class Data(NamedTuple):
    """What a run is given, loaded before the clock runs.

    Attributes:
        judged: The pairs to train on.
        pages: All pages, to make questions of.
        measured: The questions to measure on.
        chosen_by: The half of the general check that the interpolation may be chosen by.
        reported: The other half.
    """

    judged: list[TrainingExample]
    pages: list[Document]
    measured: RetrievalSet
    chosen_by: RetrievalSet
    reported: RetrievalSet


class Trained(NamedTuple):
    """What a run made.

    Attributes:
        encoder: The model.
        figures: Seconds, rows and such.
        metrics: What ragtime's training says of itself; ``None`` for others.
    """

    encoder: SentenceTransformerEncoder
    figures: Mapping[str, float]
    metrics: FineTuningMetrics | None = None


def main() -> None:
    """Make one run, and write what came out."""
    import torch

    torch.set_num_threads(THREADS)
    told, folders, result = json.loads(sys.argv[1])
    run = Run.from_json(told)
    data = _loaded(run, Path(folders[TLDR]), Path(folders[MTRAG]))
    if run.who == "BM25":
        outcome = Outcome({}, {PAGES: measure_bm25(data.measured)}, {})
    else:
        with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as place:
            outcome = _measured(run, data, speed.settings_of(Path(place)))
    write_json(Path(result), outcome.to_json())


def _loaded(run: Run, pages_folder: Path, general_folder: Path) -> Data:
    train = load_retrieval_set(pages_folder, split="train")
    keys = training_keys(pages_folder, run.questions)
    measured = load_retrieval_set(pages_folder, split="test") if run.on == "test" else dev_set(train, keys)
    chosen_by, reported = halves(load_retrieval_set(general_folder, split="test"))
    judged, pages = judged_examples(train, keys[: run.pairs]), list(train.corpus.values())
    if run.pairs is not None:
        pages = glimpse_of_pages(pages, judged, run.pairs)
        measured, chosen_by, reported = (glimpse(one, _LOOKED_AT) for one in (measured, chosen_by, reported))
    return Data(judged, pages, measured, chosen_by, reported)


def _measured(run: Run, data: Data, settings: Settings) -> Outcome:
    trained = _trained(run, data, settings)
    scores = {PAGES: measure_encoder(trained.encoder, data.measured, name=run.who)}
    if run.general:
        scores[GENERAL] = measure_encoder(trained.encoder, data.reported, name=run.who)
    if run.eight_bits:
        scores |= _in_eight_bits(trained, data, settings)
    choices = trained.metrics.choices if trained.metrics is not None else ()
    return Outcome(trained.figures, scores, {one.name: f"{one.value}: {one.reason}" for one in choices})


def _trained(run: Run, data: Data, settings: Settings) -> Trained:
    if run.who == "untuned":
        return Trained(SentenceTransformerEncoder(settings), {})
    if run.recipe is None:
        return _stock(data, settings)
    general = data.chosen_by if run.recipe.held_out else None  # what defaults give is that of the packaged sample
    tuned = tune(run.recipe, data.judged, data.pages, settings, general=general)
    figures = {f"seconds, {part}": value for part, value in tuned.seconds.items()}
    figures |= {f"rows, {name}": float(count) for name, count in tuned.rows.items()}
    figures |= {"rows": float(tuned.metrics.data.training_rows), "steps": float(tuned.metrics.total_steps)}
    if tuned.metrics.interpolation is not None:
        figures["alpha"] = tuned.metrics.interpolation.alpha
    return Trained(tuned.encoder, {**figures, "seconds": tuned.seconds["all"]}, tuned.metrics)


def _stock(data: Data, settings: Settings) -> Trained:
    run = speed.Run(who="sentence-transformers", precision="float32")
    place = Path(settings.data_dir)
    model = speed.base_model(run, place)
    pairs = [(one.query, one.response) for one in data.judged]
    figures = peers.stock_run(run, model, pairs, place)
    encoder = SentenceTransformerEncoder(settings, model=model)
    return Trained(encoder, {**figures, "rows": float(len(pairs)), "seconds": figures["call_seconds"]})


def _in_eight_bits(trained: Trained, data: Data, settings: Settings) -> dict[str, EvaluationResult]:
    """Measure in float32, and with int8 weights: those of the training, or else the weights rounded after it."""
    assert trained.metrics is not None
    folder = trained.metrics.int8_path
    if folder is None:
        folder = save_int8(quantize_after(trained.encoder.model), Path(settings.data_dir) / "int8").path
    rounded = ModelFineTuner.load(folder, settings=settings)
    return {
        EXACT: measure_encoder(trained.encoder, data.measured, name="ragtime", half=False),
        INT8: measure_encoder(rounded, data.measured, name="ragtime, int8", half=False),
    }


if __name__ == "__main__":
    main()
