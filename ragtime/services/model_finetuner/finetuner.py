"""The facade: data in, a tuned model out, and whether it is better than what there was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, cast

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.backends.resolution import RegistryResolver, pin_version
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.comparison import (
    Comparison,
    ComparisonSummary,
    Decision,
    EvaluationData,
    EvaluationResult,
    EvaluationSource,
    Gate,
    ModelSource,
    OpenedModel,
    compare,
    evaluate_model,
    open_model,
)
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.exporting import (
    ExportedModel,
    Exporter,
    choose_exporter,
    export_model,
    open_source,
)
from ragtime.services.model_finetuner.metrics import FineTuningMetrics
from ragtime.services.model_finetuner.saving import load_encoder
from ragtime.services.model_finetuner.training import ModelLoader, train_model

__all__ = ["ModelFineTuner"]


class ModelFineTuner:
    """Trains the retrieval model, and decides whether what came out takes the place of its base.

        tuner = ModelFineTuner(FineTuningConfig(num_epochs=2))
        metrics = tuner.train(examples)
        decision = tuner.decide(held_out)
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
        general_data: EvaluationSource | None = None,
    ) -> None:
        """Prepare; nothing is loaded, read or written yet.

        Args:
            config: What the runs are told; ``None`` means what the settings say.
            settings: Fill in what the config leaves open; ``None`` means the settings in force when a run begins.
            model_loader: Gives the base model for a resolved config, which may then be changed; ``None`` means to find
                it by its name.
            registry: Finds models named ``registry:NAME``; ``None`` means the registry in ``data_dir``.
            general_data: Questions that show what a model forgets in training, as for :meth:`evaluate`. About as many
                texts as the validation has are drawn from them, but ``EvaluationData`` are used whole. ``None`` means
                what the config names, or else the questions of the packaged sample that :meth:`decide` does not use.

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
        self._general_data = general_data
        self._model_path: Path | None = None
        self._run: FineTuningMetrics | None = None
        self._trained_from: str | None = None

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
        settings = self._chosen_settings()
        config = self._pinned(self.config.resolved(settings), settings)
        metrics = train_model(
            config,
            dataset,
            eval_dataset,
            settings=settings,
            model_loader=self._model_loader,
            registry=self._registry,
            general_data=self._general_data,
            resume=resume,
            allow_changed=allow_changed,
        )
        self._model_path, self._run, self._trained_from = metrics.model_path, metrics, config.base_model_name
        return metrics

    def evaluate(self, data: EvaluationSource, *, model: ModelSource | None = None) -> EvaluationResult:
        """Measure a model, by the code that validates it in training.

        Args:
            data: What to measure it on: examples in any form that :meth:`train` takes, whose passages together are what
                is searched; a ``RetrievalSet``; or the path of a folder in the layout of BEIR, or of a data set of
                ragtime, of which the held-out part is read.
            model: A folder, ``registry:NAME[@VERSION]``, the name of a model, or an encoder; ``None`` means the one
                that was trained last, or the base model when there is none.

        Returns:
            Its figures, those of every question included.

        Raises:
            InvalidArgumentError: There are no questions, no judgements or fewer than two passages, or the model is
                something else.
            BackendError: The model cannot be loaded, or failed.
            StorageError: A file cannot be read.
            MissingExtraError: A package is not installed.
        """
        prepared = EvaluationData.of(data)
        if model is None and self._model_path is None:
            return evaluate_model(self._base(), prepared)
        return evaluate_model(self._opened(model), prepared)

    def compare(
        self,
        data: EvaluationSource,
        *,
        base: ModelSource | None = None,
        tuned: ModelSource | None = None,
        figure: str = "ndcg@10",
    ) -> Comparison:
        """Measure two models on the same questions, and compare them question by question.

        Args:
            data: As for :meth:`evaluate`; questions that no training and no selection has seen.
            base: The one model, as for :meth:`evaluate`; ``None`` means the base model.
            tuned: The other; ``None`` means the one that was trained last.
            figure: What to compare.

        Returns:
            The comparison.

        Raises:
            InvalidArgumentError: As for :meth:`evaluate`; or there are fewer than two questions, there is no such
                figure, or nothing was trained.
            BackendError: A model cannot be loaded, or failed.
            StorageError: A file cannot be read.
            MissingExtraError: A package is not installed.
        """
        ((one, other),) = self._measured([EvaluationData.of(data)], base, tuned)
        return compare(one, other, figure=figure)

    def decide(
        self,
        data: EvaluationSource,
        *,
        base: ModelSource | None = None,
        tuned: ModelSource | None = None,
        general: EvaluationSource | None = None,
        figure: str = "ndcg@10",
        gate: Gate | None = None,
    ) -> Decision:
        """Decide whether a tuned model takes the place of its base; nothing is promoted by it.

        Args:
            data: As for :meth:`compare`.
            base: As for :meth:`compare`.
            tuned: As for :meth:`compare`.
            general: The general check, which shows whether the tuned model has forgotten something: questions as for
                `data`, but others than those and than the general data of the training. ``None`` means the hundred
                questions of the packaged sample that are kept for it.
            figure: What has to be better; the general check goes by ``ndcg@10``.
            gate: The conditions; ``None`` means those of ``Gate()``.

        Returns:
            The decision: its ``promote`` and ``sentence`` tell what to do, and why.

        Raises:
            InvalidArgumentError: As for :meth:`compare`.
            BackendError: A model cannot be loaded, or failed.
            StorageError: A file cannot be read.
            MissingExtraError: A package is not installed.
        """
        check = EvaluationData.sample(reserved=True) if general is None else EvaluationData.of(general)
        held_out, checked = self._measured([EvaluationData.of(data), check], base, tuned)
        target = compare(*held_out, figure=figure)
        return (gate if gate is not None else Gate()).decide(target, compare(*checked))

    def export(
        self,
        target_dir: str | Path,
        *,
        model: str | PathLike[str] | None = None,
        target: str | Exporter = "safetensors",
        comparisons: Sequence[ComparisonSummary] = (),
        run: FineTuningMetrics | None = None,
    ) -> ExportedModel:
        """Write a model to a folder that is ready to be served.

        It holds the weights, prompts and normalisation, pinned versions, the hash of every file, texts for a self-check
        (``ragtime models check``), and a card with curves, figures and serving instructions. It is there whole and
        checked, or not at all.

        Args:
            target_dir: The folder, which must not exist.
            model: A folder, ``registry:NAME[@VERSION]``, or the name of a model; ``None`` means the one that was
                trained last.
            target: The form: ``safetensors``, which a plain ``SentenceTransformer(path)`` loads, or an exporter of your
                own.
            comparisons: Comparisons with the base model, for the card.
            run: The run that made it, for the curves in the card; ``None`` means the one that was trained last when it
                is that model, or the one that stands beside its folder.

        Returns:
            What was exported.

        Raises:
            InvalidArgumentError: There is something at `target_dir` already, no model is named and none was trained, or
                there is no such target.
            BackendError: There is no such model, or it needs pickles or code of its own.
            FineTuningError: What was written cannot be loaded, or gives other embeddings.
            StorageError: The folder cannot be written.
            MissingExtraError: A package is not installed.
        """
        exporter = choose_exporter(target)
        if model is None:
            model, run = self._model_path, run if run is not None else self._run
        if model is None:
            raise InvalidArgumentError("There is no model to export: train one first, or name it as model")
        settings = self._chosen_settings()
        source = open_source(model, settings, registry=self._registry, run=run)
        return export_model(source, target_dir, exporter, comparisons=comparisons, device=settings.embedding.device)

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

    def _pinned(self, config: FineTuningConfig, settings: Settings) -> FineTuningConfig:
        """Name the version of a base model of the registry: another one may be in production when it is asked for."""
        if config.base_model_name is None or self._model_loader is not None or self._registry is not None:
            return config
        return config.model_copy(update={"base_model_name": pin_version(config.base_model_name, settings)})

    def _chosen_settings(self) -> Settings:
        return self._settings if self._settings is not None else get_settings()

    def _measured(
        self, data: Sequence[EvaluationData], base: ModelSource | None, tuned: ModelSource | None
    ) -> list[tuple[EvaluationResult, EvaluationResult]]:
        """Measure base and tuned model, one after the other; complain of both before either is measured."""
        if tuned is None and self._model_path is None:
            raise InvalidArgumentError("tuned must name a model: none was trained here")
        models = self._base() if base is None else self._opened(base), self._opened(tuned)
        first, second = ([evaluate_model(model, one) for one in data] for model in models)
        return list(zip(first, second, strict=True))

    def _opened(self, model: ModelSource | None) -> OpenedModel:
        """Open a model; ``None`` is the one that was trained last."""
        chosen = model if model is not None else self._model_path
        assert chosen is not None  # noqa: S101 - asked before
        return open_model(chosen, self._chosen_settings(), registry=self._registry)

    def _base(self) -> OpenedModel:
        """Open the base model: that of the last run, also when another version of it is in production by now."""
        settings = self._chosen_settings()
        config = self.config.resolved(settings)
        name = cast("str", self._trained_from or config.base_model_name)  # it is there once a config is resolved
        if self._model_loader is None:
            return open_model(name, settings, registry=self._registry)
        model = self._model_loader(config)
        return OpenedModel(name, SentenceTransformerEncoder(settings, model_name=name, model=model))
