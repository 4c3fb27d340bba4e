"""Servers of other makes and versions: plain texts, errors of the protocol, answers of another shape."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ragtime.errors import StorageError
from tests.storage.conport.helpers import OpenLog, waiting

_TIME = "2026-11-22T18:00:00Z"
_RAW_SERVER = """
import json, sys
answers = json.loads(sys.argv[1])
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if message["method"] == "initialize":
        answer = {"result": {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                             "serverInfo": {"name": "raw", "version": "1"}}}
    else:
        answer = answers[message["params"]["name"]]
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"""


def _text(text: str) -> dict[str, object]:
    return {"result": {"content": [{"type": "text", "text": text}]}}


def _structured(value: object) -> dict[str, object]:
    return {"result": {"content": [], "structuredContent": value}}


def _error(code: int) -> dict[str, object]:
    return {"error": {"code": code, "message": "private words"}}


def _command(**answers: dict[str, object]) -> tuple[str, ...]:
    return sys.executable, "-c", _RAW_SERVER, json.dumps(answers)


def test_answers_may_be_plain_texts(open_log: OpenLog, tmp_path: Path) -> None:
    row = {
        "id": 7,
        "timestamp": _TIME,
        "summary": "one",
        "rationale": None,
        "implementation_details": None,
        "tags": None,
    }
    log = open_log(
        _command(
            log_decision=_text(json.dumps(row)),
            get_decisions=_text(json.dumps([row])),
            get_progress={"result": {"content": []}},
        )
    )
    log.log_decision("one")
    assert log.flush()
    assert waiting(tmp_path) == []
    assert [(each.id, each.summary) for each in log.decisions()] == [("7", "one")]
    assert log.progress() == []


@pytest.mark.parametrize(
    "answer",
    [
        _text("no JSON"),
        _structured({"result": [{"id": 1}]}),
        _structured({"result": [{"id": 1, "timestamp": _TIME, "status": "DONE"}]}),
        _structured({"result": [{"id": 1, "timestamp": _TIME, "status": "", "description": "private words"}]}),
        _structured({"result": "text"}),
        {"result": {"content": "text"}},
        _error(-32602),
    ],
)
def test_what_cannot_be_read_is_an_error_and_the_session_goes_on(
    open_log: OpenLog, answer: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(_command(get_progress=answer, get_decisions=_structured({"result": []})))
    with pytest.raises(StorageError, match="refused to read, or gave an answer of another shape"):
        log.progress()
    assert log.decisions() == []
    assert "private words" not in caplog.text


@pytest.mark.parametrize("answer", [_text("no JSON"), _structured({"number": 7}), {"result": {}}, _error(-32601)])
def test_an_entry_with_an_odd_answer_waits_and_holds_up_no_other(
    open_log: OpenLog, tmp_path: Path, answer: dict[str, object]
) -> None:
    log = open_log(_command(log_decision=answer, log_custom_data=_structured({"id": 1, "timestamp": _TIME})))
    log.log_decision("one")
    log.log_custom_data("c", "k", 1)
    assert not log.flush()
    log.close()
    assert [entry["tool"] for entry in waiting(tmp_path)] == ["log_decision"]


def test_an_error_of_the_server_itself_is_a_failure(
    open_log: OpenLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(_command(log_custom_data=_error(-32603)))
    log.log_custom_data("c", "k", 1)
    assert not log.flush()
    log.close()
    assert len(waiting(tmp_path)) == 1
    assert "it gave error -32603 to log_custom_data, or ended" in caplog.text
    assert "private words" not in caplog.text
