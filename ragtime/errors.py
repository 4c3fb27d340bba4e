"""The errors of ragtime, one base for all of them.

    RagtimeError
    ├── InvalidArgumentError   a wrong argument; also a ValueError
    ├── ConfigurationError     wrong settings; also a ValueError
    ├── MissingExtraError      an optional dependency is not installed; also an ImportError
    ├── TemplateError          prompts and pages
    │   ├── TemplateNotFoundError  there is no such prompt or page; also a LookupError
    │   ├── TemplateSyntaxError    a template or the file that holds it is wrong
    │   ├── TemplateVariableError  missing, extra or mistyped variables; also a ValueError
    │   └── RenderLimitError       a rendering was stopped: too long, too many steps, too slow
    ├── BackendError           models and model servers
    │   ├── BackendTimeoutError    a time limit has passed; also a TimeoutError
    │   └── BackendCancelledError  the caller's own signal stopped the work
    ├── StorageError           files, databases and indexes
    │   ├── ConversationNotFoundError  the user has no such conversation; also a KeyError
    │   └── ConversationExistsError    the user has one of this id already; also a ValueError
    ├── GenerationError        training data
    └── FineTuningError        training runs, evaluation and promotion

``RagtimeDeprecationWarning`` is what the wrappers of the old modules warn with.

Messages say what was found, what was expected and what to do. They never hold a secret, a prompt or a document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BackendCancelledError",
    "BackendError",
    "BackendTimeoutError",
    "ConfigurationError",
    "ConversationExistsError",
    "ConversationNotFoundError",
    "FineTuningError",
    "GenerationError",
    "InvalidArgumentError",
    "MissingExtraError",
    "RagtimeDeprecationWarning",
    "RagtimeError",
    "RenderLimitError",
    "SettingProblem",
    "StorageError",
    "TemplateError",
    "TemplateNotFoundError",
    "TemplateSyntaxError",
    "TemplateVariableError",
    "VariableProblem",
    "did_you_mean",
]

_DISTRIBUTION = "ragtime-gal"  # the bare name "ragtime" on the package index belongs to another project


class RagtimeError(Exception):
    """Base of every error that ragtime raises on purpose."""


class InvalidArgumentError(RagtimeError, ValueError):
    """An argument has a wrong value; raised before any work starts."""


class SettingProblem(NamedTuple):
    """One thing that is wrong with the settings.

    Attributes:
        name: The dotted name, such as ``embedding.batch_size``; empty when a whole source cannot be read.
        source: Where the value came from, such as ``environment variable RAGTIME_EMBEDDING__BATCH_SIZE``.
        message: What was found and what is allowed; never the value of a secret.
    """

    name: str
    source: str
    message: str

    def __str__(self) -> str:
        return f"{self.name} ({self.source}): {self.message}" if self.name else f"{self.source}: {self.message}"


class ConfigurationError(RagtimeError, ValueError):
    """The settings cannot be used; lists everything that is wrong with them at once.

    Attributes:
        problems: One entry for each wrong field or unreadable source; empty when the message says it all.
    """

    def __init__(self, message: str, problems: Sequence[SettingProblem] = ()) -> None:
        """Keep the message and the single problems."""
        super().__init__(message, tuple(problems))
        self.problems = tuple(problems)

    @classmethod
    def from_problems(cls, problems: Sequence[SettingProblem]) -> ConfigurationError:
        """Build the error whose message lists `problems`, one a line."""
        if len(problems) == 1:
            return cls(f"Wrong setting: {problems[0]}", problems)
        return cls("\n  ".join([f"{len(problems)} wrong settings:", *map(str, problems)]), problems)

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtraError(RagtimeError, ImportError):
    """A feature needs an optional dependency that is not installed.

    Attributes:
        module: The module that could not be found, such as ``sentence_transformers``.
        extra: The extra of ragtime that brings it, such as ``embeddings``.
        command: The command that installs it.
    """

    def __init__(self, module: str, extra: str) -> None:
        """Compose the message from the missing `module` and the `extra` that brings it."""
        super().__init__(module, extra)  # the arguments, so that the error survives pickling between processes
        self.module = self.name = module
        self.extra = extra
        self.command = f'pip install "{_DISTRIBUTION}[{extra}]"'
        self.msg = (
            f"The module {module!r} is not installed; it belongs to the extra {extra!r}. Install it: {self.command}"
        )

    def __str__(self) -> str:
        return self.msg


class TemplateError(RagtimeError):
    """A prompt or page template is missing, wrong, or was given wrong variables."""


class TemplateNotFoundError(TemplateError, LookupError):
    """There is no prompt or page of this name, version, locale or variant; names the nearest."""


class TemplateSyntaxError(TemplateError):
    """A template, or the file that holds it, cannot be used; tells file and line, and quotes no value."""


class VariableProblem(NamedTuple):
    """One variable that does not fit a template.

    Attributes:
        variable: Its name.
        kind: ``missing``, ``extra`` or ``mistyped``.
        message: What was found and what is expected; never the value.
        line: The first line of the template that uses it, from 1; ``None`` when none does.
    """

    variable: str
    kind: Literal["missing", "extra", "mistyped"]
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        return f"{self.variable}{where}: {self.message}"


class TemplateVariableError(TemplateError, ValueError):
    """The variables given do not fit a template; lists everything that is wrong with them at once.

    Attributes:
        template: Name of the template.
        version: Version of the prompt; ``None`` for a page.
        problems: One entry for each variable that does not fit.
    """

    def __init__(self, template: str, version: str | None, problems: Sequence[VariableProblem]) -> None:
        """Keep the single problems."""
        super().__init__(template, version, tuple(problems))
        self.template = template
        self.version = version
        self.problems = tuple(problems)

    def __str__(self) -> str:
        which = f"{self.template!r}, version {self.version}" if self.version else repr(self.template)
        if len(self.problems) == 1:
            return f"Template {which}: {self.problems[0]}"
        return "\n  ".join([f"Template {which}: {len(self.problems)} wrong variables:", *map(str, self.problems)])


class RenderLimitError(TemplateError):
    """A rendering would exceed its limits in output, steps, nesting or time; see the section ``templates``."""


class BackendError(RagtimeError):
    """A model or a model server failed."""


class BackendTimeoutError(BackendError, TimeoutError):
    """A model or a model server took longer than its time limit."""


class BackendCancelledError(BackendError):
    """The caller's cancel signal stopped a model or a request."""


class StorageError(RagtimeError):
    """A file, database or index cannot be read or written."""


class ConversationNotFoundError(StorageError, KeyError):
    """The user has no conversation of this id."""

    def __str__(self) -> str:  # a KeyError shows its message in quotes
        return str(self.args[0]) if self.args else ""


class ConversationExistsError(StorageError, ValueError):
    """The user has a conversation of this id already."""


class GenerationError(RagtimeError):
    """The sources cannot give the training data asked for."""


class FineTuningError(RagtimeError):
    """A training run, an evaluation or a promotion cannot go on."""


class RagtimeDeprecationWarning(DeprecationWarning):
    """A name of the old modules is used; tells where it went. ``ragtime.migration.names`` lists them all."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Suggest the candidate nearest to a misspelt name.

    Args:
        name: The name that is not known.
        candidates: The names that are.

    Returns:
        ``"; did you mean 'NEAREST'?"``, ready to be appended to a message, or ``""`` when nothing is near.
    """
    import difflib  # noqa: PLC0415 - only needed once something has gone wrong

    lowered = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""
