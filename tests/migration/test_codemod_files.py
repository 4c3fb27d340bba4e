"""The files of a migration: which are found, how they are read and written, and what they are told of each other."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError, MissingExtraError
from ragtime.migration.codemod import migrate
from ragtime.migration.codemod.own_modules import is_old_module

OLD = "from conversation import Conversation\n"
NEW = "from conversation_compat import Conversation\n"
OLD_MODULE = """\
class Interaction: ...
class Conversation: ...
def get_conversation_from_session(session): ...
def update_conversation_in_session(session, conversation): ...
def clear_conversation_in_session(session): ...
"""


def _write(path: Path, text: str = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


# --- finding ----------------------------------------------------------------------------------------------------------


def test_folders_are_searched_and_what_is_not_the_users_is_left_out(tmp_path: Path) -> None:
    inside = [_write(tmp_path / name) for name in ("a.py", "b/c.py", "b/d.pyi", "e.pyw", "venvs/f.py")]
    outside = [
        *(".hidden/a.py", ".a.py", "__pycache__/a.py", "node_modules/x/a.py", "env/lib/a.py"),
        *("lib/site-packages/a.py", "notes.txt", "script"),
    ]
    for name in outside:
        _write(tmp_path / name)
    _write(tmp_path / "env/pyvenv.cfg", "")
    report = migrate([tmp_path], write=True)
    assert [file.path for file in report.files] == sorted(inside)
    assert all(path.read_text() == NEW for path in inside)
    assert all((tmp_path / name).read_text() == OLD for name in outside)


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("script", ".hidden.py", "node_modules/a.py"):
        assert migrate([_write(tmp_path / name)], write=True).changed == 1


def test_a_file_that_is_named_twice_is_taken_once(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.py")
    (tmp_path / "link.py").symlink_to(path)
    assert migrate([tmp_path, path, tmp_path / "link.py", tmp_path / ".." / tmp_path.name]).checked == 1


def test_links_in_folders_are_not_followed(tmp_path: Path) -> None:
    outside = _write(tmp_path / "outside" / "a.py")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file.py").symlink_to(outside)
    (tmp_path / "tree" / "folder").symlink_to(outside.parent)
    (tmp_path / "tree" / "loop").symlink_to(tmp_path / "tree")
    _write(tmp_path / "tree" / "b.py")
    assert migrate([tmp_path / "tree"], write=True).checked == 1
    assert outside.read_text() == OLD


def test_what_is_not_there_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="There is no file or folder"):
        migrate([tmp_path / "nowhere"])
    with pytest.raises(InvalidArgumentError, match="no Python file or notebook"):
        migrate([tmp_path])
    with pytest.raises(InvalidArgumentError, match="target is one of compat, ragtime"):
        migrate([tmp_path], "elsewhere")  # type: ignore[arg-type]


def test_a_missing_package_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "a.py")
    monkeypatch.setitem(sys.modules, "libcst", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*ragtime-gal\[migrate\]"):
        migrate([path], write=True)
    assert path.read_text() == OLD


# --- reading and writing ---------------------------------------------------------------------------------------------


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.py")
    report = migrate([path])
    assert (report.changed, report.written, report.exit_code) == (1, False, 1)
    assert path.read_text() == OLD
    assert report.files[0].diff() == f"--- {path}\n+++ {path}\n@@ -1 +1 @@\n-{OLD}+{NEW}"


def test_a_written_file_keeps_its_mode_and_an_unchanged_one_its_time(tmp_path: Path) -> None:
    path, other = _write(tmp_path / "a.py"), _write(tmp_path / "b.py", "import json\n")
    path.chmod(0o751)
    os.utime(other, ns=(1, 1))
    migrate([tmp_path], write=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    assert other.stat().st_mtime_ns == 1
    assert sorted(tmp_path.iterdir()) == [path, other]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"from conversation import (\n", "cannot be parsed"),
        (b"import conversation\nprint 'old Python'\n", "cannot be parsed"),
        (b"import conversation\n\0", "cannot be parsed"),
        (b"# coding: nonsense\nimport conversation\n", "cannot be read"),
        (b"import conversation\n# \xff\n", "cannot be read"),
        (b"# coding: ascii\nimport conversation # \xc3\xa4\n", "it is not ascii, from byte"),
        (b"import conversation\nx = " + b"(" * 5000 + b")" * 5000 + b"\n", "parsed|nested"),
        (b"import conversation\nx = " + b"-" * 50_000 + b"1\n", "nested too deeply"),
        (b"import conversation\rx = 1\r", "byte for byte"),
        (b"import conversation\n\x0c\nx = 1\n\x0cy = 2\n", "byte for byte"),
    ],
)
def test_what_cannot_be_read_or_kept_is_told_and_left_alone(tmp_path: Path, text: bytes, message: str) -> None:
    bad, good = tmp_path / "bad.py", _write(tmp_path / "good.py")
    bad.write_bytes(text)
    report = migrate([tmp_path], write=True)
    (problem,) = report.problems
    assert problem.path == bad
    assert re.search(message, problem.message)
    assert report.exit_code == 2
    assert bad.read_bytes() == text
    assert good.read_text() == NEW


def test_what_holds_no_old_name_need_not_be_parsed(tmp_path: Path) -> None:
    _write(tmp_path / "old.py", "print 'old Python'\n")
    assert migrate([tmp_path], write=True).exit_code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = _write(tmp_path / "a" / "a.py")
    path.parent.chmod(0o500)
    report = migrate([tmp_path], write=True)
    path.parent.chmod(0o700)
    assert report.exit_code == 2
    assert "Cannot write" in report.problems[0].message


@pytest.mark.parametrize("before", ["\ufeff", "", "# -*- coding: utf-8 -*-\n"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n \n"])
def test_marks_line_breaks_and_ends_stay(tmp_path: Path, before: str, line_break: str, end: str) -> None:
    text = f'{before}"""ä"""\n{OLD}x = "ö"  # ü{end}'.replace("\n", line_break)
    path = _write(tmp_path / "a.py", text)
    migrate([path], write=True)
    assert path.read_bytes() == text.replace("conversation import", "conversation_compat import").encode()


def test_places_are_those_of_the_file_as_it_is_then(tmp_path: Path) -> None:
    text = (
        "from conversation import Conversation, clear_conversation_in_session\n\n"
        'memory = Conversation()\nmemory.add_interaction("a?", "b", None); clear_conversation_in_session({})\n'
    )
    path = _write(tmp_path / "a.py", text)
    (shown,) = migrate([path], "ragtime").files
    (written,) = migrate([path], "ragtime", write=True).files
    assert [(one.line, one.column) for one in shown.findings] == [(1, 40), (4, 42)]
    lines = path.read_text().splitlines()
    assert lines[1] == "from ragtime.services.conversation import Conversation"
    for finding in written.findings[1:]:
        assert lines[finding.line - 1][finding.column - 1 :].startswith(finding.old.rpartition(".")[2])


# --- the modules around ----------------------------------------------------------------------------------------------


def test_the_old_modules_themselves_are_left_alone(tmp_path: Path) -> None:
    module = _write(tmp_path / "conversation.py", f"from prompts import get_template\n{OLD_MODULE}")
    report = migrate([tmp_path], write=True)
    assert is_old_module(module)
    assert (report.changed, report.open_places, report.exit_code) == (0, 0, 0)
    assert [finding.kind for finding in report.files[0].findings] == ["note"]


@pytest.mark.parametrize(
    ("where", "file"),
    [
        ("conversation.py", "tests/deep/test_a.py"),
        ("src/conversation.py", "tests/test_a.py"),
        ("conversation/__init__.py", "a.py"),
        ("conversation/models.py", "a.py"),
    ],
)
def test_a_users_own_module_is_found_anywhere_in_the_project(tmp_path: Path, where: str, file: str) -> None:
    _write(tmp_path / "pyproject.toml", "")
    _write(tmp_path / where, "class Conversation: ...\n")
    path = _write(tmp_path / file)
    assert migrate([path], write=True).exit_code == 0
    assert path.read_text() == OLD


def test_a_folder_that_is_given_is_a_project_too(tmp_path: Path) -> None:
    _write(tmp_path / "conversation.py", "class Conversation: ...\n")
    path = _write(tmp_path / "deep" / "a.py")
    assert migrate([path]).changed == 1
    assert migrate([tmp_path]).changed == 0


def test_the_old_module_may_lie_in_a_package(tmp_path: Path) -> None:
    _write(tmp_path / "app" / "conversation.py", OLD_MODULE)
    path = _write(
        tmp_path / "run.py",
        "from app.conversation import Conversation\nfrom app import conversation\nimport app.conversation as c\n"
        "import app.conversation\n\nprint(Conversation, conversation, c, app.conversation.Interaction)\n",
    )
    report = migrate([tmp_path], write=True)
    assert path.read_text().splitlines()[:4] == [
        "from conversation_compat import Conversation",
        "import conversation_compat as conversation",
        "import conversation_compat as c",
        "import app.conversation",
    ]
    assert [finding.line for finding in report.files[-1].findings] == [4]


@pytest.mark.parametrize(
    "text",
    [
        OLD_MODULE.replace("class Interaction: ...", ""),
        OLD_MODULE.replace("class Interaction", "def Interaction").replace(": ...", "(): ...", 1),
        "from conversation_compat import *\n",
        "class Conversation(\n",
        "",
    ],
)
def test_what_lacks_an_old_name_is_no_old_module(tmp_path: Path, text: str) -> None:
    assert not is_old_module(_write(tmp_path / "conversation.py", text))


def test_an_old_name_may_be_bound_under_a_condition(tmp_path: Path) -> None:
    text = (
        "try:\n    import x\n    SENTENCE_TRANSFORMERS_AVAILABLE = True\nexcept ImportError:\n    pass\n"
        "class FineTuningConfig: ...\nclass TrainingMetrics: ...\nclass ModelFineTuner: ...\n"
        "if True:\n    def create_model_finetuner(): ...\ndef quick_finetune(): ...\n"
    )
    assert is_old_module(_write(tmp_path / "model_finetuner.py", text))
    assert not is_old_module(_write(tmp_path / "other.py", text))


# --- files together ---------------------------------------------------------------------------------------------------

USER = """\
def ask(memory, other):
    memory.get_last_n_interactions(2)
    other.conversation.history
    other.history
"""


def test_values_of_unknown_type_count_while_anything_old_is_imported(tmp_path: Path) -> None:
    user = _write(tmp_path / "user.py", USER)
    assert migrate([tmp_path], "ragtime").exit_code == 0
    _write(tmp_path / "main.py", "from conversation_embedder import ConversationEmbedder\nConversationEmbedder()\n")
    report = migrate([tmp_path], "ragtime")
    (found,) = [file for file in report.files if file.path == user]
    assert [(finding.line, finding.kind) for finding in found.findings] == [(2, "possible"), (3, "possible")]
    assert migrate([tmp_path], "compat").changed == 1
    _write(tmp_path / "main.py", "import template_manager_compat\n")
    report = migrate([tmp_path], "ragtime")
    assert user not in [file.path for file in report.files]


def test_results_are_followed_into_the_files_that_get_them(tmp_path: Path) -> None:
    _write(
        tmp_path / "training.py",
        "from model_finetuner import create_model_finetuner\n\n\n"
        "def tune(path) -> dict:\n"
        "    tuner = create_model_finetuner()\n"
        "    if not tuner.load_base_model():\n"
        "        return {'success': False}\n"
        "    return tuner.fine_tune_model(*tuner.load_training_data(path))\n",
    )
    _write(
        tmp_path / "jobs.py", "import training\n\n\ndef job(path):\n    done = training.tune(path)\n    return done\n"
    )
    last = _write(tmp_path / "app.py", "from jobs import job\n\n\nstate = job('a.csv')\nprint(state['model_path'])\n")
    for write in (False, True):
        report = migrate([tmp_path], "ragtime", write=write)
        places = {file.path.name: [(one.line, one.kind) for one in file.findings] for file in report.files}
        assert places["jobs.py"] == [(5, "possible"), (6, "possible")]
        assert places["app.py"] == [(4, "possible"), (5, "possible")]
    assert "job" in report.files[0].findings[0].message
    assert last.read_text().startswith("from jobs")


def test_objects_that_other_files_get_at_stay_what_they_are(tmp_path: Path) -> None:
    """A class does not change under those who use its objects in the old way."""
    bot = f"{OLD}\n\nclass Bot:\n    def __init__(self):\n        self.memory = Conversation()\n"
    path = _write(tmp_path / "bot.py", bot)
    assert "ragtime.services" in migrate([path], "ragtime").files[0].after
    _write(tmp_path / "app.py", "from bot import Bot\n\nBot().memory.clear()\n")
    app, kept = migrate([tmp_path], "ragtime", write=True).files
    assert [(one.line, one.kind, one.old) for one in app.findings] == [
        (3, "possible", "conversation.Conversation.clear")
    ]
    assert [(one.line, one.kind) for one in kept.findings] == [(1, "import"), (6, "leaves")]
    assert path.read_text() == bot.replace("from conversation ", "from conversation_compat ")
    (tmp_path / "app.py").write_text("from bot import Bot\n\nlen(Bot().memory)\n")
    assert migrate([tmp_path], "ragtime", write=True).open_places == 0
    assert "ragtime.services" in path.read_text()


def test_the_order_of_files_and_paths_changes_nothing(tmp_path: Path) -> None:
    for name in ("c.py", "a/b.py", "b.py"):
        _write(tmp_path / name)
    paths = [tmp_path / "c.py", tmp_path / "a", tmp_path / "b.py"]
    one, other = migrate(paths), migrate(reversed(paths))
    assert one == other
    assert [file.path for file in one.files] == sorted(file.path for file in one.files)
