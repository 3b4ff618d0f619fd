"""Local times become the right instants, in every zone, on the odd days too."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db import Doc
from app.errors import InvalidInput
from app.models.slots import WEEKDAYS
from app.services.publications.embargo import embargo_problem, first_midnight
from app.services.publications.slots import places_of
from app.services.publications.times import local_of, resolve
from app.services.publications.timing import of_plan, timing

ZONES = [
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Chatham",
    "Africa/Cairo",
    "Asia/Kolkata",
    "UTC",
]
"""An hour's change, half an hour's, one at midnight, odd offsets, both hemispheres, and none at all."""
QUARTER = timedelta(minutes=15)
FROM, UNTIL = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2029-06-01")

KNOWN: list[tuple[str, str, str, str | None]] = [
    ("Europe/Oslo", "2027-03-28T01:59", "2027-03-28T00:59", None),
    ("Europe/Oslo", "2027-03-28T02:00", "2027-03-28T01:00", "moved_forward"),
    ("Europe/Oslo", "2027-03-28T02:59", "2027-03-28T01:59", "moved_forward"),
    ("Europe/Oslo", "2027-03-28T03:00", "2027-03-28T01:00", None),
    ("Europe/Oslo", "2027-10-31T02:30", "2027-10-31T00:30", "first_of_two"),
    ("Europe/Oslo", "2027-10-31T03:00", "2027-10-31T02:00", None),
    ("Europe/Oslo", "2028-02-29T18:30", "2028-02-29T17:30", None),
    ("America/New_York", "2027-03-14T02:30", "2027-03-14T07:30", "moved_forward"),
    ("America/New_York", "2027-11-07T01:30", "2027-11-07T05:30", "first_of_two"),
    ("America/New_York", "2028-02-29T23:59", "2028-03-01T04:59", None),
    ("Australia/Lord_Howe", "2027-10-03T02:10", "2027-10-02T15:40", "moved_forward"),
    ("Australia/Lord_Howe", "2027-04-04T01:45", "2027-04-03T14:45", "first_of_two"),
    ("Australia/Lord_Howe", "2028-02-29T12:00", "2028-02-29T01:00", None),
    ("America/Santiago", "2027-09-05T00:00", "2027-09-05T04:00", "moved_forward"),
    ("America/Santiago", "2027-04-03T23:30", "2027-04-04T02:30", "first_of_two"),
    ("Pacific/Chatham", "2027-09-26T02:45", "2027-09-25T14:00", "moved_forward"),
    ("Pacific/Chatham", "2027-04-04T02:45", "2027-04-03T13:00", "first_of_two"),
    ("Africa/Cairo", "2027-04-30T00:30", "2027-04-29T22:30", "moved_forward"),
    ("Africa/Cairo", "2027-10-28T23:30", "2027-10-28T20:30", "first_of_two"),
    ("Asia/Kolkata", "2028-02-29T00:00", "2028-02-28T18:30", None),
]


@pytest.mark.parametrize(("zone", "local", "at", "rule"), KNOWN)
def test_known_days(zone: str, local: str, at: str, rule: str | None) -> None:
    """By hand, from the zones' own rules: before, in and after each change, and on the 29th of February."""
    found = resolve(datetime.fromisoformat(local), zone)
    assert (found.at, found.rule) == (datetime.fromisoformat(at).replace(tzinfo=UTC), rule)


def by_looking(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every instant at which the clocks show this, found by looking at each quarter of an hour around it."""
    first = local.replace(tzinfo=UTC) - timedelta(hours=16)
    instants = [first + n * QUARTER for n in range(130)]
    return [at for at in instants if at.astimezone(zone).replace(tzinfo=None) == local]


@given(
    st.sampled_from(ZONES),
    st.dates(date(2026, 1, 1), date(2030, 12, 31)),
    st.integers(0, 95),
)
def test_any_local_time(zone: str, day: date, quarter: int) -> None:
    """It is the first instant at which the clocks show it; if they never do, as much later as they jump."""
    local = datetime.combine(day, datetime.min.time()) + quarter * QUARTER
    found, seen = resolve(local, zone), by_looking(local, ZoneInfo(zone))
    assert found.rule == {0: "moved_forward", 1: None, 2: "first_of_two"}[len(seen)]
    if seen:
        assert found.at == seen[0]
    else:
        shown = found.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert timedelta() < shown - local <= timedelta(hours=1)
        assert not by_looking(shown - (shown - local), ZoneInfo(zone))


@given(st.sampled_from(ZONES), st.datetimes(FROM, UNTIL))
def test_there_and_back(zone: str, at: datetime) -> None:
    """What the clocks show at an instant, leads back to it, or to the first of the two that look alike."""
    instant = at.replace(tzinfo=UTC, second=0, microsecond=0)
    found = resolve(datetime.fromisoformat(local_of(instant, zone)), zone)
    assert found.at == instant or (found.rule == "first_of_two" and instant - found.at <= timedelta(hours=1))


def test_only_the_zone_moves() -> None:
    """Another zone keeps the local time; another local time keeps the zone; an instant is itself."""
    stored = timing({}, {"local_time": "2027-07-01T18:00"}, plan=None, timezone="Europe/Oslo")
    assert stored["scheduled_at"] == datetime(2027, 7, 1, 16, tzinfo=UTC)
    moved = timing(stored, {"timezone": "America/New_York"}, plan=None, timezone="Europe/Oslo")
    assert (moved["local_time"], moved["scheduled_at"]) == ("2027-07-01T18:00", datetime(2027, 7, 1, 22, tzinfo=UTC))
    instant = timing(moved, {"scheduled_at": datetime(2027, 1, 1, tzinfo=UTC)}, plan=None, timezone="Europe/Oslo")
    assert (instant["local_time"], instant["timezone"]) == ("2026-12-31T19:00", "America/New_York")
    gone = timing(instant, {"scheduled_at": None}, plan=None, timezone="Europe/Oslo")
    assert (gone["scheduled_at"], gone["local_time"]) == (None, None)


def test_the_second_of_two_stays() -> None:
    """It is named by its instant; the same zone again, or something else than a time, does not make it the first."""
    second = datetime(2027, 10, 31, 1, 30, tzinfo=UTC)
    stored = timing({}, {"scheduled_at": second, "timezone": "Europe/Berlin"}, plan=None, timezone="UTC")
    for told in ({"timezone": "Europe/Berlin"}, {"plan_id": None}, {"offset": None}):
        assert timing(stored, told, plan=None, timezone="UTC") == stored, told
    first = timing(stored, {"local_time": "2027-10-31T02:30"}, plan=None, timezone="UTC")
    assert first["scheduled_at"] == second - timedelta(hours=1)


def a_plan(day: str, *zones: str, embargo: bool = True) -> Doc:
    """A release on this day."""
    return {"release_date": day, "timezones": list(zones), "embargo": embargo}


@pytest.mark.parametrize(
    ("day", "days", "clock", "zone", "at"),
    [
        ("2028-03-01", -1, "10:00", "UTC", "2028-02-29T10:00"),
        ("2028-02-29", 1, "10:00", "UTC", "2028-03-01T10:00"),
        ("2028-02-29", 365, "10:00", "UTC", "2029-02-28T10:00"),
        ("2027-03-29", -1, "02:30", "Europe/Oslo", "2027-03-28T01:30"),
        ("2027-03-30", -7, "18:00", "Europe/Oslo", "2027-03-23T17:00"),
        ("2027-03-30", 0, "18:00", "Europe/Oslo", "2027-03-30T16:00"),
    ],
)
def test_offsets_count_days_of_the_calendar(day: str, days: int, clock: str, zone: str, at: str) -> None:
    """Not 24 hours each: a week before, at the same time on the clocks, also across a change of them."""
    found = of_plan({"days": days, "time": clock, "timezone": zone}, a_plan(day), timezone="UTC")
    assert found["scheduled_at"] == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("plan", "at"),
    [
        (a_plan("2027-02-26"), "2027-02-25T10:00"),
        (a_plan("2027-02-26", "Europe/Oslo"), "2027-02-25T23:00"),
        (a_plan("2027-02-26", "America/New_York", "Europe/Oslo", "Asia/Tokyo"), "2027-02-25T15:00"),
        (a_plan("2027-09-05", "America/Santiago"), "2027-09-05T04:00"),
    ],
)
def test_the_first_midnight(plan: Doc, at: str) -> None:
    """At UTC+14 unless zones are named; of those, where it is first."""
    first = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert first_midnight(plan) == first
    reveals, second = {"reveals_release": True}, timedelta(milliseconds=1)
    assert embargo_problem(reveals, plan, first) is None
    problem = embargo_problem(reveals, plan, first - second)
    assert problem is not None and (problem.code, problem.not_before) == ("embargoed", first)
    assert embargo_problem({"reveals_release": False}, plan, first - second) is None
    assert embargo_problem(reveals, plan | {"embargo": False}, first - second) is None
    assert embargo_problem(reveals, None, first - second) is None


@given(
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True),
    st.integers(0, 95),
    st.datetimes(FROM, UNTIL),
)
def test_a_slot_comes_once_a_day(zone: str, days: list[str], quarter: int, since: datetime) -> None:
    """On each of its days, at its time on the clocks, in order, however they change; never twice, never left out."""
    clock = f"{quarter // 4:02}:{quarter % 4 * 15:02}"
    slot: Doc = {"_id": "slt_1", "days": days, "time": clock, "timezone": zone}
    begin = since.replace(tzinfo=UTC)
    found = list(places_of(slot, begin, begin + timedelta(days=60)))
    assert [place.at for place in found] == sorted({place.at for place in found})
    assert len({place.key for place in found}) == len(found)
    wanted = [
        n for n in range(62) if WEEKDAYS[(begin.astimezone(ZoneInfo(zone)).date() + timedelta(n)).weekday()] in days
    ]
    assert abs(len(found) - len(wanted)) <= 2
    for place in found:
        assert place.at == resolve(datetime.fromisoformat(place.local_time), zone).at


@pytest.mark.parametrize(
    "given", [{"scheduled_at": datetime(1999, 1, 1, tzinfo=UTC)}, {"local_time": "2100-01-01T00:00"}]
)
def test_other_centuries_are_refused(given: Doc) -> None:
    """No calendar breaks at them."""
    with pytest.raises(InvalidInput):
        timing({}, given, plan=None, timezone="Pacific/Kiritimati")
