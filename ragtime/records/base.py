"""What all records share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NoReturn, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

__all__ = ["Frozen", "FrozenDict", "Identifier", "Record", "Text", "freeze"]

K = TypeVar("K")
V = TypeVar("V")


class Frozen(BaseModel):
    """A model whose fields cannot be set, and whose errors do not tell the values.

    Pydantic's own error for a frozen model quotes the value that was to be set.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, protected_namespaces=())

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        problem: Any = {"type": "frozen_instance", "loc": (name,), "input": None}
        raise ValidationError.from_exception_data(type(self).__name__, [problem], hide_input=True)


class Record(Frozen):
    """Base of all records: frozen, nothing unknown, equal when all fields are equal, and no content in an error's text.

    Raises:
        pydantic.ValidationError: A field is missing, unknown or wrong; also a ``ValueError``.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; unlike pydantic's own, what `update` changes is validated."""
        if not update:
            return super().model_copy(deep=deep)
        fields = type(self).model_fields  # without properties that are kept beside them
        return type(self)(**{**{name: value for name, value in self.__dict__.items() if name in fields}, **update})


def _identifier(value: str) -> str:
    if not value or value != value.strip() or any(character in value for character in "\t\r\n\0"):
        raise ValueError("must not be empty, begin or end with white space, or hold tabs, line breaks or NUL")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not hold lone surrogates")
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]
"""An id: one line, as it can stand in a column of a file."""

Text = Annotated[str, AfterValidator(_text)]
"""A text with something in it, kept as it is."""


class FrozenDict(dict[K, V]):
    """A dict that cannot be changed any more."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this record is frozen; make a changed copy with model_copy(update=...)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def freeze(value: Any) -> Any:
    """Return `value` with every dict in it frozen, lists included."""
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(inner) for key, inner in value.items()})
    return [freeze(inner) for inner in value] if isinstance(value, list) else value
