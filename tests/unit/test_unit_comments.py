"""What can be done to a comment, and what Meta's changes about comments mean, whatever they hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.comment_errors import BY_REASON
from app.db import Doc
from app.models.comment_actions import ACTIONS, Hindrance, hindrance, possible
from app.services.inbox.meta import Incoming
from app.services.inbox.meta_comments import CHANNELS, understand

NOW = datetime(2026, 11, 28, tzinfo=UTC)
WEEK = timedelta(days=7)
A_COMMENT: Doc = {"status": "visible", "kind": "comment", "own": False, "live": False, "sent_at": NOW}
CASES: list[tuple[Doc, list[str]]] = [
    ({}, ["reply", "private_reply", "hide", "delete"]),
    ({"status": "hidden"}, ["private_reply", "unhide", "delete"]),
    ({"status": "deleted"}, []),
    ({"own": True}, ["reply", "delete"]),
    ({"live": True}, ["private_reply", "delete"]),
    ({"kind": "mention"}, ["reply"]),
    ({"private_reply": {"action_id": "mod_1"}}, ["reply", "hide", "delete"]),
    ({"sent_at": NOW - WEEK + timedelta(seconds=1)}, ["reply", "private_reply", "hide", "delete"]),
    ({"sent_at": NOW - WEEK}, ["reply", "hide", "delete"]),
]


@pytest.mark.parametrize(("changes", "can"), CASES)
def test_what_can_be_done(changes: Doc, can: list[str]) -> None:
    """As Meta allows it (meta-platform.md, sections 3.4 and 4); whatever is not possible has its own problem."""
    comment = A_COMMENT | changes
    assert possible(comment, now=NOW) == can
    reasons = {hindrance(comment, action, now=NOW) for action in ACTIONS} - {None}
    assert reasons <= set(BY_REASON)


def test_every_reason_is_a_problem() -> None:
    """With the same code."""
    assert set(BY_REASON) == set(Hindrance.__args__)  # type: ignore[attr-defined]


NAMES = [
    "id",
    "comment_id",
    "from",
    "media",
    "parent_id",
    "text",
    "item",
    "verb",
    "created_time",
    "post_id",
    "media_id",
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["comment", "add", "edited", "hide"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(channel=st.sampled_from(sorted(CHANNELS)), item=VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_nothing_that_meta_sends_breaks_it(channel: str, item: Any) -> None:
    """It is understood, with an id and a time that is not later than when it came; or it is not for us."""
    found = understand(channel, item, account_ids={"1"}, at=NOW)
    if isinstance(found, Incoming):
        assert found.provider_id and found.at <= NOW
