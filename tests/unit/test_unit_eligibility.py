"""Whether a fan may be written to, over all boundaries of time, and whatever else stands in the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.inbox.eligibility import Facts, decide, facts_of

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MS, DAY, WEEK = timedelta(milliseconds=1), timedelta(hours=24), timedelta(days=7)
CLOCKS: dict[str, tuple[timedelta, bool, bool]] = {
    "in an hour, by a clock that runs ahead": (timedelta(hours=-1), True, True),
    "in a millisecond": (-MS, True, True),
    "now": (timedelta(), True, True),
    "a millisecond ago": (MS, True, True),
    "a second before 24 hours": (DAY - timedelta(seconds=1), True, True),
    "a millisecond before 24 hours": (DAY - MS, True, True),
    "24 hours ago": (DAY, False, True),
    "a millisecond after 24 hours": (DAY + MS, False, True),
    "3 days ago": (timedelta(days=3), False, True),
    "a millisecond before 7 days": (WEEK - MS, False, True),
    "7 days ago": (WEEK, False, False),
    "a millisecond after 7 days": (WEEK + MS, False, False),
    "30 days ago": (timedelta(days=30), False, False),
}
"""When the fan wrote: for whom it is still time, for anybody and for a person."""


@pytest.mark.parametrize("when", CLOCKS)
def test_the_clock(when: str) -> None:
    """A window is open until its last millisecond, and closed at the moment that it ends."""
    ago, for_anybody, for_person = CLOCKS[when]
    facts = Facts(NOW - ago)
    rule, person = decide(facts, by_person=False, now=NOW), decide(facts, by_person=True, now=NOW)
    assert (rule.allowed, person.allowed) == (for_anybody, for_person)
    assert rule.basis == ("standard_window" if for_anybody else None)
    assert person.basis == ("standard_window" if for_anybody else "human_agent" if for_person else None)
    assert rule.blocked_reason == (None if for_anybody else "window_closed")
    assert person.blocked_reason == (None if for_person else "window_closed")
    start = min(NOW, NOW - ago)
    assert rule.human_agent_until == person.human_agent_until == (start + WEEK if for_person else None)
    assert person.expires_at == (start + (DAY if for_anybody else WEEK) if for_person else None)


def test_a_future_time_opens_no_longer_window() -> None:
    found = decide(Facts(NOW + timedelta(days=3)), by_person=True, now=NOW)
    assert (found.expires_at, found.human_agent_until) == (NOW + DAY, NOW + WEEK)


@given(st.integers(-(10**9), 10**10), st.booleans())
def test_what_is_allowed_ends_when_it_says(ago_ms: int, by_person: bool) -> None:
    """One millisecond before `expires_at` it still holds on the same ground, and at it no longer."""
    facts = Facts(NOW - ago_ms * MS)
    found = decide(facts, by_person=by_person, now=NOW)
    assert found.allowed == (found.basis is not None) == (found.blocked_reason is None)
    if not found.allowed:
        assert found.expires_at is None
        return
    assert found.expires_at is not None and NOW < found.expires_at <= NOW + WEEK
    facts = replace(facts, last_inbound_at=min(NOW, NOW - ago_ms * MS))
    before = decide(facts, by_person=by_person, now=found.expires_at - MS)
    assert (before.basis, before.expires_at) == (found.basis, found.expires_at)
    after = decide(facts, by_person=by_person, now=found.expires_at)
    assert after.basis != found.basis
    assert by_person or not after.allowed


STANDS_IN_THE_WAY: dict[str, dict[str, Any]] = {
    "connection_not_active": {"connected": False},
    "feature_off": {"feature_on": False},
    "sending_paused": {"paused_until": NOW + MS},
    "another_app_owns_the_thread": {"thread_elsewhere": True},
    "recipient_unavailable": {"unreachable_at": NOW},
}


def test_what_stands_in_the_way_whatever_the_window() -> None:
    """Of several things the account's own is told first; a self message passes none of them either."""
    for by_person, own in product((True, False), repeat=2):
        facts = Facts(NOW - MS, own=own)
        for reason, changes in reversed(STANDS_IN_THE_WAY.items()):
            assert (
                decide(replace(Facts(NOW - MS, own=own), **changes), by_person=by_person, now=NOW).blocked_reason
                == reason
            )
            facts = replace(facts, **changes)
            found = decide(facts, by_person=by_person, now=NOW)
            assert (found.allowed, found.basis, found.blocked_reason) == (False, None, reason)


def test_a_pause_ends_and_who_writes_again_can_be_reached() -> None:
    assert decide(Facts(NOW - MS, paused_until=NOW), by_person=False, now=NOW).allowed
    assert decide(Facts(NOW - MS, unreachable_at=NOW - 2 * MS), by_person=False, now=NOW).allowed
    assert not decide(Facts(NOW - MS, unreachable_at=NOW - MS), by_person=False, now=NOW).allowed


def test_never_written_and_self() -> None:
    nobody = decide(Facts(None), by_person=True, now=NOW)
    assert (nobody.blocked_reason, nobody.human_agent_until) == ("never_written", None)
    for last in (None, NOW - timedelta(days=300)):
        itself = decide(Facts(last, own=True), by_person=False, now=NOW)
        assert (itself.allowed, itself.basis, itself.expires_at) == (True, "self", None)


CONNECTION = {"status": "active", "active_features": ["messages"]}
OURS, OTHER = "1000000000000077", "1000000000000001"


@pytest.mark.parametrize(
    ("signs", "elsewhere"),
    [
        ({}, False),
        ({"thread_ours_at": NOW}, False),
        ({"standby_at": NOW}, True),
        ({"standby_at": NOW, "thread_ours_at": NOW + MS}, False),
        ({"standby_at": NOW + MS, "thread_ours_at": NOW}, True),
        ({"thread_refused_at": NOW, "thread_ours_at": NOW - MS}, True),
        ({"thread_refused_at": NOW, "thread_ours_at": NOW + MS}, False),
        ({"thread_owner": {"action": "take_thread_control", "owner_app_id": None, "at": NOW}}, True),
        ({"thread_owner": {"action": "pass_thread_control", "owner_app_id": OTHER, "at": NOW}}, True),
        (
            {
                "thread_owner": {"action": "pass_thread_control", "owner_app_id": OURS, "at": NOW},
                "standby_at": NOW - MS,
            },
            False,
        ),
        ({"thread_owner": {"action": "request_thread_control", "owner_app_id": None, "at": NOW}}, False),
    ],
)
def test_the_newest_sign_of_who_owns_the_thread_counts(signs: dict[str, object], elsewhere: bool) -> None:
    found = facts_of(CONNECTION, {"last_inbound_at": NOW} | signs, app_ids=(OURS,))
    assert found.thread_elsewhere is elsewhere
