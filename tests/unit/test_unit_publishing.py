"""Publishing, as far as it is pure: what refusals mean, what a publication's state is, what a post is made of."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.graph_errors import OutcomeUnknown, RateLimited, Refused, TokenDead, Unavailable, error_of
from app.clients.graph_publishing import meaning_of
from app.services.publishing.queueing import WITHDRAWABLE, newest
from app.services.publishing.states import OURS, WAITING, state_of

STATES = (*WAITING, "publishing", "published", "failed", "unknown", "needs_decision", "to_do", "cancelled")


def refused(code: int, subcode: int = 0) -> str:
    """What Meta's refusal of a call that may be repeated means."""
    body = {"error": {"code": code, "error_subcode": subcode, "message": "x"}}
    return meaning_of(error_of(body, 400, repeatable=False))


@pytest.mark.parametrize(
    ("code", "subcode", "meaning"),
    [
        (-2, 2207003, "again"),
        (-2, 2207020, "anew"),
        (-1, 2207001, "again"),
        (-1, 2207032, "anew"),
        (-1, 2207053, "anew"),
        (1, 2207057, "fix"),
        (4, 2207051, "blocked"),
        (9, 2207042, "quota"),
        (24, 2207006, "anew"),
        (24, 2207008, "again"),
        (25, 2207050, "restricted"),
        (100, 2207023, "fix"),
        (100, 2207028, "fix"),
        (100, 2207035, "fix"),
        (100, 2207036, "fix"),
        (100, 2207037, "fix"),
        (100, 2207040, "fix"),
        (352, 2207026, "fix"),
        (9004, 2207052, "unfetchable"),
        (9007, 2207027, "not_ready"),
        (36000, 2207004, "fix"),
        (36001, 2207005, "fix"),
        (36003, 2207009, "fix"),
        (36004, 2207010, "fix"),
        (506, 0, "duplicate"),
        (368, 0, "blocked"),
        (1390008, 0, "blocked"),
        (1404102, 0, "restricted"),
        (4854002, 0, "restricted"),
        (1609005, 0, "fix"),
        (1363047, 0, "again"),
        (4, 0, "none"),
        (190, 463, "none"),
        (10, 0, "none"),
        (100, 33, "none"),
        (2, 0, "none"),
    ],
)
def test_each_code_of_the_table(code: int, subcode: int, meaning: str) -> None:
    """As meta-platform.md has it, sections 5.7 and 5.8."""
    assert refused(code, subcode) == meaning


@pytest.mark.parametrize(
    ("code", "kind"), [(190, TokenDead), (4, RateLimited), (2, OutcomeUnknown), (-1, OutcomeUnknown), (9, Refused)]
)
def test_what_may_have_happened_is_not_said_not_to_have(code: int, kind: type[Exception]) -> None:
    """Of a write that is not repeatable."""
    assert type(error_of({"error": {"code": code}}, 400, repeatable=False)) is kind
    assert type(error_of({"error": {"code": 2}}, 500, repeatable=True)) is Unavailable


@given(st.lists(st.sampled_from(STATES), max_size=5))
def test_a_publications_state(states: list[str]) -> None:
    """It is one that follows from targets, whatever their order, and says no more than they do."""
    found = state_of(states)
    live = [state for state in states if state != "cancelled"]
    assert found == state_of(states[::-1]) and (found is None) == (not live)
    if found is None:
        return
    assert found in OURS
    if found == "published":
        assert set(live) == {"published"}
    if found == "failed":
        assert set(live) == {"failed"}
    if "unknown" in live and not {*WAITING, "publishing"} & set(live):
        assert found == "unknown"
    if found == "scheduled":
        assert set(live) & set(WAITING) and not {"publishing", "published", "unknown"} & set(live)


def test_two_targets() -> None:
    """Every pair has a state."""
    told = {state_of(pair) for pair in product(STATES, repeat=2)}
    assert told == {*OURS, None}
    assert state_of(["published", "failed"]) == "partly_published"
    assert state_of(["published", "waiting"]) == "publishing"
    assert state_of(["failed", "waiting"]) == "scheduled"
    assert state_of(["to_do", "published"]) == "needs_decision"


def test_what_can_be_withdrawn() -> None:
    """Nothing that may be there."""
    assert not {"publishing", "published", "unknown"} & set(WITHDRAWABLE)
    assert set(STATES) == {*WITHDRAWABLE, "publishing", "published", "unknown"}


def test_the_newest_version_counts() -> None:
    """And the earlier ones are history."""
    targets = [{"publication_version": n, "n": n} for n in (1, 3, 3, 2)]
    assert [one["n"] for one in newest(targets)] == [3, 3] and newest([]) == []
