"""The table of what the old classes had: all of the contract is in it, and what it says of the new classes is so."""

from __future__ import annotations

import importlib
import inspect

import pytest

from ragtime.migration.members import (
    FAMILIES,
    HINTS,
    MEMBERS,
    NEW_PARAMETERS,
    RETURNS,
    SUBCLASSES,
    ClassName,
    Member,
    find_member,
)
from ragtime.migration.names import EXPORTED_TOO, NAMES, OLD_MODULES, find_old_name

CONTRACT = {
    "conversation.Interaction": "query response timestamp document_ids metadata",
    "conversation.Conversation": (
        "history add_interaction get_history clear get_last_interaction get_last_n_interactions "
        "find_interactions_by_query_keywords find_interactions_by_metadata get_generated_content "
        "get_most_relevant_content is_follow_up_question get_summary to_dict from_dict"
    ),
    "conversation_embedder.ConversationEmbedder": (
        "model base_url embeddings embed_query embed_interaction cosine_similarity find_most_similar"
    ),
    "conversation_summarizer.ConversationSummarizer": "model base_url llm summarize",
    "enhanced_conversation.EnhancedConversation": (
        "embedder interaction_embeddings summary summary_updated_at add_interaction clear get_relevant_interactions "
        "get_most_relevant_content is_follow_up_question to_dict from_dict"
    ),
    "template_manager.TemplateManager": (
        "templates_path templates using_legacy get_legacy_template get_system_instruction get_prompt"
    ),
    "training_data_generator.TrainingPair": "query document label rating pair_type metadata",
    "training_data_generator.TrainingDataGenerator": (
        "conport_client workspace_id chroma_db embedding_model positive_rating_threshold negative_rating_threshold "
        "hard_negative_similarity_threshold min_query_length max_pairs_per_query feedback_cache document_cache "
        "similarity_cache get_feedback_data get_document_content generate_positive_pairs generate_negative_pairs "
        "generate_hard_negative_pairs validate_training_data export_training_data generate_training_data"
    ),
    "model_finetuner.FineTuningConfig": (
        "base_model_name output_model_path batch_size num_epochs learning_rate warmup_steps evaluation_steps "
        "save_steps max_seq_length loss_function use_amp early_stopping_patience validation_split random_seed"
    ),
    "model_finetuner.TrainingMetrics": (
        "epoch train_loss eval_loss eval_cosine_accuracy eval_manhattan_accuracy eval_euclidean_accuracy timestamp"
    ),
    "model_finetuner.ModelFineTuner": (
        "config model training_history best_model_path best_eval_score load_base_model load_training_data "
        "create_loss_function create_evaluator fine_tune_model evaluate_model convert_to_ollama_format "
        "list_available_models delete_model"
    ),
    "conport_client.ConPortClient": (
        "workspace_id is_available log_custom_data search_custom_data_value_fts get_workspace_id is_client_available"
    ),
}
STAY = {  # what the new classes have with the same meaning
    ("conversation.Conversation", "from_dict"),
    ("enhanced_conversation.EnhancedConversation", "from_dict"),
    ("training_data_generator.TrainingPair", "query"),
    ("training_data_generator.TrainingPair", "label"),
}
SHARED = [(cls, member) for cls, members in MEMBERS.items() for member in members if member.new_keywords]


def _new(cls: ClassName) -> type:
    entry = find_old_name(*cls)
    assert entry is not None
    found = getattr(importlib.import_module(entry.new_module), entry.new_name)
    assert isinstance(found, type)
    return found


def _wrapper(cls: ClassName) -> type:
    found = getattr(importlib.import_module(f"{cls.module}_compat"), cls.name)
    assert isinstance(found, type)
    return found


def test_all_that_the_contract_names_is_in_the_table() -> None:
    listed = {(cls, name) for cls, names in CONTRACT.items() for name in names.split()}
    told = {(str(cls), member.name) for cls, members in MEMBERS.items() for member in members}
    assert listed - told == STAY
    # What an enhanced conversation has from its base is listed there.
    assert {one for one in told - listed if one[0] != "enhanced_conversation.EnhancedConversation"} == set()


def test_every_old_class_is_in_each_table() -> None:
    classes = {ClassName(entry.module, entry.name) for entry in NAMES if entry.kind == "class"}
    assert set(MEMBERS) == set(HINTS) == classes
    assert set(NEW_PARAMETERS) == SUBCLASSES < classes
    assert {module for family in FAMILIES for module in family} == set(OLD_MODULES)


def test_what_is_returned_is_an_old_class_or_something_changed() -> None:
    told = [member.returns for members in MEMBERS.values() for member in members] + list(RETURNS.values())
    for returned in told:
        name = returned.strip("[]")
        assert name in {"", "changed"} or ClassName(*name.rsplit(".", 1)) in MEMBERS
    assert all(find_old_name(*key).kind == "function" for key in RETURNS)  # type: ignore[union-attr]


@pytest.mark.parametrize("cls", sorted(SUBCLASSES), ids=str)
def test_the_wrappers_are_subclasses_and_have_nothing_that_is_not_told(cls: ClassName) -> None:
    wrapper, new = _wrapper(cls), _new(cls)
    assert issubclass(wrapper, new)
    own = {name for one in wrapper.__mro__ if one.__module__.endswith("_compat") for name in vars(one)}
    old = {name for name in own if not name.startswith("_")} - set(dir(new))
    contract = set(CONTRACT[str(cls)].split()) | set(CONTRACT["conversation.Conversation"].split())
    assert [name for name in sorted(old & contract) if find_member(cls, name) is None] == []


@pytest.mark.parametrize("cls", sorted(cls for cls in SUBCLASSES if NEW_PARAMETERS[cls] is not None), ids=str)
def test_the_new_parameters_are_those_of_the_new_class_and_of_no_old_one(cls: ClassName) -> None:
    new = NEW_PARAMETERS[cls]
    assert new is not None
    parameters = set(inspect.signature(_new(cls).__init__).parameters) - {"self", "config"}
    assert new <= parameters
    assert parameters - new <= {"model"}


@pytest.mark.parametrize(("cls", "member"), SHARED, ids=lambda one: getattr(one, "name", str(one)))
def test_the_keywords_of_new_calls_are_those_of_the_new_method(cls: ClassName, member: Member) -> None:
    parameters = set(inspect.signature(getattr(_new(cls), member.name)).parameters)
    assert member.new_keywords <= parameters


@pytest.mark.parametrize("module", EXPORTED_TOO)
def test_what_the_wrappers_export_besides_is_what_the_table_says(module: str) -> None:
    wrapper = importlib.import_module(f"{module}_compat")
    for dotted in EXPORTED_TOO[module]:
        place, _, name = dotted.rpartition(".")
        origin = f"{place}_compat" if find_old_name(place, name) else place
        assert getattr(wrapper, name) is getattr(importlib.import_module(origin), name)


def test_an_unknown_member_is_none() -> None:
    assert find_member(ClassName("conversation", "Conversation"), "get_interactions") is None
