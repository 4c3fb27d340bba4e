"""Uses every old name as its callers do, under strict mypy; it is never run.

``assert_type`` fails when mypy finds another type. Where it must object, a comment ignores just that error, and strict
mypy objects to a comment that is not needed.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
from torch.nn import Module

import conversation_compat
import ragtime.services.conversation as new_conversation
import ragtime.services.model_finetuner as new_finetuner
import ragtime.services.training_data_gen as new_data
import ragtime.utils.templates as new_templates
from conport_client_compat import ConPortClient, get_conport_client, initialize_conport_client
from conversation_compat import (
    Conversation,
    ConversationManager,
    Interaction,
    clear_conversation_in_session,
    get_conversation_from_session,
    update_conversation_in_session,
)
from conversation_embedder_compat import ConversationEmbedder
from conversation_summarizer_compat import ConversationSummarizer
from enhanced_conversation_compat import (
    EnhancedConversation,
    get_enhanced_conversation_from_session,
    update_enhanced_conversation_in_session,
)
from model_finetuner_compat import (
    SENTENCE_TRANSFORMERS_AVAILABLE,
    FineTuningConfig,
    FineTuningMetrics,
    ModelFineTuner,
    TrainingMetrics,
    create_model_finetuner,
    quick_finetune,
)
from prompts_compat import DEFAULT_TEMPLATES, PromptManager, get_template, get_templates_file, load_templates
from ragtime.services.training_data_gen import ExportReport
from ragtime_compat.finetuning_records import InputExample
from template_compat import HTMLTemplateManager, get_template_path, load_html_template
from template_manager_compat import TemplateManager
from training_data_generator_compat import (
    GenerationMetrics,
    TrainingDataGenerator,
    TrainingExample,
    TrainingPair,
    create_training_data_generator,
)

Dict = dict[str, Any]
Turn = new_conversation.Interaction
Array = npt.NDArray[np.float32]


def names_of_other_modules_are_the_same() -> None:
    """What is exported twice has one type."""
    assert_type(conversation_compat.EnhancedConversation(), EnhancedConversation)
    assert_type(conversation_compat.ConversationEmbedder(), ConversationEmbedder)
    assert_type(conversation_compat.ConversationSummarizer(), ConversationSummarizer)
    assert_type(ConversationManager(), new_conversation.ConversationManager)
    assert_type(PromptManager(), new_templates.PromptManager)
    assert_type(HTMLTemplateManager(), new_templates.HTMLTemplateManager)
    assert_type(TrainingExample(query="a", response="b"), new_data.TrainingExample)
    assert_type(GenerationMetrics, type[new_data.GenerationMetrics])
    assert_type(FineTuningMetrics, type[new_finetuner.FineTuningMetrics])


def conversation(session: MutableMapping[str, Any], question: str) -> new_conversation.Conversation:
    """The module conversation."""
    exchange = Interaction("Where?", "There.", 0.0, ["doc-1"], {"a": 1})
    assert_type(exchange.query, str)
    assert_type(exchange.response, str)
    assert_type(exchange.timestamp, float)
    assert_type(exchange.document_ids, list[str])
    assert_type(exchange.metadata, Dict)

    memory = Conversation()
    memory.add_interaction("Where?", "There.")
    memory.add_interaction(question, "There.", ["doc-1"], {"a": 1})
    memory.add_interaction(query=question, response="There.", document_ids=["doc-1"], metadata=None)
    assert_type(memory.add_interaction("user", "Where?"), Turn)
    assert_type(memory.add_interaction(role="assistant", content="There."), Turn)
    memory.add_interaction(question)  # type: ignore[call-overload]
    assert_type(memory.history[0], Interaction)
    assert_type(memory.history[-2:], list[Interaction])
    assert_type(next(reversed(memory.history)), Interaction)
    assert_type(memory.get_history(), list[Interaction])
    assert_type(memory.get_last_interaction(), Interaction | None)
    assert_type(memory.get_last_n_interactions(2), list[Interaction])
    assert_type(memory.find_interactions_by_query_keywords(["where"]), list[Interaction])
    assert_type(memory.find_interactions_by_metadata(a=1), list[Interaction])
    assert_type(memory.get_generated_content(), str)
    assert_type(memory.get_most_relevant_content(question, max_interactions=2), str)
    assert_type(memory.is_follow_up_question(question), bool)
    assert_type(memory.get_summary(max_interactions=3), str)
    assert_type(memory.to_dict(), Dict)
    assert_type(Conversation.from_dict({}), Conversation)
    memory.clear()

    assert_type(get_conversation_from_session(session), Conversation)
    update_conversation_in_session(session, memory)
    clear_conversation_in_session(session)
    return Conversation("an-id")


def embedder(turn: Turn) -> new_conversation.ConversationEmbedder:
    """The module conversation_embedder."""
    made = ConversationEmbedder("mistral", base_url="http://localhost:11434")
    assert_type(made.model, str)
    assert_type(made.base_url, str)
    assert_type(made.embed_query("Where?"), list[float])
    assert_type(made.embed_query(query="Where?"), list[float])
    assert_type(made.embed_query(text="Where?"), Array)
    assert_type(made.embed_interaction("Where?", "There."), list[float])
    assert_type(made.embed_interaction(turn), Array)
    assert_type(made.embed_interaction(interaction=turn), Array)
    assert_type(made.cosine_similarity([1.0], [0.5]), float)
    assert_type(made.find_most_similar([1.0], [[0.5]], top_k=2), list[tuple[int, float]])
    return made


def summarizer(memory: Conversation) -> new_conversation.ConversationSummarizer:
    """The module conversation_summarizer."""
    made = ConversationSummarizer(model="sixthwood")
    assert_type(made.model, str)
    assert_type(made.base_url, str)
    assert_type(made.summarize(memory), str)
    assert_type(made.summarize(memory, max_tokens=200), str)
    assert_type(made.summarize(None), str)
    assert_type(made.summarize(memory, strategy="extractive"), new_conversation.Summary)
    assert_type(made.summarize(memory, max_tokens=200, degrade=True), new_conversation.Summary)
    return made


def enhanced(session: MutableMapping[str, Any], question: str) -> new_conversation.EnhancedConversation:
    """The module enhanced_conversation."""
    memory = EnhancedConversation()
    memory.add_interaction(question, "There.", ["doc-1"], {"a": 1})
    assert_type(memory.embedder, ConversationEmbedder)
    assert_type(memory.interaction_embeddings, list[list[float]])
    assert_type(memory.summary, str)
    assert_type(memory.summary_updated_at, float)
    assert_type(memory.get_relevant_interactions(question, top_k=2), list[Interaction])
    assert_type(memory.get_most_relevant_content(question), str)
    assert_type(memory.is_follow_up_question(question), bool)
    assert_type(EnhancedConversation.from_dict(memory.to_dict()), EnhancedConversation)
    assert_type(get_enhanced_conversation_from_session(session), EnhancedConversation)
    update_enhanced_conversation_in_session(session, memory)
    plain: Conversation = memory
    return memory if plain.history else EnhancedConversation()


def templates() -> new_templates.TemplateManager:
    """The modules template_manager, template and prompts."""
    made = TemplateManager("prompt_templates.json")
    assert_type(made.templates_path, str)
    assert_type(made.templates, Dict)
    assert_type(made.using_legacy, bool)
    assert_type(made.get_legacy_template("standard"), str | None)
    assert_type(made.get_system_instruction("standard"), str)
    assert_type(made.get_prompt("standard", "initial", {"context": "", "question": "Where?"}), str)
    assert_type(made.get_prompt("greeting", name="Ann"), new_templates.RenderedPrompt)
    made.get_prompt("standard", "initial")  # type: ignore[call-overload]

    assert_type(get_template_path(), str)
    assert_type(load_html_template(), str)

    assert_type(DEFAULT_TEMPLATES["standard"], str)
    assert_type(get_templates_file(), str)
    assert_type(load_templates(), Dict)
    assert_type(get_template(), str)
    assert_type(get_template("creative"), str)
    return made


def generator(store: Any) -> new_data.TrainingDataGenerator:
    """The module training_data_generator."""
    pair = TrainingPair("a?", "b", 1.0, rating=5, pair_type="positive", metadata={"document_id": "doc-1"})
    assert_type(pair.document, str)
    assert_type(pair.label, float)
    assert_type(pair.rating, float | None)
    assert_type(pair.pair_type, str)
    assert_type(pair.metadata, Dict | None)

    made = TrainingDataGenerator(ConPortClient(), "workspace", store, "all-MiniLM-L6-v2")
    made.positive_rating_threshold = 5
    made.min_query_length = 2
    feedback = made.get_feedback_data(days_back=30, min_samples=5)
    assert_type(made.get_document_content(["doc-1"]), dict[str, str])
    positives = made.generate_positive_pairs(feedback)
    assert_type(positives, list[TrainingPair])
    assert_type(made.generate_negative_pairs(feedback), list[TrainingPair])
    assert_type(made.generate_hard_negative_pairs(positives, feedback, num_hard_negatives=10), list[TrainingPair])
    assert_type(made.validate_training_data([pair]), Dict)
    assert_type(made.export_training_data([pair]), Dict)
    assert_type(made.export_training_data(pairs=[pair], output_format="json", output_path="data"), Dict)
    assert_type(made.export_training_data([pair], "triplets", "data"), Dict)
    assert_type(made.generate_training_data(), Dict)
    assert_type(made.generate_training_data(90, False, "json", Path("data")), Dict)
    assert_type(made.generate_training_data(days_back=90, include_hard_negatives=False), Dict)
    assert_type(made.generate_training_data(count=90), list[TrainingExample])
    assert_type(made.generate_training_data(90, strategy="query_based"), list[TrainingExample])
    examples = made.generate_training_data(90, "query_based", validation=True)
    assert_type(examples, list[TrainingExample])
    assert_type(made.export_training_data(examples, path="data.csv"), ExportReport)
    assert_type(made.export_training_data(examples, "data.csv", shape="pairs"), ExportReport)
    made.generate_training_data(days_back=90, count=90)  # type: ignore[call-overload]
    assert_type(create_training_data_generator(conport_client=ConPortClient()), TrainingDataGenerator)
    return made


def finetuner() -> new_finetuner.ModelFineTuner:
    """The module model_finetuner."""
    assert_type(SENTENCE_TRANSFORMERS_AVAILABLE, bool)
    config = FineTuningConfig("all-MiniLM-L6-v2", "models", 16, 4, 2e-5, loss_function="TripletLoss", use_amp=False)
    config.num_epochs = 2
    assert_type(config.output_model_path, str)
    metrics = TrainingMetrics(1, 0.5, eval_cosine_accuracy=0.9)
    assert_type(metrics.train_loss, float)
    assert_type(metrics.eval_cosine_accuracy, float | None)

    made = ModelFineTuner(config)
    assert_type(made.config, FineTuningConfig)
    assert_type(made.model, SentenceTransformer | None)
    assert_type(made.training_history, list[TrainingMetrics])
    assert_type(made.best_model_path, str | None)
    assert_type(made.best_eval_score, float)
    assert_type(made.load_base_model(), bool)
    training, validation = made.load_training_data("pairs.csv", format_type="csv")
    assert_type(training, list[InputExample])
    assert_type(training[0].texts, list[str])
    assert_type(made.create_loss_function("ContrastiveLoss"), Module)
    assert_type(made.create_evaluator(validation), EmbeddingSimilarityEvaluator | None)
    assert_type(made.fine_tune_model(training, validation, model_name_suffix="desk"), Dict)
    assert_type(made.evaluate_model("models/desk", "pairs.csv"), Dict)
    assert_type(made.convert_to_ollama_format("models/desk", "desk"), Dict)
    assert_type(made.list_available_models(), list[Dict])
    assert_type(made.delete_model("desk"), bool)
    assert_type(made.train("pairs.csv"), FineTuningMetrics)
    assert_type(create_model_finetuner(config), ModelFineTuner)
    assert_type(quick_finetune("pairs.csv", base_model="all-MiniLM-L6-v2", output_path="models"), Dict)
    return made


def conport() -> None:
    """The module conport_client."""
    client = ConPortClient("workspace")
    assert_type(client.workspace_id, str)
    assert_type(client.is_available, bool)
    assert_type(client.log_custom_data("UserFeedback", "one", {"rating": 5}, {"rating": 5}), bool)
    assert_type(client.search_custom_data_value_fts({"query_term": "rating"}), list[Dict])
    assert_type(client.get_workspace_id(), str)
    assert_type(client.is_client_available(), bool)
    assert_type(get_conport_client(), ConPortClient)
    assert_type(initialize_conport_client("workspace"), ConPortClient)
