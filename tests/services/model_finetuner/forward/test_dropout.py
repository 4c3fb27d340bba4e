"""One knob sets all dropout of a model."""

from __future__ import annotations

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.forward import set_dropout
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models


def test_dropout_is_set_in_modules_and_configuration() -> None:
    import torch

    model = tiny_model()
    changed = set_dropout(model, 0.25)
    dropouts = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert {module.p for module in dropouts} == {0.25}
    config = model[0].config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.25)
    assert config.classifier_dropout is None
    assert set(changed.values()) == {0.1}
    assert len(changed) == len(dropouts) + 2
    assert set_dropout(model, 0.25) == {}


def test_attention_that_keeps_its_dropout_as_a_number_is_set() -> None:
    import torch

    attention = torch.nn.MultiheadAttention(8, 2, dropout=0.1)
    assert set_dropout(attention, 0.0) == {".dropout": 0.1}
    assert attention.dropout == 0.0


@pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
def test_a_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(InvalidArgumentError, match="at least 0 and less than 1"):
        set_dropout(tiny_model(), probability)
