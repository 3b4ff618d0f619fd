"""What the privacy endpoints answer about promises. It is for everybody: no id, no name, no count of anybody's."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from app.models.base import ApiModel, Instant

PromiseState = Literal["holding", "broken", "not_measured"]


class PromiseDay(ApiModel):
    """The worst of a promise on one day (UTC). A day on which nothing was measured is not there."""

    day: date
    holding: bool
    """Whether it held at every check of the day."""
    figure: float | None
    """The highest that was measured; null when every check of the day failed."""
    checks: int


class PromiseOut(ApiModel):
    """A commitment of the privacy policy, and whether it holds."""

    id: Annotated[str, Field(examples=["messages-30-days"])]
    section: Annotated[str, Field(examples=["5"])]
    """Of the policy."""
    quote: str
    """The policy's words."""
    statement: str
    """The same in plain words."""
    rule: str
    """What is measured, and what would break it."""
    holding: bool
    """False also while nobody knows: see `state`."""
    state: PromiseState
    """`not_measured`: no check has run yet, or none for too long."""
    figure: float | None
    """What was measured last."""
    allowed: float | None
    """Up to which figure the promise holds."""
    unit: str
    detail: str
    """Codes of what is in its way; empty when nothing is."""
    checked_at: Instant | None
    since: Instant | None
    """Since when it holds, or does not."""
    checked_every_s: int
    history: list[PromiseDay]
    """The worst of each day, the oldest first: 13 months of a single promise, 30 days in the list of all."""


class PromisesOut(ApiModel):
    """Every promise, in the order of the policy."""

    holding: bool
    """Whether all of them hold."""
    broken: list[str]
    """The ids of those that do not, or that nobody has measured."""
    data: list[PromiseOut]


class AttestationOut(ApiModel):
    """The state of all promises on one day, as it was signed."""

    seq: Annotated[int, Field(examples=[1])]
    """1, 2, 3, … without a gap."""
    day: date
    sha256: str
    """Of `jws`, in hex: what the next one names as `previous`."""
    broken: list[str]
    """The promises that did not hold when it was signed."""
    jws: str
    """A compact JWS (ES256). Its payload has `seq`, `day`, `at`, `issuer`, `previous`, `key` and `promises`."""


class RetentionRow(ApiModel):
    """How long something is kept."""

    store: Literal["database", "redis", "files", "logs"]
    name: str
    purpose: str
    subject: str
    """Whose personal data it is: `fan`, `team` (people who work with SoundOps), or `nobody`."""
    personal: str
    """`content`, `identity`, `technical`, `secret` or `none`."""
    retention: str
    deleted_by: str
    """What deletes it."""
    ground: str
    """The legal ground (GDPR, article 6)."""
    on_erasure: str
    """What happens to it when the person whose data it is has them erased."""


class RetentionOut(ApiModel):
    """How long everything is kept, as the code says and does."""

    data: list[RetentionRow]


class RecipientOut(ApiModel):
    """Somebody else who gets data."""

    id: str
    name: str
    role: Literal["processor", "integration", "partner"]
    purpose: str
    data: str
    when: str
    country: str
    safeguard: str
    """What makes a transfer out of the EEA lawful."""
    retention: str


class ProcessingRow(ApiModel):
    """One activity of processing."""

    activity: str
    controller: str
    """Who decides about it: ourselves, or each label, for which we process it (article 30.2)."""
    purposes: list[str]
    subjects: list[str]
    categories: list[str]
    ground: list[str]
    retention: list[str]
    recipients: list[str]
    """Ids of `recipients`."""
    transfers: list[str]
    """Where each of them is, and what makes a transfer there lawful."""
    stores: list[str]
    measures: str


class ProcessingOut(ApiModel):
    """The record of processing activities (GDPR, article 30), generated from the data map."""

    controller: dict[str, Any]
    activities: list[ProcessingRow]
    recipients: list[RecipientOut]
    security: list[str]
    """Technical and organisational measures: promises that are measured."""
