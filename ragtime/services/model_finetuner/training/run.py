"""A whole training run: from data and a base model to a folder that holds the tuned one."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
from ragtime.services.model_finetuner.comparison.data import EvaluationSource
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.forward import choose_precision
from ragtime.services.model_finetuner.metrics import Choice, FineTuningMetrics
from ragtime.services.model_finetuner.saving import load_base_model
from ragtime.services.model_finetuner.strategies import make_strategy
from ragtime.services.model_finetuner.training.base import (
    SURROUNDINGS,
    ModelLoader,
    make_ready,
    own_fingerprints,
    run_fingerprints,
)
from ragtime.services.model_finetuner.training.choices import (
    end_choices,
    origin_choice,
    pass_choices,
    precision_choice,
    rate_choices,
)
from ragtime.services.model_finetuner.training.folder import RunFolder
from ragtime.services.model_finetuner.training.history import History
from ragtime.services.model_finetuner.training.interpolation import (
    LineEnd,
    not_searched,
    prepare_general,
    search_line,
)
from ragtime.services.model_finetuner.training.loop import LoopEnd, TrainingLoop
from ragtime.services.model_finetuner.training.origin import Origin
from ragtime.services.model_finetuner.training.parts import MadeParts, Start, make_parts
from ragtime.services.model_finetuner.training.prepared import prepare_data, prepare_validation
from ragtime.services.model_finetuner.training.processes import Processes
from ragtime.services.model_finetuner.training.result import keep_best, save_result, summarize
from ragtime.services.model_finetuner.training.stopping import StopRequest
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.progress import ProgressMode, track

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
else:
    np = LazyModule("numpy")

__all__ = ["train_model"]

_log = get_logger(__name__)


def train_model(  # noqa: PLR0913 - the parts that a run is given, each by its name
    config: FineTuningConfig,
    dataset: Any,
    eval_dataset: Any = None,
    *,
    settings: Settings,
    model_loader: ModelLoader | None = None,
    registry: RegistryResolver | None = None,
    general_data: EvaluationSource | None = None,
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
        registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.
        general_data: Questions of the general check; ``None`` means those that the config names.
        resume: Whether to go on where the same run stopped, or the folder of another run.
        allow_changed: What may differ from that other run.

    Returns:
        What came out.
    """
    _check_resume(resume, allow_changed)
    with log_operation(_log, "finetune", strategy=config.strategy) as operation, _own_random_states(config):
        run = _Run(config, settings, model_loader, registry, general_data)
        metrics = run.train(dataset, eval_dataset, resume=resume, allow_changed=allow_changed)
        operation.add(
            rows=metrics.data.training_rows,
            steps=metrics.total_steps,
            best_step=metrics.best_step,
            loss=metrics.loss,
            model_path=str(metrics.model_path),
        )
    return metrics


def _check_resume(resume: bool | str | Path, allow_changed: Collection[str]) -> None:  # noqa: FBT001 - as users were told
    given: object = resume
    if not isinstance(given, bool | str | Path) or not str(given).strip():
        found = "a blank text" if isinstance(given, str) else type(given).__name__
        raise InvalidArgumentError(f"resume must be True, False or the folder of an earlier run, found {found}")
    if isinstance(allow_changed, str):
        raise InvalidArgumentError("allow_changed must be a collection of names, such as ['config.num_epochs']")
    if allow_changed and isinstance(resume, bool):
        raise InvalidArgumentError("allow_changed says what may differ from an earlier run: give its folder as resume")


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


class _Run:
    """One call of ``train``."""

    def __init__(
        self,
        config: FineTuningConfig,
        settings: Settings,
        model_loader: ModelLoader | None,
        registry: RegistryResolver | None,
        general_data: EvaluationSource | None,
    ) -> None:
        self._config, self._settings, self._registry = config, settings, registry
        self._general_data = general_data
        self._load_model = model_loader if model_loader is not None else self._found_model
        self._output = Path(cast("Path", config.output_dir)).expanduser().absolute()
        self._choices: list[Choice] = []

    def _found_model(self, config: FineTuningConfig) -> SentenceTransformer:
        return load_base_model(config, self._settings, registry=self._registry)

    def train(
        self, dataset: Any, eval_dataset: Any, *, resume: bool | str | Path, allow_changed: Collection[str]
    ) -> FineTuningMetrics:
        data = prepare_data(self._config, dataset, eval_dataset)
        validation = prepare_validation(self._config, data)
        general = prepare_general(self._config, self._general_data, validation)
        self._choices += data.choices
        self._check_output()
        processes = Processes(self._config.trackers, folder=self._output, device=self._settings.embedding.device)
        model = self._load_model(self._config)
        make_ready(model, self._config, processes.device)
        precision = choose_precision(model.device, self._config.precision)
        self._choices.append(precision_choice(self._config, precision, model.device.type))
        checked = None if general is None else general.fingerprint
        fingerprints = run_fingerprints(self._config, self._settings, model, data, precision, general=checked)
        origin = None if isinstance(resume, bool) else Origin.find(resume, fingerprints, allow_changed)
        folder = (
            RunFolder.of(self._output, own_fingerprints(fingerprints))
            if origin is None
            else origin.place(self._output, fingerprints)
        )
        with ExitStack() as stack:
            if processes.is_main:
                stack.enter_context(folder.locked())
                if resume is False:
                    folder.clear()
                if origin is not None:
                    origin.carry_over(folder, fingerprints)
            processes.wait()
            if (done := folder.result()) is not None:
                _log.info("This run has ended already", run=str(folder.path), model_path=str(done.model_path))
                return done
            if origin is not None and origin.changed:
                self._choices.append(origin_choice(origin.folder.path.name, origin.newest.step, origin.changed))
            if processes.is_main:
                stack.callback(folder.forget_frozen)
            return self._trained(Start(model, precision, data, validation, folder, processes, fingerprints, general))

    def _check_output(self) -> None:
        try:
            self._output.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._output):
                pass
        except OSError as error:
            raise StorageError(f"output_dir '{self._output}' cannot be written: {error.strerror or error}") from error

    def _trained(self, start: Start) -> FineTuningMetrics:
        folder, processes = start.folder, start.processes
        checkpoint = folder.store.newest()
        taken = -1 if checkpoint is None else checkpoint.step
        history = History(folder.history if processes.is_main else None, until=taken)
        made = make_parts(self._config, start, history)
        loop = TrainingLoop(self._config, made.parts)
        self._choices += [*made.choices, *rate_choices(self._config, loop.schedule)]
        if checkpoint is not None:
            state = folder.store.load(checkpoint.path)
            # Elsewhere numbers may be rounded otherwise: the run goes on, and a warning says so.
            check_fingerprints(state.fingerprints, start.fingerprints, allow_changed=[SURROUNDINGS])
            loop.load(state, checkpoint.step)
            _log.info("The run goes on", run=str(folder.path), step=checkpoint.step, steps=loop.steps)
        end = self._looped(loop, made, processes)
        best = keep_best(made.parts, end)
        if processes.is_main:
            self._save(start, loop, made, end, best)
        processes.wait()
        result = folder.result()
        if result is None:
            raise FineTuningError(f"The result of the run in '{folder.path}' is gone")
        return result

    def _looped(self, loop: TrainingLoop, made: MadeParts, processes: Processes) -> LoopEnd:
        """Take the steps that are left, and show them."""
        with ExitStack() as stack:
            # Several processes would stop behind different steps, and wait for each other: those are ended at once.
            request = StopRequest()
            if processes.count == 1:
                stack.enter_context(request.heard())
            processes.begin_tracking(self._config.model_dump(mode="json"))
            stack.callback(processes.end_tracking)
            stack.enter_context(closing(made.parts.history))
            mode: ProgressMode | None = None if processes.is_main else "off"
            progress = stack.enter_context(track("Fine-tuning", total=loop.steps, unit="steps", mode=mode))
            return loop.run(progress, request)

    def _save(self, start: Start, loop: TrainingLoop, made: MadeParts, end: LoopEnd, best: int) -> None:
        """Write down what came out."""
        fields = summarize(loop, made.parts, end, best=best, data=start.data, texts=made.texts)
        kept = fields["validation"].get(self._config.validation_metric)
        finished = made.parts.strategy.finished(made.parts.model)
        begin = time.perf_counter()
        line = self._searched(start, finished)
        fields["interpolation"] = line.search
        fields["validation"] = fields["validation"] if line.figures is None else line.figures
        fields["seconds"] += time.perf_counter() - begin
        evaluation, base, tuned = made.parts.evaluation, fields["baseline"], fields["validation"]
        metric = self._config.validation_metric  # a model from the line has no figure `loss`
        if evaluation is not None and metric in {*base} & {*tuned} and evaluation.score(tuned) < evaluation.score(base):
            _log.warning(
                "The tuned model is worse than its base on the validation data",
                metric=metric,
                base=base[metric],
                tuned=tuned[metric],
            )
        choices = [
            *self._choices,
            *pass_choices(self._config, made.parts.encoder, fields["steps"]),
            *end_choices(
                self._config,
                best=best,
                steps=end.steps,
                stopped_early=end.stopped_early,
                score=kept,
            ),
            line.choice,
        ]
        save_result(self._config, start.folder, made.parts, finished, fields, choices, output_dir=self._output)

    def _searched(self, start: Start, finished: SentenceTransformer) -> LineEnd:
        """Search the line between base and tuned weights, where the general check fell."""
        if start.general is None or start.validation is None:
            reason = not_searched(self._config, start.validation) or "there is no general check"
            return LineEnd(Choice(name="interpolation", value="none", reason=reason))
        base = self._load_model(self._config)
        if base is start.model:
            _log.warning("The line to the base model is not searched: model_loader gave the model that was trained")
            return LineEnd(Choice(name="interpolation", value="none", reason="model_loader gives no second base model"))
        make_ready(base, self._config, start.model.device)
        strategy = make_strategy(self._config)
        base = strategy.finished(strategy.prepare(base))
        return search_line(
            self._config,
            finished,
            base,
            validation=start.validation,
            general=start.general,
            precision=start.precision,
        )
