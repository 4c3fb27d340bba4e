import typing as t
from collections.abc import Sequence
from typing import Annotated, List, Union

from conversation_compat import Conversation, Interaction


def show(
    one: Union[Conversation, None],
    two: Annotated[Conversation, "a memory"],
    three: t.Optional["Conversation"],
    four: "not an annotation",
    five: List[Interaction],
    six: Sequence["Interaction"],
    seven: dict[str, Interaction],
    eight: object,
) -> None:
    one.add_interaction("a?", "b")
    two.add_interaction("a?", "b")
    three.add_interaction("a?", "b")
    four.history
    first, *rest = five
    print(first.query, [turn.response for turn in six[1:] + five], next(iter(five)).timestamp, five.pop().query)
    for number, (turn, other) in enumerate(zip(five, six)):
        print(number, turn.query, other)
    eight.get_history()
