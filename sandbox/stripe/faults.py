"""Faults: what the next calls of the API are made to suffer."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sandbox.stripe.store import Obj, Tx, new_id


def _good_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"not a regular expression: {exc}") from exc
    return text


FaultKind = Literal[
    "500-executed",
    "500-not-executed",
    "timeout-executed",
    "timeout-not-executed",
    "lost",
    "lost-not-executed",
    "gateway-executed",
    "gateway-not-executed",
    "slow",
    "http",
    "cut",
    "huge",
]
EXECUTED = frozenset(("500-executed", "timeout-executed", "lost", "gateway-executed", "slow", "cut", "huge"))
STORED_500 = frozenset(("500-executed", "500-not-executed"))


class Fault(BaseModel):
    """A fault that waits for calls."""

    model_config = ConfigDict(extra="forbid")

    fault: FaultKind
    method: Literal["GET", "POST", "DELETE"] | None = None
    path: Annotated[str, AfterValidator(_good_pattern)] = ""
    """A regular expression searched in the path, as `^/v1/customers$`."""
    times: int | None = Field(default=1, ge=1)
    """How many calls it hits; null for all until cleared."""
    seconds: float = Field(default=30, ge=0, le=600)
    """How long `slow` and the timeouts take."""
    status: int = Field(default=429, ge=400, le=599)
    """Of `http`."""
    type: str | None = None
    """Of `http`: the error's type; by default what the status usually has."""
    code: str | None = None
    """Of `http`: the error's code."""
    should_retry: bool | None = None
    """What `Stripe-Should-Retry` says; null leaves the header out."""
    retry_after_s: int | None = Field(default=None, ge=0)


def queue_fault(tx: Tx, fault: Fault) -> Obj:
    """Let it wait."""
    return tx.add({"id": new_id("flt"), "object": "_fault", "left": fault.times, "said": fault.model_dump()})


def take_fault(tx: Tx, method: str, path: str) -> Fault | None:
    """The first fault that this call meets; one of its `times` is used up."""
    for waiting in tx.all("_fault"):
        fault = Fault.model_validate(waiting["said"])
        if fault.method in (None, method) and re.search(fault.path, path):
            if waiting["left"] == 1:
                tx.cut(waiting["id"])
            elif waiting["left"] is not None:
                used = tx.the(waiting["id"])
                used["left"] -= 1
            return fault
    return None


def error_of(fault: Fault) -> dict[str, str]:
    """The error that an `http` fault answers with."""
    usual = "api_error" if fault.status >= 500 else "card_error" if fault.status == 402 else "invalid_request_error"
    kind = fault.type or usual
    codes = {429: "rate_limit", 401: "api_key_expired", 403: "insufficient_permissions", 409: "lock_timeout"}
    code = fault.code or codes.get(fault.status)
    words = {429: "Request rate limit exceeded.", 401: "Expired API Key provided: sk_test_****"}
    found = {"message": words.get(fault.status, "An unknown error occurred"), "type": kind}
    return found | ({"code": code} if code else {})
