"""Messages as the tokens of a prompt: the model's chat template, or a plain format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from inspect import signature
from typing import TYPE_CHECKING, Any

from ragtime.errors import BackendError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ragtime.protocols import Message

__all__ = ["PLAIN_STOP", "plain_prompt", "prompt_tokens"]

PLAIN_STOP = "\nUser:"
"""In the plain format an answer ends where the model goes on with the user's next turn."""

_NAMES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def plain_prompt(messages: Sequence[Message]) -> str:
    """Write messages for a model without a chat template: ``User: …``, one a paragraph, then ``Assistant:``."""
    turns = [f"{_NAMES[message['role']]}: {message['content']}\n\n" for message in messages]
    return "".join([*turns, "Assistant:"])


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, who: str) -> list[int]:
    """Turn messages into the tokens of a prompt.

    Args:
        tokenizer: The model's tokenizer. Its chat template is used when it has one.
        messages: The conversation so far. Special tokens written out in them are read as text, so that no message can
            pose as another.
        who: The model, for error messages.

    Returns:
        The token ids.

    Raises:
        BackendError: The template does not take these messages.
    """
    if not tokenizer.chat_template:
        return _ids(tokenizer(plain_prompt(messages), split_special_tokens=True)["input_ids"])
    found = ""
    try:
        return _ids(_apply_template(tokenizer, [dict(message) for message in messages]))
    except Exception as error:  # noqa: BLE001 - a template raises what it likes, and may quote a message
        found = type(error).__name__
    roles = ", ".join(dict.fromkeys(message["role"] for message in messages))
    raise BackendError(
        f"{who}: the chat template does not take messages of {roles} in this order ({found}); "
        "let user and assistant alternate, or put what the system message says into the first of the user"
    )


def _apply_template(tokenizer: Any, messages: list[dict[str, Any]]) -> Any:
    options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": False}
    if "sanitize_control_tokens" in signature(tokenizer.apply_chat_template).parameters:
        return tokenizer.apply_chat_template(messages, sanitize_control_tokens=True, **options)
    return tokenizer.apply_chat_template(_written_apart(tokenizer, messages), **options)  # the first releases of 5


def _written_apart(tokenizer: Any, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put a character without width into each special token in a message, so that it is one no longer."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if len(token.content) > 1]
    apart = {token: f"{token[0]}\N{ZERO WIDTH SPACE}{token[1:]}" for token in special}
    return [
        {
            **message,
            "content": reduce(lambda text, token: text.replace(token, apart[token]), special, message["content"]),
        }
        for message in messages
    ]


def _ids(found: Any) -> list[int]:
    return [int(token) for token in found]
