"""The facade: data in, a tuned model out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.metrics import FineTuningMetrics
from ragtime.services.model_finetuner.saving import load_encoder
from ragtime.services.model_finetuner.training import ModelLoader, train_model

if TYPE_CHECKING:
    from ragtime.backends.encoders import SentenceTransformerEncoder

__all__ = ["ModelFineTuner"]


class ModelFineTuner:
    """Trains the retrieval model.

        tuner = ModelFineTuner(FineTuningConfig(num_epochs=2))
        metrics = tuner.train(examples)
        encoder = ModelFineTuner.load(metrics.model_path)
        memory = ConversationManager(embedder=ConversationEmbedder(encoder=encoder))

    A run that was stopped, killed or crashed goes on where its last checkpoint is when the same call is made again, and
    ends with the same weights, bit for bit, as one that was left alone on the same machine. Ctrl-C and SIGTERM end it
    behind the step that it is in, with a checkpoint; a second one ends it at once.

    Attributes:
        config: What the runs are told; fields left open are filled in when a run begins.
    """

    def __init__(
        self,
        config: FineTuningConfig | None = None,
        *,
        settings: Settings | None = None,
        model_loader: ModelLoader | None = None,
        registry: RegistryResolver | None = None,
    ) -> None:
        """Prepare; nothing is loaded, read or written yet.

        Args:
            config: What the runs are told; ``None`` means what the settings say.
            settings: Fill in what the config leaves open; ``None`` means the settings in force when a run begins.
            model_loader: Gives the base model for a resolved config, which may then be changed; ``None`` means to find
                it by its name.
            registry: Finds models named ``registry:NAME``; ``None`` means that there is none.

        Raises:
            InvalidArgumentError: An argument is of another kind.
        """
        if config is not None and not isinstance(config, FineTuningConfig):
            raise InvalidArgumentError(f"config must be a FineTuningConfig, found {type(config).__name__}")
        if settings is not None and not isinstance(settings, Settings):
            raise InvalidArgumentError(f"settings must be Settings, found {type(settings).__name__}")
        self.config = config if config is not None else FineTuningConfig()
        self._settings = settings
        self._model_loader = model_loader
        self._registry = registry
        self._model_path: Path | None = None

    @property
    def model_path(self) -> Path | None:
        """The folder of the model that was tuned last; ``None`` before the first run has ended."""
        return self._model_path

    def train(
        self,
        dataset: Any,
        eval_dataset: Any = None,
        resume: bool | str | Path = True,  # noqa: FBT001, FBT002 - the third argument, as users were told
        *,
        allow_changed: Collection[str] = (),
    ) -> FineTuningMetrics:
        """Train a model on a data set.

        Args:
            dataset: The rows: several ``TrainingExample``, dicts or tuples, the path of any export, or a data set of
                the package ``datasets``; see the guide for the names of columns.
            eval_dataset: The same for validation; ``None`` holds out the share ``validation_split``, so that no query,
                passage, document or conversation is on both sides.
            resume: Whether a run of the same data and configuration that did not end goes on; ``False`` starts anew.
                The path of an earlier run's folder goes on with that: in the folder itself when nothing has changed,
                else in one of its own, and the earlier run stays as it is.
            allow_changed: With a path: what may differ from that run, such as ``config.num_epochs`` or ``data``.

        Returns:
            What came out; the model is in its ``model_path``.

        Raises:
            InvalidArgumentError: The data are empty or hold something else, or the configuration does not suit them or
                the model.
            FineTuningError: The run cannot go on; what it has saved stays.
            pydantic.ValidationError: The config contradicts what the settings say of fields that it leaves open.
            BackendError: The base model cannot be loaded.
            StorageError: The output cannot be written.
            MissingExtraError: A package is not installed.
        """
        settings = self._settings if self._settings is not None else get_settings()
        metrics = train_model(
            self.config.resolved(settings),
            dataset,
            eval_dataset,
            settings=settings,
            model_loader=self._model_loader,
            registry=self._registry,
            resume=resume,
            allow_changed=allow_changed,
        )
        self._model_path = metrics.model_path
        return metrics

    @staticmethod
    def load(path: str | Path, *, settings: Settings | None = None) -> SentenceTransformerEncoder:
        """Load a tuned model.

        Args:
            path: Its folder, the plain one or that of int8 weights.
            settings: Section ``embedding`` says where it runs; ``None`` means the current settings.

        Returns:
            An encoder, ready for whatever takes one, such as ``ConversationEmbedder(encoder=...)``.

        Raises:
            BackendError: There is no model, or it needs pickles or code of its own.
            FineTuningError: Its files are damaged.
        """
        return load_encoder(Path(path), settings)
