"""The checks of prompts: each seeded mistake is found by its own rule, and a sound prompt has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import TemplateNotFoundError
from ragtime.utils.templates import RULES, Finding, PromptManager

CLEAN: dict[str, Any] = {
    "name": "p",
    "template": "{% include 'part' %}\n{{ question }}\n",
    "partials": {"part": "Answer in {{ words }} words."},
    "variables": {"question": {}, "words": {"type": "integer", "default": 5}},
    "variants": {"short": {"template": "{{ question }}{{ words }}{% include 'part' %}"}},
    "tests": [
        {"variables": {"question": "Why?"}, "equals": "Answer in 5 words.\nWhy?\n", "roles": ["user"]},
        {"variables": {"question": "Why?"}, "variant": "short", "contains": ["Why?"], "excludes": ["None"]},
    ],
}
SIMPLE: dict[str, Any] = {
    "name": "s",
    "syntax": "simple",
    "template": '{part} {question} {"json": [{}]} {{literal}}',
    "partials": {"part": "Be {tone}."},
    "variables": {"question": {}, "tone": {"default": "kind"}},
    "tests": [{"variables": {"question": "Why?"}, "equals": 'Be kind. Why? {"json": [{}]} {literal}'}],
}
CHAT: dict[str, Any] = {
    "name": "c",
    "messages": [
        {"role": "system", "template": "You help."},
        {"examples": {"user": "{q}", "assistant": "{a}"}},
        {"insert": "history"},
        {"role": "user", "template": "User: {question}"},
    ],
    "examples": [{"q": "1?", "a": "2."}],
    "variables": {"history": {"type": "messages", "default": None}, "question": {}},
    "tests": [{"variables": {"question": "Why?"}, "roles": ["system", "user", "assistant", "user"]}],
}
WRITTEN: dict[str, Any] = {
    "name": "w",
    "template": "{{ examples }}\n{{ question }}",
    "examples": [{"q": "1?"}],
    "example_template": "{% include 'one' %}",
    "partials": {"one": "Q: {{ q }}"},
    "variables": {"question": {}},
}


def _check(tmp_path: Path, *prompts: dict[str, Any]) -> list[Finding]:
    for number, prompt in enumerate(prompts):
        (tmp_path / f"{prompt['name']}{'.' * bool(number)}{number or ''}.json").write_text(json.dumps(prompt))
    return PromptManager(tmp_path).validate()


@pytest.mark.parametrize(
    "prompt", [CLEAN, SIMPLE, CHAT, WRITTEN, {"name": "x", "template": "plain"}], ids=lambda p: p["name"]
)
def test_a_sound_prompt_has_no_findings(tmp_path: Path, prompt: dict[str, Any]) -> None:
    assert _check(tmp_path, prompt) == []


def _chat(last: str) -> dict[str, Any]:
    return {"messages": [*CHAT["messages"][:3], {"role": "user", "template": last}]}


DEFECTS: list[tuple[str, dict[str, Any], dict[str, Any], int | None, str]] = [
    # rule, sound prompt, what is made wrong, line, place
    ("P002", CLEAN, {"template": "x\n{% if %}"}, None, ""),
    ("P002", CLEAN, {"partials": {"part": "{% include 'part' %}{{ words }}"}}, None, ""),
    ("P002", CLEAN, {"template": "{% include 'nothing' %}{{ question }}{{ words }}"}, None, ""),
    ("P002", CLEAN, {"template": "{% include question %}"}, None, ""),
    (
        "P003",
        CLEAN,
        {"template": "{% include 'part' %}\n{{ question }}\n{{ qestion }}", "variants": {}, "tests": []},
        None,
        "",
    ),
    ("P003", SIMPLE, {"template": "{part}{question}{other}"}, None, ""),
    ("P004", CLEAN, {"variables": {**CLEAN["variables"], "more": {"default": 1, "type": "any"}}}, None, ""),
    ("P004", SIMPLE, {"variables": {**SIMPLE["variables"], "more": {"default": "x"}}}, None, ""),
    ("P005", CLEAN, {"partials": {**CLEAN["partials"], "more": "x"}}, None, ""),
    ("P005", SIMPLE, {"partials": {**SIMPLE["partials"], "more": "x"}}, None, ""),
    ("P006", CHAT, _chat("a\n<|im_start|>{question}"), 2, "messages[3]"),
    ("P006", CHAT, _chat("a\nx\nuser:\n{question}"), 3, "messages[3]"),
    ("P006", SIMPLE, {"partials": {"part": "[INST] {tone}"}, "tests": []}, 1, "partials.part"),
    (
        "P006",
        CLEAN,
        {"variants": {"short": {"template": "{{ question }} <|eot_id|>"}}, "tests": []},
        1,
        "variants.short.template",
    ),
    (
        "P007",
        CLEAN,
        {"variables": {"question": {}, "words": {"type": "integer", "default": "5"}}, "tests": []},
        None,
        "",
    ),
    ("P007", SIMPLE, {"variables": {"question": {}, "tone": {"default": "kind", "max_characters": 2}}}, None, ""),
    ("P008", CLEAN, {"tests": [{"variables": {"question": "Why?"}, "equals": "Because."}]}, None, ""),
    ("P008", CLEAN, {"tests": [{"variables": {"question": "Why?"}, "contains": ["Because"]}]}, None, ""),
    ("P008", CLEAN, {"tests": [{"variables": {"question": "Why?"}, "excludes": ["Why"]}]}, None, ""),
    ("P008", CLEAN, {"tests": [{"variables": {"question": "Why?"}, "roles": ["system"]}]}, None, ""),
    ("P008", CLEAN, {"tests": [{"variables": {}}]}, None, ""),
    ("P008", CLEAN, {"tests": [{"variables": {"question": "?"}, "variant": "shrt"}]}, None, ""),
    ("P009", SIMPLE, {"template": SIMPLE["template"] + "\n a \n b", "tests": []}, 2, "template"),
    ("P009", SIMPLE, {"template": "\n" + SIMPLE["template"], "tests": []}, 1, "template"),
    ("P009", SIMPLE, {"template": SIMPLE["template"] + "\n\n", "tests": []}, 1, "template"),
    (
        "P011",
        CLEAN,
        {"template": "{% include 'part' %}\n{{ words }} {question} {{ question }}", "tests": []},
        2,
        "template",
    ),
    ("P011", SIMPLE, {"template": "{part} {question}\n{{ question }}", "tests": []}, 2, "template"),
]


@pytest.mark.parametrize(("rule", "sound", "changes", "line", "place"), DEFECTS)
def test_a_mistake_is_found_by_its_own_rule(
    tmp_path: Path, rule: str, sound: dict[str, Any], changes: dict[str, Any], line: int | None, place: str
) -> None:
    found = _check(tmp_path, {**sound, **changes})
    assert {finding.rule for finding in found} == {rule}
    first = found[0]
    assert (first.line, first.place) == (line, place)
    assert (first.template, first.file) == (sound["name"], str((tmp_path / f"{sound['name']}.json").resolve()))
    assert first.severity == ("warning" if rule in {"P006", "P009", "P011"} else "error")


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "p"}', '{"name": "p", "name": "p", "template": "x"}'])
def test_a_file_that_cannot_be_read_is_p001(tmp_path: Path, content: str) -> None:
    (tmp_path / "p.json").write_text(content)
    for found in (PromptManager(tmp_path).validate(), PromptManager(tmp_path).validate("p")):
        assert [(finding.rule, finding.template) for finding in found] == [("P001", "p")]


def test_two_files_of_one_key_are_p010(tmp_path: Path) -> None:
    found = _check(tmp_path, {"name": "p", "template": "a"}, {"name": "p", "template": "b"})
    assert [finding.rule for finding in found] == ["P010"]


def test_every_rule_of_prompts_has_a_mistake_here() -> None:
    seeded = {rule for rule, *_ in DEFECTS} | {"P001", "P010"}
    assert seeded == {rule for rule in RULES if rule.startswith("P")}


def test_line_and_nearest_name_of_an_undeclared_variable_are_told(tmp_path: Path) -> None:
    (finding,) = _check(
        tmp_path, {"name": "p", "template": "a\n\n{{ qestion }}{{ question }}", "variables": {"question": {}}}
    )
    assert "line 3: uses 'qestion'" in finding.message
    assert "did you mean 'question'" in finding.message


def test_several_mistakes_are_all_found(tmp_path: Path) -> None:
    found = _check(
        tmp_path,
        {
            "name": "p",
            "template": "{a} \nx",
            "variables": {"a": {"default": 3}, "b": {}},
            "tests": [{"variables": {"a": "x"}}],
        },
    )
    assert sorted(finding.rule for finding in found) == [
        "P007",
        "P009",
    ]  # what cannot be bound has no uses and no tests


def test_one_prompt_is_checked_by_name_packaged_ones_included(tmp_path: Path) -> None:
    _check(tmp_path, {"name": "p", "template": "x "}, {"name": "q", "template": "y "})
    prompts = PromptManager(tmp_path)
    assert [finding.template for finding in prompts.validate("p")] == ["p"]
    assert prompts.validate("greeting") == []
    with pytest.raises(TemplateNotFoundError, match="did you mean 'greeting'"):
        prompts.validate("greting")


def test_findings_do_not_depend_on_what_was_rendered_before(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(json.dumps(WRITTEN))
    fresh, used = PromptManager(tmp_path), PromptManager(tmp_path)
    used.get_prompt("w", question="?")
    assert fresh.validate() == used.validate() == []


def test_the_template_of_an_example_is_checked_like_any_other(tmp_path: Path) -> None:
    found = _check(tmp_path, {**WRITTEN, "example_template": "{% include 'one' %}\n<|im_start|>"})
    assert [(finding.rule, finding.line, finding.place) for finding in found] == [("P006", 2, "example_template")]


def test_a_finding_as_a_line_and_as_json() -> None:
    finding = Finding("p", "P006", "what", line=2, file="p.json", severity="warning", place="messages[1]")
    assert str(finding) == "p.json, messages[1]:2: P006 warning: what"
    assert str(Finding("p", "P001", "what")) == "p: P001 error: what"
    assert json.loads(json.dumps(finding.to_dict())) == {
        "template": "p",
        "rule": "P006",
        "message": "what",
        "line": 2,
        "file": "p.json",
        "severity": "warning",
        "place": "messages[1]",
    }
