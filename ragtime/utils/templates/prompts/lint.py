"""The checks of prompts behind ``PromptManager.validate`` and ``ragtime prompts check``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ragtime.errors import TemplateError, TemplateVariableError
from ragtime.utils.templates.findings import Finding
from ragtime.utils.templates.prompts.catalogue import Entry, Snapshot
from ragtime.utils.templates.prompts.definitions import InsertEntry, PromptDefinition, PromptTest
from ragtime.utils.templates.prompts.prompt import Prompt, UndeclaredVariableError, WrongDefaultError

__all__ = ["lint_prompts"]

Binder = Callable[[Entry, str | None], Prompt]

_ROLE_MARK = re.compile(
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|end|eot_id|start_header_id|end_header_id|endoftext)\|>"
    r"|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<<<dotprompt:"
    r"|^(?:system|user|assistant|human)[ \t]*:[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_DRIFT = re.compile(r"[ \t]+$|\A\s*\n|\n\s*\n\Z", re.MULTILINE)
_SIMPLE_SLOT = re.compile(r"(?<!\{)\{([^\W\d]\w*)\}(?!\})")
_JINJA_MARK = re.compile(r"\{\{\s+[^\W\d]\w*\s+\}\}|\{%")


def lint_prompts(snapshot: Snapshot, name: str | None, *, bind: Binder) -> list[Finding]:
    """Check prompts.

    Args:
        snapshot: All prompts.
        name: Name of the prompt; ``None`` means all that do not come with the package.
        bind: Makes a definition ready, in a variant.

    Returns:
        The findings: files that cannot be used first, then prompt by prompt.
    """
    found = [
        Finding(problem.name, "P010" if problem.duplicate else "P001", problem.message, file=str(problem.file))
        for problem in snapshot.problems
        if name in {None, problem.name}
    ]
    for known, entries in snapshot.entries.items():
        if name in {None, known}:
            for entry in entries:
                if name is not None or entry.layer != "packaged":
                    found += [*_lint_entry(entry, bind)]
    return found


def _lint_entry(entry: Entry, bind: Binder) -> Iterator[Finding]:
    definition = entry.definition
    file = str(entry.file) if entry.file else None

    def finding(rule: str, message: str, **more: object) -> Finding:
        return Finding(definition.name, rule, message, file=file, **more)  # type: ignore[arg-type]

    bound: dict[str | None, Prompt] = {}
    for variant in (None, *definition.variants):
        try:
            bound[variant] = bind(entry, variant)
        except UndeclaredVariableError as error:
            yield finding("P003", str(error))
        except WrongDefaultError as error:
            yield finding("P007", str(error))
        except TemplateError as error:
            yield finding("P002", str(error))
    yield from _lint_texts(definition, finding)
    if len(bound) == 1 + len(definition.variants):
        yield from _lint_uses(definition, list(bound.values()), finding)
        for number, test in enumerate(definition.tests):
            for message in _failures(bound, test):
                yield finding("P008", f"test {number + 1}: {message}")


def _lint_texts(definition: PromptDefinition, finding: Callable[..., Finding]) -> Iterator[Finding]:
    texts = [*definition.texts()]
    texts += [
        (f"variants.{name}.{place}", text) for name, body in definition.variants.items() for place, text in body.texts()
    ]
    if definition.example_template is not None:
        texts.append(("example_template", definition.example_template))
    texts += [(f"partials.{name}", text) for name, text in definition.partials.items()]
    declared = set(definition.variables or ())
    for place, text in texts:
        for mark in _ROLE_MARK.finditer(text):
            line = text.count("\n", 0, mark.start()) + 1
            message = f"{mark[0].strip()!r} may be read by a model as the beginning or end of a message"
            yield finding("P006", message, line=line, place=place, severity="warning")
        drift = _DRIFT.search(text)
        if drift:
            line = text.count("\n", 0, drift.start()) + 1
            yield finding("P009", "white space that nobody sees", line=line, place=place, severity="warning")
        if definition.effective_syntax == "jinja":
            slots = [slot for slot in _SIMPLE_SLOT.finditer(text) if len(slot[1]) > 1 or slot[1] in declared]
            strange = next(iter(slots), None)  # a single letter is more often mathematics
            hint = "write {{ name }}, or give the prompt the syntax 'simple'"
        else:
            strange = _JINJA_MARK.search(text)
            hint = "write {name}, or give the prompt the syntax 'jinja'"
        if strange:
            line = text.count("\n", 0, strange.start()) + 1
            yield finding("P011", f"looks like the other syntax: {hint}", line=line, place=place, severity="warning")


def _lint_uses(definition: PromptDefinition, bound: list[Prompt], finding: Callable[..., Finding]) -> Iterator[Finding]:
    bodies = [definition, *definition.variants.values()]
    used = {name for prompt in bound for name in prompt.used}
    used |= {entry.insert for body in bodies for entry in body.messages or () if isinstance(entry, InsertEntry)}
    for name in definition.variables or ():
        if name not in used:
            yield finding("P004", f"{name!r} is declared, and used by no template")
    included = {name for prompt in bound for name in prompt.included}
    for name in definition.partials:
        if name not in included:
            yield finding("P005", f"the partial {name!r} is used by no template")


def _failures(bound: dict[str | None, Prompt], test: PromptTest) -> Iterator[str]:
    prompt = bound.get(test.variant)
    if prompt is None:
        yield f"there is no variant {test.variant!r}"
        return
    try:
        messages = prompt.messages(**test.variables)
        text = prompt.render(**test.variables)
    except TemplateVariableError as error:
        yield "; ".join(map(str, error.problems))
        return
    except TemplateError as error:
        yield str(error)
        return
    if test.equals is not None and text != test.equals:
        yield f"the text is another than expected, from character {_first_difference(text, test.equals)} on"
    for part in test.contains:
        if part not in text:
            yield f"the text does not contain {part[:60]!r}"
    for part in test.excludes:
        if part in text:
            yield f"the text contains {part[:60]!r}"
    roles = tuple(message["role"] for message in messages)
    if test.roles is not None and roles != test.roles:
        yield f"the roles are {', '.join(roles)}, expected {', '.join(test.roles)}"


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other))) + 1
