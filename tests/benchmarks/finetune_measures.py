"""What one training run of ragtime takes and gives, and the pairs that all runs train on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.services.model_finetuner import FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.services.model_finetuner.planning import PlanOptions
from ragtime.utils.files import read_jsonl
from ragtime.utils.hashing import keyed_order
from ragtime.utils.retrieval_sets import load_retrieval_set
from tests.benchmarks import planning_measures as planning

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Pairs = list[tuple[str, str]]

SEED = 42
LEARNING_RATE = 5e-5
WARM_UP = 0.1  # of the steps
LONGEST = 256  # tokens
POPULAR = 8  # queries, and as many documents, that hold half of all positions
EVEN = 64  # tokens of the texts that are all equally long
_PLANNED = 1_000_000
_BITS = {"float32": 32.0, "bfloat16": 16.0, "float16": 16.0}
_WORDS = "time person year way day thing man world life hand part child eye woman place work week case point company"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process does.

    Attributes:
        who: Whose trainer; ``nobody`` measures the untuned model, ``planner`` plans an epoch of 1,000,000 rows.
        texts: ``pairs`` of the data set; the same with half of the positions ``repeated``; or ``even`` ones, words at
            random, each text of 64 tokens.
        pairs: How many of them; ``None`` means all.
        precision: As ``FineTuningConfig`` names it; stock knows float32 and bfloat16.
        batch: Pairs a step.
        warm_up: Pairs before the clock runs.
        steps: Stop after so many; ``None`` means not to. Stock only.
        frozen_layers: Of strategy ``full``.
        head: Whether to train a head instead.
        gradient_cache: As ``FineTuningConfig`` names it.
        tiny: Whether to train a tiny model instead of MiniLM.
        ndcg: Whether to measure the tuned model.
    """

    who: Literal["ragtime", "sentence-transformers", "nobody", "planner"] = "ragtime"
    texts: Literal["pairs", "repeated", "even"] = "pairs"
    pairs: int | None = None
    precision: str = "auto"
    batch: int = 64
    warm_up: int = 128
    steps: int | None = None
    frozen_layers: int | None = None
    head: bool = False
    gradient_cache: str = "auto"
    tiny: bool = False
    ndcg: bool = False

    @property
    def needs_data(self) -> bool:
        """Whether it needs the data set."""
        return self.who != "planner" and (self.ndcg or self.texts != "even")


# --- what is trained on ---------------------------------------------------------------------------------------------


def pairs_of(run: Run, folder: Path | None) -> Pairs:
    """Return the pairs of a run: the same for all who are compared."""
    if run.texts == "even":
        return even_pairs(run.pairs or 0)
    assert folder is not None
    pairs = judged_pairs(folder)[: run.pairs]
    return with_repeats(pairs) if run.texts == "repeated" else pairs


def judged_pairs(folder: Path) -> Pairs:
    """Read the 2,048 training queries with their documents, in an order by hash: the first ones are a fair sample."""
    train = load_retrieval_set(folder, split="train")
    keys = [str(row["id"]) for _, row in read_jsonl(folder / "queries-train-2048.jsonl")]
    return [
        (train.queries[key], train.corpus[document].content)
        for key in keyed_order(keys, SEED, "pairs", key=str)
        for document in train.judgements[key]
    ]


def with_repeats(pairs: Pairs) -> Pairs:
    """Put a popular text into one position of each pair: into the queries of one half, and the documents of the other.

    So half of all positions hold one of 8 queries or one of 8 documents, as when people keep asking the same and keep
    being shown the same. No pair comes twice: ragtime would leave it out.
    """
    popular = pairs[:POPULAR]
    repeated: dict[tuple[str, str], None] = {}
    for place, (query, response) in enumerate(pairs):
        turned = [popular[(place // 2 + shift) % POPULAR] for shift in range(POPULAR)]
        found = [(other, response) if place % 2 else (query, shown) for other, shown in turned]
        repeated[next(pair for pair in found if pair not in repeated)] = None
    return list(repeated)


def even_pairs(count: int) -> Pairs:
    """Make pairs of words at random, so long that each text is cut at 64 tokens."""
    drawn = np.random.default_rng(SEED).choice(_WORDS.split(), (count, 2, EVEN)).tolist()
    return [(" ".join(query), " ".join(response)) for query, response in drawn]


# --- runs -----------------------------------------------------------------------------------------------------------


def settings_of(place: Path) -> Settings:
    """Return the defaults, with a folder to write to."""
    return Settings.isolated(data_dir=place, logging__progress="off")


def base_model(run: Run, place: Path) -> SentenceTransformer:
    """Load the model of a run."""
    from ragtime.testing import tiny_model

    return tiny_model() if run.tiny else SentenceTransformerEncoder(settings_of(place)).model


def our_run(run: Run, pairs: Pairs, place: Path) -> tuple[dict[str, float], SentenceTransformerEncoder]:
    """Tune a model with ragtime for one epoch.

    Args:
        run: What to do.
        pairs: What to train on.
        place: A folder for what is written.

    Returns:
        The figures, and the tuned model as it is loaded for use.
    """
    model = base_model(run, place)  # before the clock runs, as for stock
    tuner = ModelFineTuner(_config(run, place), settings=settings_of(place), model_loader=lambda _: model)
    begin, computed = time.perf_counter(), time.process_time()
    metrics = tuner.train(pairs)
    seconds, computed = time.perf_counter() - begin, time.process_time() - computed
    if metrics.data.training_rows != len(pairs):
        raise RuntimeError(
            f"{metrics.data.training_rows} of {len(pairs)} pairs were used: {dict(metrics.data.dropped)}"
        )
    figures = {
        **rates([step.seconds for step in metrics.steps], run.batch, len(pairs), run.warm_up),
        "call_seconds": seconds,
        "call_cpu_seconds": computed,
        "padding": metrics.epochs[0].padding,
        "mebibytes": peak_mebibytes(),
        "loss": metrics.loss,
        "bits": _BITS[_choice(metrics, "precision")],
    }
    if run.head:
        figures["embedding_seconds"] = _embedding_seconds(run, pairs, place)
    return figures, ModelFineTuner.load(metrics.model_path, settings=settings_of(place))


def _config(run: Run, place: Path) -> FineTuningConfig:
    fields: dict[str, Any] = {"strategy": "adapter", "adapter_method": "head"}
    if not run.head:
        # Fast mode is measured as it is offered, with its own learning rate.
        rate = {"learning_rate": LEARNING_RATE} if run.frozen_layers is None else {"frozen_layers": run.frozen_layers}
        fields = {"strategy": "full", **rate}
    return FineTuningConfig(
        **fields,
        precision=run.precision,
        batch_size=run.batch,
        gradient_cache=run.gradient_cache,
        max_seq_length=EVEN if run.texts == "even" else LONGEST,
        num_epochs=1,
        validation_split=0,
        random_seed=SEED,
        output_dir=place / "models",
    )


def _choice(metrics: FineTuningMetrics, name: str) -> str:
    return next(one.value for one in metrics.choices if one.name == name)


def _embedding_seconds(run: Run, pairs: Pairs, place: Path) -> float:
    """Measure what comes before the steps of a head: each text is tokenized and runs through the encoder once."""
    from ragtime.services.model_finetuner.forward import choose_precision, prepare_encoder, tokenize_texts
    from ragtime.services.model_finetuner.strategies import make_strategy

    texts = sorted({text for pair in pairs for text in pair})
    model = make_strategy(_config(run, place).resolved(settings_of(place))).prepare(base_model(run, place))
    model.max_seq_length = LONGEST
    precision = choose_precision(model.device, run.precision)
    begin = time.perf_counter()
    tokens = tokenize_texts(model, texts, ["passage"] * len(texts))
    prepare_encoder(model, tokens, frozen_depth=None, precision=precision)
    return time.perf_counter() - begin


def rates(seconds: Sequence[float], batch: int, pairs: int, warm_up: int) -> dict[str, float]:
    """Sum up the steps of one epoch.

    Args:
        seconds: What each step took, from the first one; an epoch that was stopped has fewer.
        batch: Pairs a step; the last of an epoch may have fewer.
        pairs: Pairs of the epoch.
        warm_up: Pairs before the clock runs.

    Returns:
        Pairs a second, and how many steps and pairs were counted.
    """
    sizes = [min(batch, pairs - batch * number) for number in range(len(seconds))]
    skipped = warm_up // batch
    counted = sum(sizes[skipped:])
    if not counted:
        raise RuntimeError(f"{len(seconds)} steps are no more than the warm-up of {warm_up} pairs")
    taken = sum(seconds[skipped:])
    return {"pairs_per_second": counted / taken, "counted_steps": len(seconds) - skipped, "counted_pairs": counted}


def plan() -> dict[str, float]:
    """Plan an epoch of 1,000,000 rows, after a small one that loads what is loaded late."""
    planning.planning_cost(1_000, PlanOptions())
    cost = planning.planning_cost(_PLANNED, PlanOptions())
    return {"plan_seconds": cost.rows + cost.epoch, "mebibytes": cost.mebibytes}


def peak_mebibytes() -> float:
    """Return the most memory that the process has had; ``ru_maxrss`` would be inherited from the one before."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
