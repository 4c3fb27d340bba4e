"""Every way a server can fail, as one plain record: what was found, what to do, whether it may pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ragtime.backends.servers.retries import read_retry_after
from ragtime.utils.extras import require

__all__ = ["Failure", "explain"]

_PASSING = frozenset({408, 409, 429})
_SERVER_ERRORS = 500
_REMEDIES = {
    400: "the server takes no such request; look for the reason in its log",
    401: "set api_key to a valid key",
    403: "the key may not use this model; use another key or model",
    404: "check model_name, and that base_url ends like the server's own, mostly in /v1",
    408: "try again later",
    413: "send fewer or shorter messages",
    422: "the server takes no such request; look for the reason in its log",
    429: "slow down, or raise the limits of the account",
}
# Only codes known beforehand are told: a server could put anything there, the prompt included.
_CODES = {
    "context_length_exceeded": "send fewer or shorter messages, or lower max_tokens",
    "insufficient_quota": "the account has no credit left; add some, or use another key",
    "invalid_api_key": "set api_key to a valid key",
    "model_not_found": "check model_name",
    "unsupported_parameter": "the model does not take this parameter",
    "unsupported_value": "the model takes another value of this parameter; many take only the temperature 1",
}
_PARAMETERS = frozenset("max_tokens messages model seed stop stream stream_options temperature".split())
_GARBAGE = "check that base_url is the address of an OpenAI-compatible API, mostly ending in /v1"


class Failure(Exception):  # noqa: N818 - never seen outside; becomes a BackendError
    """A request that failed.

    Attributes:
        found: What was found; holds no text of a server, a prompt or an answer.
        remedy: What to do.
        may_pass: Whether another try may succeed.
        timed_out: Whether a time limit was the reason.
        retry_after: The pause that the server asks for, in seconds; ``None`` when it says nothing.
        status: The HTTP status; ``None`` when there was none.
        wants_completion_limit: Whether the server asks for ``max_completion_tokens`` instead of ``max_tokens``.
    """

    def __init__(
        self,
        found: str,
        remedy: str,
        *,
        may_pass: bool = False,
        timed_out: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        wants_completion_limit: bool = False,
    ) -> None:
        """Keep the facts."""
        super().__init__(found)
        self.found = found
        self.remedy = remedy
        self.may_pass = may_pass
        self.timed_out = timed_out
        self.retry_after = retry_after
        self.status = status
        self.wants_completion_limit = wants_completion_limit


def explain(error: Exception) -> Failure:
    """Say what an error of the client means.

    Args:
        error: Whatever a request raised. Its text and attributes may hold prompts and answers, so nothing of them but
            numbers, types and known words is kept.

    Returns:
        The failure.
    """
    if isinstance(error, Failure):
        return error
    package, httpx = require("openai", "llm"), require("httpx2", "llm")
    if isinstance(error, package.APIStatusError):
        return _explain_status(error)
    if isinstance(error, package.APITimeoutError | httpx.TimeoutException):
        remedy = "check that the server runs and can be reached"
        return Failure("no connection in time", remedy, may_pass=True, timed_out=True)
    if isinstance(error, package.APIConnectionError | httpx.RequestError | OSError):
        kind = type(error.__cause__ or error).__name__
        remedy = "check that the server runs, that base_url is its address, and the server's log"
        return Failure(f"the connection failed ({kind})", remedy, may_pass=True)
    if isinstance(error, ValidationError):
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in wrong["loc"]) or "the whole"
        return Failure(f"an answer of another shape ({field}: {wrong['type']})", _GARBAGE, may_pass=True)
    if isinstance(error, ValueError | RecursionError):
        return Failure("an answer that is no JSON", _GARBAGE, may_pass=True)
    if isinstance(error, package.APIError):
        remedy = "look for the reason in the server's log"
        return Failure("the server reported an error instead of going on", remedy, may_pass=True)
    return Failure(f"an unforeseen {type(error).__name__}", "please report it", may_pass=False)


def _explain_status(error: Any) -> Failure:
    status: int = error.status_code
    details = error.body if isinstance(error.body, Mapping) else {}
    code, parameter = details.get("code"), details.get("param")
    code = code if isinstance(code, str) and code in _CODES else None
    found = f"HTTP status {status}"
    found += f", {code}" if code else ""
    found += f" ({parameter})" if isinstance(parameter, str) and parameter in _PARAMETERS else ""
    return Failure(
        found,
        _CODES[code] if code else _remedy(status),
        may_pass=(status in _PASSING or status >= _SERVER_ERRORS) and code != "insufficient_quota",
        retry_after=read_retry_after(error.response.headers),
        status=status,
        wants_completion_limit="max_completion_tokens" in str(details.get("message", "")),
    )


def _remedy(status: int) -> str:
    if status >= _SERVER_ERRORS:
        return "look for the reason in the server's log"
    if status < 400:  # noqa: PLR2004 - redirects
        return "redirects are not followed; set base_url to the final address"
    return _REMEDIES.get(status, _REMEDIES[400])
