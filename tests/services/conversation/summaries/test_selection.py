from __future__ import annotations

from itertools import pairwise

import numpy as np

from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries.pieces import Budget, pieces_of, write
from ragtime.services.conversation.summaries.relevance import is_courtesy, lexical_scores, substance, term_vectors
from ragtime.services.conversation.summaries.selection import CANDIDATES, STRETCHES, choose, preselect, rank
from ragtime.utils.tokens import EstimatedTokenCounter

BUDGET = Budget(EstimatedTokenCounter())


def pieces(*texts: str, role: str = "user") -> list:
    return [
        piece for place, text in enumerate(texts) for piece in pieces_of(Interaction(role=role, content=text), place)
    ]


def test_courtesies_weigh_least_and_details_most():
    """Figures and names before plain words, those before questions, those before thanks."""
    found = pieces("A room in Porto costs 90 euros.", "the room is quiet.", "Which room is quiet?", "Thanks!")
    weights = [substance(piece) for piece in found]
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == 4
    assert [is_courtesy(piece) for piece in found] == [False, False, False, True]


def test_central_sentences_score_above_strays():
    """What the others speak of is what it is about."""
    texts = ("the ferry leaves at noon", "the noon ferry is late", "the ferry is full", "cats purr softly")
    scores = lexical_scores(pieces(*texts))
    assert min(scores[:3]) > scores[3] >= 0


def test_the_products_of_term_vectors_are_cosines():
    """One for the same words, less for some of them, none where there is no word in common or at all."""
    table = term_vectors(pieces("Ferry to Porto", "The ferry to Porto!", "Ferry to Faro", "Cats purr", "!?"))
    cosines = (table @ table.T).round(6)
    assert cosines[0, 1] == 1
    assert 0 < cosines[0, 2] < 1
    assert not cosines[3:, :3].any()
    assert not table[4].any()


def test_many_sentences_are_ranked_as_few_are():
    """Products that are made in parts are those made at once."""
    found = pieces(*(f"Ticket {number} for {number % 7} in Porto." for number in range(300)))
    small = term_vectors(found)
    large = np.hstack([small, np.zeros((300, 2000))])
    tokens = [BUDGET.tokens(piece) for piece in found]
    assert list(rank(found, small, tokens)) == list(rank(found, large, tokens))


def test_a_repetition_comes_last():
    """MMR takes the other subject before the same thing again."""
    found = pieces("the ferry leaves at noon", "at noon the ferry leaves", "the dinner is at noon")
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
    assert list(rank(found, vectors, [6, 6, 6])) == [0, 2, 1]


def test_all_that_fits_is_chosen_without_vectors():
    """A short conversation needs no model."""
    found = pieces("One thing.", "Thanks!")

    def refuse(_):
        raise AssertionError

    assert choose(found, 100, BUDGET, refuse) == found


def test_courtesies_and_repetitions_go_first():
    """They are left out as soon as not all fits."""
    found = pieces("The ferry leaves at noon.", "Thank you so much!", "The ferry leaves at noon.", "Cabins are full.")
    assert write(choose(found, 15, BUDGET)) == "User: The ferry leaves at noon. Cabins are full."


def test_nothing_but_courtesies_is_summed_up_as_well():
    """Something was said, after all."""
    assert write(choose(pieces("Hello!", "Thanks!"), 4, BUDGET)) in {"User: Hello!", "User: Thanks!"}


def test_candidates_are_bounded_and_cover_the_whole():
    """Every stretch has one."""
    found = pieces(*(f"Ticket {number} for Porto." for number in range(5000)))
    places = preselect(found, lexical_scores(found))
    assert len(places) == CANDIDATES
    assert max(later - earlier for earlier, later in pairwise(places)) <= 2 * 5000 / STRETCHES


def test_a_budget_beyond_the_candidates_is_filled_too():
    """From the others, by their words."""
    found = pieces(*(f"Ticket {number} for Porto costs {number} euros." for number in range(600)))
    assert len(choose(found, 4000, BUDGET)) > CANDIDATES
