"""Deprecated: the old module ``model_finetuner``; use ``ragtime.services.model_finetuner``.

The old calls work as they did, and train with the new loop; the class is also the new one, so that its calls can be
taken over one by one. ``ragtime migrate --to ragtime --diff PATH`` rewrites what it can.
"""

from __future__ import annotations

import copy
import csv
import importlib.util
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, RagtimeError
from ragtime.migration.deprecation import deprecated_class, deprecated_function
from ragtime.monitoring.logging import get_logger
from ragtime.records.conversation import now
from ragtime.services.model_finetuner import FineTuningConfig as NewConfig
from ragtime.services.model_finetuner import FineTuningMetrics
from ragtime.services.model_finetuner import ModelFineTuner as NewFineTuner
from ragtime.services.model_finetuner.comparison import EvaluationSource
from ragtime.services.model_finetuner.saving import load_base_model, set_text_options
from ragtime.services.model_finetuner.training import ModelLoader
from ragtime_compat.finetuning_data import Example, read_examples
from ragtime_compat.finetuning_folders import METADATA_NAME, listed_models, remove_model
from ragtime_compat.finetuning_measure import correlate, make_evaluator, make_loss
from ragtime_compat.finetuning_ollama import write_ollama_folder
from ragtime_compat.finetuning_records import FineTuningConfig, InputExample, TrainingMetrics
from ragtime_compat.finetuning_run import TuningOrder, changed_config, tune
from ragtime_compat.finetuning_split import hold_out
from ragtime_compat.plain_numbers import plain_number

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from torch.nn import Module

__all__ = [
    "SENTENCE_TRANSFORMERS_AVAILABLE",
    "FineTuningConfig",
    "FineTuningMetrics",
    "ModelFineTuner",
    "TrainingMetrics",
    "create_model_finetuner",
    "quick_finetune",
]

SENTENCE_TRANSFORMERS_AVAILABLE: bool = importlib.util.find_spec("sentence_transformers") is not None
"""Whether the package that trains is installed."""

_FAILURES = (
    RagtimeError,
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_TOLD = ("batch_size", "num_epochs", "learning_rate", "loss_function", "max_seq_length")

_log = get_logger(f"ragtime.{__name__}")


@deprecated_class("model_finetuner")
class ModelFineTuner(NewFineTuner):
    """Deprecated: ``ragtime.services.model_finetuner.ModelFineTuner`` takes its place.

    A run starts from the model that ``load_base_model`` has loaded, and leaves it as it is when it fails; when it ends,
    the tuned model takes its place. A run that failed or was killed leaves its checkpoints in a hidden folder, and goes
    on from there when the same call is made again.

    Attributes:
        config: What the runs are told; changes count from the next run on.
        model: The model that was loaded or tuned last; ``None`` before.
        training_history: The epochs of the last run.
        best_model_path: The folder of the last model; ``None`` before.
        best_eval_score: What its validation data gave, such as nDCG@10; minus infinity without.
    """

    config: FineTuningConfig  # type: ignore[assignment]  # the old class; a new one is kept, too, when it is given

    def __init__(
        self,
        config: FineTuningConfig | NewConfig | None = None,
        *,
        settings: Settings | None = None,
        model_loader: ModelLoader | None = None,
        registry: RegistryResolver | None = None,
        general_data: EvaluationSource | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Prepare, and make the folder of the models.

        Args:
            config: What the runs are told; ``None`` means the defaults of the old class.
            settings: Fill in what the config leaves open; ``None`` means the settings in force when a run begins.
            model_loader: Gives the base model for a resolved config; ``None`` means to find it by its name.
            registry: Finds models named ``registry:NAME``; ``None`` means the registry in ``data_dir``.
            general_data: As for the new class.
            clock: Returns the time, with a time zone, by which models are named.

        Raises:
            InvalidArgumentError: An argument is of another kind.
        """
        if config is not None and not isinstance(config, FineTuningConfig | NewConfig):
            raise InvalidArgumentError(f"config must be a FineTuningConfig, found {type(config).__name__}")
        super().__init__(settings=settings, model_loader=model_loader, registry=registry, general_data=general_data)
        self.config = cast("FineTuningConfig", config if config is not None else FineTuningConfig())
        self.model: SentenceTransformer | None = None
        self.training_history: list[TrainingMetrics] = []
        self.best_model_path: str | None = None
        self.best_eval_score = float("-inf")
        self._clock = clock
        self._named: tuple[SentenceTransformer, str] | None = None  # a model, and where it came from
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except _FAILURES as error:
            _log.error("The folder of the models cannot be made", error=type(error).__name__)

    @property
    def _folder(self) -> Path:
        """The folder of the models."""
        config: object = self.config
        if isinstance(config, FineTuningConfig):
            return Path(config.output_model_path).expanduser()
        return Path(cast("Path", self.config.resolved(self._settings).output_dir)).expanduser()

    def _local_time(self) -> datetime:
        """Return the time as the old files tell it: local, without a time zone."""
        return self._clock().astimezone().replace(tzinfo=None)

    def load_base_model(self, model_name: str | None = None) -> bool:
        """Load the model that runs start from.

        Args:
            model_name: Its name or folder; ``None`` means that of the config.

        Returns:
            Whether it is there.
        """
        try:
            config = self._resolved(model_name)
            self._keep((self._model_loader or self._found)(config), config)
        except _FAILURES as error:
            _log.error("The base model cannot be loaded", error=type(error).__name__)
            return False
        return True

    def _resolved(self, model_name: str | None = None) -> NewConfig:
        """Return what a run is told, and of which model."""
        config = self.config.resolved(self._settings)
        return config if model_name is None else changed_config(config, base_model_name=model_name)

    def _found(self, config: NewConfig) -> SentenceTransformer:
        return load_base_model(config, self._settings, registry=self._registry)

    def _keep(self, model: SentenceTransformer, config: NewConfig) -> None:
        set_text_options(model, max_seq_length=config.max_seq_length)
        self.model, self._named = model, (model, str(config.base_model_name))

    def _name_of(self, model: SentenceTransformer) -> str:
        """Return what a model is called: where it came from, or what the config says of one that was put here."""
        if self._named is not None and self._named[0] is model:
            return self._named[1]
        return str(self._resolved().base_model_name)

    def load_training_data(
        self, data_path: str | Path, format_type: str = "csv"
    ) -> tuple[list[InputExample], list[InputExample]]:
        """Read what the old generator has exported, and hold the share ``validation_split`` of it out.

        Args:
            data_path: The file.
            format_type: ``csv`` or ``json``.

        Returns:
            Examples to train on and to validate on, each with `texts` (query and document) and `label`; two empty lists
            when anything in the file is not as it should be.
        """
        try:
            examples = read_examples(data_path, format_type)
            share, seed = self.config.validation_split, cast("int | None", plain_number(self.config.random_seed))
            count = min(len(examples), max(0, int(len(examples) * share)))
            return hold_out(examples, count, seed=self._chosen_settings().seed if seed is None else seed)
        except (*_FAILURES, csv.Error) as error:
            _log.error("The training data cannot be read", error=type(error).__name__)
            return [], []

    def create_loss_function(self, loss_name: str | None = None) -> Module:
        """Make a loss of sentence-transformers, for training loops of one's own.

        Args:
            loss_name: One of ``CosineSimilarityLoss``, ``TripletLoss``, ``MultipleNegativesRankingLoss`` and
                ``ContrastiveLoss``; another one means the first, ``None`` that of the config.

        Returns:
            The loss, on the model that is loaded. ``fine_tune_model`` trains with losses of ragtime instead.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
        """
        return make_loss(loss_name or self.config.loss_function, self.model)

    def create_evaluator(self, val_examples: Sequence[Example] | None) -> EmbeddingSimilarityEvaluator | None:
        """Make an evaluator of sentence-transformers, which compares cosines with labels.

        Args:
            val_examples: Examples of two texts.

        Returns:
            The evaluator, to be called with a model; ``None`` when there are no examples.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
        """
        return make_evaluator(val_examples) if val_examples is not None and len(val_examples) else None

    def fine_tune_model(
        self,
        train_examples: Sequence[Example],
        val_examples: Sequence[Example] | None = None,
        model_name_suffix: str | None = None,
    ) -> dict[str, Any]:
        """Train the model that was loaded.

        Args:
            train_examples: What to train on.
            val_examples: What to validate on, for the best step and for stopping early; ``None`` or empty for nothing.
            model_name_suffix: What the name of the model begins with; ``None`` means ``finetuned``.

        Returns:
            ``success``, ``model_path``, ``model_name``, ``training_duration`` (seconds), ``training_history`` (a
            ``TrainingMetrics`` an epoch) and ``metadata_path``; after a failure ``success`` and ``error``.
        """
        if self.model is None:
            return _failure("No model loaded")
        try:
            training, validation = ([*given] if given is not None else [] for given in (train_examples, val_examples))
            if not training:
                return _failure("No training examples")
            return self._tuned(self.model, training, validation, model_name_suffix)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is told in the result, as it always was
            _log.error("Training has failed", error=type(error).__name__)
            return _failure(str(error) or type(error).__name__)

    def _tuned(
        self, model: SentenceTransformer, training: Sequence[Example], validation: Sequence[Example], suffix: str | None
    ) -> dict[str, Any]:
        config = self._resolved()
        order = TuningOrder(
            config=config,
            told={field: plain_number(getattr(self.config, field)) for field in _TOLD},
            base_model=self._name_of(model),
            folder=self._folder,
            suffix=suffix,
            local_time=self._local_time,
        )

        def make_tuner(told: NewConfig) -> NewFineTuner:
            return NewFineTuner(
                told,
                settings=self._settings,
                model_loader=lambda _: copy.deepcopy(model),  # a run that fails leaves the model as it was
                registry=self._registry,
                general_data=self._general_data,
            )

        tuned = tune(order, training, validation, make_tuner)
        place = tuned.metrics.model_path
        self._run, self._model_path, self.best_model_path = tuned.metrics, place, str(place)
        self.training_history = tuned.history
        self.best_eval_score = tuned.metrics.validation.get(config.validation_metric, float("-inf"))
        reloaded = self._resolved(str(place))
        self._keep(self._found(reloaded), reloaded)
        return {
            "success": True,
            "model_path": str(place),
            "model_name": tuned.name,
            "training_duration": tuned.seconds,
            "training_history": list(tuned.history),
            "metadata_path": str(place / METADATA_NAME),
        }

    def evaluate_model(
        self, model_path: str | Path, test_data_path: str | Path, format_type: str = "csv"
    ) -> dict[str, Any]:
        """Compare the cosines of a model with the labels of a file.

        Args:
            model_path: The folder of the model, or a name.
            test_data_path: What the old generator has exported; all of it is used.
            format_type: ``csv`` or ``json``.

        Returns:
            ``model_path``, ``test_data_path``, ``evaluation_score`` (Spearman's correlation),
            ``correlation_with_labels`` (Pearson's), ``num_test_samples`` and ``evaluation_timestamp``. Where all labels
            are equal, both correlations are 0.0, and a ``note`` says why. After a failure ``error`` alone.
        """
        try:
            figures = correlate(model_path, test_data_path, format_type, self._chosen_settings(), self._registry)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is told in the result, as it always was
            _log.error("The model cannot be evaluated", error=type(error).__name__)
            return {"error": str(error) or type(error).__name__}
        return {
            "model_path": str(model_path),
            "test_data_path": str(test_data_path),
            **figures,
            "evaluation_timestamp": self._local_time().isoformat(),
        }

    def convert_to_ollama_format(self, model_path: str | Path, ollama_model_name: str) -> dict[str, Any]:
        """Write a model so that ``ollama create`` imports it, to ``ollama_NAME`` in the folder of the models.

        Args:
            model_path: The folder of the model.
            ollama_model_name: Its name in Ollama.

        Returns:
            ``success``, ``ollama_model_name``, ``ollama_directory``, ``modelfile_path`` and ``instructions_path``; of a
            model that Ollama cannot import there is a copy, and a ``note`` instead of the two paths. After a failure,
            such as a name that leads out of the folder, ``success`` and ``error``.
        """
        try:
            written = write_ollama_folder(Path(model_path), self._folder, ollama_model_name)
        except _FAILURES as error:
            _log.error("The model cannot be converted", error=type(error).__name__)
            return _failure(str(error) or type(error).__name__)
        result: dict[str, Any] = {
            "success": True,
            "ollama_model_name": ollama_model_name,
            "ollama_directory": str(written.path),
        }
        if written.obstacle is not None:
            return {**result, "note": f"The folder is a copy of the model: {written.obstacle}"}
        return {**result, "modelfile_path": str(written.modelfile), "instructions_path": str(written.instructions)}

    def list_available_models(self) -> list[dict[str, Any]]:
        """List the models in the folder of the models, newest first.

        Returns:
            ``name``, ``path`` and ``created`` of each, and where its metadata can be read ``base_model``,
            ``training_duration``, ``train_examples`` and ``config``. What was converted for Ollama is not listed.
        """
        try:
            return listed_models(self._folder)
        except _FAILURES as error:
            _log.error("The models cannot be listed", error=type(error).__name__)
            return []

    def delete_model(self, model_name: str) -> bool:
        """Delete a model.

        Args:
            model_name: Its name; one that leads out of the folder of the models is refused.

        Returns:
            Whether it was deleted.
        """
        try:
            return remove_model(self._folder, model_name)
        except _FAILURES as error:
            _log.error("The model cannot be deleted", error=type(error).__name__)
            return False


def _failure(text: str) -> dict[str, Any]:
    return {"success": False, "error": text}


@deprecated_function("model_finetuner")
def create_model_finetuner(
    config: FineTuningConfig | NewConfig | None = None,
) -> ModelFineTuner:
    """Make a tuner.

    Args:
        config: What the runs are told; ``None`` means the defaults of the old class.

    Returns:
        The tuner.
    """
    return ModelFineTuner(config)


@deprecated_function("model_finetuner")
def quick_finetune(
    training_data_path: str | Path,
    base_model: str = "all-MiniLM-L6-v2",
    output_path: str = "./fine_tuned_models",
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Train a model on a CSV file of the old generator.

    Args:
        training_data_path: The file.
        base_model: The model to start from.
        output_path: The folder of the models.
        settings: Fill in what the old config leaves open; ``None`` means the current settings.

    Returns:
        The result of ``fine_tune_model``; a failure also when the model cannot be loaded or there are no data.
    """
    config = FineTuningConfig(base_model_name=base_model, output_model_path=output_path)
    tuner = ModelFineTuner(config, settings=settings)
    if not tuner.load_base_model():
        return _failure("Failed to load base model")
    training, validation = tuner.load_training_data(training_data_path)
    if not training:
        return _failure("No training data loaded")
    return tuner.fine_tune_model(training, validation)
