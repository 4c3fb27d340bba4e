from __future__ import annotations

import pytest

KINDS = ("rolling", "hierarchical")


@pytest.mark.parametrize("strategy", KINDS)
def test_only_new_turns_are_read(summarizer, conversation, strategy):
    """Each turn once, however often a summary is asked for."""
    made, found = summarizer(fan_out=4, depth=3), conversation(50)
    reads = [made.summarize(found, strategy=strategy, max_tokens=60).turns_read]
    for _ in range(20):
        found.add_exchange("Where is gate 7?", "Gate 7 is upstairs, behind the cafe of hall 2.")
        reads.append(made.summarize(found, strategy=strategy, max_tokens=60).turns_read)
    assert reads == [50] + [2] * 20


def test_an_append_touches_one_path_of_10_000_turns(summarizer, conversation):
    """At most one segment a level, and the summary itself."""
    made, found = summarizer(centrality="lexical", fan_out=10, depth=4), conversation(10_000)
    first = made.summarize(found, strategy="hierarchical", max_tokens=100)
    assert first.nodes_computed == 1000 + 100 + 10 + 1
    for _ in range(25):
        found.add_interaction("user", "One more ticket to Faro for 12 euros.")
        more = made.summarize(found, strategy="hierarchical", max_tokens=100)
        assert more.nodes_computed <= 4
        assert more.turns_read == 1
    assert made.summarize(found, strategy="hierarchical", max_tokens=100).turns_read == 0


@pytest.mark.parametrize(("turns", "nodes"), [(3, 1), (4, 2), (15, 4), (16, 6), (64, 22), (80, 27)])
def test_segments_are_those_of_the_digits_of_the_length(summarizer, conversation, turns, nodes):
    """Of 80 turns with a fan-out of 4: twenty of level 1, five of level 2, one of level 3, and the summary."""
    summary = summarizer(fan_out=4, depth=4).summarize(conversation(turns), strategy="hierarchical", max_tokens=40)
    assert summary.nodes_computed == nodes


def test_depth_one_reads_the_turns_themselves(summarizer, conversation):
    """As the extractive summary does."""
    made, found = summarizer(), conversation(60)
    flat = made.summarize(found, strategy="hierarchical", depth=1, max_tokens=60)
    assert flat.text == made.summarize(found, strategy="extractive", max_tokens=60).text
    assert flat.nodes_computed == 1


@pytest.mark.parametrize("strategy", KINDS)
def test_branches_are_told_apart(summarizer, conversation, strategy):
    """An edit, a switch back and a fork give what a summarizer without a memory gives."""
    made, found = summarizer(fan_out=4, depth=3), conversation(40)

    def check(one) -> None:
        fresh = summarizer(fan_out=4, depth=3).summarize(one, strategy=strategy, max_tokens=50)
        assert made.summarize(one, strategy=strategy, max_tokens=50).sentences == fresh.sentences

    check(found)
    found.edit("t20", "The castle in Leiria opens at 9:00. Entry is 7 euros.")
    check(found)
    found.add_interaction("assistant", "The castle in Tomar opens at 10:00.")
    check(found)
    found.switch("t39")
    check(found)
    check(found.fork("t30"))


@pytest.mark.parametrize("strategy", KINDS)
def test_another_answer_reads_one_turn(summarizer, conversation, strategy):
    """The last turn said anew leaves all before it known, also where it ended a segment."""
    made, found = summarizer(fan_out=4, depth=3), conversation(64)
    made.summarize(found, strategy=strategy, max_tokens=50)
    found.add_interactions([])
    made.summarize(found, strategy=strategy, max_tokens=50)
    found.add_interaction("assistant", "Hall 3.", id="last")
    made.summarize(found, strategy=strategy, max_tokens=50)
    found.regenerate("last", "Hall 4.")
    assert made.summarize(found, strategy=strategy, max_tokens=50).turns_read == 1


@pytest.mark.parametrize("strategy", KINDS)
def test_budgets_are_kept_apart(summarizer, conversation, strategy):
    """A summary of another length is none of the one before."""
    made, found = summarizer(fan_out=4, depth=3), conversation(40)
    for tokens in (30, 90, 30):
        fresh = summarizer(fan_out=4, depth=3).summarize(found, strategy=strategy, max_tokens=tokens)
        assert made.summarize(found, strategy=strategy, max_tokens=tokens).text == fresh.text


def test_conversations_of_one_id_are_told_apart_by_user_and_time(summarizer, conversation):
    """Nothing of one user's is ever known to another's."""
    made = summarizer(fan_out=4)
    for user in ("ann", "bob"):
        found = conversation(20, conversation_id="c", user_id=user)
        assert made.summarize(found, strategy="rolling", max_tokens=50).turns_read == 20
    again = conversation(20, conversation_id="c", user_id="ann")
    assert made.summarize(again, strategy="rolling", max_tokens=50).turns_read == 20


def test_what_is_kept_is_bounded(summarizer, conversation):
    """The conversation used longest ago is read anew."""
    made = summarizer(max_conversations=2)
    first, second, third = (conversation(20) for _ in range(3))
    for found in (first, second, first, third):
        made.summarize(found, strategy="rolling", max_tokens=50)
    reads = [made.summarize(found, strategy="rolling", max_tokens=50).turns_read for found in (first, third, second)]
    assert reads == [0, 0, 20]


def test_forgotten_conversations_are_read_anew(summarizer, conversation):
    """One of the user's, or all."""
    made = summarizer()
    found = [conversation(20, conversation_id=name, user_id="ann") for name in ("a", "b", "c")]
    for one in found:
        made.summarize(one, strategy="hierarchical", max_tokens=50)
    assert (made.forget("bob"), made.forget("ann", "a"), made.forget("ann"), made.forget("ann")) == (0, 1, 2, 0)
    assert made.summarize(found[0], strategy="hierarchical", max_tokens=50).turns_read == 20


def test_nothing_is_kept_of_mere_turns(summarizer, conversation):
    """They have no id that tells them from others."""
    made, turns = summarizer(), conversation(20).get_interactions()
    for _ in range(2):
        assert made.summarize(turns, strategy="rolling", max_tokens=50).turns_read == 20
