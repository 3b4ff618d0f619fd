"""What Stripe refuses, and how it says so."""

from typing import Any, NoReturn


class Refused(Exception):
    """An answer that is an error.

    `executed`: the call had begun, so its answer is stored under its key; `kept`: what it changed stays too.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
        kept: bool = False,
        should_retry: bool | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.executed, self.kept, self.should_retry = status, executed, kept, should_retry
        named = {"code": code, "message": message, "param": param, "type": kind}
        self.body = {name: value for name, value in named.items() if value is not None} | (more or {})


class BadOrder(Exception):
    """A control call that cannot be done, in a sentence."""


def missing(kind: str, key: str, param: str = "id") -> NoReturn:
    """No such object. Stripe answers 404 where the path names it, 400 where a parameter does."""
    status = 404 if param == "id" else 400
    raise Refused(f"No such {kind}: '{key}'", status=status, code="resource_missing", param=param)


def bad(message: str, param: str | None = None, code: str | None = None) -> NoReturn:
    """A parameter that cannot be used, or a state that does not allow the call."""
    raise Refused(message, param=param, code=code)
