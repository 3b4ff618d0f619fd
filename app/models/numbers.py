"""The team's numbers, as the API shows them."""

from pydantic import Field

from app.models.base import ApiModel, Instant


class SpanOut(ApiModel):
    """Lengths of time, in seconds: the median, and what nine tenths do not pass. Null where there is none."""

    count: int
    median_s: float | None
    p90_s: float | None


class OpenOut(ApiModel):
    """Conversations that are open now, by how long they have been. Each counts once."""

    count: int
    under_1_hour: int
    under_4_hours: int
    under_1_day: int
    under_3_days: int
    under_7_days: int
    older: int


class NumbersOut(ApiModel):
    """What was answered and closed in the period, and what is open now."""

    first_response: SpanOut
    """From a fan's first message since the last answer, to the answer that a person gave here."""
    resolution: SpanOut
    """From a fan's first message since the last end, to the end."""
    open: OpenOut


class PersonNumbersOut(NumbersOut):
    """One person's: what they answered and closed, and what is assigned to them."""

    person_id: str
    name: str | None
    """Null of who does not work for the label any more."""


class AccountNumbersOut(NumbersOut):
    """One connected account's."""

    connection_id: str
    name: str | None
    """Null of one that is not connected any more."""


class TeamNumbers(NumbersOut):
    """Everybody's, and each one's."""

    since: Instant = Field(serialization_alias="from")
    until: Instant = Field(serialization_alias="to")
    people: list[PersonNumbersOut]
    accounts: list[AccountNumbersOut]
