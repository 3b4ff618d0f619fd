"""What all API schemas share."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)

T = TypeVar("T")
_NUMBER = re.compile(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*")
Doc = dict[str, Any]
"""A stored document."""


def rfc3339(at: datetime) -> str:
    """An instant as `2026-11-23T08:00:00.123Z`."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be an instant that the calendar has in UTC") from None


def _written(at: Any) -> Any:
    """Refuse a number, which could be seconds or milliseconds since 1970."""
    if isinstance(at, int | float) or (isinstance(at, str) and _NUMBER.fullmatch(at)):
        raise ValueError("must be an instant like 2026-11-23T08:00:00Z")
    return at


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written),
    AfterValidator(_in_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant in UTC."""


Flag = Annotated[bool, Strict()]
"""True or false and nothing that looks like it."""


def left_out() -> Any:
    """The default of what a PATCH may leave out but not make null; `exclude_unset` drops it."""


class ApiModel(BaseModel):
    """A body of the API. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    elsewhere: ClassVar[dict[str, str]] = {}
    """Fields that one may look for here, and how they are changed instead."""


class ActorOut(ApiModel):
    """Who did it: a person of the team, an API client, or a rule."""

    kind: Literal["person", "client", "rule", "support", "system"]
    id: str


class Page(ApiModel, Generic[T]):
    """One page of a list."""

    data: list[T]
    next_cursor: str | None
    """Give it as `cursor` to get the next page; null at the end."""
