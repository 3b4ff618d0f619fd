"""Until when Meta takes an answer to a fan (Meta, Send API, 2026-02)."""

from datetime import datetime, timedelta

from app.models.base import Doc

WINDOW = timedelta(hours=24)
HUMAN_AGENT_WINDOW = timedelta(days=7)


def window_closes_at(conversation: Doc) -> datetime | None:
    """When Meta stops taking free text: 24 hours after the fan last wrote."""
    last: datetime | None = conversation.get("last_inbound_at")
    return last + WINDOW if last else None


def human_agent_until(conversation: Doc) -> datetime | None:
    """When Meta stops taking a person's answer: 7 days after the fan last wrote."""
    last: datetime | None = conversation.get("last_inbound_at")
    return last + HUMAN_AGENT_WINDOW if last else None
