"""What holds of the codemod for any text: nothing but the old names changes, and a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.migration.codemod import migrate
from ragtime.migration.codemod.rewriting import rewrite_source
from ragtime.migration.codemod.source import Edit, LineTable, Source, UnreadableSourceError, offset_after

_PLAIN = [
    *(
        "x = 1",
        "",
        "   ",
        "# ä \\ \t",
        "x  =  (1,\n      2 , )  # ü",
        "'''a\n  conversation\n'''",
        '"conversation.txt"',
    ),
    *(
        "if x:\n\ty = 2\n\n",
        "for i in x :\n  # c\n  pass\n # d",
        "def f( a , * , b = 1 ) : return a",
        "x = 1 ; y = 2 ;",
    ),
    *(
        "class A :\n\n    '''doc'''\n    a : int = 1\n  ",
        "x = f'{x!r:>{y}}'",
        "x = \\\n  1",
        "@f\nasync def g(): await x",
    ),
    *("conversation = 3", "prompts = [conversation for conversation in x]", "del x", "lambda template: template", "\t"),
]
_IMPORTS = [
    "from conversation import Conversation",
    "from  conversation  import(Conversation,\n  Interaction) # c",
    "if x:\n    from conversation import Conversation as C",
]
_USES = [
    "m = Conversation()",
    'm.add_interaction("a?", "b", ids)',
    "m.history",
    "def h(m: 'Conversation'):\n  m.add_interaction(x, y)\n  return m",
    "print(m.get_summary())",
]


def _text(pieces: list[str], line_break: str, end: str) -> str:
    return ("\n".join(pieces) + end).replace("\n", line_break)


def _parses(text: str) -> bool:
    try:
        Source.parse(text)
    except UnreadableSourceError:
        return False
    return True


_breaks = st.sampled_from(["\n", "\r\n"])
_ends = st.sampled_from(["", "\n", "\n\n", "\n \t", "\n# end", "\n\n  # end\n"])


@given(pieces=st.lists(st.sampled_from(_PLAIN), max_size=12), line_break=_breaks, end=_ends)
@settings(max_examples=60)
def test_a_text_without_old_names_stays_as_it_is(pieces: list[str], line_break: str, end: str) -> None:
    text = _text(pieces, line_break, end)
    for target in ("compat", "ragtime"):
        if _parses(text):
            result = rewrite_source(text, target)
            assert (result.text, result.findings, result.possible) == (text, (), ())


@given(
    pieces=st.lists(st.sampled_from([*_PLAIN, *_IMPORTS]), max_size=12),
    line_break=_breaks,
    end=_ends,
)
@settings(max_examples=60)
def test_to_the_wrappers_only_the_names_of_modules_change(pieces: list[str], line_break: str, end: str) -> None:
    text = _text(pieces, line_break, end)
    if _parses(text):
        changed = rewrite_source(text, "compat").text
        expected = text
        for one in _IMPORTS:
            new = one.replace("conversation ", "conversation_compat ", 1)
            expected = expected.replace(one.replace("\n", line_break), new.replace("\n", line_break))
        assert changed == expected
        assert rewrite_source(changed, "compat").text == changed


@given(
    pieces=st.lists(st.sampled_from([*_PLAIN, *_USES]), max_size=10),
    line_break=_breaks,
    end=_ends,
)
@settings(max_examples=60)
def test_to_the_new_names_lines_without_old_ones_stay(pieces: list[str], line_break: str, end: str) -> None:
    text = _text([_IMPORTS[0], *pieces], line_break, end)
    if not _parses(text):
        return
    result = rewrite_source(text, "ragtime")
    assert _parses(result.text)
    before = [line for line in text.split("\n") if "nversation" not in line and "add_interaction" not in line]
    after = [line for line in result.text.split("\n") if "nversation" not in line and "add_exchange" not in line]
    listed = {finding.line for finding in (*result.findings, *result.possible)}
    unproven = [line for line in after if "add_interaction" in line]
    assert [line for line in after if "add_interaction" not in line] == before
    assert len(unproven) <= len(listed)
    assert rewrite_source(result.text, "ragtime").text == result.text
    for old, new in result.moved.items():
        assert old.old == new.old
        lines = result.text.splitlines() or [""]
        assert 1 <= new.line <= len(lines) + 1


@given(
    text=st.text(alphabet="aä\n\r \U0001f600", max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=6),
    new=st.lists(st.text(alphabet="xö\n", max_size=4), min_size=3, max_size=3),
)
def test_edits_are_applied_and_places_follow_them(text: str, cuts: list[int], new: list[str]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    starts = [len(text[:place].encode()) for place in places]
    edits = [Edit(start, end, one) for start, end, one in zip(starts[::2], starts[1::2], new, strict=False)]
    expected, position, kept = "", 0, []
    data = text.encode()
    for edit in edits:
        kept.append((position, len(expected.encode())))
        expected += data[position : edit.start].decode() + edit.text
        position = edit.end
    kept.append((position, len(expected.encode())))
    expected += data[position:].decode()
    source = Source.parse("")
    source.text = text
    assert source.edited(edits[::-1]) == expected
    for before, after in kept[1:]:
        assert offset_after(before, edits) == after


@given(text=st.text(alphabet="aä\n\r\U0001f600", max_size=30), place=st.integers(0, 30))
def test_lines_and_columns_lead_back_to_the_offset(text: str, place: int) -> None:
    offset = len(text[:place].encode())
    if text[:place].endswith("\r") and text[place : place + 1] == "\n":
        return  # within a line break
    lines = LineTable(text)
    assert lines.offset(*lines.place_of(offset)) == offset


@pytest.mark.parametrize("target", ["compat", "ragtime"])
def test_our_own_sources_stay_as_they_are(target: str, root: Path) -> None:
    """They use none of the old names, in spite of all the new ones that are the same."""
    paths = [root / "ragtime" / "services" / "conversation", root / "ragtime" / "utils" / "templates"]
    report = migrate(paths, target)  # type: ignore[arg-type]
    assert (report.changed, report.open_places, report.problems) == (0, 0, ())
