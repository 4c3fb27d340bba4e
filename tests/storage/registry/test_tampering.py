"""What is not what was registered is refused, and can be put right."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragtime.errors import StorageError
from ragtime.storage.registry import ModelRegistry, TamperedModelError
from ragtime.utils.hashing import content_hash

Make = Callable[[str], Path]


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def replace_weights(model: Path) -> None:
    """Change the weights, and hide it as well as one can."""
    path = model / "model.safetensors"
    before = path.stat()
    overwrite(path, b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def add_file(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"cos\nsystem")


def remove_file(model: Path) -> None:
    (model / "1_Pooling" / "config.json").unlink()


def cut_file(model: Path) -> None:
    overwrite(model / "model.safetensors", b"x")


def link_file(model: Path) -> None:
    path = model / "config.json"
    twin = model.parent.parent.parent / "twin.json"
    shutil.copy(path, twin)
    path.unlink()
    path.symlink_to(twin)


def link_folder(model: Path) -> None:
    elsewhere = model.parent.parent.parent / "elsewhere"
    model.rename(elsewhere)
    model.symlink_to(elsewhere)


def remove_folder(model: Path) -> None:
    shutil.rmtree(model)


def remove_manifest(model: Path) -> None:
    (model.parent / "manifest.json").unlink()


def change_manifest(model: Path) -> None:
    path = model.parent / "manifest.json"
    overwrite(path, path.read_bytes().replace(b'"parent": null', b'"parent": "x"'))


def forge_manifest(model: Path) -> None:
    """Change the weights and the manifest, with all its hashes."""
    replace_weights(model)
    path = model.parent / "manifest.json"
    told = json.loads(path.read_bytes())
    del told["digest"]
    told["files"]["model.safetensors"]["sha256"] = "0" * 64
    overwrite(path, json.dumps({**told, "digest": content_hash(told)}).encode())


def garble_manifest(model: Path) -> None:
    overwrite(model.parent / "manifest.json", b"\xff{")


ALL = [
    replace_weights,
    add_file,
    remove_file,
    cut_file,
    link_file,
    link_folder,
    remove_folder,
    remove_manifest,
    change_manifest,
    forge_manifest,
    garble_manifest,
]


@pytest.fixture(params=ALL, ids=lambda tamper: tamper.__name__)
def tamper(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return request.param


def test_a_tampered_version_is_refused(
    registry: ModelRegistry, make_model: Make, tamper: Callable[[Path], None]
) -> None:
    version = registry.register(make_model("a"), "support").version
    tamper(registry.resolve(f"support@{version}"))
    other = ModelRegistry(root=registry.root)
    for call in (
        lambda: registry.resolve(f"support@{version}"),
        lambda: other.resolve(f"support@{version}"),
        lambda: registry.verify("support", version),
        lambda: registry.promote("support", version),
    ):
        with pytest.raises(TamperedModelError, match=f"support@{version[:12]} is not what was registered: .*again, or"):
            call()
    assert [change.action for change in registry.history("support")] == ["register"]


def test_registering_the_original_again_puts_it_right(
    registry: ModelRegistry, make_model: Make, tamper: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_model("a")
    version = registry.promote("support", registry.register(folder, "support").version)
    tamper(registry.resolve("support"))
    again = registry.register(folder, "support", metrics={"x": 1})
    assert (again.version, again.stage) == (version.version, "production")
    assert "replaced by its original" in caplog.text
    assert registry.verify("support") == again
    assert list((registry.root / "support" / "staged").iterdir()) == []


def test_a_damaged_version_can_be_deleted_and_spoils_no_list(
    registry: ModelRegistry, make_model: Make, tamper: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = (registry.register(make_model(text), "support").version for text in "ab")
    tamper(registry.resolve(f"support@{a}"))
    listed = [version.version for version in registry.list_versions()]
    assert listed in ([a, b], [b])
    assert ("A damaged version is left out" in caplog.text) == (listed == [b])
    registry.delete("support", a)
    assert [version.version for version in registry.list_versions()] == [b]


def test_rollback_to_a_version_that_is_not_whole_is_refused(registry: ModelRegistry, make_model: Make) -> None:
    a, b = (registry.register(make_model(text), "support").version for text in "ab")
    for version in (a, b):
        registry.promote("support", version)
    remove_file(registry.resolve(f"support@{a}"))
    with pytest.raises(TamperedModelError, match=r"'1_Pooling/config\.json' missing, changed or added"):
        registry.rollback("support")
    assert registry.get("support").version == b


def test_a_version_that_was_found_right_is_read_again_when_it_changes(
    registry: ModelRegistry, make_model: Make
) -> None:
    version = registry.register(make_model("a"), "support").version
    model = registry.resolve(f"support@{version}")
    weights = model / "model.safetensors"
    for _ in range(3):
        registry.resolve(f"support@{version}")
    replace_weights(model)
    with pytest.raises(TamperedModelError, match=r"'model\.safetensors' missing, changed or added"):
        registry.resolve(f"support@{version}")
    assert weights.stat().st_size == 100


@pytest.mark.slow
def test_a_version_that_was_found_right_is_not_read_again(
    registry: ModelRegistry, make_model: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    version = registry.register(make_model("a"), "support").version
    model = registry.resolve(f"support@{version}")
    time.sleep(2.1)  # younger files may change once more without its showing, and are read each time
    for _ in range(2):
        registry.resolve(f"support@{version}")
    replace_weights(model)
    with pytest.raises(TamperedModelError):
        registry.resolve(f"support@{version}")
    told = [record.__dict__["files_read"] for record in caplog.records if record.message == "A model is resolved"]
    assert told == [True, True, False]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b'{"format": 1}', b'{"format": 1, "name": "support", "changes": [], "digest": "x"}']
)
def test_a_damaged_history_is_told(registry: ModelRegistry, make_model: Make, data: bytes) -> None:
    version = registry.register(make_model("a"), "support").version
    (registry.root / "support" / "history.json").write_bytes(data)
    for call in (lambda: registry.get("support"), lambda: registry.promote("support", version), registry.list_versions):
        with pytest.raises(TamperedModelError, match=r"The history of the model 'support' is damaged: .*from a copy"):
            call()
    assert (registry.root / "support" / "history.json").read_bytes() == data


def test_a_history_of_another_model_or_of_changes_that_contradict_each_other_is_told(
    registry: ModelRegistry, make_model: Make
) -> None:
    version = registry.register(make_model("a"), "support").version
    shutil.copytree(registry.root / "support", registry.root / "sales")
    with pytest.raises(TamperedModelError, match="it is that of 'support'"):
        registry.get("sales", version)
    path = registry.root / "support" / "history.json"
    told = json.loads(path.read_bytes())
    del told["digest"]
    told["changes"] *= 2
    path.write_text(json.dumps({**told, "digest": content_hash(told)}))
    with pytest.raises(TamperedModelError, match=r"change 2 \(register\) does not follow"):
        registry.get("support", version)


def test_files_of_a_later_version_of_ragtime_are_told(registry: ModelRegistry, make_model: Make) -> None:
    version = registry.register(make_model("a"), "support").version
    for path in (
        registry.resolve(f"support@{version}").parent / "manifest.json",
        registry.root / "support/history.json",
    ):
        told = json.loads(path.read_bytes())
        del told["digest"]
        told["format"] = 2
        overwrite(path, json.dumps({**told, "digest": content_hash(told)}).encode())
        with pytest.raises(StorageError, match=r"A later version of ragtime wrote .* \(format 2\): update this one"):
            registry.get("support", version)


# --- disks that fail ------------------------------------------------------------------------------------------------


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


def everything(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_full_disk_leaves_everything_as_it_was(registry: ModelRegistry, make_model: Make) -> None:
    a, b, c = (registry.register(make_model(text), "support").version for text in "abc")
    registry.promote("support", a)
    registry.promote("support", b)
    large = make_model("x" * 40)
    before = everything(registry.root)
    for call in (
        lambda: registry.promote("support", c),
        lambda: registry.rollback("support"),
        lambda: registry.delete("support", c),
    ):
        with _files_of_at_most(200), pytest.raises(StorageError, match=r"Cannot write .*File too large"):
            call()
        assert everything(registry.root) == before
    for limit in (0, 200, 3999):  # the configuration, the weights, the last byte of these
        with (
            _files_of_at_most(limit),
            pytest.raises(StorageError, match=r"Cannot change the model 'support'.*too large"),
        ):
            registry.register(large, "support")
        assert everything(registry.root) == before
    assert [version.stage for version in registry.list_versions()] == ["retired", "production", "candidate"]


def test_a_model_that_changes_while_it_is_copied_is_refused(registry: ModelRegistry, make_model: Make) -> None:
    folder = make_model("a")

    def clock() -> object:  # looked at between hashing and copying
        (folder / "config.json").write_text("{}")
        return registry._clock()

    changing = ModelRegistry(root=registry.root, clock=clock)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match=r"config\.json' changed while it was copied"):
        changing.register(folder, "support")
    assert registry.list_models() == []
    assert list((registry.root / "support" / "staged").iterdir()) == []


def test_a_place_that_cannot_be_made(make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    registry = ModelRegistry(root=tmp_path / "file" / "registry")
    with pytest.raises(StorageError, match="Not a directory"):
        registry.register(make_model("a"), "support")
    with pytest.raises(StorageError, match="Cannot read"):
        ModelRegistry(root=tmp_path / "file").list_models()
