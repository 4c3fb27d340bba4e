"""What checks of prompts and pages find: one shape, with rule ids that do not change."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["RULES", "Finding"]

RULES: dict[str, str] = {
    "P001": "The file cannot be read, is no JSON object, or is no prompt.",
    "P002": "A template has a syntax error, includes itself, or includes what there is not.",
    "P003": "A template uses a variable that is not declared.",
    "P004": "A declared variable is used by no template.",
    "P005": "A partial is used by no template.",
    "P006": "A template holds what models read as the beginning of a role, such as <|im_start|>.",
    "P007": "The default of a variable is not of its type.",
    "P008": "A test of the prompt fails.",
    "P009": "Lines end with white space, or the text begins or ends with blank lines.",
    "P010": "Another file holds the same name, version and locale.",
    "P011": "A text looks like the other syntax: {name} in Jinja, or {{ name }} in the simple one.",
    "H001": "A page has a syntax error.",
    "H002": "A page uses a variable that it does not declare.",
    "H003": "A page includes, extends or imports what there is not, or itself.",
    "H004": "A value is marked as safe, and so not escaped.",
    "H005": "A value stands in an attribute without quotes.",
    "H006": "A value is the beginning of an address, and does not go through safe_url.",
    "H007": "A value stands in a script, a style or an event handler, and does not go through tojson.",
    "H008": "A page declares a variable that it does not use.",
}
"""What each rule is about, by its id."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a prompt or page, or what may be one.

    Attributes:
        template: Name of the prompt or page.
        rule: Id of the rule; see ``RULES``.
        message: What was found.
        line: Line of the template text, from 1; ``None`` when it is about the whole.
        file: The file; ``None`` when there is none.
        severity: ``error``: it fails or is unsafe; ``warning``: it may be meant.
        place: Which text of a prompt, such as ``messages[1]``; empty when there is one.
    """

    template: str
    rule: str
    message: str
    line: int | None = None
    file: str | None = None
    severity: Literal["error", "warning"] = "error"
    place: str = ""

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        where = f"{self.file or self.template}{f', {self.place}' if self.place else ''}{line}"
        return f"{where}: {self.rule} {self.severity}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)
