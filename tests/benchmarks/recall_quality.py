"""How well recall finds turns and pages, and what each part of it adds.

Two outside data sets: ``conversations-sgd``, histories of task dialogues with questions and their evidence turns, each
question asked of its own history; and ``retrieval-tldr``, pages of commands with one judged page a query, without
neighbours. The constants of recall were chosen on the histories with even numbers and the training queries; figures are
those of the odd histories and the test queries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragtime.protocols import TextEncoder
from ragtime.records import RetrievalSet
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.bm25 import LexicalScores
from ragtime.services.conversation.embedder import embedded_text
from ragtime.services.conversation.fusion import CANDIDATES, combine_scores, reciprocal_rank_fusion
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.services.conversation.recall_keys import (
    NEIGHBOUR_WEIGHTS,
    key_stems,
    key_text,
    mix_vectors,
    neighbours_of,
)
from ragtime.services.conversation.time_words import MONTH_NAMES, find_interval
from ragtime.utils.retrieval_sets import load_retrieval_set
from ragtime.utils.stems import stems_of

Half = Literal["even", "odd", "all"]
Figures = dict[str, float]
Vectors = npt.NDArray[np.float32]

_CUTS = (5, 10)


@dataclass(frozen=True)
class Question:
    """A question, and the turns of which each answers it."""

    text: str
    evidence: frozenset[int]


@dataclass(frozen=True)
class History:
    """The turns of one user, and the questions asked a day after the last one."""

    turns: tuple[Interaction, ...]
    questions: tuple[Question, ...]

    @property
    def now(self) -> datetime:
        """When the questions are asked."""
        return self.turns[-1].created_at + timedelta(days=1)


@dataclass(frozen=True)
class Keys:
    """What turns are searched by: the parts of recall that a row of the table uses."""

    neighbours: bool = False
    speaker: bool = False
    date: bool = False
    time_words: bool = False

    @property
    def weights(self) -> tuple[float, ...]:
        """What neighbours count."""
        return NEIGHBOUR_WEIGHTS if self.neighbours else ()

    def text(self, turn: Interaction) -> str:
        """Return what is embedded of a turn."""
        return key_text(turn) if self.speaker else embedded_text(turn)

    def stems(self, turn: Interaction) -> list[str]:
        """Return what is counted of a turn."""
        return key_stems(turn) if self.date else stems_of(turn.content)


def load_histories(folder: Path, *, half: Half = "odd", dated: bool = False) -> list[History]:
    """Read the histories of ``conversations-sgd``.

    Args:
        folder: The folder of the data set.
        half: Those with even or odd numbers, from 0, or all.
        dated: Whether questions end with the day of their first evidence, as "on 12 April".

    Returns:
        The histories.
    """
    lines = (folder / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = lines if half == "all" else lines[half == "odd" :: 2]
    return [_history(json.loads(line), dated=dated) for line in chosen]


def _history(row: dict[str, Any], *, dated: bool) -> History:
    turns = tuple(
        Interaction(
            id=str(place),
            role=turn["role"],
            content=turn["content"],
            created_at=datetime.fromisoformat(turn["timestamp"]),
        )
        for place, turn in enumerate(row["turns"])
    )
    questions = []
    for question in row["questions"]:
        day = turns[question["evidence"][0]].created_at
        text = question["question"]
        if dated:
            text = f"{text.rstrip('?')} on {day.day} {MONTH_NAMES[day.month - 1]}?"
        questions.append(Question(text, frozenset(question["evidence"])))
    return History(turns, tuple(questions))


def sgd_table(folder: Path, encoder: TextEncoder, *, half: Half = "odd", dated: bool = False) -> dict[str, Figures]:
    """Measure recall over conversations, part by part.

    Args:
        folder: The folder of ``conversations-sgd``.
        encoder: Embeds turns and questions.
        half: The histories, as for :func:`load_histories`.
        dated: Whether questions name the day, as for :func:`load_histories`.

    Returns:
        For each row ``recall@5``, ``recall@10``, ``hit@5`` and ``hit@10``, means over the questions: the share of the
        evidence turns among the first 5 or 10, and whether any is.
    """
    histories = load_histories(folder, half=half, dated=dated)
    alone, neighbours = Keys(), Keys(neighbours=True)
    speaker, date = Keys(neighbours=True, speaker=True), Keys(neighbours=True, speaker=True, date=True)
    rows: dict[str, tuple[Keys, Ranker]] = {
        "BM25, turn alone": (alone, _rank_lexical),
        "dense, turn alone": (alone, _rank_dense),
        "reciprocal ranks, turn alone": (alone, _rank_by_ranks),
        "hybrid, turn alone": (alone, _rank_hybrid),
        "BM25, + neighbours": (neighbours, _rank_lexical),
        "dense, + neighbours": (neighbours, _rank_dense),
        "reciprocal ranks, + neighbours": (neighbours, _rank_by_ranks),
        "hybrid, + neighbours": (neighbours, _rank_hybrid),
        "dense, + speaker": (speaker, _rank_dense),
        "hybrid, + speaker": (speaker, _rank_hybrid),
        "BM25, + date": (date, _rank_lexical),
        "hybrid, + date": (date, _rank_hybrid),
        "hybrid, + time words": (Keys(neighbours=True, speaker=True, date=True, time_words=True), _rank_hybrid),
    }
    found = _Rankings(histories, encoder)
    return {name: _recall(histories, found.of(keys, ranker)) for name, (keys, ranker) in rows.items()}


Ranker = Callable[[LexicalScores, npt.NDArray[np.float64], npt.NDArray[np.bool_] | None], list[int]]
"""Ranks the positions of a history by BM25, the cosines of all turns, and which of them are from the time asked for."""


def _rank_lexical(lexical: LexicalScores, _: npt.NDArray[np.float64], __: object) -> list[int]:
    return [position for position, _ in lexical.best(max(_CUTS))]


def _rank_dense(_: LexicalScores, cosines: npt.NDArray[np.float64], __: object) -> list[int]:
    return _best(cosines, max(_CUTS))


def _rank_by_ranks(lexical: LexicalScores, cosines: npt.NDArray[np.float64], _: object) -> list[int]:
    words = [position for position, _ in lexical.best(CANDIDATES)]
    return [one.position for one in reciprocal_rank_fusion([words, _best(cosines, CANDIDATES)])]


def _rank_hybrid(
    lexical: LexicalScores, cosines: npt.NDArray[np.float64], in_time: npt.NDArray[np.bool_] | None
) -> list[int]:
    words = [position for position, _ in lexical.best(CANDIDATES)]
    union = np.array(sorted({*words, *_best(cosines, CANDIDATES)}), np.int64)
    chosen = in_time[union] if in_time is not None else None
    return [one.position for one in combine_scores(union, cosines[union], lexical.shares(union), in_time=chosen)]


def _best(scores: npt.NDArray[np.float64], k: int) -> list[int]:
    return [int(place) for place in np.argsort(-scores, kind="stable")[:k]]


class _Rankings:
    """Rankings of the turns of histories for their questions."""

    def __init__(self, histories: Sequence[History], encoder: TextEncoder) -> None:
        self._histories, self._encoder = histories, encoder
        self._queries = self._encoded([[one.text for one in history.questions] for history in histories], role="query")
        self._vectors: dict[bool, list[Vectors]] = {}

    def _encoded(self, texts: list[list[str]], *, role: Literal["query", "passage"]) -> list[Vectors]:
        vectors = self._encoder.encode([text for some in texts for text in some], role=role)
        return np.split(vectors, np.cumsum([len(some) for some in texts])[:-1])

    def of(self, keys: Keys, rank: Ranker) -> list[list[list[int]]]:
        """Return for each history and question the positions, the best first."""
        if keys.speaker not in self._vectors:
            texts = [[keys.text(turn) for turn in history.turns] for history in self._histories]
            self._vectors[keys.speaker] = self._encoded(texts, role="passage")
        return [
            self._ranked(*parts, keys, rank)
            for parts in zip(self._histories, self._vectors[keys.speaker], self._queries, strict=True)
        ]

    def _ranked(self, history: History, own: Vectors, queries: Vectors, keys: Keys, rank: Ranker) -> list[list[int]]:
        index = LexicalIndex(weights=keys.weights)
        for place, turn in enumerate(history.turns):
            index.add(keys.stems(turn), previous=place - 1 if place else None)
        around = neighbours_of(np.arange(-1, len(own) - 1, dtype=np.int32), len(keys.weights))
        vectors = mix_vectors(own, around, weights=keys.weights)
        found = []
        for question, query in zip(history.questions, queries, strict=True):
            interval = find_interval(question.text, history.now) if keys.time_words else None
            in_time = np.array([turn.created_at in interval for turn in history.turns]) if interval else None
            cosines = (vectors.astype(np.float64) * query).sum(axis=1)
            found.append(rank(index.scores(question.text), cosines, in_time))
        return found


def _recall(histories: Sequence[History], rankings: list[list[list[int]]]) -> Figures:
    asked = [question for history in histories for question in history.questions]
    answers = [ranking for some in rankings for ranking in some]
    figures: Figures = {}
    for cut in _CUTS:
        found = [len(one.evidence & set(ranking[:cut])) for one, ranking in zip(asked, answers, strict=True)]
        shares = [count / len(one.evidence) for count, one in zip(found, asked, strict=True)]
        figures[f"recall@{cut}"] = float(np.mean(shares))
        figures[f"hit@{cut}"] = float(np.mean([count > 0 for count in found]))
    return figures


def tldr_table(folder: Path, encoder: TextEncoder, *, split: str = "test") -> dict[str, Figures]:
    """Measure the same fusion where words are better than vectors, on documents without neighbours.

    Args:
        folder: The folder of ``retrieval-tldr``.
        encoder: Embeds pages and queries.
        split: The queries.

    Returns:
        For BM25, the vectors, reciprocal rank fusion and the hybrid: ``ndcg@10`` and ``recall@10``.
    """
    judged = load_retrieval_set(folder, split=split)
    pages = list(judged.corpus.values())
    texts = [f"{page.title}\n{page.text}" for page in pages]
    index = LexicalIndex()
    for text in texts:
        index.add(text)
    vectors = encoder.encode(texts)
    queries = encoder.encode(list(judged.queries.values()), role="query")
    rankers: dict[str, Ranker] = {
        "BM25": _rank_lexical,
        "dense": _rank_dense,
        "reciprocal ranks": _rank_by_ranks,
        "hybrid": _rank_hybrid,
    }
    gains: dict[str, list[float]] = {name: [] for name in rankers}
    for (key, text), query in zip(judged.queries.items(), queries, strict=True):
        lexical, cosines = index.scores(text), (vectors @ query).astype(np.float64)
        for name, rank in rankers.items():
            ids = [pages[position].id for position in rank(lexical, cosines, None)[:10]]
            gains[name].append(_gain(judged, key, ids))
    return {
        name: {"ndcg@10": float(np.mean(some)), "recall@10": float(np.mean(np.array(some) > 0))}
        for name, some in gains.items()
    }


def _gain(judged: RetrievalSet, query: str, ids: list[str]) -> float:
    """Compute nDCG of a query with one relevant page: the gain of its rank, for the ideal is 1."""
    (relevant,) = [key for key, grade in judged.judgements[query].items() if grade]
    return 1 / np.log2(ids.index(relevant) + 2) if relevant in ids else 0.0
