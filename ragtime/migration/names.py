"""The one table that says where each old name went.

The wrappers, their warnings, the codemod and the page on migration are all checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "EXPORTED_TOO",
    "NAMES",
    "OLD_MODULES",
    "REMOVED_IN",
    "SINCE",
    "Kind",
    "OldName",
    "find_old_name",
    "wrapper_of",
]

Kind = Literal["class", "function", "constant"]

SINCE = "1.0.0"
"""The version from which the old names are deprecated."""
REMOVED_IN = "2.0.0"
"""The version in which the wrappers are gone."""


@dataclass(frozen=True)
class OldName:
    """Where a name of an old module went, and what changes where it is used.

    Attributes:
        module: The old module, such as ``conversation``; ``conversation_compat`` wraps it.
        name: The name in it.
        kind: What it is; constants are read without a warning.
        new: Dotted path of what stands for it now.
        change: What changes at a call site, in a sentence or two.
        since: The version from which it is deprecated.
        removed_in: The version in which it is gone.
    """

    module: str
    name: str
    kind: Kind
    new: str
    change: str
    since: str = SINCE
    removed_in: str = REMOVED_IN

    @property
    def wrapper(self) -> str:
        """The module that has the name now."""
        return wrapper_of(self.module)

    @property
    def new_module(self) -> str:
        """The module part of `new`: what stands before its class, or before its function."""
        parts = self.new.split(".")
        first = next((place for place, part in enumerate(parts) if part[0].isupper()), len(parts) - 1)
        return ".".join(parts[:first])

    @property
    def new_name(self) -> str:
        """What stands for it, as it is written after its module: ``Conversation`` or ``PromptManager.get_prompt``."""
        return self.new.removeprefix(f"{self.new_module}.")


def wrapper_of(module: str) -> str:
    """Return the name of the module that wraps an old one."""
    return f"{module}_compat"


def find_old_name(module: str, name: str) -> OldName | None:
    """Return the entry of a name.

    Args:
        module: The old module, or its wrapper.
        name: The name in it.

    Returns:
        The entry; ``None`` when the old module had no such name.
    """
    return _BY_NAME.get((module.removesuffix("_compat"), name))


_CONVERSATION = "ragtime.services.conversation"
_TEMPLATES = "ragtime.utils.templates"
_DATA = "ragtime.services.training_data_gen"
_TUNING = "ragtime.services.model_finetuner"
_CONPORT = "ragtime.storage.conport"

NAMES: tuple[OldName, ...] = (
    OldName(
        "conversation", "Interaction", "class", f"{_CONVERSATION}.Interaction",
        "One turn with a role takes the place of a question and its answer: `query` is the content of a user's turn, "
        "`response` that of the assistant's turn after it, `timestamp` is `created_at`.",
    ),
    OldName(
        "conversation", "Conversation", "class", f"{_CONVERSATION}.Conversation",
        "`add_interaction(query, response, ids, metadata)` is `add_exchange(query, response, document_ids=ids, "
        "metadata=metadata)`, which takes no empty text; `get_interactions()` takes the place of `history`, its "
        "`where` and `search` that of the searches. `EnhancedConversation` has what summarises; for `clear`, begin a "
        "new one.",
    ),
    OldName(
        "conversation", "get_conversation_from_session", "function",
        f"{_CONVERSATION}.ConversationManager.get_conversation",
        "Keep the id in the session, and get the conversation from the manager; where there is no id yet, "
        "`create_conversation()` makes one.",
    ),
    OldName(
        "conversation", "update_conversation_in_session", "function",
        f"{_CONVERSATION}.ConversationManager.save_conversation",
        "Leave it out: what is added to a conversation of the manager is stored at once.",
    ),
    OldName(
        "conversation", "clear_conversation_in_session", "function",
        f"{_CONVERSATION}.ConversationManager.delete_conversation",
        "Take the id out of the session, and delete the conversation by it.",
    ),
    OldName(
        "conversation_embedder", "ConversationEmbedder", "class", f"{_CONVERSATION}.ConversationEmbedder",
        "The model is that of `settings.embedding`; arrays come back, and a failure raises `BackendError` instead of "
        "giving zeros. `embed_interaction` takes a turn; unit vectors are compared by `first @ second`, many by "
        "`ragtime.storage.vectors.VectorIndex`.",
    ),
    OldName(
        "conversation_summarizer", "ConversationSummarizer", "class", f"{_CONVERSATION}.ConversationSummarizer",
        "The model is that of `settings.llm`, and is asked only by `strategy=\"abstractive\"`; `max_tokens` is a bound "
        "that holds, and a `Summary` comes back, whose `str()` is the text.",
    ),
    OldName(
        "enhanced_conversation", "EnhancedConversation", "class", f"{_CONVERSATION}.EnhancedConversation",
        "`get_relevant_interactions` gives turns, by words and meaning, and raises when the model fails; "
        "`is_follow_up` is the old `is_follow_up_question`, `build_context` tells a model what matters, `summarize()` "
        "sums up. Vectors are not in `to_dict()`.",
    ),
    OldName(
        "enhanced_conversation", "get_enhanced_conversation_from_session", "function",
        f"{_CONVERSATION}.ConversationManager.get_conversation",
        "Keep the id in the session; the manager keeps the conversation with its embeddings.",
    ),
    OldName(
        "enhanced_conversation", "update_enhanced_conversation_in_session", "function",
        f"{_CONVERSATION}.ConversationManager.save_conversation",
        "Leave it out: what is added to a conversation of the manager is stored at once.",
    ),
    OldName(
        "template_manager", "TemplateManager", "class", f"{_TEMPLATES}.TemplateManager",
        "Prompts are files of their own in a folder, with declared variables; `compose(style, query_type, params)` is "
        "the old `get_prompt`: it raises `TemplateVariableError` when a variable is missing, and its `messages` keep "
        "the system instruction apart.",
    ),
    OldName(
        "template", "get_template_path", "function", f"{_TEMPLATES}.HTMLTemplateManager",
        "Pages lie in folders that the settings name; there is no single path.",
    ),
    OldName(
        "template", "load_html_template", "function", f"{_TEMPLATES}.HTMLTemplateManager.render",
        "`render(name, **values)` reads and fills the page; one that is not there raises `TemplateNotFoundError`.",
    ),
    OldName(
        "prompts", "DEFAULT_TEMPLATES", "constant", f"{_TEMPLATES}.PromptManager",
        "The packaged prompts are files; `get_prompt(name, **values)` fills one.",
    ),
    OldName(
        "prompts", "get_templates_file", "function", f"{_TEMPLATES}.PromptManager",
        "Prompts lie in folders that the settings name; there is no single file.",
    ),
    OldName(
        "prompts", "load_templates", "function", f"{_TEMPLATES}.PromptManager",
        "The manager reads prompts when they are asked for, and writes no file by itself.",
    ),
    OldName(
        "prompts", "get_template", "function", f"{_TEMPLATES}.PromptManager.get_prompt",
        "`get_prompt(name, **values)` gives the filled text; an unknown name raises `TemplateNotFoundError`.",
    ),
    OldName(
        "training_data_generator", "TrainingPair", "class", f"{_DATA}.TrainingExample",
        "`document` is `response`, and `rating` and `pair_type` go into `metadata`; what a query should not find has "
        "label 0, or stands in `negatives` of the example. Examples cannot be changed, and blank texts are refused.",
    ),
    OldName(
        "training_data_generator", "TrainingDataGenerator", "class", f"{_DATA}.TrainingDataGenerator",
        "`documents=` takes what was `chroma_db`, `feedback=` the records that the client finds, and "
        "`settings.training_data` has the thresholds; `iter_training_data()` gives all examples that can be made, "
        "`generate_training_data(count)` just so many, `validate(examples)` judges them, and "
        "`export_training_data(examples, path)` writes one file, with labels when `shape` is `labelled_pairs`. "
        "Failures raise.",
    ),
    OldName(
        "training_data_generator", "create_training_data_generator", "function", f"{_DATA}.TrainingDataGenerator",
        "Call the class.",
    ),
    OldName(
        "model_finetuner", "FineTuningConfig", "class", f"{_TUNING}.FineTuningConfig",
        "`output_model_path` is `output_dir`, `use_amp=False` is `precision=\"float32\"`, and losses are `auto`, "
        "`info_nce` and `contrastive`. It is frozen, has other defaults, and refuses wrong values when it is made.",
    ),
    OldName(
        "model_finetuner", "TrainingMetrics", "class", f"{_TUNING}.FineTuningMetrics",
        "One object tells a whole run: `train_loss` is the `loss` of one of its `epochs`, `eval_cosine_accuracy` is "
        "`figures[\"accuracy@1\"]` of one of its `evaluations`.",
    ),
    OldName(
        "model_finetuner", "ModelFineTuner", "class", f"{_TUNING}.ModelFineTuner",
        "`train(dataset, eval_dataset)` takes paths and examples, loads the base model and holds validation data out "
        "itself, and raises on failure; `evaluate(data, model=path)` measures. Models are kept by `ModelRegistry`.",
    ),
    OldName(
        "model_finetuner", "create_model_finetuner", "function", f"{_TUNING}.ModelFineTuner",
        "Call the class.",
    ),
    OldName(
        "model_finetuner", "quick_finetune", "function", f"{_TUNING}.ModelFineTuner.train",
        "Call `ModelFineTuner(FineTuningConfig(base_model_name=…, output_dir=…)).train(path)`.",
    ),
    OldName(
        "model_finetuner", "SENTENCE_TRANSFORMERS_AVAILABLE", "constant", "ragtime.errors.MissingExtraError",
        "Leave the question out: a missing package is an error that names what to install.",
    ),
    OldName(
        "conport_client", "ConPortClient", "class", f"{_CONPORT}.JsonDecisionLog",
        "`log_custom_data` returns a reference, `custom_data(category)` reads, and failures raise `StorageError`; the "
        "records of `.conport_local` are not read, and there is no search by words.",
    ),
    OldName(
        "conport_client", "get_conport_client", "function", f"{_CONPORT}.open_decision_log",
        "Open the log once, and pass it on.",
    ),
    OldName(
        "conport_client", "initialize_conport_client", "function", f"{_CONPORT}.open_decision_log",
        "Open the log once, and pass it on.",
    ),
)  # fmt: skip
"""Every name that an old module had, in the order of the modules."""
OLD_MODULES: tuple[str, ...] = tuple(dict.fromkeys(entry.module for entry in NAMES))
"""The old modules; each has a wrapper."""
EXPORTED_TOO: dict[str, tuple[str, ...]] = {
    "conversation": (
        "enhanced_conversation.EnhancedConversation",
        "conversation_embedder.ConversationEmbedder",
        "conversation_summarizer.ConversationSummarizer",
        f"{_CONVERSATION}.ConversationManager",
    ),
    "template_manager": (f"{_TEMPLATES}.PromptManager",),
    "template": (f"{_TEMPLATES}.HTMLTemplateManager",),
    "prompts": (f"{_TEMPLATES}.PromptManager",),
    "training_data_generator": (f"{_DATA}.TrainingExample", f"{_DATA}.GenerationMetrics"),
    "model_finetuner": (f"{_TUNING}.FineTuningMetrics",),
}
"""What else the wrapper of a module has: names of other old modules, and names of ragtime as they are."""
_BY_NAME = {(entry.module, entry.name): entry for entry in NAMES}
