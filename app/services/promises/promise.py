"""What a promise is: a sentence of the policy that binds us, and a check of the live system that it holds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from app.db import Database
from app.models.policies import POLICIES, Policies
from app.settings import WorkerSettings

Unit = Literal["days", "hours", "minutes", "documents", "addresses", "files", "indexes", "requests", "mails", "months"]
Odd = Mapping[str, Sequence[Any]]
"""By collection, the ids of documents that must not be so."""
SOON, HOURLY = timedelta(minutes=5), timedelta(hours=1)
"""How often what is deleted is looked at, and how often the rest."""
LATE = timedelta(minutes=15)
"""So long after its end may what has expired still lie there, shown to nobody (R-59)."""


@dataclass(frozen=True)
class Look:
    """What a check looks at."""

    db: Database
    settings: WorkerSettings
    now: datetime
    policies: Policies = POLICIES
    again: Odd = field(default_factory=dict)
    """What this check found odd when it looked last: it is looked at again, wherever the samples are taken now."""


@dataclass(frozen=True)
class Measured:
    """What a check has found: it holds as long as the figure is not above what is allowed."""

    figure: float
    allowed: float = 0
    detail: str = ""
    """Codes and names of ours that say what is in the way; never an id or anybody's words."""
    odd: Odd = field(default_factory=dict)
    """What of the figure are documents that a sample had. Shown to nobody."""

    @property
    def holding(self) -> bool:
        """Whether the promise holds."""
        return self.figure <= self.allowed


Check = Callable[[Look], Awaitable[Measured]]


@dataclass(frozen=True)
class Promise:
    """One commitment of the policy."""

    id: str
    """Stable: it is in addresses, metrics and attestations."""
    section: str
    quote: str
    """The words of the policy, as they stand there."""
    plain: str
    """The same in plain words: what we do."""
    rule: str
    """What is measured, and what would break it."""
    unit: Unit
    check: Check
    every: timedelta = HOURLY
