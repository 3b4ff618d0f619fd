"""The age gate: 16 everywhere on earth, on every way to an account; and of whoever is refused, nothing is left."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import bson
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.errors import AgeRequirementNotMet
from app.limiter import KEY_PREFIX
from app.models.cookies import AGE_COOKIE
from app.services.people.accounts import check_age
from tests.api.matrix_contract import operations
from tests.faults.canary import find
from tests.flows.flows_harness import move_to
from tests.house import House

MIDDAY = datetime(2026, 11, 29, 12, tzinfo=UTC)
CANARIES = {
    "name": "Canarina Kestrel-Quillfeather",
    "email": "canarina.kestrel@nestling.example",
    "password": "canary words that nobody else would type",
}
WAYS = ("register", "invite")
"""Every way to an account: `test_there_is_no_other_way` looks for more."""
BOUNDARIES: list[tuple[str, str, str, bool]] = [
    ("sixteen today, at noon UTC", "2026-11-29T12:00:00+00:00", "2010-11-29", True),
    ("sixteen tomorrow", "2026-11-29T12:00:00+00:00", "2010-11-30", False),
    ("sixteen yesterday", "2026-11-29T12:00:00+00:00", "2010-11-28", True),
    ("sixteen today, but not yet at UTC-12", "2026-11-29T11:59:59.999+00:00", "2010-11-29", False),
    ("sixteen today at UTC-12, to the millisecond", "2026-11-29T12:00:00.000+00:00", "2010-11-29", True),
    ("sixteen already on Kiritimati (UTC+14) alone", "2026-11-28T10:00:00+00:00", "2010-11-29", False),
    ("sixteen there since a day, and not in the west", "2026-11-29T10:00:00+00:00", "2010-11-29", False),
    ("born on 29 February, sixteen in a leap year", "2028-02-29T12:00:00+00:00", "2012-02-29", True),
    ("born on 29 February, a day before", "2028-02-28T12:00:00+00:00", "2012-02-29", False),
    ("born on 29 February, 28 February of a common year", "2027-02-28T12:00:00+00:00", "2011-03-01", False),
    ("born on 1 March, sixteen on it", "2027-03-01T12:00:00+00:00", "2011-03-01", True),
    ("born on 28 February, sixteen on it in a leap year", "2028-02-28T12:00:00+00:00", "2012-02-28", True),
    ("the turn of the year, in the last zone", "2027-01-01T11:59:59+00:00", "2011-01-01", False),
    ("the turn of the year, everywhere", "2027-01-01T12:00:00+00:00", "2011-01-01", True),
    ("a child", "2026-11-29T12:00:00+00:00", "2020-01-01", False),
    ("not born yet", "2026-11-29T12:00:00+00:00", "2030-01-01", False),
    ("old", "2026-11-29T12:00:00+00:00", "1910-06-01", True),
]
LEAP = [
    ("2100 is no leap year: on its 28 February, whoever is born on 29 February 2084 is fifteen", "2100-02-28", False),
    ("and sixteen on 1 March", "2100-03-01", True),
]


def is_let_in(born_on: date, now: datetime) -> bool:
    """What the gate says."""
    try:
        check_age(born_on, now=now)
    except AgeRequirementNotMet:
        return False
    return True


async def make(house: House, way: str, born_on: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Try to make an account of the canary's in this way."""
    account = {"name": CANARIES["name"], "password": CANARIES["password"], "policy_version": "2026-03-13"}
    account |= {"date_of_birth": born_on}
    if way == "register":
        return await house.http.post("/v1/users", json=account | {"email": CANARIES["email"]}, headers=headers)
    token = await invitation(house)
    body = {"token": token, "account": account}
    return await house.http.post("/v1/invitations/accept", json=body, headers=headers)


async def invitation(house: House) -> str:
    """The token of an invitation to somebody's label; a fresh mail brings it each time."""
    owner = await house.person("owner@example.com")
    labels = (await owner.get("/v1/labels")).json()["data"]
    label_id = labels[0]["id"] if labels else await house.label(owner)
    body = {"email": "guest@example.com", "role": "agent"}
    (await owner.post(f"/v1/labels/{label_id}/invitations", json=body)).raise_for_status()
    await house.work()
    return str((await house.mails("guest@example.com"))[0]["token"])


@pytest.mark.parametrize(("now", "born", "let_in"), [row[1:] for row in BOUNDARIES], ids=[row[0] for row in BOUNDARIES])
def test_boundaries(now: str, born: str, let_in: bool) -> None:
    """One rule: the sixteenth birthday must have come on the calendar of UTC-12, the last on earth."""
    assert is_let_in(date.fromisoformat(born), datetime.fromisoformat(now)) is let_in


@pytest.mark.parametrize(("day", "let_in"), [row[1:] for row in LEAP], ids=[row[0] for row in LEAP])
def test_the_leap_day_that_is_none(day: str, let_in: bool) -> None:
    """Who is born on 29 February is a year older on 1 March of a common year."""
    at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    assert is_let_in(date(2084, 2, 29), at) is let_in


@pytest.mark.parametrize("hours", range(-12, 15))
@given(
    born_on=st.dates(date(2000, 1, 1), date(2020, 12, 31)),
    minutes=st.integers(0, 20 * 366 * 24 * 60),
)
def test_nobody_is_let_in_who_is_fifteen_somewhere(hours: int, born_on: date, minutes: int) -> None:
    """On no calendar from UTC-12 to UTC+14."""
    now = datetime(2016, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    if is_let_in(born_on, now):
        here = now.astimezone(timezone(timedelta(hours=hours))).date()
        assert (here.year - 16, here.month, here.day) >= (born_on.year, born_on.month, born_on.day)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("days", [0, 1], ids=["sixteen today", "sixteen tomorrow"])
async def test_every_way_asks(house: House, way: str, days: int) -> None:
    """The birthday today is let in, the one tomorrow is not, whichever way somebody comes."""
    move_to(house, MIDDAY)
    born_on = date(2010, 11, 29) + timedelta(days=days)
    answer = await make(house, way, born_on.isoformat())
    if days:
        assert (answer.status_code, answer.json()["code"]) == (403, "age_requirement_not_met")
    else:
        assert answer.status_code in (200, 201), answer.text


async def everything(house: House) -> dict[str, Any]:
    """Every document of every collection, byte for byte."""
    found = {}
    for name in await house.db.raw.list_collection_names():
        async for document in house.db.raw[name].find({}, comment="all-labels: a test's dump"):
            found[f"{name}/{document['_id']}"] = bson.encode(document)
    return found


async def redis_of(url: str) -> dict[str, bytes]:
    """Every key with its value as it is."""
    found = {}
    async with Redis.from_url(url) as client:
        await client.config_set("rdbcompression", "no")  # or a long value would not be found in its dump
        async for key in client.scan_iter():
            found[key.decode(errors="replace")] = key + b"\0" + (await client.dump(key) or b"")
    return found


def files_of(folder: Path) -> bytes:
    """Every file below."""
    return b"".join(str(path).encode() + path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("way", WAYS)
async def test_a_refusal_leaves_nothing(
    house: House, redis_url: str, key_folder: Path, capfdbinary: pytest.CaptureFixture[bytes], way: str
) -> None:
    """Database: not one byte differs. Redis, logs, files, mails: not a word of the person, in eight encodings.

    Nor is it counted that somebody from there wanted an account: only that there was a request.
    """
    move_to(house, MIDDAY)
    token = await invitation(house) if way == "invite" else ""
    await house.work()
    before, files = await everything(house), files_of(key_folder / "storage")
    counted = {key for key in await redis_of(redis_url) if key.startswith(KEY_PREFIX)}
    headers = {"Idempotency-Key": "once", "User-Agent": "Canarina's own browser 1.0"}
    born_on = "2011-02-03"
    account = {"name": CANARIES["name"], "password": CANARIES["password"], "policy_version": "2026-03-13"}
    account |= {"date_of_birth": born_on}
    capfdbinary.readouterr()
    with capture_logs() as logged:
        if way == "register":
            body: Any = account | {"email": CANARIES["email"], "marketing_opt_in": True}
            answer = await house.http.post("/v1/users", json=body, headers=headers)
        else:
            body = {"token": token, "account": account}
            answer = await house.http.post("/v1/invitations/accept", json=body, headers=headers)
        await house.work()
    assert (answer.status_code, answer.json()["code"]) == (403, "age_requirement_not_met")
    after = await everything(house)
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == set()
    assert files_of(key_folder / "storage") == files
    fresh = {key for key in await redis_of(redis_url) if key.startswith(KEY_PREFIX)} - counted
    assert [key for key in fresh if not key.startswith(f"{KEY_PREFIX}address:")] == []
    printed = capfdbinary.readouterr()
    places = {
        "Redis": b"\n".join((await redis_of(redis_url)).values()),
        "the log": repr(logged).encode() + printed.out + printed.err,
        "the answer": answer.content + repr(answer.headers).encode(),
        "files": files_of(key_folder / "storage"),
    }
    words = [*CANARIES.values(), "Canarina's own browser", f'"{born_on}"']
    assert find(words, places) == []
    assert born_on.encode() not in b"".join(places.values())
    assert await house.mails(CANARIES["email"]) == []


@pytest.mark.parametrize("way", WAYS)
async def test_the_same_browser_cannot_try_again(house: House, way: str) -> None:
    """For a day, by a flag that is the same for everybody; on every way, whichever way it was refused on."""
    move_to(house, MIDDAY)
    refused = await make(house, "register", "2015-01-01")
    line = refused.headers["set-cookie"]
    assert line.startswith(f"{AGE_COOKIE}=1; Max-Age=86400;") and "HttpOnly" in line and "Secure" in line
    house.http.cookies.clear()
    again = await make(house, way, "1990-01-01", {"Cookie": f"{AGE_COOKIE}=1"})
    assert (again.status_code, again.json()["code"]) == (403, "age_requirement_not_met")
    house.http.cookies.clear()
    assert (await make(house, way, "1990-01-01")).status_code in (200, 201)


async def test_the_flag_is_the_same_for_everybody(house: House) -> None:
    """Two people who are refused get the same line."""
    lines = []
    for born_on in ("2015-01-01", "2012-07-08"):
        lines.append((await make(house, "register", born_on)).headers["set-cookie"])
        house.http.cookies.clear()
    assert lines[0] == lines[1]


def test_there_is_no_other_way() -> None:
    """Every operation whose body holds a date of birth is one of these, and no other takes a new account's password."""
    asking = {
        operation.name
        for operation in operations()
        if any(place.name == "date_of_birth" for place, _ in operation.leaves())
    }
    assert asking == {"createUser", "acceptInvitation"}
    setting = {
        operation.name
        for operation in operations()
        if operation.access != "person" and any(place.name == "password" for place, _ in operation.leaves())
    }
    assert setting - asking == {"createSession", "confirmPasswordReset"}
