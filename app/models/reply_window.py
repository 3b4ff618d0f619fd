"""Until when Meta takes an answer to a fan (Meta, Send API, 2026-02)."""

from datetime import datetime, timedelta
from typing import Literal

from app.models.base import ApiModel, Doc, Instant

WINDOW = timedelta(hours=24)
HUMAN_AGENT_WINDOW = timedelta(days=7)
Basis = Literal["standard_window", "human_agent", "self"]
Blocked = Literal[
    "connection_not_active",
    "feature_off",
    "sending_paused",
    "another_app_owns_the_thread",
    "recipient_unavailable",
    "never_written",
    "window_closed",
]


class EligibilityOut(ApiModel):
    """Whether the caller may write to the fan at this moment, and on which ground."""

    allowed: bool
    basis: Basis | None
    """`standard_window`: the fan wrote in the last 24 hours. `human_agent`: in the last 7 days, and a person answers
    with `human_agent`. `self`: the account writes to itself."""
    expires_at: Instant | None
    """Until when it is allowed so; null when it is not, or when nothing ends it."""
    blocked_reason: Blocked | None
    """Why it is not allowed."""
    human_agent_until: Instant | None
    """Until when a person may answer by the window; null when the fan has not written for 7 days."""


def window_closes_at(conversation: Doc) -> datetime | None:
    """When Meta stops taking free text: 24 hours after the fan last wrote."""
    last: datetime | None = conversation.get("last_inbound_at")
    return last + WINDOW if last else None


def human_agent_until(conversation: Doc) -> datetime | None:
    """When Meta stops taking a person's answer: 7 days after the fan last wrote."""
    last: datetime | None = conversation.get("last_inbound_at")
    return last + HUMAN_AGENT_WINDOW if last else None
