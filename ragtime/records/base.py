"""What all records share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

__all__ = ["Identifier", "Record", "Text"]


class Record(BaseModel):
    """Base of all records: frozen, nothing unknown, equal when all fields are equal, and no content in an error's text.

    Raises:
        pydantic.ValidationError: A field is missing, unknown or wrong; also a ``ValueError``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=())


def _identifier(value: str) -> str:
    if not value or value != value.strip() or any(character in value for character in "\t\r\n\0"):
        raise ValueError("must not be empty, begin or end with white space, or hold tabs, line breaks or NUL")
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]
"""An id: one line, as it can stand in a column of a file."""

Text = Annotated[str, AfterValidator(_text)]
"""A text with something in it, kept as it is."""
