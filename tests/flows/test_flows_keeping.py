"""Two hundred days: whatever the provider, a connection is refreshed in time, or its label is told before it ends."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import httpx

from app.services.connections import tending
from app.services.vault.secrets import put_secret
from tests.api.people import join
from tests.flows.flows_harness import Meta
from tests.flows.keeping_harness import ADMIN, DAY, OWNER, PAGE, Kept, facebook, kept
from tests.house import House


def expected(account: str, *dates: Any) -> Counter[str]:
    """The subjects of the warnings for this account."""
    return Counter(f"The {account} must be connected anew by {at:%Y-%m-%d}" for at in dates)


async def test_an_idle_instagram_account_lives_on(live_house: House, meta: Meta) -> None:
    """It is refreshed every four weeks though nobody uses it; nobody gets a mail."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    for _ in range(200):
        await account.pass_by(DAY)
        found = await account.now()
        assert found["status"] == "active"
        assert live_house.clock() - found["token_issued_at"] <= timedelta(days=31)
        assert found["token_expires_at"] == found["access_ends_at"]
    refreshed = await meta.ledger("token_refreshed")
    assert 6 <= len(refreshed) <= 7
    assert [operation["state"] for operation in await account.refreshes()] == ["succeeded"] * len(refreshed)
    assert (await account.now())["token_version"] == 1 + len(refreshed)
    assert await account.subjects() == Counter() and await account.events("connection.expiring") == []


async def test_instagram_refuses_to_refresh_for_months(live_house: House, meta: Meta) -> None:
    """Its label is told 14, 7 and 1 days before the end, and at the end; it is tried until then and no longer."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    await join(live_house, ADMIN, account.label_id, "admin")
    await join(live_house, "agent@example.com", account.label_id, "agent")
    ends_at = (await account.now())["access_ends_at"]
    await meta.fault("error", "refresh_access_token", code=4, times=None)
    told: list[int] = []
    for _ in range(200):
        await account.pass_by(DAY)
        if len(await account.events("connection.expiring")) > len(told):
            told.append((ends_at - live_house.clock()) // DAY)
    assert told == [13, 6, 0]
    for address in (OWNER, ADMIN):
        ends = {"The Instagram account Nightjar Records must be connected anew": 1}
        assert await account.subjects(address) == expected(
            "Instagram account Nightjar Records", *[ends_at] * 3
        ) + Counter(ends)
    assert await account.subjects("agent@example.com") == Counter()
    found = await account.now()
    assert (found["status"], found["problem"]) == ("needs_reauth", "access_ended")
    [operation] = await account.refreshes()
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "needs_reauth")
    assert 28 <= operation["attempts"] <= 70
    assert len(await account.stored("secrets", purpose="access_token")) == 1


async def until_something_is_due(account: Kept) -> None:
    """Let the time pass until a worker has something to do by its schedules, a day at most."""
    now, found = account.house.clock(), await account.now()
    due = [at for name in ("refresh_at", "check_at", "warn_at") if (at := found.get(name)) and at > now]
    await account.pass_by(min(now + DAY, *due) - now + timedelta(seconds=1))


async def test_a_spotify_grant_ends_whatever_is_refreshed(live_house: House, meta: Meta) -> None:
    """Refreshed every week while idle; its label is told 14, 7 and 1 days before the six months are over, and then."""
    account = await kept(live_house, meta, "spotify", "nightjar")
    ends_at = (await account.now())["access_ends_at"]
    over = live_house.clock() + 200 * DAY
    while live_house.clock() < over:
        await until_something_is_due(account)
        found = await account.now()
        assert found["access_ends_at"] == ends_at
        assert found["status"] == ("active" if live_house.clock() < ends_at else "needs_reauth")
    refreshed = await meta.ledger("spotify_token_refreshed")
    assert 25 <= len(refreshed) <= 28
    assert await meta.ledger("spotify_token_refused") == []
    texts = sorted(mail["text"] for mail in await live_house.mails(OWNER) if "connected anew" in mail["subject"])
    assert len(texts) == 4
    link = f"/connections/{account.connection_id}/reconnect?label={account.label_id}"
    assert all(link in text for text in texts)
    assert [
        left for left in ("14 days", "7 days", "1 day") if sum(f"ends in {left}," in text for text in texts) == 1
    ] == [
        "14 days",
        "7 days",
        "1 day",
    ]
    assert len(await account.events("connection.expiring")) == 3
    assert len(await account.stored("audit_log", action="connection.needs_reauth")) == 1


def debugged(ends_at: datetime) -> httpx.Response:
    """Facebook's word for when access ends."""
    told = {"is_valid": True, "scopes": [], "data_access_expires_at": int(ends_at.timestamp())}
    return httpx.Response(200, json={"data": told})


async def test_a_facebook_log_in_is_made_longer(live_house: House, meta: Meta) -> None:
    """The person's token is exchanged in time, by the newest one; the Page's is fetched anew only when it has died."""
    used, fetched = [], []

    def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.url.path.endswith("/debug_token"):
            return debugged(live_house.clock() + timedelta(days=90))
        if request.url.path.endswith("/oauth/access_token"):
            used.append(dict(httpx.QueryParams(request.content.decode()))["fb_exchange_token"])
            return httpx.Response(200, json={"access_token": f"user-{len(used)}", "expires_in": 60 * 86_400})
        if request.url.path.endswith(f"/{PAGE}"):
            fetched.append(token)
            return httpx.Response(200, json={"id": PAGE, "access_token": "page-2"})
        dead = len(used) >= 3 and token != "page-2"
        return httpx.Response(400 if dead else 200, json={"error": {"code": 190}} if dead else {"id": PAGE})

    account = await facebook(live_house, meta, answer)
    await account.days(200)
    assert 6 <= len(used) <= 7 and used == [f"user-{number}" for number in range(len(used))]
    assert fetched == ["user-3"]
    found = await account.now()
    assert (found["status"], found["token_expires_at"]) == ("active", None)
    assert await account.subjects() == Counter()


async def test_a_facebook_log_in_that_is_not_made_longer(live_house: House, meta: Meta) -> None:
    """The label is told in time; the Page's token lives on after that, and so does the connection."""
    ends_at = live_house.clock() + timedelta(days=60)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/debug_token"):
            return debugged(ends_at)
        if not request.url.path.endswith("/oauth/access_token"):
            return httpx.Response(200, json={"id": PAGE})
        left = ends_at - live_house.clock()
        if left <= timedelta(0):
            return httpx.Response(400, json={"error": {"code": 190, "error_subcode": 463}})
        return httpx.Response(200, json={"access_token": "user-n", "expires_in": int(left.total_seconds()) or 1})

    account = await facebook(live_house, meta, answer)
    await account.days(100)
    assert (await account.subjects()).total() == 3
    assert (await account.now())["status"] == "active"
    states = {operation["state"] for operation in await account.refreshes()}
    assert states <= {"succeeded", "failed"} and len(await account.refreshes()) < 20


async def test_of_missed_warnings_only_the_most_urgent_is_sent(live_house: House, meta: Meta) -> None:
    """Workers that were away for two weeks say what is true now; several that come back at once say it once."""
    account = await kept(live_house, meta, "spotify", "nightjar")
    ends_at = (await account.now())["access_ends_at"]
    live_house.clock.offset += ends_at - live_house.clock() - timedelta(hours=60)
    for _ in range(3):
        await tending.tend(live_house.db, live_house.worker.audit, clock=live_house.clock)
    await live_house.work()
    assert await account.subjects() == expected("Spotify account Nightjar Records", ends_at)
    [mail] = [mail for mail in await live_house.mails(OWNER) if "connected anew" in mail["subject"]]
    assert "ends in 7 days," in mail["text"]


async def test_a_log_in_that_nobody_finishes(live_house: House, meta: Meta) -> None:
    """After a day it ends as abandoned, and nothing stays sealed for it; one that was refused is left as it is."""
    owner = await live_house.person(OWNER)
    label_id = await live_house.label(owner)
    wish = {"provider": "spotify", "features": ["catalogue"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).raise_for_status().json()
    account = Kept(live_house, meta, label_id, begun["id"])
    ring, now = live_house.api.ring, live_house.clock()
    await put_secret(live_house.db, ring, "code", connection=await account.now(), purpose="code", now=now)
    await account.pass_by(timedelta(hours=23))
    assert (await account.now())["status"] == "pending"
    await account.pass_by(timedelta(hours=2))
    found = await account.now()
    assert (found["status"], found["problem"]) == ("error", "abandoned")
    assert await account.stored("secrets") == [] and "abandon_at" not in found
    assert len(await account.events("connection.changed")) == 1
    before = await account.now()
    await account.days(2)
    assert await account.now() == before
