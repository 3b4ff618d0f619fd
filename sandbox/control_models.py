"""Bodies of control calls that belong to no other module."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.state import ControlModel

HeaderText = Annotated[str, Field(pattern=r"^[ -~]*$")]


class Dead(ControlModel):
    """Which tokens end."""

    account: str | None = None
    """An account, a Page, or a person with all their Pages."""
    all: bool = False
    kind: Literal["instagram_user", "user", "page"] | None = None
    """Only tokens of this kind."""
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
    """A callback about an account's owner, or about a Facebook person."""

    account: str | None = None
    person: str | None = None
    kind: Literal["deauthorize", "data-deletion"]
    user_id: str = Field(default="id", min_length=1)
    """Which of the two ids of an account `signed_request` carries; anything else is carried as it is."""
    signature: Literal["good", "bad", "other_app"] = "good"
    """Made with the right app's secret, with a wrong one, or with the other app's."""
    issued_at: int | None = None
    """Seconds; now when left out."""
    algorithm: str = "HMAC-SHA256"
    times: int = Field(default=1, ge=1, le=10)
    """How often exactly the same request is sent."""
    url: str | None = None
    """Where to; by default the webhook's address with `/deauthorize` or `/data-deletion` behind it."""

    @property
    def genuine(self) -> bool:
        """Whether Meta itself would send this."""
        good = self.signature == "good" and self.issued_at is None and self.algorithm == "HMAC-SHA256"
        return good and self.user_id in ("id", "user_id")


class Drift(ControlModel):
    """What an account or a Page is subscribed to, without the product having asked."""

    account: str
    fields: list[str]


class PersonOrder(ControlModel):
    """Something that happens to a person."""

    person: str


class PermissionsOrder(PersonOrder):
    """What a person changes in their settings."""

    permissions: dict[str, Literal["granted", "declined", "expired"] | None]
    """By name; null removes."""


class CheckpointOrder(PersonOrder):
    """Whether a person must first act in Facebook itself (190/459)."""

    active: bool = True


class RoleOrder(PersonOrder):
    """What a person may do on a Page from now on."""

    page: str
    tasks: list[str]
    """None of them: the role is lost, and the Page tokens with it (190/492)."""


class LinkOrder(ControlModel):
    """Which Instagram account is behind a Page from now on."""

    page: str
    account: str | None = None
    """Null unlinks."""
