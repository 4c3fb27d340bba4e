"""The torture runner: a short run of every area, and that a broken promise is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ragtime.records.conversation import Interaction, ToolCall
from ragtime.services.conversation import ConversationManager
from ragtime.storage.conversations import SQLiteConversationStore
from tests.torture import torture_conversations, torture_files, torture_learning


@pytest.mark.slow
def test_a_short_run_holds(root: Path) -> None:
    command = [sys.executable, "-m", "tests.torture", "--minutes", "0.1", "--seed", "7"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for column in ("Torture, seed 7", "moments killed", "inputs tried", "records acknowledged", "records lost", "held"):
        assert column in done.stdout


def test_a_half_written_file_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("5\n" * (1 + 5 * 7919 % 30_000))
    assert torture_files._content(path) == 5
    path.write_text("5\n" * 10)
    with pytest.raises(AssertionError, match="half-written"):
        torture_files._content(path)


def test_a_lost_and_a_doubtful_turn_are_found_out(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with ConversationManager(store=SQLiteConversationStore(path)) as manager:
        conversation = manager.create_conversation("c")
        for name in ("w-0", "w-1", "w-2", "w-3"):
            conversation.add_interaction("user", f"said {name}", id=name)
        assert torture_conversations.count_lost(path, ["w-0", "w-1", "w-2"]) == 0
        assert torture_conversations.count_lost(path, ["w-0", "w-1", "w-2", "w-3", "w-4"]) == 1
        with pytest.raises(AssertionError, match="nobody has written"):
            torture_conversations.count_lost(path, ["w-0"])
        conversation.add_interaction("user", "said w-4", id="w-4")
        with pytest.raises(AssertionError, match="without the turn of the same call"):
            torture_conversations.count_lost(path, ["w-0", "w-1", "w-2", "w-3"])


def test_a_window_that_parts_a_pair_is_found_out() -> None:
    call = Interaction(role="assistant", tool_calls=(ToolCall(id="a", name="look"),))
    result = Interaction(role="tool", tool_call_id="a", content="done")
    torture_conversations.check_pairs([call, result], [call, result])
    for window in ([call], [result], [result, call]):
        with pytest.raises(AssertionError, match="without its"):
            torture_conversations.check_pairs([call, result], window)


def test_a_canary_that_is_left_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite-wal").write_bytes(b"\x00\xffcanary0123456789abcdef")
    canaries = ["canary0123456789abcdef", "canary9999999999999999"]
    assert torture_conversations.find_canaries(tmp_path, canaries) == {canaries[0]}


def test_another_ending_of_a_learning_run_is_found_out() -> None:
    wanted = torture_learning.Ending(
        b"<p>", b'{"outcome": "promoted"}', (("v1", "production"),), ("register", "promote")
    )
    torture_learning.check(wanted, wanted, "no kill")
    for other, told in (
        (wanted._replace(report=b'{"outcome": "kept"}'), "after 2 kills it is not the same: outcome of the report"),
        (wanted._replace(changes=("register", "promote", "promote")), "after 2 kills it is not the same: changes"),
    ):
        with pytest.raises(AssertionError, match=told):
            torture_learning.check(other, wanted, "2 kills")
