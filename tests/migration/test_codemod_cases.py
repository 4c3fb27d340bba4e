"""The cases of the codemod, byte for byte: what each text becomes on either way, and what is listed.

A case is a folder: ``before.py``, ``after_compat.py``, ``after_ragtime.py``, and ``listed.txt`` with a line for each
place, ``TARGET LINE:COLUMN KIND OLD-NAME``. Other files in it are the modules beside ``before.py``.
"""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from ragtime.migration.codemod import Target, migrate
from ragtime.migration.codemod.files import read_file
from ragtime.migration.codemod.findings import Finding
from ragtime.migration.codemod.rewriting import may_concern, rewrite_source
from ragtime.migration.names import NAMES, OLD_MODULES

CASES = sorted((Path(__file__).parent / "data" / "cases").iterdir())
TARGETS: tuple[Target, ...] = ("compat", "ragtime")
WHOLE = [  # nothing of these is listed, and what they become needs no name from elsewhere
    *("01-import-module", "02-import-module-under-another-name", "04-import-name"),
    *("05-import-name-under-another-name", "13-import-in-try", "39-exchange-by-position"),
    *("40-exchange-by-keyword", "42-exchange-over-several-lines"),
]


def _rewritten(path: Path, target: Target) -> tuple[bytes, list[Finding]]:
    file = read_file(path)
    result = rewrite_source(file.text, target, file=path)
    found = sorted([*result.findings, *(result.possible if result.modules else ())])
    return result.text.encode(file.encoding), found


def test_there_are_at_least_sixty_cases() -> None:
    assert len(CASES) >= 60
    assert [int(case.name[:2]) for case in CASES] == list(range(1, len(CASES) + 1))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_becomes_just_what_it_should(case: Path, target: Target) -> None:
    after, found = _rewritten(case / "before.py", target)
    assert after == (case / f"after_{target}.py").read_bytes()
    listed = (case / "listed.txt").read_text().splitlines()
    assert [f"{target} {one.line}:{one.column} {one.kind} {one.old}" for one in found] == [
        line for line in listed if line.startswith(target)
    ]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_second_run_changes_nothing(case: Path, target: Target) -> None:
    after = (case / f"after_{target}.py").read_bytes()
    file = read_file(case / f"after_{target}.py")
    result = rewrite_source(file.text, target, file=case / "before.py")
    assert result.text.encode(file.encoding) == after


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_way_by_the_wrappers_changes_nothing_that_the_direct_way_leaves(case: Path) -> None:
    """What the wrappers allow besides may keep a call from being proven, never make it another one."""
    by_wrappers, _ = _rewritten(case / "after_compat.py", "ragtime")
    assert by_wrappers == (case / "after_ragtime.py").read_bytes()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_passed_over_unparsed_holds_nothing(case: Path, target: Target) -> None:
    text = read_file(case / "before.py").text
    if not may_concern(text, target):
        result = rewrite_source(text, target, file=case / "before.py")
        assert (result.text, result.findings, result.possible) == (text, (), ())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_to_the_wrappers_changes_imports_alone(case: Path) -> None:
    before = read_file(case / "before.py").text.splitlines()
    after = read_file(case / "after_compat.py").text.splitlines()
    for line in set(after) - set(before):
        assert "import" in line


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_proven_as_a_whole_runs_without_a_warning(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    assert "ragtime" not in (case / "listed.txt").read_text()
    code = (case / "after_ragtime.py").read_text()
    assert "_compat" not in code
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        exec(compile(code, name, "exec"), {"__name__": "program"})  # noqa: S102 - our own fixture


def test_the_cases_use_every_old_module_and_most_names() -> None:
    text = "\n".join((case / "before.py").read_text(encoding="latin-1") for case in CASES)
    assert [module for module in OLD_MODULES if f"{module} import" not in text and f"import {module}" not in text] == []
    unused = {f"{entry.module}.{entry.name}" for entry in NAMES if entry.name not in text}
    assert unused <= {
        "enhanced_conversation.update_enhanced_conversation_in_session",
        "prompts.get_templates_file",
        "prompts.load_templates",
        "model_finetuner.TrainingMetrics",
        "model_finetuner.SENTENCE_TRANSFORMERS_AVAILABLE",
        "conport_client.initialize_conport_client",
    }


def test_rewritten_calls_mean_the_same_while_objects_are_of_the_wrapper() -> None:
    import conversation_compat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old, new = conversation_compat.Conversation(), conversation_compat.Conversation()
        old.add_interaction("a?", "b", ["doc-1"], {"topic": "rag"})
        new.add_exchange("a?", "b", document_ids=["doc-1"], metadata={"topic": "rag"})
    (one,), (other,) = old.history, new.history
    assert (one.query, one.response, list(one.document_ids), dict(one.metadata)) == (
        other.query,
        other.response,
        list(other.document_ids),
        dict(other.metadata),
    )


# --- the promise of the list ------------------------------------------------------------------------------------------

PROGRAM = '''\
"""A small program of the old kind."""

from conversation import (
    Conversation,
    Interaction,
)


class Bot:
    def __init__(self):
        self.memory = Conversation()

    def ask(self, question, ids=None):
        answer = f"About {question}"
        self.memory.add_interaction(question, answer, ids, {"kind": "answer"})
        return answer

    def last(self) -> Interaction:
        return self.memory.get_last_interaction()

    def report(self):
        lines = []
        for turn in self.memory.history:
            lines.append(f"{turn.query} -> {turn.response}")
        return lines


bot = Bot()
bot.ask("returns")
bot.ask("delivery", ["doc-1"])
assert bot.memory.find_interactions_by_metadata(kind="answer")
said = bot.last().response
told = bot.report()
'''
BY_HAND = {
    "    Conversation,": None,
    "    Interaction,": "    Conversation, Interaction",
    "from conversation_compat import (": "from ragtime.services.conversation import (",
    "        return self.memory.get_last_interaction()": "        return self.memory.get_interactions(last=1)[0]",
    "        for turn in self.memory.history:": (
        "        turns = self.memory.get_interactions(); "
        "pairs = zip(turns[::2], turns[1::2])\n        for question, answer in pairs:"
    ),
    '            lines.append(f"{turn.query} -> {turn.response}")': (
        '            lines.append(f"{question.content} -> {answer.content}")'
    ),
    'assert bot.memory.find_interactions_by_metadata(kind="answer")': (
        'assert bot.memory.get_interactions(where={"kind": "answer"})'
    ),
    "said = bot.last().response": "said = bot.last().content",
}


def test_editing_the_listed_places_alone_is_enough(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    report = migrate([program], "ragtime", write=True)
    lines = program.read_text().splitlines()
    listed = {finding.line for file in report.files for finding in file.findings}
    # An import statement is one place, however many lines it has.
    assert {number for number, line in enumerate(lines, 1) if line in BY_HAND} - {3} <= listed
    done = [new for line in lines if (new := BY_HAND.get(line, line)) is not None]
    space: dict[str, object] = {"__name__": "program"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile("\n".join(done), "program", "exec"), space)  # noqa: S102 - our own fixture
    assert space["said"] == "About delivery"
    assert space["told"] == ["returns -> About returns", "delivery -> About delivery"]
    program.write_text("\n".join(done))
    assert migrate([program], "ragtime").exit_code == 0
