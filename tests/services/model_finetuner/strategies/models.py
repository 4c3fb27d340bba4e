"""Small models of several architectures, and a few steps of training by hand."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from ragtime.backends.loading import quiet_loading
from ragtime.config.settings import Settings
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.strategies import Strategy, make_strategy
from ragtime.testing import tiny_model

QUERIES = ["reset a password", "pump stops", "valve"]
LAYERS = 3

_COMMON = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 64}
_ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "roberta": ("RobertaModel", "RobertaConfig", {**_COMMON, "max_position_embeddings": 66, "pad_token_id": 0}),
    "mpnet": ("MPNetModel", "MPNetConfig", {**_COMMON, "max_position_embeddings": 66}),
    "distilbert": (
        "DistilBertModel",
        "DistilBertConfig",
        {"dim": 32, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 64},
    ),
    "modernbert": (
        "ModernBertModel",
        "ModernBertConfig",
        {**_COMMON, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    ),
    "qwen3": ("Qwen3Model", "Qwen3Config", {**_COMMON, "num_key_value_heads": 1, "head_dim": 16}),
    "albert": ("AlbertModel", "AlbertConfig", {**_COMMON, "embedding_size": 16}),
    "gpt2": (
        "GPT2Model",
        "GPT2Config",
        {"n_embd": 32, "n_layer": LAYERS, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0},
    ),
}
ARCHITECTURES = tuple(_ARCHITECTURES)


def small_transformer(architecture: str) -> modules.Transformer:
    """Build a transformer with random weights and the tokenizer of ``tiny_model``."""
    model, config, options = _ARCHITECTURES[architecture]
    tokenizer = tiny_model(layers=1).tokenizer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = getattr(transformers, model)(getattr(transformers, config)(vocab_size=len(tokenizer), **options))
    with quiet_loading(), tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return modules.Transformer(folder, max_seq_length=64)


def small_model(architecture: str) -> SentenceTransformer:
    """Build a sentence-transformers model around such a transformer."""
    return with_modules(small_transformer(architecture), modules.Pooling(32, "mean"), modules.Normalize())


def with_modules(*parts: torch.nn.Module) -> SentenceTransformer:
    return SentenceTransformer(modules=list(parts), device="cpu").eval()


def strategy_of(**fields: Any) -> Strategy:
    return make_strategy(FineTuningConfig(**fields).resolved(Settings.isolated()))


def train(model: SentenceTransformer, strategy: Strategy, steps: int = 4, *, rate: float = 0.02) -> None:
    """Draw the queries towards vectors that are at right angles."""
    targets = torch.eye(model.get_embedding_dimension())[: len(QUERIES)]
    optimizer = torch.optim.AdamW(strategy.parameters(model).values(), lr=rate)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        output = model(model.preprocess(QUERIES, task="query"), task="query")["sentence_embedding"]
        (output - targets).square().sum().backward()
        optimizer.step()
    model.eval()
