"""May the label write to this fan now? One pure engine: the route, the queue and the worker's last look all ask it.

Source: meta-platform.md, section 3.3 (Meta, Send API, 2026-02); docs/sending.md.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.db import Doc
from app.models.reply_window import HUMAN_AGENT_WINDOW, WINDOW, Basis, Blocked
from app.settings import Settings


@dataclass(frozen=True)
class Facts:
    """What is known at one moment of a conversation and of its connection."""

    last_inbound_at: datetime | None
    """Meta's time of the fan's newest message, postback, story reply, story mention or quick reply; of nothing else."""
    own: bool = False
    """The account writes to itself: Meta's self messages."""
    connected: bool = True
    feature_on: bool = True
    paused_until: datetime | None = None
    """Until when Meta lets the account send nothing at all."""
    thread_elsewhere: bool = False
    """Another app owns the thread."""
    unreachable_at: datetime | None = None
    """When Meta last said that the fan cannot be reached."""


@dataclass(frozen=True)
class Eligibility:
    """The answer. `basis` and `expires_at` go with a yes, `blocked_reason` with a no."""

    allowed: bool
    basis: Basis | None
    expires_at: datetime | None
    """The first moment at which it would be another answer; none where nothing ends it."""
    blocked_reason: Blocked | None
    human_agent_until: datetime | None
    """Until when a person could still answer, if the account could send at all."""


def our_apps(settings: Settings) -> frozenset[str]:
    """The ids of our own apps at Meta."""
    return frozenset(one for one in (settings.instagram_app_id, settings.meta_app_id) if one)


def facts_of(connection: Doc, conversation: Doc, *, app_ids: Collection[str] = ()) -> Facts:
    """The facts that lie in the two documents. `app_ids` are our own at Meta; without them a handover to an app that
    is named counts as one to us, as Meta tells it to whom a thread is given."""
    return Facts(
        last_inbound_at=conversation.get("last_inbound_at"),
        own=bool(conversation.get("own")),
        connected=connection["status"] == "active",
        feature_on="messages" in connection["active_features"],
        paused_until=connection.get("sending_paused_until"),
        thread_elsewhere=_is_elsewhere(conversation, app_ids),
        unreachable_at=conversation.get("unreachable_at"),
    )


def decide(facts: Facts, *, by_person: bool, now: datetime) -> Eligibility:
    """Whether a message may go out at this moment. `by_person` says that a person sends it, and stands for it.

    What a rule or a partner's client sends has the standard window only. A fan's time that lies in the future is taken
    as now, so that nobody's clock opens the window for longer than Meta holds it open.
    """
    last = min(facts.last_inbound_at, now) if facts.last_inbound_at else None
    person_until = last + HUMAN_AGENT_WINDOW if last and now < last + HUMAN_AGENT_WINDOW else None
    blocked = _blocked(facts, last, now)
    if blocked:
        return Eligibility(False, None, None, blocked, person_until)
    if facts.own:
        return Eligibility(True, "self", None, None, person_until)
    if last is None:
        return Eligibility(False, None, None, "never_written", None)
    if now < last + WINDOW:
        return Eligibility(True, "standard_window", last + WINDOW, None, person_until)
    if by_person and person_until:
        return Eligibility(True, "human_agent", person_until, None, person_until)
    return Eligibility(False, None, None, "window_closed", person_until)


def _blocked(facts: Facts, last: datetime | None, now: datetime) -> Blocked | None:
    """What stands in the way whatever the window says, the account's own troubles first."""
    if not facts.connected:
        return "connection_not_active"
    if not facts.feature_on:
        return "feature_off"
    if facts.paused_until and now < facts.paused_until:
        return "sending_paused"
    if facts.thread_elsewhere:
        return "another_app_owns_the_thread"
    if facts.unreachable_at and not (last and last > facts.unreachable_at):  # who writes again can be reached again
        return "recipient_unavailable"
    return None


def _is_elsewhere(conversation: Doc, app_ids: Collection[str]) -> bool:
    """Whether the newest sign of who owns the thread names another app: Meta tells it by where it delivers."""
    signs: list[tuple[datetime, bool]] = []
    owner = conversation.get("thread_owner") or {}
    if owner.get("action") == "take_thread_control":
        signs.append((owner["at"], True))
    elif owner.get("action") == "pass_thread_control":
        named = owner.get("owner_app_id")
        signs.append((owner["at"], bool(app_ids and named) and named not in app_ids))
    for name, elsewhere in (("standby_at", True), ("thread_refused_at", True), ("thread_ours_at", False)):
        if conversation.get(name):
            signs.append((conversation[name], elsewhere))
    return max(signs)[1] if signs else False
