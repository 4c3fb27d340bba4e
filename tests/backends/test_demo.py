"""The search over real text that `ragtime demo` shows."""

from __future__ import annotations

import logging

import pytest

from ragtime.backends.demo import QUESTIONS, run_search_demo
from ragtime.testing import HashEncoder


def test_it_answers_three_questions_over_200_documents(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shown = run_search_demo(encoder=HashEncoder())
    assert shown.documents == 200
    assert [answer.question for answer in shown.answers] == list(QUESTIONS)
    for answer in shown.answers:
        scores = [score for _, score in answer.found]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        assert answer.first_line
    assert any(record.getMessage() == "run_search_demo finished" for record in caplog.records)
