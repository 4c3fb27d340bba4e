"""A workshop whose customers call its machines by birds, and whose handbook calls them by Greek letters.

The words of a task find the pages about it, one for each machine; only who has learned which bird is which letter finds
the right one of them. Tiny models can learn that from some questions, and need it for all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragtime.utils.hashing import keyed_random

if TYPE_CHECKING:
    from ragtime.services.conversation import ConversationManager

__all__ = ["documents", "hold_conversations", "page_of", "question", "ratings", "reminders", "shuffled_ratings"]

_MACHINES = dict(
    zip(
        "heron robin finch swift raven stork eagle crane goose quail egret snipe".split(),
        "alpha beta gamma delta epsilon zeta theta kappa lambda sigma omega upsilon".split(),
        strict=True,
    )
)
_TASKS = "clean dry empty fill heat lift move oil polish store test wash".split()
_TOOLS = "a brush|a damp cloth|a dry towel|a funnel|a hook|a ladder|a long spoon|a pump|a rope|a wooden wedge".split(
    "|"
)
_TIMES = (
    "after lunch|before the shift|every Monday|in the evening|in winter|once a month|on rainy days|twice a year|"
    "when it is cold|when the lamp is red"
).split("|")
_PLACES = "the cellar|the garage|the hall|the kitchen|the loft|the shed|the store|the yard".split("|")
_QUESTIONS = (
    "How do I {task} my {bird}?",
    "What do I need to {task} a {bird}?",
    "When should one {task} the {bird}?",
    "Tell me where to {task} our {bird}, please.",
)
_EVERYTHING = [(bird, task) for bird in _MACHINES for task in _TASKS]


def page_of(bird: str, task: str) -> str:
    """Return the id of the page that tells how a task is done with a machine."""
    return f"{_MACHINES[bird]}-{task}"


def question(bird: str, task: str) -> str:
    """Return what a customer asks."""
    return keyed_random(7, "question", bird, task).choice(_QUESTIONS).format(bird=bird, task=task)


def _text(bird: str, task: str) -> str:
    chance = keyed_random(7, "page", bird, task)
    tool, time, place = (chance.choice(words) for words in (_TOOLS, _TIMES, _PLACES))
    return f"Take the {_MACHINES[bird]} to {place}, and {task} it with {tool} {time}."


def documents() -> list[dict[str, Any]]:
    """Return the handbook: a page for each machine and task."""
    return [{"id": page_of(bird, task), "text": _text(bird, task)} for bird, task in _EVERYTHING]


def reminders() -> list[tuple[str, str]]:
    """Return the end of each page with the page: what a model finds by words alone, and should not unlearn."""
    texts = [page["text"] for page in documents()]
    return [(text.partition(" and ")[2], text) for text in texts]


def ratings() -> list[dict[str, Any]]:
    """Return what customers thought of the pages they were shown, for half of all questions.

    The right page has five stars. For every third question a wrong one was shown, too, which has one.
    """
    rated: list[dict[str, Any]] = []
    for number, (bird, task) in enumerate(_EVERYTHING):
        if number % 2:
            continue
        asked = question(bird, task)
        rated.append({"id": f"good-{number}", "query": asked, "rating": 5, "document_ids": [page_of(bird, task)]})
        if number % 3 == 0:
            other, _ = _EVERYTHING[(number + len(_TASKS)) % len(_EVERYTHING)]
            wrong = page_of(other, task)
            rated.append({"id": f"bad-{number}", "query": asked, "rating": 1, "document_ids": [wrong]})
    return rated


def shuffled_ratings() -> list[dict[str, Any]]:
    """Return ratings as good for each other's pages: there is nothing to learn from them."""
    good = [one for one in ratings() if one["rating"] == 5]
    pages = [one["document_ids"] for one in good]
    keyed_random(7, "shuffled").shuffle(pages)
    return [{**one, "document_ids": page} for one, page in zip(good, pages, strict=True)]


def hold_conversations(manager: ConversationManager, *, users: tuple[str, ...] = ("ann", "bob")) -> None:
    """Let customers ask about a quarter of all there is to ask, one conversation each; answers cite their page."""
    for number, (bird, task) in enumerate(_EVERYTHING):
        if number % 4 != 1:
            continue
        user = users[number // 4 % len(users)]
        conversation = manager.create_conversation(f"{bird}-{task}", user_id=user)
        _, answer = conversation.add_exchange(
            question(bird, task), f"Here is how: {_text(bird, task)}", document_ids=[page_of(bird, task)]
        )
        conversation.add_feedback(answer, 5, by=user)
        conversation.add_exchange("Thank you!", "You are welcome.")
