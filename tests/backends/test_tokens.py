"""Token counters: the model's own tokenizer, or an estimate that says so."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from ragtime.backends.resolution import resolve_model
from ragtime.backends.tokens import TokenizerCounter, create_token_counter
from ragtime.config.settings import Settings
from ragtime.errors import BackendError
from ragtime.protocols import TokenCounter
from ragtime.utils.tokens import EstimatedTokenCounter

pytestmark = pytest.mark.models


def test_the_tokenizer_of_the_model_in_use_counts() -> None:
    counter = create_token_counter(Settings.isolated())
    assert isinstance(counter, TokenCounter)
    assert (counter.exact, counter.name) == (True, "all-MiniLM-L6-v2")
    assert [counter.count(text) for text in ("", "a car", "router")] == [0, 2, 2]
    assert counter.count("word " * 1000) == 1000  # not cut at the model's maximum


def test_counting_leaves_the_models_tokenizer_alone() -> None:
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(resolve_model("all-MiniLM-L6-v2").path / "tokenizer.json"))
    before = tokenizer.to_str()
    assert TokenizerCounter(tokenizer, name="m").count("a car") == 2
    assert tokenizer.to_str() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"embedding__provider": "openai"}, "on a server"),
        ({"embedding__model_name": "./nowhere"}, "There is no model folder"),
        ({"embedding__model_name": "registry:x"}, "which is empty: register a version first"),
    ],
)
def test_without_a_tokenizer_tokens_are_estimated_and_it_is_said(
    changes: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    counter = create_token_counter(Settings.isolated(**changes))
    assert isinstance(counter, EstimatedTokenCounter)
    assert not counter.exact
    (event,) = caplog.records
    assert event.getMessage() == "Tokens are estimated"
    assert reason in vars(event)["reason"]


def test_without_the_extra_tokens_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert not create_token_counter(Settings.isolated()).exact


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"has no tokenizer\.json"):
        TokenizerCounter.from_folder(tmp_path, name="m")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BackendError, match="cannot be read"):
        TokenizerCounter.from_folder(tmp_path, name="m")
