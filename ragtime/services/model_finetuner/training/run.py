"""A whole training run: from data and a base model to a folder that holds the tuned one."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings
from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.model_finetuner.checkpoints import (
    capture_random_states,
    check_fingerprints,
    restore_random_states,
)
from ragtime.services.model_finetuner.config import LEARNING_RATES, FineTuningConfig
from ragtime.services.model_finetuner.evaluation import Validation, higher_is_better
from ragtime.services.model_finetuner.forward import (
    BatchEncoder,
    FrozenCache,
    Precision,
    choose_precision,
    prepare_encoder,
    roles_differ,
    tokenize_texts,
)
from ragtime.services.model_finetuner.losses import make_loss
from ragtime.services.model_finetuner.metrics import Choice, FineTuningMetrics
from ragtime.services.model_finetuner.planning import BatchPlanner, FalseNegatives, PlanOptions, TrainingRows
from ragtime.services.model_finetuner.saving import load_base_model
from ragtime.services.model_finetuner.strategies import make_strategy
from ragtime.services.model_finetuner.training.base import SURROUNDINGS, ModelLoader, make_ready, run_fingerprints
from ragtime.services.model_finetuner.training.batches import BatchMaker, ValidationLoss
from ragtime.services.model_finetuner.training.folder import RunFolder
from ragtime.services.model_finetuner.training.history import History
from ragtime.services.model_finetuner.training.loop import Evaluation, LoopParts, TrainingLoop
from ragtime.services.model_finetuner.training.optimizers import make_optimizer
from ragtime.services.model_finetuner.training.prepared import (
    NumberedRows,
    PreparedData,
    number_rows,
    prepare_data,
    prepare_validation,
)
from ragtime.services.model_finetuner.training.processes import Processes
from ragtime.services.model_finetuner.training.result import keep_best, save_result, summarize
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.progress import track

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
else:
    np = LazyModule("numpy")

__all__ = ["train_model"]

_log = get_logger(__name__)

_MOST_HIDDEN_BYTES = 2**33  # on disk, while a run lasts


def train_model(
    config: FineTuningConfig,
    dataset: Any,
    eval_dataset: Any = None,
    *,
    settings: Settings,
    model_loader: ModelLoader | None = None,
    registry: RegistryResolver | None = None,
    resume: bool | str | Path = True,
    allow_changed: Collection[str] = (),
) -> FineTuningMetrics:
    """Train a model; see ``ModelFineTuner.train``.

    Args:
        config: A resolved config.
        dataset: What to train on.
        eval_dataset: What to validate on; ``None`` means to hold rows out.
        settings: Section ``embedding`` says where the model runs.
        model_loader: Gives the base model; ``None`` means to find it by its name.
        registry: Finds models of the registry; ``None`` means that there is none.
        resume: Whether to go on where the same run stopped, or the folder of another run.
        allow_changed: What may differ from that other run.

    Returns:
        What came out.
    """
    if allow_changed and isinstance(resume, bool):
        raise InvalidArgumentError("allow_changed says what may differ from an earlier run: give its folder as resume")
    with log_operation(_log, "finetune", strategy=config.strategy) as operation, _own_random_states(config):
        run = _Run(config, settings, model_loader, registry)
        metrics = run.train(dataset, eval_dataset, resume=resume, allow_changed=allow_changed)
        operation.add(
            rows=metrics.data.training_rows,
            steps=metrics.total_steps,
            best_step=metrics.best_step,
            loss=metrics.loss,
            model_path=str(metrics.model_path),
        )
    return metrics


@contextmanager
def _own_random_states(config: FineTuningConfig) -> Iterator[None]:
    """Seed the generators of the process for the block, and put them back after it."""
    torch = require("torch", "finetune")
    before = capture_random_states()
    try:
        torch.manual_seed(config.random_seed)
        random.seed(config.random_seed)
        np.random.seed(config.random_seed)  # what packages may draw from
        yield
    finally:
        restore_random_states(before)


class _Start(NamedTuple):
    """What there is before a run is put together."""

    model: SentenceTransformer
    precision: Precision
    data: PreparedData
    validation: Validation | None
    folder: RunFolder
    processes: Processes
    fingerprints: Mapping[str, str]
    allow_changed: Collection[str]


class _Run:
    """One call of ``train``."""

    def __init__(
        self,
        config: FineTuningConfig,
        settings: Settings,
        model_loader: ModelLoader | None,
        registry: RegistryResolver | None,
    ) -> None:
        self._config, self._settings, self._registry = config, settings, registry
        self._load_model = model_loader if model_loader is not None else self._found_model
        self._output = Path(cast("Path", config.output_dir)).expanduser()
        self._choices: list[Choice] = []

    def _found_model(self, config: FineTuningConfig) -> SentenceTransformer:
        return load_base_model(config, self._settings, registry=self._registry)

    def train(
        self, dataset: Any, eval_dataset: Any, *, resume: bool | str | Path, allow_changed: Collection[str]
    ) -> FineTuningMetrics:
        data = prepare_data(self._config, dataset, eval_dataset)
        validation = prepare_validation(self._config, data)
        self._choices += data.choices
        self._check_output()
        processes = Processes(self._config.trackers, folder=self._output)
        model = self._load_model(self._config)
        make_ready(model, self._config, processes.device)
        precision = self._precision(model)
        fingerprints = run_fingerprints(self._config, self._settings, model, data, precision)
        own = {name: value for name, value in fingerprints.items() if not name.startswith(f"{SURROUNDINGS}.")}
        folder = RunFolder.of(self._output, own) if isinstance(resume, bool) else RunFolder.at(resume)
        with ExitStack() as stack:
            if processes.is_main:
                stack.enter_context(folder.locked())
                if resume is False:
                    folder.clear()
            processes.wait()
            if isinstance(resume, bool) and (done := folder.result()) is not None:
                _log.info("This run has ended already", run=str(folder.path), model_path=str(done.model_path))
                return done
            return self._trained(
                _Start(model, precision, data, validation, folder, processes, fingerprints, allow_changed)
            )

    # --- before the first step ------------------------------------------------------------------------------------

    def _check_output(self) -> None:
        try:
            self._output.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._output):
                pass
        except OSError as error:
            raise StorageError(f"output_dir '{self._output}' cannot be written: {error.strerror or error}") from error

    # --- the run --------------------------------------------------------------------------------------------------

    def _trained(self, start: _Start) -> FineTuningMetrics:
        model, precision, data, validation, folder, processes, fingerprints, allow_changed = start
        config = self._config
        strategy = make_strategy(config)
        model = strategy.prepare(model)
        rows = number_rows(data, validation, by_role=roles_differ(model))
        tokens = tokenize_texts(model, rows.texts, rows.roles)
        dimension = int(model.get_embedding_dimension() or 0)
        loss, reason = make_loss(config, data.read.shape, dimension=dimension, negatives=len(rows.columns.texts) - 2)
        self._chose("loss_function", loss.name, reason)
        parameters = strategy.parameters(model)
        encoder = prepare_encoder(
            model,
            tokens,
            frozen_depth=strategy.frozen_depth(model),
            precision=precision,
            gradient_cache=config.gradient_cache,
            processes=processes.sharing,
            cache=self._frozen_cache(folder, processes),
        )
        training = TrainingRows(rows.cells[: len(data.training)], tokens.lengths)
        known = TrainingRows(rows.cells, tokens.lengths)
        batches = BatchMaker(known, rows.columns, FalseNegatives(known), model.device)
        checkpoint = folder.store.newest()
        parts = LoopParts(
            model=model,
            strategy=strategy,
            parameters=parameters,
            encoder=encoder,
            precision=precision,
            loss=loss,
            optimizer=make_optimizer(config, parameters),
            planner=BatchPlanner(
                training, PlanOptions(batch_size=config.batch_size), seed=cast("int", config.random_seed)
            ),
            batches=batches,
            history=History(
                folder.history if processes.is_main else None, until=-1 if checkpoint is None else checkpoint.step
            ),
            store=folder.store,
            fingerprints=fingerprints,
            processes=processes,
            evaluation=self._evaluation(data, validation, encoder, rows, ValidationLoss(loss, batches, encoder)),
        )
        loop = TrainingLoop(config, parts)
        self._chose("learning_rate", f"{loop.schedule.peak:g}", self._why_rate())
        self._chose("warmup_steps", str(loop.schedule.warmup), "at most a tenth of the run")
        if checkpoint is not None:
            state = folder.store.load(checkpoint.path)
            # Elsewhere numbers may be rounded otherwise: the run goes on, and a warning says so.
            check_fingerprints(state.fingerprints, fingerprints, allow_changed=[*allow_changed, SURROUNDINGS])
            loop.load(state, checkpoint.step)
            _log.info("The run goes on", run=str(folder.path), step=checkpoint.step, steps=loop.steps)
        processes.begin_tracking(config.model_dump(mode="json"))
        try:
            with closing(parts.history), track("Fine-tuning", total=loop.steps, unit="steps") as progress:
                end = loop.run(progress)
        finally:
            processes.end_tracking()
        best = keep_best(parts, end)
        fields = summarize(loop, parts, end, best=best, data=data, texts=tokens)
        if processes.is_main:
            save_result(config, folder, parts, fields, self._choices)
            folder.forget_frozen()
        processes.wait()
        result = folder.result()
        if result is None:
            raise FineTuningError(f"The result of the run in '{folder.path}' is gone")
        return result

    def _precision(self, model: SentenceTransformer) -> Precision:
        wanted = self._config.precision
        precision = choose_precision(model.device, wanted)
        reason = "as configured" if wanted != "auto" else f"what this {model.device.type} is fast at"
        self._chose("precision", precision, reason)
        return precision

    def _frozen_cache(self, folder: RunFolder, processes: Processes) -> FrozenCache | None:
        """Return where the states of frozen layers are kept; they pay from the second epoch on."""
        if not self._config.frozen_layers or self._config.num_epochs == 1:
            return None
        return FrozenCache(folder.frozen_place(processes.rank), hidden_bytes=_MOST_HIDDEN_BYTES)

    def _why_rate(self) -> str:
        kind = self._config.adapter_method if self._config.strategy == "adapter" else self._config.strategy
        usual = LEARNING_RATES[kind] == self._config.learning_rate
        return f"the default of {kind}" if usual else "as configured"

    def _evaluation(
        self,
        data: PreparedData,
        validation: Validation | None,
        encoder: BatchEncoder,
        rows: NumberedRows,
        loss: ValidationLoss,
    ) -> Evaluation | None:
        if validation is None:
            return None
        metric = self._config.validation_metric
        held_out = np.arange(len(data.training), len(data.training) + len(data.validation))

        def measure() -> Mapping[str, float]:
            figures = validation.measure(encoder.embed(rows.queries), encoder.embed(rows.passages))
            if metric == "loss":
                figures["loss"] = loss.measure(held_out, self._config.batch_size)
            return figures

        return Evaluation(measure, metric, higher_is_better(metric))

    def _chose(self, name: str, value: str, reason: str) -> None:
        self._choices.append(Choice(name=name, value=value, reason=reason))
