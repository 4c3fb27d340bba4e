"""What the old classes had, and what takes its place: what the codemod looks for, and what it says of it.

A member that the new class has with the same meaning stands in no table: its uses stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "FAMILIES",
    "HINTS",
    "MEMBERS",
    "NEW_PARAMETERS",
    "RETURNS",
    "SUBCLASSES",
    "ClassName",
    "Member",
    "find_member",
]


class ClassName(NamedTuple):
    """An old class.

    Attributes:
        module: Its module, without ``_compat``.
        name: Its name.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Member:
    """An attribute or method that an old class had, and that is gone or different now.

    Attributes:
        name: Its name.
        change: What takes its place.
        returns: What it is or returns, as far as that needs changes, too: an old class, ``[…]`` for several objects of
            one, ``changed`` for a value of another shape; empty for what stays as it is.
        new_keywords: Keywords that only the new method of this name has: with one of them a call is a new one.
    """

    name: str
    change: str
    returns: str = ""
    new_keywords: frozenset[str] = frozenset()

    @property
    def is_distinctive(self) -> bool:
        """Whether the name tells by itself that an old class is meant."""
        return self.name not in _FAMILIAR | _COMMON

    @property
    def is_familiar(self) -> bool:
        """Whether the name tells that an old class is meant, in a text that imports what makes such objects."""
        return self.name not in _COMMON


_FAMILIAR = frozenset(
    """
    document embed_query eval_loss get_feedback_data get_history get_prompt get_summary history interaction_embeddings
    log_custom_data query rating response timestamp train_loss training_history use_amp
    """.split()
)
_COMMON = frozenset(
    """
    base_model_name base_url batch_size clear config document_ids embedder embedding_model embeddings epoch
    evaluation_steps get_workspace_id is_available label learning_rate llm loss_function max_seq_length metadata
    min_query_length model num_epochs random_seed save_steps summarize summary templates to_dict validation_split
    warmup_steps workspace_id
    """.split()
)
"""Names that much else has, too: found on a value of unknown type, they mean nothing without a further sign."""

_CONVERSATION = ClassName("conversation", "Conversation")
_INTERACTION = ClassName("conversation", "Interaction")
_ENHANCED = ClassName("enhanced_conversation", "EnhancedConversation")
_EMBEDDER = ClassName("conversation_embedder", "ConversationEmbedder")
_SUMMARIZER = ClassName("conversation_summarizer", "ConversationSummarizer")
_TEMPLATES = ClassName("template_manager", "TemplateManager")
_PAIR = ClassName("training_data_generator", "TrainingPair")
_GENERATOR = ClassName("training_data_generator", "TrainingDataGenerator")
_CONFIG = ClassName("model_finetuner", "FineTuningConfig")
_METRICS = ClassName("model_finetuner", "TrainingMetrics")
_TUNER = ClassName("model_finetuner", "ModelFineTuner")
_CONPORT = ClassName("conport_client", "ConPortClient")

_TURNS = "[conversation.Interaction]"
_PAIRS = "[training_data_generator.TrainingPair]"
_NO_CACHE = "Leave it out: there is no cache to look into."
_THRESHOLD = "The section `training_data` of the settings holds what the generator goes by."

_CONVERSATION_MEMBERS = (
    Member(
        "add_interaction",
        "`add_exchange(query, response, document_ids=…, metadata=…)` adds a question and its answer, "
        "`add_interaction(role, content)` one turn; neither takes an empty text.",
        new_keywords=frozenset({"role", "content"}),
    ),
    Member(
        "history",
        "`get_interactions()` gives the turns, each with a role and a content; a question and its answer are two of "
        "them, and `len(conversation) > 0` tells whether there are any.",
        _TURNS,
    ),
    Member(
        "get_history",
        "`get_interactions()` gives the turns, each with a role and a content; a question and its answer are two.",
        _TURNS,
    ),
    Member("clear", "Turns are only ever added: begin a new conversation."),
    Member(
        "get_last_interaction",
        "`get_interactions(last=2)` gives the last question and its answer, an empty list when there is none.",
        f"{_INTERACTION}",
    ),
    Member("get_last_n_interactions", "`get_interactions(last=2 * n)` gives n questions and their answers.", _TURNS),
    Member(
        "find_interactions_by_query_keywords",
        '`search(words, role="user")` finds questions by their words, the best first.',
        _TURNS,
    ),
    Member(
        "find_interactions_by_metadata",
        "`get_interactions(where={…})` finds turns by metadata; `add_exchange` gives it to the answer.",
        _TURNS,
    ),
    Member("get_generated_content", 'Join the contents of `get_interactions(role="assistant")`.'),
    Member(
        "get_most_relevant_content",
        "`EnhancedConversation.build_context(query)` puts together what a model has to know; `recall(query)` finds "
        "single turns.",
    ),
    Member("is_follow_up_question", "`EnhancedConversation.is_follow_up(query)`, which goes by other words."),
    Member(
        "get_summary",
        "`str(conversation.summarize(max_tokens=…))` of an `EnhancedConversation`, or `ConversationSummarizer`.",
    ),
    Member("to_dict", "It gives turns in another shape, which `from_dict` reads beside the old one.", "changed"),
)

MEMBERS: Mapping[ClassName, tuple[Member, ...]] = {
    _CONVERSATION: _CONVERSATION_MEMBERS,
    _INTERACTION: (
        Member("query", 'It is the `content` of the turn whose `role` is "user".'),
        Member("response", 'It is the `content` of the turn whose `role` is "assistant".'),
        Member("timestamp", "It is `created_at`, a datetime in UTC."),
        Member("document_ids", 'It is a tuple, of the turn whose `role` is "assistant".'),
        Member("metadata", 'It is that of the turn whose `role` is "assistant", and cannot be changed.'),
    ),
    _ENHANCED: (
        *_CONVERSATION_MEMBERS,
        Member("embedder", "It is given to the constructor, and cannot be exchanged.", f"{_EMBEDDER}"),
        Member("interaction_embeddings", "Leave it out: embeddings are kept behind `recall`."),
        Member("summary", "`str(conversation.summarize())` gives one that is up to date."),
        Member("summary_updated_at", "Leave it out: a summary is of the turns that there are."),
        Member("get_relevant_interactions", "It gives turns, each with a role and a content.", _TURNS),
    ),
    _EMBEDDER: (
        Member("model", "The setting `embedding.model_name` chooses the model."),
        Member("base_url", "The section `embedding` of the settings names the server."),
        Member("embeddings", "It is `encoder`, whose `encode(texts)` embeds."),
        Member("embed_query", "It gives a numpy array of unit length, and raises when the model fails."),
        Member("embed_interaction", "It takes one turn, and gives a numpy array of unit length."),
        Member("cosine_similarity", "Vectors have unit length: `float(a @ b)`."),
        Member("find_most_similar", "`EnhancedConversation.recall(query, top_k)` finds turns; or sort by `a @ b`."),
    ),
    _SUMMARIZER: (
        Member("model", "The section `llm` of the settings chooses the model."),
        Member("base_url", "The section `llm` of the settings names the server."),
        Member("llm", "It is the argument `generator` of the constructor."),
        Member(
            "summarize",
            "`str(summarizer.summarize(conversation, max_tokens=…))`: a `Summary` comes back, and the limit holds.",
            "changed",
            frozenset({"strategy", "depth", "degrade"}),
        ),
    ),
    _TEMPLATES: (
        Member("templates_path", "Prompts lie in the folder of the setting `templates.directory`."),
        Member("templates", "`prompts.list_prompts()` names the prompts, and `prompts.get(name)` gives one."),
        Member("using_legacy", "Leave it out: there is one format."),
        Member("get_legacy_template", "`get_prompt(name, **values)` gives the filled text."),
        Member("get_system_instruction", "It is the first of `compose(style, query_type, params).messages`."),
        Member(
            "get_prompt",
            "`compose(style, query_type, params)`, which fills in the question, too; `get_prompt(name, **values)` "
            "fills a prompt by its name.",
            "changed",
        ),
    ),
    _PAIR: (
        Member("document", "It is `response`."),
        Member("rating", "Keep it in `metadata`."),
        Member("pair_type", "`label` tells positive from negative; hard negatives are `negatives` of an example."),
        Member("metadata", "It cannot be changed."),
    ),
    _GENERATOR: (
        *(
            Member(name, _THRESHOLD)
            for name in (
                *("positive_rating_threshold", "negative_rating_threshold", "hard_negative_similarity_threshold"),
                *("min_query_length", "max_pairs_per_query"),
            )
        ),
        *(Member(name, _NO_CACHE) for name in ("feedback_cache", "document_cache", "similarity_cache")),
        Member("conport_client", "Ratings are the argument `feedback` of the constructor."),
        Member("workspace_id", "Ratings are the argument `feedback` of the constructor."),
        Member("chroma_db", "Documents are the argument `documents` of the constructor."),
        Member("embedding_model", "The argument `encoder` of the constructor embeds."),
        Member("get_feedback_data", "Ratings are the argument `feedback` of the constructor.", "changed"),
        Member("get_document_content", "Documents are the argument `documents` of the constructor.", "changed"),
        Member("generate_positive_pairs", "`generate_training_data(count)` makes examples of the ratings.", _PAIRS),
        Member("generate_negative_pairs", "`add_negatives(examples)` finds negatives, bad ratings first.", _PAIRS),
        Member("generate_hard_negative_pairs", "`add_negatives(examples)` finds hard negatives.", _PAIRS),
        Member("validate_training_data", "`validate(examples)` gives a report.", "changed"),
        Member(
            "export_training_data",
            "`export_training_data(examples, path)` writes one file by its suffix, and gives a report; "
            '`shape="labelled_pairs"` keeps labels.',
            "changed",
            frozenset({"examples", "path", "format", "shape", "safe_for_spreadsheets"}),
        ),
        Member(
            "generate_training_data",
            "`generate_training_data(count)` returns examples, `iter_training_data()` all that can be made, and "
            "neither writes a file; `metrics` tells of the run, `export_training_data(examples, path)` writes them.",
            "changed",
            frozenset({"count", "strategy", "validation"}),
        ),
    ),
    _CONFIG: (
        Member("output_model_path", "It is `output_dir`."),
        Member("use_amp", '`precision` is "auto" or "float32".'),
        Member("loss_function", '`loss_function` is "cosent", "info_nce" or "contrastive", or "auto".'),
        *(
            Member(name, "It is given when the config is made, and cannot be changed.")
            for name in (
                *("base_model_name", "batch_size", "num_epochs", "learning_rate", "warmup_steps", "evaluation_steps"),
                *("save_steps", "max_seq_length", "early_stopping_patience", "validation_split", "random_seed"),
            )
        ),
    ),
    _METRICS: (
        Member("epoch", "`FineTuningMetrics.epochs` has one record an epoch."),
        Member("train_loss", "It is the `loss` of one of `FineTuningMetrics.epochs`."),
        Member("eval_loss", "`FineTuningMetrics.evaluations` have the figures by name."),
        *(
            Member(f"eval_{kind}_accuracy", '`FineTuningMetrics.evaluations` have `figures["accuracy@1"]`.')
            for kind in ("cosine", "manhattan", "euclidean")
        ),
        Member("timestamp", "Leave it out."),
    ),
    _TUNER: (
        Member("config", "A `FineTuningConfig` cannot be changed once it is made.", f"{_CONFIG}"),
        Member("model", "`train` loads the base model; `ModelFineTuner.load(path)` gives a tuned one."),
        Member("training_history", "`FineTuningMetrics`, which `train` returns, tells of a run.", "changed"),
        Member("best_model_path", "It is `model_path`."),
        Member("best_eval_score", "`FineTuningMetrics.validation` has the figures."),
        Member("load_base_model", "Leave it out: `train` loads the model `base_model_name`."),
        Member(
            "load_training_data",
            "Leave it out: `train(path)` reads exports, and holds out `validation_split` of them.",
            "changed",
        ),
        Member("create_loss_function", "`FineTuningConfig(loss_function=…)` chooses the loss."),
        Member("create_evaluator", "Leave it out: `train` measures the data it has held out."),
        Member(
            "fine_tune_model",
            "`train(dataset, eval_dataset)` returns `FineTuningMetrics` with `model_path`, and raises on failure.",
            "changed",
        ),
        Member(
            "evaluate_model",
            "`evaluate(data, model=path)` measures a model on examples or judged questions, and raises on failure.",
            "changed",
        ),
        Member("convert_to_ollama_format", "`export(folder, model=path)` writes a folder to be served.", "changed"),
        Member(
            "list_available_models", "`ragtime.storage.registry.ModelRegistry` keeps versions of models.", "changed"
        ),
        Member("delete_model", "Remove its folder, `metrics.model_path`."),
    ),
    _CONPORT: (
        Member("workspace_id", "Records are of the folder that the log was opened with."),
        Member("is_available", "Leave it out: a log that is open takes records."),
        Member("log_custom_data", "It takes category, key and value, returns a reference, and raises on failure."),
        Member("search_custom_data_value_fts", "`custom_data(category)` gives the records of a category.", "changed"),
        Member("get_workspace_id", "Records are of the folder that the log was opened with."),
        Member("is_client_available", "Leave it out: a log that is open takes records."),
    ),
}
"""What each old class had that needs a change, with what it had from its base."""

RETURNS: Mapping[tuple[str, str], str] = {
    ("conversation", "get_conversation_from_session"): f"{_CONVERSATION}",
    ("enhanced_conversation", "get_enhanced_conversation_from_session"): f"{_ENHANCED}",
    ("template", "get_template_path"): "changed",
    ("template", "load_html_template"): "changed",
    ("prompts", "get_templates_file"): "changed",
    ("prompts", "load_templates"): "changed",
    ("prompts", "get_template"): "changed",
    ("training_data_generator", "create_training_data_generator"): f"{_GENERATOR}",
    ("model_finetuner", "create_model_finetuner"): f"{_TUNER}",
    ("model_finetuner", "quick_finetune"): "changed",
    ("conport_client", "get_conport_client"): f"{_CONPORT}",
    ("conport_client", "initialize_conport_client"): f"{_CONPORT}",
}
"""What the old functions returned, as in `Member.returns`."""

SUBCLASSES: frozenset[ClassName] = frozenset(
    {_CONVERSATION, _ENHANCED, _EMBEDDER, _SUMMARIZER, _TEMPLATES, _GENERATOR, _TUNER}
)
"""The classes whose wrappers are subclasses of the new class of the same name."""

NEW_PARAMETERS: Mapping[ClassName, frozenset[str] | None] = {
    _CONVERSATION: None,  # every call means the same
    _ENHANCED: None,
    _EMBEDDER: frozenset({"settings", "encoder"}),
    _SUMMARIZER: frozenset(
        {"settings", "encoder", "generator", "counter", "centrality", "fan_out", "depth", "max_conversations"}
    ),
    _TEMPLATES: frozenset({"path", "settings"}),
    _GENERATOR: frozenset(
        {
            *("settings", "documents", "conversations", "queries", "feedback", "examples", "encoder", "generator"),
            *("decision_log", "source_options"),
        }
    ),
    _TUNER: frozenset({"settings", "model_loader", "registry", "general_data"}),
}
"""Keywords that only the new constructor has: a call with one of them, and nothing else, is a new one."""

FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({"conversation", "conversation_embedder", "conversation_summarizer", "enhanced_conversation"}),
    frozenset({"template_manager", "template", "prompts"}),
    frozenset({"training_data_generator", "model_finetuner", "conport_client"}),
)
"""Modules whose objects come together."""

HINTS: Mapping[ClassName, tuple[str, ...]] = {
    _CONVERSATION: ("conv",),
    _INTERACTION: ("interaction", "exchange", "turn"),
    _ENHANCED: ("conv",),
    _EMBEDDER: ("embedder",),
    _SUMMARIZER: ("summarizer",),
    _TEMPLATES: ("template", "prompt"),
    _PAIR: ("pair",),
    _GENERATOR: ("generator",),
    _CONFIG: (),
    _METRICS: ("metric",),
    _TUNER: ("tuner",),
    _CONPORT: ("conport",),
}
"""Parts of names by which variables of unknown type are taken for such objects, when uses are looked for."""


def find_member(cls: ClassName, name: str) -> Member | None:
    """Return what is to be said of a member.

    Args:
        cls: The old class.
        name: The member.

    Returns:
        The member; ``None`` when the class had none of this name, or its uses stay as they are.
    """
    return _BY_NAME.get((cls, name))


_BY_NAME = {(cls, member.name): member for cls, members in MEMBERS.items() for member in members}
