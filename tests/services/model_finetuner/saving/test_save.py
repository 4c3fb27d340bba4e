"""What is saved is whole, plain, the same bytes each time, and what was trained; or it is not there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError  # noqa: E402
from ragtime.services.model_finetuner.saving import FolderWriter, save_model  # noqa: E402
from ragtime.services.model_finetuner.saving.plain import write_plain_folder  # noqa: E402
from ragtime.services.model_finetuner.strategies.comparison import embed_for_check, largest_difference  # noqa: E402
from ragtime.testing import tiny_model  # noqa: E402

pytestmark = pytest.mark.models


def load_plain(path: Path) -> SentenceTransformer:
    return SentenceTransformer(str(path), device="cpu", trust_remote_code=False, local_files_only=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_saved_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Safetensors and JSON, prompts, length and metadata; hashes of the weights are told, and the end is logged."""
    model = tiny_model()
    model.prompts["title"] = "title: "
    caplog.set_level(logging.INFO, logger="ragtime")
    saved = save_model(
        model,
        tmp_path / "deep" / "model",
        prompts={"query": "query: ", "document": "passage: "},
        max_seq_length=20,
        metadata={"run": "first", "figures": {"ndcg@10": 0.5}},
    )
    files = files_of(saved.path)
    assert {Path(name).suffix for name in files} == {".json", ".safetensors"}
    assert json.loads(files["ragtime.json"]) == {"run": "first", "figures": {"ndcg@10": 0.5}}
    assert saved.weights == {"model.safetensors": hashlib.sha256(files["model.safetensors"]).hexdigest()}
    assert saved.difference <= 1e-5
    assert [record.getMessage() for record in caplog.records] == ["save_model finished"]
    assert sorted(path.name for path in saved.path.parent.iterdir()) == ["model"]

    loaded = load_plain(saved.path)
    assert loaded.prompts == {"query": "query: ", "document": "passage: ", "title": "title: "}
    assert loaded.max_seq_length == 20
    assert loaded.similarity_fn_name == "cosine"
    assert loaded.tokenizer.get_vocab() == model.tokenizer.get_vocab()
    assert largest_difference(embed_for_check(loaded), embed_for_check(model)) <= 1e-5
    assert largest_difference(embed_for_check(loaded), embed_for_check(tiny_model())) > 1e-3  # the prompts count


def test_a_text_is_never_longer_than_the_model_has_positions_for(tmp_path: Path) -> None:
    saved = save_model(tiny_model(), tmp_path / "model", max_seq_length=5_000)
    assert load_plain(saved.path).max_seq_length == 128


def test_another_similarity_becomes_the_cosine(tmp_path: Path) -> None:
    model = tiny_model()
    model.similarity_fn_name = "dot"
    assert load_plain(save_model(model, tmp_path / "model").path).similarity_fn_name == "cosine"


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever was computed last, and in whichever process it was saved."""
    model = tiny_model()
    first = save_model(model, tmp_path / "first", metadata={"a": 1})
    model.encode(["a text", "and a much longer text that sets another padding"] * 20)
    second = save_model(model, tmp_path / "second", metadata={"a": 1})
    program = textwrap.dedent(
        """
        import sys
        from ragtime.services.model_finetuner.saving import save_model
        from ragtime.testing import tiny_model

        save_model(tiny_model(), sys.argv[1], metadata={"a": 1}, texts_for_check=["another text"])
        """
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[4]
    arguments = [sys.executable, "-c", program, str(tmp_path / "third")]
    subprocess.run(arguments, check=True, env=environment, cwd=root, capture_output=True)
    assert files_of(first.path) == files_of(second.path) == files_of(tmp_path / "third")


def test_a_model_that_was_loaded_saves_as_it_was(tmp_path: Path) -> None:
    """Bytes do not tell where the model lay."""
    first = save_model(tiny_model(), tmp_path / "first")
    second = save_model(load_plain(first.path), tmp_path / "elsewhere" / "second")
    assert files_of(first.path) == files_of(second.path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for name in ("folder", "file", "link"):
        place = tmp_path / name
        if name == "folder":
            place.mkdir()
        elif name == "file":
            place.write_text("mine")
        else:
            place.symlink_to(tmp_path / "nowhere")
        with pytest.raises(InvalidArgumentError, match="There is something at"):
            save_model(tiny_model(), place)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link"]


def broken(change: Any) -> FolderWriter:
    """Return a writer that does its work and then does something to the folder."""

    def write(model: SentenceTransformer, folder: Path) -> None:
        write_plain_folder(model, folder)
        change(folder)

    return write


def change_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][0] += 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def edit(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_weights, "gives other embeddings"),
        (lambda folder: edit(folder, "tokenizer_config.json", do_lower_case=False), "gives other embeddings"),
        (lambda folder: edit(folder, "1_Pooling/config.json", pooling_mode="cls"), "gives other embeddings"),
        (lambda folder: edit(folder, "config_sentence_transformers.json", prompts={"query": "ask: "}), "other prompts"),
        (lambda folder: edit(folder, "tokenizer_config.json", model_max_length=7), "another maximum length"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "damaged or cut off"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "cannot load the saved model|other embeddings"),
        (lambda folder: (folder / "modules.json").write_text("[]"), "cannot load the saved model|other embeddings"),
        (lambda folder: (folder / "config.json").unlink(), "cannot load the saved model"),
        (
            lambda folder: (folder / "modules.json").write_text(
                '[{"idx": 0, "name": "0", "path": "", "type": "own.Code"}]'
            ),
            "needs code of its own",
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "pickles",
        ),
    ],
)
def test_what_is_not_the_model_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    """Damage of every kind is found before the folder gets its name; nothing is left of it."""
    with pytest.raises(FineTuningError, match=message):
        save_model(tiny_model(), tmp_path / "model", write=broken(change))
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.transformers_model.embeddings.LayerNorm.weight.fill_(float("nan"))
    with pytest.raises(FineTuningError, match=r"gives other embeddings \(difference inf"):
        save_model(model, tmp_path / "model")


def test_a_full_disk(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise OSError(28, f"No space left on device: {folder.name}")

    with pytest.raises(StorageError, match="No space left on device"):
        save_model(tiny_model(), tmp_path / "model", write=broken(fill))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="There is something at"):
        save_model(tiny_model(), tmp_path / "model", write=broken(lambda _: (tmp_path / "model").mkdir()))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Killed while it wrote: the next attempt at the same folder clears it away, and nothing else."""
    program = textwrap.dedent(
        """
        import os, signal, sys
        from ragtime.services.model_finetuner.saving import save_model
        from ragtime.services.model_finetuner.saving.plain import write_plain_folder
        from ragtime.testing import tiny_model

        def write(model, folder):
            write_plain_folder(model, folder)
            os.kill(os.getpid(), signal.SIGKILL)

        save_model(tiny_model(), sys.argv[1], write=write)
        """
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    place = tmp_path / "model [1]"
    root = Path(__file__).parents[4]
    arguments = [sys.executable, "-c", program, str(place)]
    assert subprocess.run(arguments, check=False, env=environment, cwd=root, capture_output=True).returncode == -9
    assert [path.name.startswith(".model [1].") for path in tmp_path.iterdir()] == [True]
    (tmp_path / f".model 1.{'0' * 16}.tmp").mkdir()
    save_model(tiny_model(), place)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".model 1.{'0' * 16}.tmp", "model [1]"]


@pytest.mark.parametrize("texts", [[], "one text"])
def test_texts_for_the_check_are_needed(texts: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one text"):
        save_model(tiny_model(), tmp_path / "model", texts_for_check=texts)


def test_metadata_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="Only plain JSON"):
        save_model(tiny_model(), tmp_path / "model", metadata={"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_no_text_stands_in_an_error_or_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(FineTuningError) as caught:
        save_model(tiny_model(), tmp_path / "model", texts_for_check=["canary"], write=broken(change_weights))
    assert "canary" not in str(caught.value) + caplog.text
