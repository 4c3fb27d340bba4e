"""A small shop with three users: their conversations, ratings, data sets and models, made by the real services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings, override_settings
from ragtime.services.conversation import ConversationManager
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner
from ragtime.services.model_finetuner.versions import register_model
from ragtime.services.training_data_gen import DatasetReport, TrainingDataGenerator
from ragtime.storage.registry import ModelRegistry, ModelVersion
from ragtime.testing import tiny_model

__all__ = ["DOCUMENTS", "RATINGS", "ShopWorld", "build_world", "fill_store", "isolated", "make_dataset", "train"]

DOCUMENTS = [
    {"id": "returns", "text": "Returns are free for 30 days. Print the label from your order, and keep the receipt."},
    {"id": "leather", "text": "Wax leather boots every three months, and never dry them on a heater."},
    {"id": "sizes", "text": "Boots of size 40 fit feet of 25.5 centimetres; try thick socks on with them."},
    {"id": "laces", "text": "Round laces hold better on trails; flat ones are gentle to the instep."},
    {"id": "soles", "text": "Rubber soles grip wet stone, while cork is light and warm in the house."},
    {"id": "gloves", "text": "Gloves of wool are washed by hand in cold water, and dried lying flat."},
    {"id": "parcels", "text": "A parcel needs two days to the mainland and a week to the islands."},
    {"id": "gifts", "text": "Gift vouchers are valid for three years, and may be spent in several parts."},
]

ASKED: dict[str, list[tuple[str, str, str]]] = {
    "ann": [
        ("How long are returns free of charge?", "For thirty days after the purchase.", "returns"),
        ("How do I look after leather boots?", "Wax them every three months.", "leather"),
        ("Which laces stay tied on a mountain path?", "The round ones do.", "laces"),
    ],
    "bob": [
        ("What do rubber soles do on wet stone?", "They grip it well.", "soles"),
        ("How are woollen gloves to be washed?", "By hand, in cold water.", "gloves"),
        ("How many days does a parcel take to the islands?", "It takes a week.", "parcels"),
    ],
}
"""What users have asked, with the answer and the document that it cites; each in one conversation, ``NAME-1``."""

RATINGS: list[dict[str, Any]] = [
    {
        "id": "f-cleo",
        "query": "Which size fits feet of 25.5 centimetres?",
        "rating": 5,
        "document_ids": ["sizes"],
        "user_id": "cleo",
        "conversation_id": "cleo-9",
    },
    {
        "id": "f-dora",
        "query": "Which size fits feet of 25.5 centimetres?",
        "rating": 1,
        "document_ids": ["gloves"],
        "user_id": "dora",
    },
    {"id": "f-nobody", "query": "How long is a gift voucher valid?", "rating": 5, "document_ids": ["gifts"]},
]
"""Dora has told what cleo's question should not find; of one rating nobody knows who gave it."""


@dataclass(frozen=True)
class ShopWorld:
    """What was built.

    Attributes:
        settings: Its settings.
        talks: Data set of the conversations.
        votes: Data set of the ratings.
        pages: Data set of the documents alone.
        first: The model of `talks`, in production.
        second: A candidate, trained from it on `pages`.
        votes_model: The folder of a model of `votes`, not registered.
        pages_model: The folder of a model of `pages`, not registered.
    """

    settings: Settings
    talks: DatasetReport
    votes: DatasetReport
    pages: DatasetReport
    first: ModelVersion
    second: ModelVersion
    votes_model: Path
    pages_model: Path

    @property
    def registry(self) -> ModelRegistry:
        """Its registry."""
        return ModelRegistry(self.settings)


def isolated(data_dir: Path) -> Settings:
    """Return settings of their own."""
    return Settings.isolated(data_dir=data_dir, logging__progress="off")


def fill_store(settings: Settings, users: Iterable[str] = ASKED) -> None:
    """Let users ask in the store of the settings."""
    for user in users:
        with ConversationManager(settings, user_id=user) as manager:
            conversation = manager.create_conversation(f"{user}-1")
            for question, answer, document in ASKED[user]:
                conversation.add_exchange(question, answer, document_ids=[document])


def make_dataset(settings: Settings, strategy: str, users: Sequence[str] = (), **sources: Any) -> DatasetReport:
    """Make a data set of all that some users have asked, or of other sources."""
    if users:
        found = []
        for user in users:
            with ConversationManager(settings, user_id=user) as manager:
                found += [manager.get_conversation(head.id) for head in manager.list_conversations()]
        sources["conversations"] = found
    generator = TrainingDataGenerator(settings, documents=DOCUMENTS, **sources)
    return generator.generate_dataset(strategies={strategy: None}, shares={"train": 1.0}, shape="examples")


def train(settings: Settings, data: Any, *, seed: int = 0, base: str | None = None) -> Path:
    """Train a very small model for one epoch, and return its folder; from `base`, if one is named."""
    config = FineTuningConfig(
        num_epochs=1, batch_size=4, validation_split=0, max_seq_length=32, base_model_name=base, random_seed=seed
    )
    with override_settings(settings):
        loader = None if base is not None else lambda _: tiny_model(seed=seed)
        return ModelFineTuner(config, model_loader=loader).train(data).model_path


def build_world(data_dir: Path) -> ShopWorld:
    """Build all of it."""
    settings = isolated(data_dir)
    fill_store(settings)
    talks = make_dataset(settings, "conversation_based", ["ann", "bob"])
    votes = make_dataset(settings, "query_based", feedback=RATINGS)
    pages = make_dataset(settings, "synthetic")
    registry = ModelRegistry(settings)
    with override_settings(settings):
        first = register_model(train(settings, talks.folder), "support", registry=registry)
        registry.promote("support", first.version)
        second = register_model(train(settings, pages.folder, base="registry:support"), "support", registry=registry)
    return ShopWorld(
        settings=settings,
        talks=talks,
        votes=votes,
        pages=pages,
        first=registry.get("support"),
        second=second,
        votes_model=train(settings, votes.folder, seed=1),
        pages_model=train(settings, pages.folder, seed=2),
    )
