"""From facts to health, without anything else: each fact is a diagnosis, and what is known of the token is told."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.graph_errors import Refused, TokenDead, error_of
from app.db import Doc
from app.models.connection_health import Code
from app.services.connections import health
from app.services.connections.reauth import OF_TOKENS, problem_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GRANTED = ["instagram_business_basic", "instagram_business_manage_messages"]
CONNECTION: Doc = {
    "_id": "con_1",
    "provider": "instagram",
    "status": "active",
    "problem": None,
    "account": {"kind": "instagram"},
    "features": ["messages"],
    "active_features": ["messages"],
    "asked_scopes": GRANTED,
    "granted_scopes": GRANTED,
    "subscribed_fields": ["messages"],
    "token_version": 3,
    "token_issued_at": NOW - DAY,
    "token_expires_at": NOW + 59 * DAY,
    "access_ends_at": NOW + 59 * DAY,
    "created_at": NOW - DAY,
    "checks": {"checked_at": NOW},
}


def told(checks: Doc | None = None, **changes: Any) -> set[str]:
    """The codes of the diagnoses of such a connection."""
    connection = CONNECTION | {"checks": CONNECTION["checks"] | (checks or {})} | changes
    return {one.code for one in health.of(connection, advanced=True, reconnecting=False, now=NOW).diagnoses}


def test_all_well() -> None:
    """No diagnosis; before the first check it is unknown."""
    found = health.of(CONNECTION, advanced=True, reconnecting=False, now=NOW)
    assert (found.status, found.diagnoses, found.token.age_s, found.token.version) == ("ok", [], 86400, 3)
    assert health.of(CONNECTION | {"checks": None}, advanced=True, reconnecting=False, now=NOW).status == "unknown"


FACTS: list[tuple[str, Doc, Doc]] = [
    ("account_unreachable", {"trouble": {"code": "account_unreachable", "since": NOW}}, {}),
    ("not_allowlisted", {"trouble": {"code": "not_allowlisted", "since": NOW}}, {}),
    ("provider_unreachable", {"unreachable_since": NOW}, {}),
    ("rate_limited", {"usage": {"percent": 97, "paused_until": NOW + DAY}}, {}),
    ("publishing_quota_used", {"quota": {"used": 50, "total": 50, "window_s": 86400}}, {}),
    ("webhooks_drifted", {"webhooks": {"drifted": {"code": "x", "since": NOW}, "repaired": True}}, {}),
    ("permission_withdrawn", {"withdrawn": {"messages": NOW}}, {"active_features": []}),
    ("scope_missing", {}, {"features": ["insights", "messages"]}),
    ("access_ending", {}, {"access_ends_at": NOW + 3 * DAY}),
    ("webhooks_silent", {}, {"created_at": NOW - 20 * DAY}),
    ("token_invalid", {}, {"status": "needs_reauth", "problem": "token_dead"}),
    ("token_expired", {}, {"status": "needs_reauth", "problem": "token_expired"}),
    ("needs_new_login", {}, {"status": "needs_reauth", "problem": "access_ended"}),
]


@pytest.mark.parametrize(("code", "checks", "changes"), FACTS)
def test_each_fact_is_one_diagnosis(code: str, checks: Doc, changes: Doc) -> None:
    """Exactly that one."""
    assert told(checks, **changes) == {code}


def test_every_diagnosis_says_what_to_do() -> None:
    """In a sentence, and no two alike in what is wrong."""
    assert set(health.MEANING) == set(get_args(Code))
    assert len({detail for _, detail, _ in health.MEANING.values()}) == len(health.MEANING)
    assert all(detail.endswith(".") and todo.endswith(".") for _, detail, todo in health.MEANING.values())


@pytest.mark.parametrize(
    ("code", "subcode", "problem"),
    [
        (190, 463, "token_expired"),
        (190, 460, "password_changed"),
        (190, 458, "access_removed"),
        (190, 459, "account_checkpoint"),
        (190, 464, "account_checkpoint"),
        (190, 492, "page_role_lost"),
        (190, 467, "token_invalid"),
        (190, 0, "token_invalid"),
        (102, 0, "token_invalid"),
    ],
)
def test_dead_tokens_by_number(code: int, subcode: int, problem: str) -> None:
    """The code and the subcode decide, whatever the text says."""
    error = error_of(
        {"error": {"code": code, "error_subcode": subcode, "message": "All is well"}}, 400, repeatable=True
    )
    assert isinstance(error, TokenDead)
    assert problem_of(error) == problem


@pytest.mark.parametrize(("code", "subcode"), [(100, 0), (10, 0), (9, 2207042), (4, 2207051), (368, 0), (200, 0)])
def test_what_says_nothing_of_a_token(code: int, subcode: int) -> None:
    """Metrics and publishing that are refused are refusals of that call."""
    error = error_of({"error": {"code": code, "error_subcode": subcode}}, 400, repeatable=True)
    assert isinstance(error, Refused)


TROUBLE = st.none() | st.builds(
    lambda code: {"code": code, "since": NOW - DAY}, st.sampled_from(["account_unreachable"])
)
INSTANT = st.none() | st.builds(lambda days: NOW + days * DAY, st.integers(-400, 400))
CHECKS = st.fixed_dictionaries(
    {},
    optional={
        "checked_at": st.just(NOW),
        "unreachable_since": INSTANT,
        "trouble": TROUBLE,
        "usage": st.builds(lambda at: {"percent": None, "paused_until": at}, INSTANT),
        "quota": st.builds(
            lambda used, total: {"used": used, "total": total, "window_s": None},
            st.integers(0, 200),
            st.none() | st.integers(0, 100),
        ),
        "withdrawn": st.dictionaries(st.sampled_from(["messages", "comments"]), st.just(NOW - DAY)),
    },
)


@given(
    checks=CHECKS.filter(lambda found: not found.get("quota") or "checked_at" in found),
    ends_at=INSTANT,
    status=st.sampled_from(["active", "needs_reauth"]),
    problem=st.sampled_from([*sorted(OF_TOKENS), "key_compromised", None]),
)
def test_any_facts_make_a_health(checks: Doc, ends_at: datetime | None, status: str, problem: str | None) -> None:
    """Whatever was found: each diagnosis once, its severity within the status, and the worst of them is the status."""
    changes = {"checks": checks, "access_ends_at": ends_at, "status": status}
    changes["problem"] = (problem or "token_invalid") if status == "needs_reauth" else None
    found = health.of(CONNECTION | changes, advanced=True, reconnecting=False, now=NOW)
    codes = [diagnosis.code for diagnosis in found.diagnoses]
    assert len(codes) == len(set(codes))
    worst = {diagnosis.severity for diagnosis in found.diagnoses}
    if status == "needs_reauth":
        assert found.status == "broken"
    if "broken" in worst:
        assert found.status == "broken"
    if found.status == "ok":
        assert worst <= {"info"} and status == "active"
