"""``ragtime models``: the registry of models on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragtime.cli import main
from ragtime.services.model_finetuner.comparison import EvaluationResult, read_evaluation, write_evaluation
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process; gives exit code, output, errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main(("models", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``base`` and ``tuned`` with very small models, and what was measured of them on eight questions."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("base", "tuned")):
        tiny_model(seed=seed).save_pretrained(str(folder / name), create_model_card=False)
        scores = [0.3 + seed * place / 20 for place in range(8)]
        measured = EvaluationResult.from_questions(
            [f"q{place}" for place in range(8)], {"ndcg@10": scores, "ndcg@5": scores},
            model_id=name, model_name=name, data_name="handbook", data_fingerprint="d1",
        )  # fmt: skip
        write_evaluation(folder / f"{name}.json", measured)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """The working directory, with the folders of ``saved``."""
    for path in saved.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture
def versions(run: Run, folder: Path) -> list[str]:  # noqa: ARG001 - where the command runs
    """Two versions of ``support``: the base model in production, the tuned one a candidate."""
    told = [
        json.loads(run("register", "support", name, "--evaluation", f"{name}.json", "--json")[1])
        for name in ("base", "tuned")
    ]
    assert [one["stage"] for one in told] == ["candidate", "candidate"]
    run("promote", f"support@{told[0]['version'][:8]}", "--reason", "the first")
    return [one["version"] for one in told]


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


# --- what there is --------------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_version(run: Run, folder: Path) -> None:
    code, out, err = run("register", "support", "tuned", "--parent", "all-MiniLM-L6-v2")
    assert (code, err) == (0, "")
    (version,) = ModelRegistry().list_versions("support")
    assert out == f"support@{version.short} is a candidate\n"
    assert version.parent == "all-MiniLM-L6-v2"
    assert ModelRegistry().root == folder / ".ragtime" / "registry"


def test_evaluations_are_taken_as_they_were_printed_and_written(run: Run, folder: Path) -> None:
    """By ``ragtime evaluate --json`` of one model, of two, and by ``write_evaluation``."""
    measured = read_evaluation(folder / "tuned.json").model_dump(mode="json")
    other = read_evaluation(folder / "base.json").model_dump(mode="json")
    (folder / "one.json").write_text(json.dumps(measured))
    (folder / "two.json").write_text(json.dumps({"base": other, "tuned": measured, "comparisons": []}))
    for number, name in enumerate(("tuned.json", "one.json", "two.json")):
        code, out, _ = run("register", f"support-{number}", "tuned", "--evaluation", name, "--json")
        assert code == 0
        assert json.loads(out)["metrics"]["handbook"]["ndcg@10"]["value"] == pytest.approx(0.475)
    for text in ("{}", '{"tuned": 3}', '{"version": 99}'):
        (folder / "none.json").write_text(text)
        code, _, err = run("register", "support", "tuned", "--evaluation", "none.json")
        assert code == 1
        assert "none.json" in err


def test_versions_are_listed(run: Run, versions: list[str]) -> None:
    code, out, _ = run("list")
    assert code == 0
    head, *found = rows(out)
    assert head == ["model", "version", "stage", "registered", "size", "parent"]
    assert [row[:3] for row in found] == [
        ["support", versions[0][:12], "production"],
        ["support", versions[1][:12], "candidate"],
    ]
    told = json.loads(run("list", "support", "--json")[1])
    assert [one["version"] for one in told] == versions
    assert all("files" not in one and one["bytes"] > 100_000 for one in told)


def test_an_empty_registry_lists_nothing(run: Run) -> None:
    assert run("list") == (0, "model\tversion\tstage\tregistered\tsize\tparent\n", "")
    assert json.loads(run("list", "--json")[1]) == []


def test_a_version_is_shown(run: Run, versions: list[str]) -> None:
    code, out, _ = run("show", "support")
    assert code == 0
    found = rows(out)
    assert ["stage", "production"] in found
    assert ["handbook ndcg@10", "0.3000 [0.3000, 0.3000]"] in found
    assert "handbook ndcg@5" not in out
    assert "handbook ndcg@5" in run("show", "support", "--all")[1]
    assert any(row[0] == "model.safetensors" and len(row[2]) == 64 for row in found)
    assert [row[1:] for row in found[-3:]] == [
        ["register", versions[0][:12], ""],
        ["register", versions[1][:12], ""],
        ["promote", versions[0][:12], "the first"],
    ]
    told = json.loads(run("show", f"registry:support@{versions[1][:6]}", "--json")[1])
    assert (told["version"], told["stage"], len(told["history"])) == (versions[1], "candidate", 3)
    assert "config.json" in told["files"]


def test_figures_stand_side_by_side_and_questions_are_compared(run: Run, versions: list[str]) -> None:
    code, out, _ = run("compare", "support", f"support@{versions[1][:8]}")
    assert code == 0
    found = rows(out)
    assert found[0] == [
        "figure", f"support@{versions[0][:12]} (production)", f"support@{versions[1][:12]} (candidate)"
    ]  # fmt: skip
    (figure,) = [row for row in found if row[0] == "handbook ndcg@10"]
    assert figure[1] == "0.3000 [0.3000, 0.3000]"
    assert figure[2].startswith("0.4750 [0.")
    (compared,) = [row for row in found if row[0] == "handbook"]
    assert compared[1:4] == ["8", "0.3000", "0.4750"]
    assert compared[4].startswith("+0.1750 [+0.")
    assert compared[5:] == ["0.0078", "7 / 1 / 0"]
    told = json.loads(run("compare", "support", f"support@{versions[1]}", "--json")[1])
    assert told["figures"]["handbook ndcg@10"]["tuned"]["value"] == pytest.approx(0.475)
    assert told["comparisons"][0]["won"] == 7
    assert (told["base"]["version"], told["tuned"]["version"]) == tuple(versions)
    assert (
        json.loads(run("compare", "support", "support", "--figure", "ndcg@5", "--json")[1])["comparisons"][0]["won"]
        == 0
    )


@pytest.mark.usefixtures("folder")
def test_without_evaluations_of_both_it_is_said_what_it_takes(run: Run) -> None:
    for name in ("base", "tuned"):
        run("register", "support", name)
    first, second = (version.reference for version in ModelRegistry().list_versions("support"))
    code, out, _ = run("compare", first, second)
    assert code == 0
    assert "Nothing was measured of" in out
    assert "register them with --evaluation" in out
    assert json.loads(run("compare", first, second, "--json")[1])["comparisons"] == []


# --- what changes ---------------------------------------------------------------------------------------------------


def test_promotion_and_rollback(run: Run, versions: list[str]) -> None:
    assert run("promote", f"support@{versions[1][:8]}") == (0, f"support@{versions[1][:12]} is in production\n", "")
    code, out, _ = run("rollback", "support", "--reason", "users complained", "--json")
    assert (code, json.loads(out)["version"]) == (0, versions[0])
    assert ModelRegistry().history("support")[-1].reason == "users complained"
    assert run("promote", f"support@{versions[1]}", "--json")[0] == 0


def test_a_version_is_deleted_when_nobody_is_asked(run: Run, versions: list[str]) -> None:
    code, out, err = run("delete", f"support@{versions[1][:8]}")
    assert (code, out) == (2, "")
    assert "say --yes to delete without a question" in err
    code, out, _ = run("delete", f"support@{versions[1][:8]}", "--yes")
    assert code == 0
    assert out == f"support@{versions[1][:12]} is deleted\n"
    assert [version.version for version in ModelRegistry().list_versions("support")] == versions[:1]


def test_a_damaged_version_can_be_deleted(run: Run, versions: list[str]) -> None:
    manifest = ModelRegistry().root / "support" / "versions" / versions[1] / "manifest.json"
    manifest.write_text("{}")
    assert run("show", f"support@{versions[1]}")[0] == 1
    assert "say --yes" in run("delete", f"support@{versions[1]}")[2]
    code, out, _ = run("delete", f"support@{versions[1]}", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"deleted": f"support@{versions[1]}"})
    assert not manifest.parent.exists()


def test_the_version_in_production_is_never_deleted(run: Run, versions: list[str]) -> None:
    for more in ((), ("--yes",)):
        code, out, err = run("delete", f"support@{versions[0][:8]}", *more)
        assert (code, out) == (1, "")
        assert "is in production and cannot be deleted; promote another version first" in err
    assert ModelRegistry().verify("support").version == versions[0]


def test_another_registry(run: Run, folder: Path) -> None:
    place = ("--registry", str(folder / "shared"))
    run("register", "support", "tuned", *place)
    (version,) = ModelRegistry(root=folder / "shared").list_versions("support")
    assert run("promote", version.reference, *place)[0] == 0
    for command in (("show", "support"), ("compare", "support", "support"), ("check", "registry:support")):
        assert run(*command, *place)[0] == 0
        assert run(*command)[0] == 1
    assert not (folder / ".ragtime").exists()


# --- export and check -----------------------------------------------------------------------------------------------


def test_a_version_is_exported_and_checked(run: Run, folder: Path, versions: list[str]) -> None:
    tuned = f"support@{versions[1][:8]}"
    code, out, err = run("export", f"registry:{tuned}", "out/support", "--base", "support")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first == f"registry:support@{versions[1][:12]} is exported to {folder / 'out' / 'support'}"
    digest = second.removeprefix("Digest: ")
    assert "plots/comparison.svg" in (folder / "out" / "support" / "README.md").read_text()
    code, out, _ = run("check", "out/support", "--digest", digest)
    assert code == 0
    assert out.startswith("out/support: all files are what was exported; the embeddings of 6 texts differ by 0.0e+00")
    told = json.loads(run("check", "out/support", "--json")[1])
    assert (told["digest"], told["other_packages"]) == (digest, {})
    assert json.loads(run("export", "tuned", "out/folder", "--json")[1])["dimension"] == 32
    assert run("check", "registry:support")[1].endswith("files are what was registered\n")
    assert json.loads(run("check", "registry:support", "--json")[1])["stage"] == "production"


def test_what_was_changed_fails_the_check(run: Run, folder: Path, versions: list[str]) -> None:
    run("export", "registry:support", "out")
    with (folder / "out" / "model.safetensors").open("ab") as weights:
        weights.write(b"x")
    code, out, err = run("check", "out")
    assert (code, out) == (1, "")
    assert "is not what was exported: 'model.safetensors' changed; export the model again" in err
    path = ModelRegistry().resolve("support") / "model.safetensors"
    path.chmod(0o644)
    path.write_bytes(b"x")
    for command in (
        ("check", "registry:support"),
        ("promote", f"support@{versions[0]}"),
        ("export", "registry:support", "b"),
    ):
        code, out, err = run(*command)
        assert (code, out) == (1, "")
        assert "is not what was registered" in err


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("register", "support", "nowhere"), 2, "There is no folder"),
        (("register", "../support", "tuned"), 2, "No name of a model: '../support'"),
        (("register", "support", "empty"), 1, "holds no model"),
        (("register", "support", "tuned", "--evaluation", "nowhere.json"), 1, "Cannot read 'nowhere.json'"),
        (("register", "support", "tuned", "--evaluation", "notes.txt"), 1, "'notes.txt' is damaged"),
        (
            ("register", "support", "tuned", "--evaluation", "base.json", "--evaluation", "base.json"),
            2,
            "the same data",
        ),
        (("list", "other"), 1, "There is no model 'other' in the registry"),
        (("show", "suport"), 1, "did you mean 'support'?"),
        (("show", "support@0000"), 1, "has no version 0000"),
        (("show", "support@"), 2, "No version: ''"),
        (("compare", "support", "other"), 1, "There is no model 'other'"),
        (
            ("promote", "support"),
            2,
            "Name the version to promote, as support@VERSION; ragtime models list support shows",
        ),
        (("promote", "support@0000"), 1, "has no version 0000"),
        (("promote", "support@abcd", "--reason", " "), 2, "reason"),
        (("rollback", "support"), 1, "There is no version of 'support' to go back to"),
        (("rollback", "other"), 1, "There is no model 'other'"),
        (("delete", "support", "--yes"), 2, "Name the version to delete, as support@VERSION"),
        (("delete", "other@abcd", "--yes"), 1, "There is no model 'other'"),
        (("export", "nowhere/at-all", "out"), 1, "was not found"),
        (("export", "tuned", "base"), 2, "There is something at"),
        (("export", "tuned", "out", "--target", "onnx"), 2, "There is no target 'onnx'"),
        (("export", "tuned", "out", "--base", "support"), 2, "name the model as registry:NAME, too"),
        (("export", "tuned", "out", "--run", "base"), 1, "the folder is none of a run"),
        (("check", "nowhere"), 2, "There is no folder"),
        (("check", "tuned"), 1, "is no export of ragtime"),
        (("check", "registry:other"), 1, "There is no model 'other'"),
        (("check", "registry:support", "--digest", "0"), 2, "a version of the registry is its own digest"),
        (("promote",), 2, "Missing argument"),
    ],
)
@pytest.mark.usefixtures("versions")
def test_mistakes_are_told_in_words(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    before = ModelRegistry().history("support")
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())
    found, out, err = run(*arguments, "--json")
    assert (found, out) == (code, "")
    assert message in json.loads(err.splitlines()[-1])["error"]["message"]
    assert ModelRegistry().history("support") == before
    assert not (tmp_path / "out").exists()


def test_the_prompts_of_a_version_are_shown_as_they_are(run: Run, folder: Path) -> None:
    model: Any = tiny_model()
    model.prompts["query"] = "find: "
    model.save_pretrained(str(folder / "prompted"), create_model_card=False)
    run("register", "support", "prompted")
    (version,) = ModelRegistry().list_versions("support")
    assert ["prompt, query", "find: "] in rows(run("show", version.reference)[1])


@pytest.mark.parametrize(
    "command", ["register", "list", "show", "compare", "promote", "rollback", "delete", "export", "check"]
)
def test_help_shows_an_example_that_can_be_copied(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"ragtime models {command} " in out.partition("Example")[2]
