"""Labels, as the API shows and takes them."""

from importlib.resources import files
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from app.models.access import Role
from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.people import Name

_ZONES = frozenset(available_timezones()) - {"localtime", "Factory"}
"""Without those that are no place's: the machine's own, and the one that says that none is set."""


_COUNTRIES = frozenset(
    line[:2] for line in files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text().splitlines() if line[:1] != "#"
)


def _country(code: str) -> str:
    if code not in _COUNTRIES:
        raise ValueError("must be a country's two letters (ISO 3166-1)")
    return code


def _zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("must be an IANA time zone like Europe/Oslo")
    return name


Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$", examples=["nightjar-records"])]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["NO"]), AfterValidator(_country)]
"""ISO 3166-1, two letters."""
TimeZone = Annotated[str, Field(max_length=64, examples=["Europe/Oslo"]), AfterValidator(_zone)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$", examples=["#1a2b3c"])]


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good or any(ord(letter) <= 32 or letter in '"<>\\^`{|}' for letter in url):
        raise ValueError("must be an https address")
    return url


LogoUrl = Annotated[str, Field(max_length=2000, examples=["https://cdn.example.com/logo.png"]), AfterValidator(_https)]


class Branding(ApiModel):
    """How the label looks."""

    primary_colour: Colour | None = None
    secondary_colour: Colour | None = None
    logo_url: LogoUrl | None = None
    """An https address of the label's own; we never fetch it."""


Approval = Literal["not_needed", "by_role", "four_eyes"]
"""Whether publications must be approved before they are scheduled.

`by_role`: those of whoever may not approve themselves; who may, approves by scheduling. `four_eyes`: all of them, by
somebody who has written nothing of them since somebody else approved them. `not_needed`: none.
"""
DEFAULT_APPROVAL: Approval = "by_role"


class LabelCreate(ApiModel):
    """A new label."""

    name: Name
    slug: Slug
    country: Country = "GB"
    """ISO 3166-1, two letters."""
    timezone: TimeZone = "UTC"
    branding: Branding = Branding()


class LabelChange(ApiModel):
    """What to change; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    slug: Slug = Field(default_factory=left_out)
    country: Country = Field(default_factory=left_out)
    timezone: TimeZone = Field(default_factory=left_out)
    branding: Branding = Field(default_factory=left_out)
    publishing_approval: Approval = Field(default_factory=left_out)
    """`by_role` (which it is at first): publications of whoever may not approve need approval. `four_eyes`: all do, by
    somebody who has written nothing of them since somebody else approved them. `not_needed`: none do."""


class LabelOut(ApiModel):
    """A label."""

    id: Annotated[str, Field(examples=["lbl_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    slug: str
    country: str
    timezone: str
    branding: Branding
    publishing_approval: Approval
    """Whether publications must be approved before they are scheduled."""
    role: Role | None
    """The caller's; null for API clients and our support."""
    status: Literal["active", "deleting"]
    deletion_due_at: Instant | None
    """When a label that is going to be deleted is gone; until then an owner can restore it."""
    created_at: Instant

    @classmethod
    def of(cls, label: Doc, role: Role | None) -> "LabelOut":
        """The label of this document."""
        return cls(
            id=label["_id"],
            name=label["name"],
            slug=label["slug"],
            country=label["country"],
            timezone=label["timezone"],
            branding=Branding(**label["branding"]),
            publishing_approval=label.get("publishing_approval", DEFAULT_APPROVAL),
            role=role,
            status="deleting" if label.get("deletion_due_at") else "active",
            deletion_due_at=label.get("deletion_due_at"),
            created_at=label["created_at"],
        )


class LabelPage(Page[LabelOut]):
    """Labels that the caller works for."""
