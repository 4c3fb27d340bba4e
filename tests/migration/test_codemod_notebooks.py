"""Notebooks: code cells alone change, and nothing else of the JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.migration.codemod import FileResult, MigrationReport, Target, migrate
from ragtime.migration.codemod.notebooks import Notebook
from ragtime.migration.codemod.rewriting import rewrite_source


def _notebook(*cells: Any, **metadata: Any) -> dict[str, Any]:
    made = [
        cell
        if isinstance(cell, dict)
        else {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
        for cell in cells
    ]
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _migrated(path: Path, text: str, target: Target = "compat") -> tuple[str, MigrationReport]:
    path.write_bytes(text.encode())
    report = migrate([path], target, write=True)
    return path.read_bytes().decode(), report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ipynb"


def test_code_cells_change_and_nothing_else_does(path: Path) -> None:
    text_cell = {"cell_type": "markdown", "metadata": {}, "source": ["from conversation import Conversation"]}
    output = {"output_type": "stream", "name": "stdout", "text": ["from conversation import Conversation\n"]}
    code = {"outputs": [output], "source": ["# ä\n", "from conversation import Conversation\n", "Conversation()"]}
    notebook = _notebook(text_cell, {"cell_type": "code", **code}, ["print('ß')"], kernelspec={"language": "python"})
    before = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    after, report = _migrated(path, before)
    place = before.index("# ä")
    old = '"from conversation import'
    assert after == before[:place] + before[place:].replace(old, '"from conversation_compat import')
    assert report.changed == 1


def test_names_of_one_cell_are_known_in_the_next(path: Path) -> None:
    cells = (
        ["from conversation import Conversation\n", "memory = Conversation()"],
        ['memory.add_interaction("a", "b")'],
    )
    after, report = _migrated(path, json.dumps(_notebook(*cells)), "ragtime")
    sources = ["".join(cell["source"]) for cell in json.loads(after)["cells"]]
    assert sources == [
        "from ragtime.services.conversation import Conversation\nmemory = Conversation()",
        'memory.add_exchange("a", "b")',
    ]
    assert report.open_places == 0


def test_places_name_the_cell_and_its_line(path: Path) -> None:
    cells = (
        {"cell_type": "markdown", "source": "# Memory"},
        ["%pip install x\n", "from conversation import Conversation, Interaction\n", "memory = Conversation()"],
        ["for turn in memory.history:\n", "    print(turn.query)"],
    )
    path.write_text(json.dumps(_notebook(*cells)))
    (file,) = migrate([path], "ragtime").files
    assert [(one.cell, one.line, one.column) for one in file.findings] == [
        (2, 2, 26),
        (2, 2, 40),
        (3, 1, 20),
        (3, 2, 16),
    ]
    assert file.where(file.findings[-1]) == f"{path}:cell 3:2:16"


def test_lines_that_are_put_in_are_lines_of_their_own_in_the_form_of_the_others(path: Path) -> None:
    lines = [
        "from conversation import Conversation, clear_conversation_in_session\n",
        "clear_conversation_in_session({})\n",
        "memory = Conversation()",
    ]
    for indent in (None, 1, 4):
        before = json.dumps(_notebook(lines), indent=indent)
        after, report = _migrated(path, before, "ragtime")
        new = [
            "from conversation_compat import clear_conversation_in_session\n",
            "from ragtime.services.conversation import Conversation\n",
            *lines[1:],
        ]
        assert after == json.dumps(_notebook(new), indent=indent)
        (file,) = report.files
        assert [finding.line for finding in file.findings] == [1, 3]  # of the cell as it is now


def test_a_source_may_be_one_text(path: Path) -> None:
    before = json.dumps(_notebook("# ä\nimport conversation\nconversation.Conversation()\n"))
    after, _ = _migrated(path, before)
    assert after == before.replace("import conversation", "import conversation_compat as conversation")
    assert "\\u00e4" in after


MAGICS = """\
%matplotlib inline
%%not_at_the_beginning
!pip install "x[y]" \\
    --quiet
files = !ls -la
a, b = %timeit -o f(x)
?print
print?
print??
if True:
    %cd ..
    !echo {files}
await something()
from conversation import Conversation
"""


def test_lines_that_are_no_python_survive(path: Path) -> None:
    magics = MAGICS.replace("%%not_at_the_beginning\n", "")
    before = json.dumps(_notebook(f"%%time\n{magics}", ["%%bash\n", "from conversation import Conversation"]), indent=1)
    after, report = _migrated(path, before)
    assert report.problems == ()
    assert after == before.replace("from conversation import", "from conversation_compat import", 1)


def test_a_cell_that_is_no_python_leaves_the_notebook_alone(path: Path) -> None:
    before = json.dumps(_notebook(["import conversation"], ["x = 1\n", "from conversation import ("]))
    after, report = _migrated(path, before)
    assert after == before
    assert report.exit_code == 2
    assert "cell 2, line 2" in report.problems[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ('["conversation"]', "no list of cells"),
        ('{"worksheets": ["conversation"]}', "no list of cells"),
        ('{"cells": [{"cell_type": "code", "source": ["conversation", 1]}]}', "its source is no text"),
        ('{"conversation": ' + "[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_notebook_is_told(path: Path, text: str, message: str) -> None:
    after, report = _migrated(path, text if "conversation" in text else f'{text}"conversation"')
    assert after.startswith(text)
    assert message in report.problems[0].message


def test_notebooks_of_other_languages_and_odd_ones_are_left_alone(path: Path) -> None:
    cell = ["from conversation import Conversation"]
    for notebook in (
        _notebook(cell, kernelspec={"language": "R"}),
        _notebook(cell, language_info={"name": "julia"}),
        _notebook({"cell_type": "raw", "source": cell}, {"cell_type": "code"}, {"cell_type": "code", "source": []}),
    ):
        before = json.dumps(notebook)
        assert _migrated(path, before)[0] == before


def test_a_second_run_changes_nothing(path: Path) -> None:
    before = json.dumps(_notebook(MAGICS.replace("%%not_at_the_beginning\n", "").splitlines(keepends=True)), indent=1)
    after, _ = _migrated(path, before, "ragtime")
    again, report = _migrated(path, after, "ragtime")
    assert again == after
    assert report.changed == 0


_LINES = st.lists(
    st.sampled_from(
        [
            *("x = 1", "", '# ä \\ "quoted" \t', "%pip install conversation", "print('\U0001f600')", "def f(): pass"),
            *("from conversation import Conversation", "!ls", "y = '''a\\", "b'''"),
        ]
    ).filter(lambda line: "'''" not in line),
    max_size=6,
)


@given(
    cells=st.lists(_LINES, max_size=4),
    indent=st.sampled_from([None, 0, 1, 4]),
    ascii_only=st.booleans(),
    one_text=st.booleans(),
    sort_keys=st.booleans(),
)
@settings(max_examples=40)
def test_nothing_but_the_imports_changes_in_any_form_of_json(
    cells: list[list[str]], indent: int | None, ascii_only: bool, one_text: bool, sort_keys: bool
) -> None:
    texts = ["\n".join(lines) for lines in cells]
    notebook = _notebook(*(text if one_text else text.splitlines(keepends=True) for text in texts))
    before = json.dumps(notebook, indent=indent, ensure_ascii=ascii_only, sort_keys=sort_keys)
    taken = Notebook(before)
    after = taken.with_python(rewrite_source(taken.python, "compat").text)
    assert after == before.replace("from conversation import", "from conversation_compat import")
    assert taken.with_python(taken.python) == before


def test_the_diff_of_a_notebook_is_of_its_json(path: Path) -> None:
    path.write_text(json.dumps(_notebook(["import conversation\n", "conversation.Conversation"]), indent=1))
    (file,) = migrate([path]).files
    assert isinstance(file, FileResult)
    assert '+    "import conversation_compat as conversation\\n",\n' in file.diff()
    assert "\\ No newline at end of file\n" not in file.diff().split("@@")[2][:200]
