"""Bodies of control calls that belong to no other module."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.state import ControlModel

HeaderText = Annotated[str, Field(pattern=r"^[ -~]*$")]


class Dead(ControlModel):
    """Which tokens end."""

    account: str | None = None
    all: bool = False
    subcode: Literal[458, 459, 460, 464, 467] = 458
    """Only for a revocation."""


class ClockOrder(ControlModel):
    """How far the sandbox's time is ahead of the real one."""

    offset_s: float = Field(gt=-315_360_000, lt=315_360_000)


class Usage(ControlModel):
    """Rate-limit headers: an object is written as JSON, text as it is (also when malformed)."""

    app: dict[str, Any] | HeaderText | None = None
    business: dict[str, Any] | HeaderText | None = None


class Callback(ControlModel):
    """A callback about an account's owner."""

    account: str
    kind: Literal["deauthorize", "data-deletion"]
    user_id: Literal["id", "user_id"] = "id"
    """Which of the two ids `signed_request` carries."""
    url: str | None = None
    """Where to; by default the webhook's address with `/deauthorize` or `/data-deletion` behind it."""
