"""Evaluations of versions: kept beside them, replaced whole, and gone with them."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.storage.registry import EvaluationStore, ModelNotFoundError, ModelRegistry, TamperedModelError

Make = Callable[[str], Path]


@pytest.fixture
def store(registry: ModelRegistry) -> EvaluationStore:
    return EvaluationStore(registry)


@pytest.fixture
def version(registry: ModelRegistry, make_model: Make) -> str:
    return registry.register(make_model("a"), "support").version


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_what_was_measured_comes_back(registry: ModelRegistry, store: EvaluationStore, version: str) -> None:
    assert store.of("support", version) == []
    store.add("support", version[:8], data="d2", result={"ndcg@10": 0.5})
    store.add("support", version, data="d1", result={"by_question": {"ndcg@10": [0.1, 1.0]}, "name": "Größe"})
    found = EvaluationStore(ModelRegistry(root=registry.root)).of("support", version)
    assert [(kept.version, kept.data) for kept in found] == [(version, "d1"), (version, "d2")]
    assert found[0].result == {"by_question": {"ndcg@10": [0.1, 1.0]}, "name": "Größe"}
    registry.promote("support", version)
    assert store.of("support") == found


def test_another_of_the_same_data_replaces_the_former(store: EvaluationStore, version: str) -> None:
    for value in (0.5, 0.6):
        store.add("support", version, data="d1", result={"ndcg@10": value})
    assert [kept.result for kept in store.of("support", version)] == [{"ndcg@10": 0.6}]


def test_they_change_no_version(
    registry: ModelRegistry, store: EvaluationStore, version: str, make_model: Make
) -> None:
    store.add("support", version, data="d1", result={"ndcg@10": 0.5})
    assert registry.verify("support", version).version == version
    assert len(registry.history("support")) == 1
    other = registry.register(make_model("b"), "support").version
    assert store.of("support", other) == []


def test_they_go_with_their_version(
    registry: ModelRegistry, store: EvaluationStore, version: str, make_model: Make
) -> None:
    other = registry.register(make_model("b"), "support").version
    for each in (version, other):
        store.add("support", each, data="d1", result={"ndcg@10": 0.5})
    registry.delete("support", version)
    assert [path.name for path in (registry.root / "support" / "evaluations").iterdir()] == [other]
    for call in (lambda: store.of("support", version), lambda: store.add("support", version, data="d", result={})):
        with pytest.raises(ModelNotFoundError):
            call()


@pytest.mark.parametrize(
    ("data", "result"), [("", {}), ("a\nb", {}), ("d1", {"x": float("nan")}), ("d1", {"x": object()}), ("d1", {1: 2})]
)
def test_wrong_arguments_write_nothing(
    registry: ModelRegistry, store: EvaluationStore, version: str, data: str, result: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgumentError):
        store.add("support", version, data=data, result=result)  # type: ignore[arg-type]
    assert not (registry.root / "support" / "evaluations").exists()


def test_a_tampered_one_is_refused_until_it_is_measured_again(
    registry: ModelRegistry, store: EvaluationStore, version: str
) -> None:
    store.add("support", version, data="d1", result={"ndcg@10": 0.5})
    (path,) = (registry.root / "support" / "evaluations" / version).iterdir()
    whole = path.read_text()
    told = json.loads(whole)
    for damaged in (whole.replace("0.5", "0.9"), whole[:-20], json.dumps({**told, "data": "d2"})):
        path.write_text(damaged)
        with pytest.raises(TamperedModelError, match="evaluate the model again"):
            store.of("support", version)
    store.add("support", version, data="d1", result={"ndcg@10": 0.5})
    assert len(store.of("support", version)) == 1
    path.rename(path.with_name("0" * 64 + ".json"))
    with pytest.raises(TamperedModelError, match="is no evaluation of support@"):
        store.of("support", version)


def test_a_full_disk_leaves_the_former(store: EvaluationStore, version: str) -> None:
    store.add("support", version, data="d1", result={"ndcg@10": 0.5})
    with _files_of_at_most(100), pytest.raises(StorageError, match=r"Cannot write .*too large"):
        store.add("support", version, data="d1", result={"ndcg@10": 0.6})
    assert [kept.result for kept in store.of("support", version)] == [{"ndcg@10": 0.5}]
