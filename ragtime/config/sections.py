"""The sections of the settings: plain frozen models, one a concern.

A section reads nothing by itself; ``ragtime.config.settings.Settings`` fills it. Every field says its unit.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from ragtime.records.base import Frozen

__all__ = [
    "ConPortSettings",
    "ConversationSettings",
    "EmbeddingSettings",
    "FineTuningSettings",
    "LLMSettings",
    "LearningSettings",
    "LoggingSettings",
    "Section",
    "TemplateSettings",
    "TrainingDataSettings",
]


def _without_blanks(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


def _server_url(url: str) -> str:
    # Credentials in a URL would travel into logs, dumps and error texts, where no SecretStr hides them.
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError("is not an address") from None  # the original text quotes the address
    if not whole or not url.isprintable() or any(character.isspace() for character in url):
        raise ValueError("must be an absolute http:// or https:// address")
    if "@" in unicodedata.normalize("NFKC", parts.netloc) or parts.query or parts.fragment:
        raise ValueError("must not hold a user name, a password or a query; give the key in api_key")
    return url.rstrip("/")


def _api_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not text or not text.isprintable() or not text.isascii():  # it travels in a header
        raise ValueError("must be one line of ASCII, and not blank")
    if set(text) == {"*"}:
        raise ValueError("is the mask of a key, not the key")
    return SecretStr(text)


def _upper(level: object) -> object:
    return level.upper() if isinstance(level, str) else level


Name = Annotated[str, AfterValidator(_without_blanks)]
ServerUrl = Annotated[str, AfterValidator(_server_url)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
OpenShare = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
Rating = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]


class Section(Frozen):
    """Base of all sections: frozen, nothing unknown, and no value of a field in an error text."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class EmbeddingSettings(Section):
    """The model that turns texts into vectors."""

    provider: Literal["sentence-transformers", "openai"] = Field(
        default="sentence-transformers",
        description="What computes the vectors: a local model, or a server with an OpenAI-compatible endpoint.",
    )
    model_name: Name = Field(
        default="all-MiniLM-L6-v2",
        description="A local folder, `registry:NAME`, a bundled model, or a name on the hub; with a server, its model.",
    )
    device: Device = Field(
        default="auto", description="Where a local model runs: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`."
    )
    dtype: Dtype = Field(default="auto", description="Precision of a local model's weights.")
    batch_size: Positive = Field(default=32, description="Texts per forward pass or request.")
    base_url: ServerUrl | None = Field(
        default=None, description="Address of the server, such as http://localhost:11434/v1."
    )
    api_key: ApiKey | None = Field(default=None, description="Key for the server.")
    timeout_seconds: Seconds = Field(default=60.0, description="Limit for one batch, retries included, in seconds.")
    max_retries: NotNegative = Field(default=2, description="Further tries after a failure that may pass.")
    cache_max_bytes: NotNegative = Field(
        default=1_000_000_000,
        description="Limit of the embedding cache on disk, in bytes; the least recently used go first; 0: no cache.",
    )


class LLMSettings(Section):
    """The model that writes text: summaries, paraphrases, questions. Nothing in ragtime needs one."""

    provider: Literal["openai", "transformers"] = Field(
        default="openai", description="A server with an OpenAI-compatible endpoint, or a local causal model."
    )
    model_name: Name | None = Field(default=None, description="Name of the model; without one no text is generated.")
    base_url: ServerUrl | None = Field(
        default=None, description="Address of the server, such as http://localhost:11434/v1."
    )
    api_key: ApiKey | None = Field(default=None, description="Key for the server.")
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        default=0.3, description="Sampling temperature, 0 to 2."
    )
    max_tokens: Positive = Field(default=1024, description="Longest answer, in tokens.")
    timeout_seconds: Seconds = Field(default=120.0, description="Limit for one answer, in seconds.")
    max_retries: NotNegative = Field(default=2, description="Further tries after a failure that may pass.")


class ConversationSettings(Section):
    """The memory of conversations."""

    store: Literal["sqlite", "memory"] = Field(default="sqlite", description="Where turns rest.")
    durability: Literal["normal", "full"] = Field(
        default="normal",
        description="`normal`: an acknowledged turn survives the process's death; `full`: the machine's, too.",
    )
    window_tokens: Positive = Field(default=4096, description="Budget of a conversation's window, in tokens.")
    recall_top_k: Positive = Field(default=5, description="Turns that a recall returns.")
    summary_strategy: Literal["extractive", "recent", "rolling", "hierarchical", "abstractive"] = Field(
        default="extractive", description="How a conversation is summarised."
    )
    summary_max_tokens: Positive = Field(default=500, description="Longest summary, in tokens.")
    summary_fan_out: Annotated[int, Field(ge=2)] = Field(
        default=16,
        description="Turns in a segment of a hierarchical summary, and segments in the next larger one; also the turns "
        "after which the notes of a rolling summary are brought up to date.",
    )
    summary_depth: Positive = Field(
        default=4, description="Levels of a hierarchical summary, itself included; 1: it is made of the turns."
    )


class TemplateSettings(Section):
    """Prompts and pages."""

    directory: Path | None = Field(
        default=None,
        description="Folder of your own `prompts/*.json` and `pages/*.html`; they win over the packaged ones.",
    )
    locale: Name = Field(default="en", description="Locale of the prompts chosen when a call names none.")
    cache_size: Positive = Field(default=256, description="Compiled templates kept in memory.")
    max_output_characters: Positive = Field(default=5_000_000, description="Longest rendered text, in characters.")
    max_steps: Positive = Field(
        default=200_000, description="Most loop iterations and items in one rendering; calling a macro counts ten."
    )
    timeout_seconds: Seconds = Field(default=5.0, description="Limit for one rendering, in seconds.")
    auto_reload: bool = Field(
        default=False, description="Whether changed files are noticed at each use, as for development, or by `reload`."
    )


class TrainingDataSettings(Section):
    """How turns and ratings become training examples."""

    positive_rating: Rating = Field(default=4.0, description="A rating of at least this counts as good, in stars.")
    negative_rating: Rating = Field(default=2.0, description="A rating of at most this counts as bad, in stars.")
    min_query_characters: Positive = Field(default=3, description="Shortest query kept, in characters.")
    max_passage_characters: Positive = Field(default=4000, description="Longest passage kept, in characters.")
    max_examples_per_query: Positive = Field(default=5, description="Most examples made from one query.")
    retriever: Literal["bm25", "dense"] = Field(
        default="bm25",
        description="How passages are searched when no encoder is given: by words, or by the model of `embedding`.",
    )
    round_trip_rank: NotNegative = Field(
        default=20,
        description="Worst rank at which a query may find its own passage; examples beyond it fall; 0: not checked.",
    )
    duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.8, description="Share of common word groups from which two examples count as duplicates, 0 to 1."
    )
    workers: Positive = Field(default=1, description="Worker threads; their number changes no byte of the result.")

    @model_validator(mode="after")
    def _bad_is_below_good(self) -> Self:
        if self.negative_rating >= self.positive_rating:
            raise ValueError("negative_rating must be below positive_rating")
        return self


class FineTuningSettings(Section):
    """How the retrieval model is trained."""

    base_model_name: Name | None = Field(default=None, description="Model to start from; none: `embedding.model_name`.")
    strategy: Literal["full", "lora", "adapter", "quantized"] = Field(
        default="full", description="Which weights are trained, and how."
    )
    adapter_method: Literal["head", "ia3", "loha", "lokr", "oft"] = Field(
        default="head",
        description="Strategy `adapter`: a linear map after pooling, trained on cached embeddings, or an adapter of "
        "this kind inside the encoder.",
    )
    adapter_query_only: bool = Field(
        default=False,
        description="Strategy `adapter` with `head`: map queries only, so that indexed documents stay valid.",
    )
    lora_rank: Positive = Field(default=16, description="Rank of the added matrices, of `lora`, `loha` and `lokr`.")
    lora_alpha: Positive | None = Field(
        default=None, description="Scale of the added matrices, divided by their rank; none: twice the rank."
    )
    frozen_layers: NotNegative | None = Field(
        default=None,
        description="Strategies `full` and `quantized`: leave the word embeddings and so many of the lower layers as "
        "they are; 0: the embeddings alone; none: train everything.",
    )
    loss_function: Literal["auto", "info_nce", "cosent", "contrastive", "margin_mse", "kl_divergence"] = Field(
        default="auto", description="The loss; `auto`: the one that suits the shape of the data."
    )
    temperature: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = Field(
        default=0.05, description="What similarities are divided by in `info_nce`, `cosent` and `kl_divergence`."
    )
    false_negative_margin: Annotated[float, Field(ge=-1.0, le=1.0)] | None = Field(
        default=None,
        description="Leave candidates of other rows out of the loss that score higher than the response minus this; "
        "none: only those that are known to be answers.",
    )
    matryoshka_dimensions: tuple[Positive, ...] = Field(
        default=(),
        description="Shorter lengths of the vectors that are trained besides the whole, such as 256 and 128.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(default="adamw", description="The optimizer.")
    momentum: Share = Field(default=0.9, description="Momentum of `sgd`.")
    weight_decay: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        default=0.01, description="Decay of the weight matrices; biases and norms are left alone."
    )
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        default="linear", description="Course of the learning rate after warm-up."
    )
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = Field(
        default=None, description="Peak learning rate; none: the default of the strategy, or of `frozen_layers`."
    )
    warmup_steps: NotNegative | None = Field(
        default=None,
        description="Steps in which the learning rate rises, at most a tenth of the run; none: that tenth.",
    )
    max_grad_norm: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = Field(
        default=1.0, description="Longest gradient; none: not clipped."
    )
    num_epochs: Positive = Field(default=1, description="Passes over the training data.")
    batch_size: Positive = Field(default=64, description="Pairs per batch; each is compared with all others in it.")
    gradient_accumulation_steps: Positive = Field(default=1, description="Batches per optimizer step.")
    gradient_cache: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Compute large batches in parts, at the cost of a second forward pass; `auto`: when memory asks "
        "for it.",
    )
    max_seq_length: Positive | None = Field(
        default=None, description="Longest text, in tokens, in training and in use; none: the model's own."
    )
    dropout: Share | None = Field(default=None, description="Dropout in training, 0 to 1; none: the model's own.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Precision of the passes; the weights stay float32; `auto`: what the device is fast at.",
    )
    query_prompt: str | None = Field(
        default=None, description="Text put before queries, in training and in use; none: the model's own."
    )
    passage_prompt: str | None = Field(
        default=None, description="Text put before passages, in training and in use; none: the model's own."
    )
    validation_split: Share = Field(default=0.1, description="Share of the data held out for validation, 0 to 1.")
    validation_metric: Name = Field(
        default="ndcg@10",
        description="Figure of the validation data that chooses the best step, such as `mrr@10`, `recall@5` or `loss`.",
    )
    early_stopping_patience: Positive = Field(
        default=3, description="Evaluations without improvement before training stops."
    )
    early_stopping_min_change: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        default=0.0, description="Least change of the figure that counts as improvement."
    )
    evaluation_steps: Positive | None = Field(
        default=None, description="Steps between evaluations; none: once an epoch."
    )
    save_steps: Positive | None = Field(default=None, description="Steps between checkpoints; none: at evaluations.")
    interpolation: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: where a general check falls after training, search the line between base and tuned "
        "weights for the best model that wins it back; `off`: keep the tuned weights.",
    )
    general_data: Path | None = Field(
        default=None,
        description="Questions of that check: a folder in the layout of BEIR, or a file of examples; none: those of "
        "the packaged sample.",
    )
    random_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        default=None, description="Seed of the run; none: `seed`."
    )
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = Field(
        default=(), description="Where figures are reported besides the log."
    )
    output_dir: Path | None = Field(
        default=None, description="Folder for trained models; none: `models` in `data_dir`."
    )


class LearningSettings(Section):
    """When and on what the learning loop trains."""

    min_training_pairs: Positive = Field(default=200, description="With fewer training pairs nothing is trained.")
    min_held_out_questions: Positive = Field(
        default=100, description="With fewer held-out questions nothing is trained, for no gate could see a rise."
    )
    held_out_share: OpenShare = Field(
        default=0.2, description="Share of the examples that is held out for the gate, above 0 and below 1."
    )
    validation_share: OpenShare = Field(
        default=0.1, description="Share of the examples that chooses the best step, above 0 and below 1."
    )
    made_up_per_passage: NotNegative = Field(
        default=2, description="Most questions that are made up for a passage, on average; 0: none."
    )
    shown_examples: Positive = Field(
        default=10, description="Examples kept, examples rejected, questions won and questions lost in the report."
    )

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.held_out_share + self.validation_share >= 1:
            raise ValueError("held_out_share and validation_share must leave something to train on")
        return self


class ConPortSettings(Section):
    """Where decisions and progress of training runs are logged."""

    mode: Literal["embedded", "server", "off"] = Field(
        default="embedded", description="JSON records in `data_dir`, a Context Portal server, or nothing."
    )
    command: Name | None = Field(
        default=None,
        description="Command line that starts the server over stdio; put keys into the environment, not here.",
    )
    url: ServerUrl | None = Field(default=None, description="Address of a server reached over HTTP.")
    workspace_id: Name | None = Field(
        default=None, description="Workspace of the records; none: the working directory."
    )
    timeout_seconds: Seconds = Field(default=10.0, description="Limit for one call to the server, in seconds.")


class LoggingSettings(Section):
    """What ``ragtime.monitoring.logging.configure_logging`` does when its arguments leave it open."""

    level: Level = Field(default="INFO", description="Least severe level that is shown.")
    format: Literal["console", "json"] = Field(
        default="console", description="Lines for people, or one JSON object a line."
    )
    progress: Literal["auto", "bar", "lines", "off"] = Field(
        default="auto",
        description="How long work shows its progress; `auto`: a bar on a terminal, else log lines.",
    )
