"""What a check of a connection has found: codes, numbers and times, never a token or a provider's words."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clients.graph_call import GraphHost
from app.models.features import Feature


class NothingLearnt(Exception):
    """The answer says nothing of the connection: it stays as it is."""


@dataclass(frozen=True)
class Webhooks:
    """What should be subscribed, what is, how they differed when the check came, and when it put that right."""

    wanted_fields: list[str]
    subscribed_fields: list[str]
    drift: list[str]
    repaired_at: datetime | None


@dataclass(frozen=True)
class Quota:
    """Posts published in the provider's moving window of `window_s` seconds, and how many may be."""

    used: int
    total: int | None
    window_s: int | None


@dataclass(frozen=True)
class Usage:
    """How much of the provider's limits is used up, in percent, and until when it wants no calls."""

    percent: int | None
    paused_until: datetime | None


@dataclass(frozen=True)
class Facts:
    """What one check has found. Only a `complete` one has looked at everything."""

    dead: str | None = None
    """Why the token is dead; none when it is good."""
    trouble: str | None = None
    """What is wrong with the account itself, although its token is good."""
    withdrawn: frozenset[Feature] = frozenset()
    """Features whose permission the owner has withdrawn since the log-in."""
    lost_scopes: frozenset[str] = frozenset()
    """The scopes that were granted at the log-in and are not any more."""
    webhooks: Webhooks | None = None
    quota: Quota | None = None
    usage: Usage = Usage(None, None)
    complete: bool = False


def usage_of(host: GraphHost, account_id: str, now: datetime) -> Usage:
    """What the host has lately said of the account's limits."""
    pause_s = host.pause_left_s(account_id)
    return Usage(host.usage_percent(account_id), now + timedelta(seconds=pause_s) if pause_s else None)
