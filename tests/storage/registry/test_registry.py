"""The registry: versions that never change, one in production, and a way back."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ragtime.backends.resolution import resolve_model
from ragtime.config.settings import Settings, override_settings
from ragtime.errors import BackendError, InvalidArgumentError, StorageError
from ragtime.records.training import Lineage
from ragtime.storage.registry import ModelFile, ModelNotFoundError, ModelRegistry, ModelVersion
from ragtime.storage.registry.files import version_of
from ragtime.utils.hashing import text_hash

Make = Callable[[str], Path]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stages(registry: ModelRegistry, name: str = "support") -> list[str]:
    return [version.stage for version in registry.list_versions(name)]


# --- registering ----------------------------------------------------------------------------------------------------


def test_what_is_registered_is_kept_as_it_was_told(registry: ModelRegistry, make_model: Make) -> None:
    version = registry.register(
        make_model("a"),
        "support",
        parent="all-MiniLM-L6-v2",
        dataset_ids=["d1", "d2"],
        settings_hash="s",
        metrics={"test": {"ndcg@10": {"value": 0.52, "interval": [0.5, 0.54]}}},
        packages={"torch": "2.8"},
        prompts={"query": "query: "},
        lineage=Lineage(source="turns", seed=7),
    )
    assert version.stage == "candidate"
    assert (version.parent, version.dataset_ids, version.settings_hash) == ("all-MiniLM-L6-v2", ("d1", "d2"), "s")
    assert version.metrics == {"test": {"ndcg@10": {"value": 0.52, "interval": [0.5, 0.54]}}}
    assert (version.packages, version.prompts) == ({"torch": "2.8"}, {"query": "query: "})
    assert version.lineage == Lineage(source="turns", seed=7)
    assert sorted(version.files) == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    assert version.bytes == 100 + 22 + 2
    assert registry.get("support", version.version) == version
    assert hash(registry.get("support", version.short)) == hash(version)


def test_the_folder_of_a_version_holds_the_files_and_nothing_else(registry: ModelRegistry, make_model: Make) -> None:
    folder = make_model("a")
    before = contents(folder)
    version = registry.register(folder, "support")
    assert contents(registry.resolve(version.reference)) == before
    (folder / "config.json").write_text("changed later")
    assert contents(registry.resolve(version.reference)) == before


def test_the_version_depends_on_names_and_contents_alone(registry: ModelRegistry, make_model: Make) -> None:
    folder = make_model("a")
    version = registry.register(folder, "support", parent="x").version
    other = Path(shutil.copytree(folder, folder.with_name("copy")))
    assert registry.register(other, "sales").version == version
    (other / "config.json").rename(other / "config2.json")
    assert registry.register(other, "sales").version != version


def test_the_same_files_twice_are_one_version(
    registry: ModelRegistry, make_model: Make, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_model("a")
    first = registry.register(folder, "support", parent="x")
    assert registry.register(folder, "support", parent="x") == first
    assert "what was said of them first stands" not in caplog.text
    assert registry.register(folder, "support", parent="y") == first
    assert "what was said of them first stands" in caplog.text
    assert registry.list_versions() == [first]
    assert len(registry.history("support")) == 1


def test_a_version_in_production_that_is_registered_again_stays_there(
    registry: ModelRegistry, make_model: Make
) -> None:
    folder = make_model("a")
    promoted = registry.promote("support", registry.register(folder, "support").version)
    assert registry.register(folder, "support") == promoted


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/a", "a\\b", ".a", "a.", "-a", "a@b", "a b", "ä", "a\n", "a\0", "x" * 101]
)
def test_names_that_are_none(registry: ModelRegistry, make_model: Make, name: str) -> None:
    folder = make_model("a")
    for call in (
        lambda: registry.register(folder, name),
        lambda: registry.promote(name, "abcd"),
        lambda: registry.rollback(name),
        lambda: registry.delete(name, "abcd"),
        lambda: registry.get(name),
        lambda: registry.verify(name),
        lambda: registry.history(name),
        lambda: registry.list_versions(name),
    ):
        with pytest.raises(InvalidArgumentError, match="No name of a model"):
            call()
    assert not registry.root.exists()


@pytest.mark.parametrize("version", ["", "abc", "../..", "ABCD", "g" * 64, "a" * 65, "abcd\n"])
def test_versions_that_are_none(registry: ModelRegistry, make_model: Make, version: str) -> None:
    registry.register(make_model("a"), "support")
    for call in (registry.promote, registry.delete, registry.get, registry.verify):
        with pytest.raises(InvalidArgumentError, match="No version"):
            call("support", version)
    with pytest.raises(InvalidArgumentError):
        registry.resolve(f"support@{version}")


def test_folders_that_cannot_be_registered(registry: ModelRegistry, make_model: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="There is no folder"):
        registry.register(tmp_path / "nothing", "support")
    with pytest.raises(InvalidArgumentError, match="There is no folder"):
        registry.register(make_model("a") / "config.json", "support")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(InvalidArgumentError, match="There is no file"):
        registry.register(tmp_path / "empty", "support")
    with pytest.raises(InvalidArgumentError, match="holds the registry itself"):
        registry.register(tmp_path, "support")
    linked, piped = make_model("b"), make_model("c")
    (linked / "vocab.txt").symlink_to(tmp_path / "models" / "a" / "config.json")
    os.mkfifo(piped / "pipe")
    for folder, name in ((linked, "vocab.txt"), (piped, "pipe")):
        with pytest.raises(InvalidArgumentError, match=f"'{name}' in .* is a symbolic link or no regular file"):
            registry.register(folder, "support")
    assert not registry.root.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parent", ""),
        ("dataset_ids", "d1"),
        ("dataset_ids", ["a\nb"]),
        ("metrics", {"x": float("nan")}),
        ("metrics", {"x": object()}),
        ("prompts", {"query": 3}),
        ("lineage", "somewhere"),
    ],
)
def test_wrong_facts_are_refused_before_anything_is_written(
    registry: ModelRegistry, make_model: Make, field: str, value: object
) -> None:
    with pytest.raises(InvalidArgumentError):
        registry.register(make_model("a"), "support", **{field: value})
    assert not registry.root.exists()


def test_a_folder_with_links_around_it_is_fine(registry: ModelRegistry, make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(make_model("a"))
    assert len(registry.register(tmp_path / "link", "support").files) == 3


# --- stages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(registry: ModelRegistry, make_model: Make) -> list[str]:
    """Versions a, b and c of ``support``, all candidates."""
    return [registry.register(make_model(text), "support").version for text in "abc"]


def test_one_version_is_in_production(registry: ModelRegistry, three: list[str]) -> None:
    assert stages(registry) == ["candidate"] * 3
    assert registry.promote("support", three[1]).stage == "production"
    assert stages(registry) == ["candidate", "production", "candidate"]
    registry.promote("support", three[0][:8])
    assert stages(registry) == ["production", "retired", "candidate"]
    assert registry.get("support").version == three[0]


def test_promoting_what_is_in_production_changes_nothing(registry: ModelRegistry, three: list[str]) -> None:
    first = registry.promote("support", three[0])
    before = registry.history("support")
    assert registry.promote("support", three[0]) == first
    assert registry.history("support") == before


def test_each_rollback_undoes_one_promotion(registry: ModelRegistry, three: list[str]) -> None:
    for version in three:
        registry.promote("support", version)
    assert registry.rollback("support").version == three[1]
    assert stages(registry) == ["retired", "production", "retired"]
    assert registry.rollback("support").version == three[0]
    with pytest.raises(ModelNotFoundError, match="no version of 'support' to go back to"):
        registry.rollback("support")
    registry.promote("support", three[2])
    assert registry.rollback("support").version == three[0]


def test_a_rollback_touches_no_weights(registry: ModelRegistry, three: list[str]) -> None:
    for version in three[:2]:
        registry.promote("support", version)
    weights = [registry.resolve(f"support@{version}") / "model.safetensors" for version in three]
    for path in weights:
        os.utime(path, ns=(1, 2))  # the first reading would set the time of access anew
    before = [path.stat() for path in weights]
    registry.rollback("support")
    assert [path.stat() for path in weights] == before


def test_the_history_tells_every_change_with_time_and_reason(registry: ModelRegistry, make_model: Make) -> None:
    a = registry.register(make_model("a"), "support").version
    b = registry.register(make_model("b"), "support").version
    registry.promote("support", a, reason="first one")
    registry.promote("support", b, reason="better")
    registry.rollback("support", reason="users complained")
    registry.delete("support", b, reason="no use")
    changes = registry.history("support")
    assert [(change.action, change.version, change.former, change.reason) for change in changes] == [
        ("register", a, None, None),
        ("register", b, None, None),
        ("promote", a, None, "first one"),
        ("promote", b, a, "better"),
        ("rollback", a, b, "users complained"),
        ("delete", b, None, "no use"),
    ]
    times = [change.at for change in changes]
    assert times == sorted(times)
    assert isinstance(times[0], datetime)
    assert times[-1] - times[-2] == timedelta(minutes=1)


@pytest.mark.parametrize("reason", ["", "  ", 3])
def test_a_reason_has_something_in_it(registry: ModelRegistry, three: list[str], reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match="reason"):
        registry.promote("support", three[0], reason=reason)
    assert stages(registry) == ["candidate"] * 3


# --- deleting -------------------------------------------------------------------------------------------------------


def test_a_deleted_version_is_gone_and_remembered(registry: ModelRegistry, three: list[str]) -> None:
    folder = registry.resolve(f"support@{three[0]}")
    registry.delete("support", three[0])
    assert not folder.exists()
    assert [version.version for version in registry.list_versions("support")] == three[1:]
    assert registry.history("support")[-1].version == three[0]
    for call in (registry.get, registry.promote, registry.delete, registry.verify):
        with pytest.raises(ModelNotFoundError, match=f"no version {three[0][:12]}"):
            call("support", three[0])


def test_a_deleted_version_can_be_registered_again(registry: ModelRegistry, make_model: Make) -> None:
    folder = make_model("a")
    version = registry.register(folder, "support").version
    registry.delete("support", version)
    assert registry.list_versions("support") == []
    assert registry.register(folder, "support").stage == "candidate"
    assert registry.verify("support", version).version == version


def test_the_version_in_production_is_never_deleted(registry: ModelRegistry, three: list[str]) -> None:
    registry.promote("support", three[0])
    with pytest.raises(StorageError, match="is in production and cannot be deleted; promote another"):
        registry.delete("support", three[0])
    assert registry.resolve("support").is_dir()


def test_rollback_passes_over_deleted_versions(registry: ModelRegistry, three: list[str]) -> None:
    for version in (three[0], three[1], three[0], three[2]):
        registry.promote("support", version)
    registry.delete("support", three[1])
    assert registry.rollback("support").version == three[0]
    with pytest.raises(ModelNotFoundError):  # what came before is the same version
        registry.rollback("support")


def test_nothing_outside_the_registry_is_removed(registry: ModelRegistry, make_model: Make, tmp_path: Path) -> None:
    outside = make_model("outside")
    a, b = (registry.register(make_model(text), "support").version for text in "ab")
    versions = registry.root / "support" / "versions"
    shutil.rmtree(versions / a)
    (versions / a).symlink_to(outside)
    registry.delete("support", a)
    assert not (versions / a).is_symlink()
    assert len(contents(outside)) == 3
    versions.rename(tmp_path / "moved")
    versions.symlink_to(tmp_path / "moved")
    with pytest.raises(InvalidArgumentError, match="leads out of its folder"):
        registry.delete("support", b)
    assert (tmp_path / "moved" / b).is_dir()


def test_what_is_not_a_version_is_left_alone(registry: ModelRegistry, three: list[str]) -> None:
    stray = registry.root / "support" / "versions" / "README"
    stray.write_text("mine")
    registry.delete("support", three[0])
    assert stray.read_text() == "mine"


# --- looking up -----------------------------------------------------------------------------------------------------


def test_references(registry: ModelRegistry, three: list[str]) -> None:
    with pytest.raises(ModelNotFoundError, match="No version of the model 'support' is in production"):
        registry.resolve("support")
    registry.promote("support", three[0])
    production = registry.resolve("support")
    assert production == registry.resolve(f"support@{three[0]}") == registry.resolve(f"support@{three[0][:4]}")
    assert production != registry.resolve(f"support@{three[1]}")
    registry.promote("support", three[1])
    assert registry.resolve("support") == registry.resolve(f"support@{three[1]}")
    with pytest.raises(ModelNotFoundError, match="did you mean 'support'"):
        registry.resolve("suport")
    with pytest.raises(ModelNotFoundError, match="has no version"):
        registry.resolve("support@" + "0" * 64)
    for wrong in ("", "@", "support@", "@abcd", "support@a@b", "registry:support"):
        with pytest.raises(InvalidArgumentError):
            registry.resolve(wrong)


def test_digits_that_several_versions_share_are_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    folder, alike = tmp_path / "m", dict[str, list[str]]()
    folder.mkdir()
    for text in map(str, range(2000)):
        files = {"config.json": ModelFile(bytes=len(text), sha256=text_hash(text))}
        alike.setdefault(version_of(files)[:4], []).append(text)
    texts = next(texts for texts in alike.values() if len(texts) > 1)
    for text in texts[:2]:
        (folder / "config.json").write_text(text)
        version = registry.register(folder, "support").version
    with pytest.raises(InvalidArgumentError, match="give more digits"):
        registry.get("support", version[:4])
    assert registry.get("support", version[:12]).version == version


def test_it_is_the_registry_of_the_backends(registry: ModelRegistry, three: list[str]) -> None:
    registry.promote("support", three[2])
    for path in registry.root.rglob("*.safetensors"):
        assert path.stat().st_mode & 0o222 == 0
    found = registry.resolve("support")
    assert found.name == "model"
    with pytest.raises(BackendError, match="damaged or cut off"):  # it was found: the weights are no weights
        resolve_model("registry:support", registry=registry.resolve)


def test_models_and_versions_are_listed_in_order(registry: ModelRegistry, make_model: Make, three: list[str]) -> None:
    registry.register(make_model("z"), "Sales.v2")
    (registry.root / "not a model").mkdir()
    (registry.root / "unfinished").mkdir()
    assert registry.list_models() == ["Sales.v2", "support"]
    listed = registry.list_versions()
    assert [version.name for version in listed] == ["Sales.v2", "support", "support", "support"]
    assert [version.version for version in listed[1:]] == three
    assert all(isinstance(version, ModelVersion) for version in listed)


def test_an_empty_registry(registry: ModelRegistry) -> None:
    assert registry.list_models() == []
    assert registry.list_versions() == []
    for call in (registry.history, registry.list_versions, registry.get, registry.rollback, registry.resolve):
        with pytest.raises(ModelNotFoundError, match="no model 'support' in the registry"):
            call("support")
    for call in (registry.promote, registry.delete):
        with pytest.raises(ModelNotFoundError, match="no model 'support' in the registry"):
            call("support", "abcd")
    assert not registry.root.exists()


def test_it_is_in_the_data_folder(tmp_path: Path, make_model: Make) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data")
    assert ModelRegistry(settings).root == tmp_path / "data" / "registry"
    with override_settings(settings):
        version = ModelRegistry().register(make_model("a"), "support")
    assert ModelRegistry(settings).get("support", version.version) == version


# --- logging --------------------------------------------------------------------------------------------------------


def test_changes_are_logged_once_and_tell_no_content(
    registry: ModelRegistry, make_model: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    a, b = (registry.register(make_model(text), "support", prompts={"query": "CANARY"}).version for text in "ab")
    for version in (a, b):
        registry.promote("support", version, reason="CANARY")
    registry.resolve("support")
    registry.get("support")
    registry.list_versions()
    registry.rollback("support")
    registry.verify("support")
    registry.delete("support", b)
    operations = "register_model register_model promote_model promote_model rollback_model verify_model delete_model"
    assert [record.__dict__["operation"] for record in caplog.records] == operations.split()
    assert all(record.__dict__["model"] == "support" for record in caplog.records)
    assert caplog.records[3].__dict__["former"] == a[:12]
    assert "CANARY" not in str([record.__dict__ for record in caplog.records])
    with pytest.raises(StorageError):
        registry.delete("support", a)
    assert (caplog.records[-1].levelname, caplog.records[-1].__dict__["error"]) == ("ERROR", "StorageError")
