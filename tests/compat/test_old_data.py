"""What the old system has written is read by what is new, without its wrapper; where only a wrapper reads it, by that.

The fixtures are ours, in the old formats.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conport_client_compat import ConPortClient
from prompts_compat import get_template, load_templates
from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation import Conversation, ConversationManager, EnhancedConversation
from ragtime.services.model_finetuner import EvaluationData, FineTuningConfig, ModelFineTuner
from ragtime.services.training_data_gen import TrainingDataGenerator, load_examples
from ragtime.testing import tiny_model
from template_manager_compat import TemplateManager

DATA = Path(__file__).parent / "data"
TRAINING = DATA / "training"
CSV = TRAINING / "training_data_20240517_093012.csv"
JSON = TRAINING / "training_data_20240517_093012.json"
TRIPLETS = TRAINING / "training_triplets_20240517_093012.csv"
DESCALE, SHOP = "How do I descale the kettle?", "When does the shop open?"

from_wrappers = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")
of_both_dicts = pytest.mark.parametrize("name", ["conversation_plain.json", "conversation_enhanced.json"])


def _read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((DATA / name).read_bytes())
    return data


# --- dicts of sessions ----------------------------------------------------------------------------------------------


@of_both_dicts
@pytest.mark.parametrize("kind", [Conversation, EnhancedConversation])
def test_the_dict_of_a_session_is_a_conversation_of_the_new_classes(kind: type[Conversation], name: str) -> None:
    data = _read(name)
    found = kind.from_dict(data, settings=Settings.isolated())
    assert type(found) is kind
    assert [(turn.role, turn.content) for turn in found] == [
        turn for record in data["history"] for turn in (("user", record["query"]), ("assistant", record["response"]))
    ]
    for answer, record in zip(found.get_interactions(role="assistant"), data["history"], strict=True):
        assert answer.created_at.timestamp() == pytest.approx(record["timestamp"], abs=1e-6)
        assert list(answer.document_ids) == record["document_ids"]
        assert _plain(answer.metadata) == record["metadata"]


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, Mapping) else value for name, value in metadata.items()}


@of_both_dicts
def test_a_conversation_of_an_old_session_can_be_kept_by_the_manager(name: str, tmp_path: Path) -> None:
    with ConversationManager(Settings.isolated(data_dir=tmp_path)) as manager:
        found = EnhancedConversation.from_dict(_read(name))
        manager.save_conversation(found)
    with ConversationManager(Settings.isolated(data_dir=tmp_path)) as manager:
        kept = manager.get_conversation(found.conversation_id)
        assert [(turn.role, turn.content) for turn in kept] == [(turn.role, turn.content) for turn in found]
        kept.add_exchange("And the cover?", "For one year.")
        assert len(kept) == 6


# --- exports of the generator ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CSV, JSON], ids=["csv", "json"])
def test_exported_pairs_are_examples(path: Path) -> None:
    found = load_examples(path)
    assert [(one.query, one.label) for one in found] == [(DESCALE, 1.0), (DESCALE, 0.0), (SHOP, 1.0)]
    assert TrainingDataGenerator.load(path) == found


@pytest.mark.parametrize(
    ("path", "queries"),
    [(CSV, {DESCALE, SHOP}), (JSON, {DESCALE, SHOP}), (TRIPLETS, {DESCALE})],
    ids=["csv", "json", "triplets"],
)
def test_a_model_can_be_measured_on_exports(path: Path, queries: set[str]) -> None:
    assert set(EvaluationData.of(path).questions.values()) == queries


@pytest.mark.models
@pytest.mark.parametrize("path", [CSV, JSON, TRIPLETS], ids=["csv", "json", "triplets"])
def test_a_model_can_be_trained_on_exports(path: Path, tmp_path: Path) -> None:
    config = FineTuningConfig(
        base_model_name="tiny", output_dir=tmp_path, batch_size=2, validation_split=0.0, precision="float32"
    )
    tuner = ModelFineTuner(
        config, settings=Settings.isolated(embedding__device="cpu"), model_loader=lambda _: tiny_model()
    )
    metrics = tuner.train(path)
    assert metrics.total_steps > 0
    assert metrics.model_path.is_dir()


def test_the_statistics_beside_an_export_are_refused_by_name() -> None:
    path = TRAINING / "training_metadata_20240517_093012.json"
    with pytest.raises(InvalidArgumentError, match="list of objects"):
        EvaluationData.of(path)


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.parametrize("name", ["finetuning_old_metadata.json", "finetuning_old_metadata_cut.json"])
def test_a_model_of_the_old_system_is_loaded_beside_its_metadata(name: str, tmp_path: Path) -> None:
    model = tmp_path / "finetuned_20240117_101500"
    tiny_model().save_pretrained(str(model))
    shutil.copy(DATA / name, model / "training_metadata.json")
    encoder = ModelFineTuner.load(model, settings=Settings.isolated(embedding__device="cpu"))
    assert encoder.encode([DESCALE]).shape == (1, 32)


# --- ratings --------------------------------------------------------------------------------------------------------


def test_stored_ratings_are_feedback_for_the_generator() -> None:
    records = [json.loads(path.read_bytes()) for path in sorted((DATA / "conport" / "UserFeedback").iterdir())]
    texts = {"doc-1": "The memory holds eight gigabytes.", "doc-2": "The index is built overnight."}
    generator = TrainingDataGenerator(
        Settings.isolated(), documents=[{"id": name, "text": text} for name, text in texts.items()], feedback=records
    )
    found = list(generator.iter_training_data())
    assert [(one.query, one.response, one.label) for one in found if one.query == "Wie groß ist der Speicher?"] == [
        ("Wie groß ist der Speicher?", text, 1.0) for text in texts.values()
    ]


@from_wrappers
def test_stored_ratings_are_found_by_the_wrapper(tmp_path: Path) -> None:
    shutil.copytree(DATA / "conport", tmp_path / ".conport_local")
    found = ConPortClient().search_custom_data_value_fts({"query_term": "speicher", "category_filter": "UserFeedback"})
    assert found == [json.loads((DATA / "conport" / "UserFeedback" / "feedback_7c1d.json").read_bytes())]
    assert datetime.fromtimestamp(found[0]["value"]["timestamp"], UTC).year == 2025


# --- prompts, which only the wrappers read ----------------------------------------------------------------------------


@from_wrappers
@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("prompt_templates_parts.json", "You are exact.\n\nStandard.\nContext: It is {blue}.\nQuestion: Which?"),
        ("prompt_templates_flat.json", None),
    ],
)
def test_the_file_of_prompts_is_read_in_both_shapes(
    name: str, prompt: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = DATA / name
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", str(path))
    manager = TemplateManager()
    assert manager.templates == load_templates() == _read(name)
    assert manager.using_legacy is (prompt is None)
    found = manager.get_prompt("standard", "initial", {"context": "It is {blue}.", "question": "Which?"})
    assert found == (
        prompt or _read(name)["standard"].replace("{context}", "It is {blue}.").replace("{question}", "Which?")
    )
    assert "{context}" in get_template("standard")
    assert path.read_bytes() == (DATA / name).read_bytes()
