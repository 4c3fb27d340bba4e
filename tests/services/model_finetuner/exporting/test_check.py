"""The self-check: what was exported passes, anything else is told, and nothing is loaded before it is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")
pytest.importorskip("accelerate")

from ragtime.config.settings import Settings
from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError
from ragtime.services.model_finetuner import ModelFineTuner
from ragtime.services.model_finetuner.exporting import ExportedModel, SafetensorsExporter, check_export
from ragtime.services.model_finetuner.strategies.comparison import RoleEmbeddings
from ragtime.testing import tiny_model
from ragtime.utils.hashing import file_hash

pytestmark = pytest.mark.models


@pytest.fixture
def exported(tmp_path: Path) -> ExportedModel:
    tiny_model().save_pretrained(str(tmp_path / "model"), create_model_card=False)
    return ModelFineTuner(settings=Settings.isolated()).export(tmp_path / "support", model=tmp_path / "model")


@pytest.fixture
def folder(exported: ExportedModel) -> Path:
    return exported.path


class _Loads(SafetensorsExporter):
    """Says when something is loaded, and gives what is wanted."""

    def __init__(self, embeddings: RoleEmbeddings | None = None) -> None:
        self.loaded = 0
        self._embeddings = embeddings

    def embed(self, folder: Path, texts: Sequence[str]) -> RoleEmbeddings:
        self.loaded += 1
        return self._embeddings if self._embeddings is not None else super().embed(folder, texts)


def seal(folder: Path) -> None:
    """Write the sums anew, as somebody who means harm or well would."""
    names = [line.partition("  ")[2] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    (folder / "SHA256SUMS").write_text("".join(f"{file_hash(folder / name)}  {name}\n" for name in names))


def test_an_export_passes(exported: ExportedModel) -> None:
    found = check_export(exported.path, digest=exported.digest)
    assert (found.digest, found.facts, found.difference) == (exported.digest, exported.facts, 0)
    assert found.texts > 3
    assert found.other_packages == {}


def test_the_card_may_be_added_to_and_hidden_files_play_no_part(exported: ExportedModel) -> None:
    with (exported.path / "README.md").open("a") as card:
        card.write("## Licence\n")
    (exported.path / ".git").mkdir()
    (exported.path / ".git" / "config").write_text("x")
    (exported.path / ".gitattributes").write_text("x")
    assert check_export(exported.path).digest == exported.digest


def change(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "modules.json", "tokenizer.json", "self-check/texts.json", "requirements.txt"]
)
def test_a_changed_file_is_told_before_anything_is_loaded(folder: Path, name: str) -> None:
    exporter = _Loads()
    change(folder, name)
    with pytest.raises(StorageError, match=f"is not what was exported: '{name}' changed; export the model again"):
        check_export(folder, exporter=exporter)
    (folder / name).unlink()
    with pytest.raises(StorageError, match=f"'{name}' missing"):
        check_export(folder, exporter=exporter)
    assert exporter.loaded == 0


def test_an_added_file_is_told(folder: Path) -> None:
    """Another file may change how a folder is loaded."""
    (folder / "adapter_config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem")
    with pytest.raises(StorageError, match=r"'adapter_config\.json' and 1 more not of the export"):
        check_export(folder)


def test_another_export_is_found_by_its_digest(folder: Path) -> None:
    seal(folder)
    tiny_model(seed=5).save_pretrained(str(folder), create_model_card=False)
    seal(folder)
    with pytest.raises(StorageError, match=r"is another export: its digest is .*…, expected 000000000000…"):
        check_export(folder, digest="0" * 64)


def test_other_embeddings_are_told(folder: Path) -> None:
    """Weights that were replaced with their sums give other embeddings than the texts of the check."""
    tiny_model(seed=5).save_pretrained(str(folder), create_model_card=False)
    seal(folder)
    with pytest.raises(FineTuningError, match=r"gives other embeddings here .*install the pinned packages"):
        check_export(folder)


@pytest.mark.parametrize("shape", [(6, 32), (6, 31), (5, 32)])
def test_vectors_that_are_far_off_or_of_another_shape_are_told(folder: Path, shape: tuple[int, int]) -> None:
    wrong = np.full(shape, np.nan if shape == (6, 32) else 0.1, dtype=np.float32)
    with pytest.raises(FineTuningError, match="difference inf"):
        check_export(folder, exporter=_Loads(RoleEmbeddings(wrong, wrong)))


def test_other_versions_of_packages_are_told(folder: Path) -> None:
    path = folder / "export.json"
    facts = json.loads(path.read_text())
    facts["packages"] |= {"torch": "1.0", "no-such-package": "2.0"}
    path.write_text(json.dumps(facts))
    seal(folder)
    other = check_export(folder).other_packages
    assert set(other) == {"torch", "no-such-package"}
    assert other["torch"][0] == "1.0"
    assert other["no-such-package"] == ("2.0", None)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("export.json", "{", r"export\.json' is damaged"),
        ("export.json", "{}", "tells nothing of an export"),
        ("export.json", '{"format": 99}', "A later version of ragtime wrote"),
        ("self-check/texts.json", '{"texts": []}', "holds no texts"),
        ("self-check/texts.json", "[]", r"texts\.json' is damaged"),
        ("self-check/embeddings.safetensors", "x", "Cannot read the tensors"),
    ],
)
def test_what_tells_something_else_is_refused(folder: Path, name: str, text: str, told: str) -> None:
    (folder / name).write_text(text)
    seal(folder)
    with pytest.raises(StorageError, match=told):
        check_export(folder)


def test_a_target_of_somebody_else_needs_their_exporter(folder: Path) -> None:
    path = folder / "export.json"
    path.write_text(path.read_text().replace('"safetensors"', '"own"', 1))
    seal(folder)
    with pytest.raises(InvalidArgumentError, match="There is no target 'own'"):
        check_export(folder)
    assert check_export(folder, exporter=_Loads()).facts.target == "own"


@pytest.mark.parametrize("sums", ["", "x", "../../etc/passwd", b"\xff\xfe"])
def test_sums_that_are_none(folder: Path, sums: str | bytes) -> None:
    (folder / "SHA256SUMS").write_bytes(sums if isinstance(sums, bytes) else sums.encode())
    with pytest.raises(StorageError, match="holds no sums"):
        check_export(folder)


def test_a_sum_of_a_file_elsewhere_is_missing(folder: Path) -> None:
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  ../../etc/passwd\n")
    with pytest.raises(StorageError, match=r"'\.\./\.\./etc/passwd' missing"):
        check_export(folder)


def test_what_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"There is no folder .*nowhere'; give that of an export"):
        check_export(tmp_path / "nowhere")
    with pytest.raises(StorageError, match=r"is no export of ragtime: .*SHA256SUMS' is missing"):
        check_export(tmp_path)
