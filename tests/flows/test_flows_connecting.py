"""Connecting an account at the sandbox: the whole log-in, partly granted, broken off, taken over in the middle."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from app.db import Doc
from app.services import operations
from tests.flows.flows_harness import Desk, Meta, pass_by, rewritten
from tests.house import House, delivery, message_change
from workers import jobs

ACCOUNT, SCOPED, FAN = "17841400000000001", "7000000000000011", "900000000000011"
ALL = ["comments", "messages"]
MESSAGES_SCOPE = "instagram_business_manage_messages"
COMMENTS_SCOPE = "instagram_business_manage_comments"
BASIC = "instagram_business_basic"


async def log_in(house: House, **form: str) -> Desk:
    """Go through the log-in up to our callback; the code waits for a worker then."""
    owner = await house.person()
    label_id = await house.label(owner)
    begun = await owner.post(f"/v1/labels/{label_id}/connections", json={"provider": "instagram", "features": ALL})
    assert (begun.status_code, begun.json()["status"]) == (201, "pending")
    async with httpx.AsyncClient(trust_env=False) as browser:
        order = {"account": "nightjar.records", "allow": "1"} | form
        back = urlsplit((await browser.post(begun.json()["authorize_url"], data=order)).headers["location"])
    answer = await owner.get(f"{back.path}?{back.query}")
    assert answer.status_code == 200
    return Desk(house, owner, label_id, begun.json()["id"])


async def connection_of(desk: Desk) -> Doc:
    found: Doc = await desk.get(f"/connections/{desk.connection_id}")
    return found


async def purposes(desk: Desk) -> set[str]:
    """Which secrets of the connection the vault holds."""
    return {secret["purpose"] for secret in await desk.stored("secrets")}


async def test_the_whole_log_in(live_house: House, meta: Meta) -> None:
    """From the wish to an active connection: scopes, account, webhooks, and one sealed token in the vault."""
    desk = await log_in(live_house)
    assert await purposes(desk) == {"code"}
    await live_house.work()
    found = await connection_of(desk)
    assert (found["status"], found["problem"], found["features"]) == ("active", None, ALL)
    assert set(found["granted_scopes"]) == {BASIC, MESSAGES_SCOPE, COMMENTS_SCOPE}
    assert (found["account"]["provider_id"], found["account"]["username"]) == (ACCOUNT, "nightjar.records")
    assert await purposes(desk) == {"access_token"}
    [stored] = await desk.stored("connections")
    assert set(stored["account_ids"]) == {ACCOUNT, SCOPED}
    lifetime = stored["token_expires_at"] - live_house.clock()
    assert timedelta(days=59) < lifetime <= timedelta(days=60)
    [account] = [item for item in (await meta.control("GET", "/state"))["accounts"] if item["user_id"] == ACCOUNT]
    assert {"messages", "comments", "standby", "message_edit"} <= set(account["subscribed_fields"])
    issued = (await meta.control("GET", "/tokens"))["ever_issued"]
    sealed = str(await desk.stored("secrets"))
    assert len(issued) >= 3 and not any(token in sealed for token in issued)


@pytest.mark.parametrize("shape", ["wrapped", "flat"])
async def test_meta_answers_in_different_shapes(live_house: House, meta: Meta, shape: str) -> None:
    """Wrapped or flat, scopes as text or as a list, ids as text or as numbers."""
    kinds = ("list", "number") if shape == "flat" else ("string", "string")
    options = {"exchange_shape": shape, "me_shape": shape, "exchange_permissions": kinds[0]}
    await meta.control("PUT", "/options", **options, exchange_user_id=kinds[1])
    desk = await log_in(live_house)
    await live_house.work()
    found = await connection_of(desk)
    assert (found["status"], found["account"]["provider_id"]) == ("active", ACCOUNT)
    assert set(found["granted_scopes"]) == {BASIC, MESSAGES_SCOPE, COMMENTS_SCOPE}


async def test_scopes_partly_granted(live_house: House, meta: Meta) -> None:
    """The owner unticks comments: messages work, comments are neither subscribed to nor stored."""
    desk = await log_in(live_house, boxes="1", scope=f"{BASIC},{MESSAGES_SCOPE}")
    await live_house.work()
    found = await connection_of(desk)
    assert (found["status"], set(found["granted_scopes"])) == ("active", {BASIC, MESSAGES_SCOPE})
    [stored] = await desk.stored("connections")
    assert stored["active_features"] == ["messages"]
    assert "comments" not in stored["subscribed_fields"]
    value = {"id": "1", "from": {"id": FAN}, "text": "Nice", "media": {"id": "1"}}
    entry = {"id": ACCOUNT, "time": live_house.ms(), "field": "comments", "value": value}
    assert (await live_house.deliver({"object": "instagram", "entry": [entry]})).status_code == 200
    await desk.receive(message_change("m", ms=live_house.ms()))
    assert (len(await desk.all("/comments")), len(await desk.messages())) == (0, 1)


async def test_the_owner_says_no(live_house: House, meta: Meta) -> None:
    """The connection ends with `access_denied`, and nothing waits for a worker."""
    desk = await log_in(live_house, allow="0")
    found = await connection_of(desk)
    assert (found["status"], found["problem"]) == ("error", "access_denied")
    assert await desk.stored("operations") == await desk.stored("secrets") == []


@pytest.mark.parametrize(
    ("fault", "path", "code"),
    [
        ("error", "/oauth/access_token", 100),
        ("error", "graph.instagram.com/access_token", 190),
        ("error", "/me$", 100),
    ],
)
async def test_a_refused_exchange_ends_it(live_house: House, meta: Meta, fault: str, path: str, code: int) -> None:
    """Instagram refuses a step: the connection says so, no secret of the log-in is kept, nothing is tried again."""
    await meta.fault(fault, path, code=code)
    desk = await log_in(live_house)
    await live_house.work()
    found = await connection_of(desk)
    assert (found["status"], found["problem"]) == ("error", "exchange_refused")
    assert not await purposes(desk) & {"code", "short_token"}
    [operation] = await desk.stored("operations")
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "exchange_refused")


@pytest.mark.parametrize("fault", ["lost", "500-executed", "html", "empty"])
async def test_a_lost_answer_to_the_code_ends_it(live_house: House, meta: Meta, fault: str) -> None:
    """A code works once: whether it was used cannot be asked, so the owner begins anew, and that works."""
    await meta.fault(fault, "/oauth/access_token")
    desk = await log_in(live_house)
    await live_house.work()
    assert (await connection_of(desk))["problem"] == "exchange_interrupted"
    assert await purposes(desk) == set()
    again = await live_house.connect(desk.owner, desk.label_id)
    assert again["status"] == "active"


@pytest.mark.parametrize("path", ["graph.instagram.com/access_token", "/me$", "/subscribed_apps"])
@pytest.mark.parametrize(("fault", "code"), [("error", 4), ("http", 500)])
async def test_trouble_that_passes(live_house: House, meta: Meta, fault: str, code: int, path: str) -> None:
    """A rate limit or an outage at any step after the code: it waits, and goes on where it stopped."""
    await meta.fault(fault, path, code=code, times=3)
    desk = await log_in(live_house)
    for _ in range(4):
        await live_house.work()
        if (await connection_of(desk))["status"] != "pending":
            break
        [operation] = await desk.stored("operations")
        assert (operation["state"], operation["problem"]["code"]) == ("queued", "provider_unavailable")
        pass_by(live_house, operation["due_at"] - live_house.clock())
    assert (await connection_of(desk))["status"] == "active"
    assert await purposes(desk) == {"access_token"}
    codes_used = [row for row in await meta.ledger("token_issued") if row["lifetime"] == "short"]
    assert len(codes_used) == 1


async def test_a_worker_takes_over_in_the_middle(live_house: House, meta: Meta) -> None:
    """One that died after the short token: the next goes on with that, as the code works only once."""
    await meta.fault("http", "graph.instagram.com/access_token", code=500, times=3)
    desk = await log_in(live_house)
    await live_house.work()
    assert await purposes(desk) == {"short_token"}
    [operation] = await desk.stored("operations")
    lease = timedelta(seconds=live_house.worker.settings.lease_s)
    pass_by(live_house, operation["due_at"] - live_house.clock())
    dead = await operations.claim(live_house.db, operation["_id"], lease=lease, now=live_house.clock())
    assert dead is not None
    await live_house.work()
    assert (await connection_of(desk))["status"] == "pending"
    pass_by(live_house, lease)
    await live_house.work()
    assert (await connection_of(desk))["status"] == "active"
    assert not await operations.fail(live_house.db, dead, code="late", detail="", now=live_house.clock())


async def test_webhooks_before_and_after_it_is_active(live_house: House, meta: Meta) -> None:
    """While it is pending nothing is stored; then fans are heard under either of the account's ids."""
    desk, house = await log_in(live_house), live_house
    assert (await house.deliver(delivery(message_change("early", ms=house.ms())))).status_code == 200
    await jobs.drain_waiting(house.worker)
    assert await desk.stored("messages") == []
    await house.work()
    for mid, account in (("real", ACCOUNT), ("scoped", SCOPED)):
        await desk.receive(message_change(mid, ms=house.ms(), account=account), account=account)
    assert {found["provider_id"] for found in await desk.messages()} == {"real", "scoped"}


ODD_PROFILES: dict[str, Doc] = {
    "a number": {"name": 123},
    "a large number": {"name": 2**70},
    "half a sign": {"name": "\ud800"},
    "three megabytes": {"name": "n" * 3_000_000},
    "an object": {"profile_picture_url": {"a": 1}},
    "a script": {"profile_picture_url": "javascript:alert(1)"},
}


@pytest.mark.parametrize("odd", ODD_PROFILES)
async def test_an_account_of_an_odd_shape(live_house: House, meta: Meta, odd: str) -> None:
    """What cannot be a name or a picture is left out or cut, and the account is connected and shown."""
    desk = await log_in(live_house)
    async with rewritten(live_house, "/me", lambda body: body | ODD_PROFILES[odd]):
        await live_house.work()
    [shown] = (await desk.get("/connections"))["data"]
    assert shown["status"] == "active" and len(str(shown["account"])) < 1000
    assert "javascript" not in str(shown) and "123" not in str(shown["account"]["name"])


@pytest.mark.parametrize("lasts", [10**30, [1], 0, None])
async def test_a_token_of_an_odd_life(live_house: House, meta: Meta, lasts: object) -> None:
    """No token can live like that: the log-in is refused, once, and nothing stays sealed."""
    desk = await log_in(live_house)
    async with rewritten(live_house, "/graph.instagram.com/access_token", lambda body: body | {"expires_in": lasts}):
        await live_house.work()
    found = await connection_of(desk)
    assert (found["status"], found["problem"]) == ("error", "exchange_refused")
    assert await purposes(desk) == set()
    [operation] = await desk.stored("operations", kind="exchange_code")
    assert (operation["state"], operation["attempts"]) == ("failed", 1)
