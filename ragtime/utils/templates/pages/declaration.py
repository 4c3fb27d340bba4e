"""The variables that a page declares in its first line: ``{# variables: title, body? #}``."""

from __future__ import annotations

import re

from ragtime.errors import VariableProblem, did_you_mean

__all__ = ["declared_variables", "variable_problems"]

_DECLARATION = re.compile(r"\s*\{#-?\s*variables:(?P<names>[\w\s,?]*)-?#\}")


def declared_variables(text: str) -> dict[str, bool] | None:
    """Read the declaration of a page.

    Args:
        text: The page.

    Returns:
        Whether each variable is required, by name; ``None`` when the page declares nothing.
    """
    found = _DECLARATION.match(text)
    if found is None:
        return None
    names = (name.strip() for name in found["names"].split(","))
    return {name.rstrip("? "): not name.endswith("?") for name in names if name}


def variable_problems(declared: dict[str, bool], given: set[str]) -> list[VariableProblem]:
    """Compare what is given with what is declared.

    Args:
        declared: Whether each variable is required, by name.
        given: Names of the variables given.

    Returns:
        The missing ones, then those that are not declared.
    """
    problems = [
        VariableProblem(name, "missing", "is missing")
        for name, required in declared.items()
        if required and name not in given
    ]
    for name in sorted(given - declared.keys()):
        hint = did_you_mean(name, declared.keys() - given) or f"; it takes {', '.join(declared)}"
        problems.append(VariableProblem(name[:100], "extra", f"is no variable of this page{hint}"))
    return problems
