"""Labels, as the API shows and takes them."""

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.people import Name

_ZONES = frozenset(available_timezones())


def _zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("must be an IANA time zone like Europe/Oslo")
    return name


Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$", examples=["nightjar-records"])]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["NO"])]
TimeZone = Annotated[str, Field(max_length=64, examples=["Europe/Oslo"]), AfterValidator(_zone)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$", examples=["#1a2b3c"])]


class Branding(ApiModel):
    """How the label looks."""

    primary_colour: Colour | None = None
    secondary_colour: Colour | None = None


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


class LabelOut(ApiModel):
    """A label."""

    id: Annotated[str, Field(examples=["lbl_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    slug: str
    country: str
    timezone: str
    branding: Branding
    role: Literal["owner", "admin", "editor", "agent", "analyst"] | None
    """The caller's; null in lists."""
    created_at: Instant

    @classmethod
    def of(cls, label: Doc, role: Literal["owner", "admin", "editor", "agent", "analyst"] | None) -> "LabelOut":
        """The label of this document."""
        return cls(
            id=label["_id"],
            name=label["name"],
            slug=label["slug"],
            country=label["country"],
            timezone=label["timezone"],
            branding=Branding(**label["branding"]),
            role=role,
            created_at=label["created_at"],
        )


class LabelPage(Page[LabelOut]):
    """Labels that the caller works for."""
