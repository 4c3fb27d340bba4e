"""Values with tensors in them, as JSON and named tensors, without pickle.

What a model, an optimizer or a scheduler gives as its state is a tree of dicts, lists and tuples whose leaves are
tensors, numbers, texts, booleans and ``None``. A tree and what comes back of it are equal in values and in types: a
tuple stays a tuple, an int a key, an infinity an infinity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Union

from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    import torch
    from pydantic import JsonValue

__all__ = ["Leaf", "PackedTree", "Tree", "pack_tree", "unpack_tree"]

Leaf: TypeAlias = "torch.Tensor | str | int | float | bool | None"
"""What ends a branch."""

Tree: TypeAlias = Union[Leaf, "list[Tree]", "tuple[Tree, ...]", "Mapping[str, Tree]", "Mapping[int, Tree]"]
"""A state; what comes back has dicts for mappings."""

_TENSOR, _TUPLE, _DICT, _FLOAT = "$tensor", "$tuple", "$dict", "$float"


class PackedTree(NamedTuple):
    """A tree taken apart.

    Attributes:
        value: The tree as JSON, each tensor replaced by its name.
        tensors: The tensors by name: their path in the tree, such as ``optimizer/state/0/exp_avg``.
    """

    value: JsonValue
    tensors: dict[str, torch.Tensor]


def pack_tree(tree: Tree) -> PackedTree:
    """Take a tree apart.

    Args:
        tree: The tree; its tensors are not copied.

    Returns:
        JSON and tensors.

    Raises:
        InvalidArgumentError: It holds something else, such as a numpy number or an object; tells where.
    """
    tensors: dict[str, torch.Tensor] = {}
    return PackedTree(_pack(tree, (), tensors), tensors)


def _pack(tree: object, path: tuple[str, ...], tensors: dict[str, torch.Tensor]) -> JsonValue:
    import torch  # noqa: PLC0415 - heavy

    if isinstance(tree, torch.Tensor):
        name = "/".join(path)
        tensors[name] = tree.detach()
        return {_TENSOR: name}
    if tree is None or type(tree) in {bool, int, str}:
        return tree  # type: ignore[return-value]  # what mypy cannot tell from the set
    if type(tree) is float:
        return tree if math.isfinite(tree) else {_FLOAT: repr(tree)}
    if type(tree) is tuple:
        return {_TUPLE: _pack_items(tree, path, tensors)}
    if type(tree) is list:
        return _pack_items(tree, path, tensors)
    if isinstance(tree, Mapping):
        keys = list(tree)
        if wrong := next((type(key).__name__ for key in keys if type(key) not in {str, int}), None):
            raise _unfit(path, f"a key of type {wrong}", "keys that are texts or ints")
        values = [_pack(value, (*path, _step(key)), tensors) for key, value in tree.items()]
        if all(type(key) is str and not key.startswith("$") for key in keys):
            return dict(zip(keys, values, strict=True))
        return {_DICT: [[key, value] for key, value in zip(keys, values, strict=True)]}
    raise _unfit(path, type(tree).__name__, "tensors, numbers, texts, booleans, None, dicts, lists and tuples")


def _pack_items(
    items: list[object] | tuple[object, ...], path: tuple[str, ...], tensors: dict[str, torch.Tensor]
) -> list[JsonValue]:
    return [_pack(item, (*path, str(place)), tensors) for place, item in enumerate(items)]


def _step(key: str | int) -> str:
    """Write a key as one step of a path, as JSON Pointer (RFC 6901) does; an int differs from the text of it."""
    return f"~2{key}" if type(key) is int else str(key).replace("~", "~0").replace("/", "~1")


def _unfit(path: tuple[str, ...], found: str, expected: str) -> InvalidArgumentError:
    where = "/".join(path) or "the top"
    return InvalidArgumentError(f"A state holds {expected}; found {found} at {where}")


def unpack_tree(value: JsonValue, tensors: Mapping[str, torch.Tensor]) -> Tree:
    """Put a tree together again.

    Args:
        value: What :func:`pack_tree` made.
        tensors: The tensors by name.

    Returns:
        The tree.

    Raises:
        InvalidArgumentError: The value was not made by :func:`pack_tree`, or a tensor of it is missing.
    """
    if isinstance(value, list):
        return [unpack_tree(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if not any(key.startswith("$") for key in value):
        return {key: unpack_tree(item, tensors) for key, item in value.items()}
    match value:
        case {"$tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"$float": "inf" | "-inf" | "nan" as number}:
            return float(number)
        case {"$tuple": list(items)}:
            return tuple(unpack_tree(item, tensors) for item in items)
        case {"$dict": list(pairs)}:
            return _unpack_pairs(pairs, tensors)
    raise InvalidArgumentError(f"Not a packed state: it holds {min(value)!r} with a value that it cannot have")


def _unpack_pairs(pairs: list[JsonValue], tensors: Mapping[str, torch.Tensor]) -> Tree:
    found: dict[str | int, Tree] = {}
    for pair in pairs:
        match pair:
            case [str() | int() as key, item]:
                found[key] = unpack_tree(item, tensors)
            case _:
                raise InvalidArgumentError("Not a packed state: a dict in it is no list of pairs")
    return found  # type: ignore[return-value]  # keys of both kinds, where there were
