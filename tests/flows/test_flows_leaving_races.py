"""What is under way when a connection ends, or a log-in: it undoes nothing, and nothing of it stays."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from app.db import Doc
from app.services.connections import tending
from app.services.vault.ring import Bound, RingUnavailable
from tests.flows import facebook_harness as fb
from tests.flows.flows_harness import Desk, Meta, pass_by, places_of
from tests.flows.leaving_harness import SETTLED, leave, log_in_again, results, to_the_end
from tests.flows.test_flows_leaving import subscribed
from tests.flows.test_flows_leaving_pages import page_desk, revocations
from tests.house import APP_SECRET, META_APP_SECRET, House, signed_request
from workers import jobs

SLOW_S = 0.8
WISH = {"provider": "instagram", "features": ["messages", "comments"]}


@asynccontextmanager
async def in_flight(house: House, meta: Meta, path: str, method: str) -> AsyncIterator[None]:
    """A worker works until it waits for this call of its, which Meta answers slowly; afterwards it has gone on."""
    match = {"path": path, "method": method}
    await meta.control("POST", "/faults", match=match, fault="slow", seconds=SLOW_S, times=1)
    working = asyncio.create_task(house.work())
    async with asyncio.timeout(10):
        while (await meta.control("GET", "/faults"))["faults"]:
            await asyncio.sleep(0.02)
    yield
    await working


async def begin(house: House) -> tuple[Desk, str]:
    """A log-in that its owner has allowed; and the way back, which they have not gone yet."""
    owner = await house.person()
    label_id = await house.label(owner)
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=WISH)).raise_for_status().json()
    return Desk(house, owner, label_id, begun["id"]), await allowed(begun["authorize_url"])


async def allowed(authorize_url: str) -> str:
    """Where the browser goes when the account's owner has allowed it."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        back = await browser.post(authorize_url, data={"account": "nightjar.records", "allow": "1"})
    return httpx.URL(back.headers["location"]).raw_path.decode()


def of_connection(desk: Desk) -> str:
    return f"/v1/labels/{desk.label_id}/connections/{desk.connection_id}"


async def stump(desk: Desk) -> Doc:
    """The connection as it is stored."""
    return next(one for one in await desk.stored("connections") if one["_id"] == desk.connection_id)


async def test_a_check_does_not_go_on(live_desk: Desk, meta: Meta) -> None:
    """It had opened its token before the end: it makes no call after it, and switches nothing on again."""
    (await live_desk.owner.post(of_connection(live_desk) + "/check")).raise_for_status()
    made: list[str] = []

    async def note(request: httpx.Request) -> None:
        made.append(request.url.path)

    async with in_flight(live_desk.house, meta, "/me$", "GET"):
        await leave(live_desk)
        live_desk.house.worker.graph.http.event_hooks["request"] = [note]
    live_desk.house.worker.graph.http.event_hooks["request"] = []
    assert made == []
    assert results(await to_the_end(live_desk))["unsubscribe"] == "done" and not await subscribed(meta)


async def test_a_log_in_that_ends_while_webhooks_are_switched_on(live_house: House, meta: Meta) -> None:
    """They are off in the end, the log-in says what became of it, and nobody is told that it is active."""
    desk, back = await begin(live_house)
    await desk.owner.get(back)
    async with in_flight(live_house, meta, "subscribed_apps", "POST"):
        await leave(desk)
    [operation] = await desk.stored("operations", kind="exchange_code")
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "disconnected")
    await to_the_end(desk)
    assert not await subscribed(meta) and await desk.stored("secrets") == []
    assert not [one for one in await desk.stored("events") if one["key"].endswith(":active")]


async def test_a_renewal_that_ends_while_webhooks_are_switched_on(live_desk: Desk, meta: Meta) -> None:
    """The connection to be renewed is left: the log-in for it leads to nothing."""
    begun = (await live_desk.owner.post(of_connection(live_desk) + "/reconnect")).raise_for_status().json()
    await live_desk.owner.get(await allowed(begun["authorize_url"]))
    async with in_flight(live_desk.house, meta, "subscribed_apps", "POST"):
        await leave(live_desk)
    shown = await live_desk.get(f"/connections/{begun['id']}")
    assert (shown["status"], shown["problem"], shown["replaced_by"]) == ("error", "connection_gone", None)
    await to_the_end(live_desk)
    assert not await subscribed(meta) and await live_desk.stored("secrets") == []


async def test_a_worker_that_was_overtaken_takes_nothing(live_house: House, meta: Meta) -> None:
    """It was suspended in its call for longer than its lease; the code is used up, and the other has connected."""
    desk, back = await begin(live_house)
    await desk.owner.get(back)
    async with in_flight(live_house, meta, "/oauth/access_token", "POST"):
        pass_by(live_house, timedelta(seconds=46))
        other = dataclasses.replace(live_house.worker, running=set(), worker_id="wrk_2")
        await asyncio.gather(*await jobs.start_due(other))
        assert (await desk.get(f"/connections/{desk.connection_id}"))["status"] == "active"
    assert (await desk.get(f"/connections/{desk.connection_id}"))["status"] == "active"
    assert [secret["purpose"] for secret in await desk.stored("secrets")] == ["access_token"]
    assert not [one for one in await desk.stored("events") if one["key"].endswith(":error")]


async def test_a_feature_that_is_switched_while_a_check_looks(live_desk: Desk, meta: Meta) -> None:
    """What the check puts right is what is wanted when it does so."""
    (await live_desk.owner.post(of_connection(live_desk) + "/check")).raise_for_status()
    async with in_flight(live_desk.house, meta, "/me$", "GET"):
        (await live_desk.owner.patch(of_connection(live_desk), json={"features": ["comments"]})).raise_for_status()
        await live_desk.house.work()
    assert "messages" not in (await meta.ledger("subscription_changed"))[-1]["fields"]


async def test_a_feature_that_is_switched_while_somebody_logs_in_again(live_desk: Desk, meta: Meta) -> None:
    """A renewal without a wish of its own leaves on what is on when it is completed."""
    begun = (await live_desk.owner.post(of_connection(live_desk) + "/reconnect")).raise_for_status().json()
    (await live_desk.owner.patch(of_connection(live_desk), json={"features": ["comments"]})).raise_for_status()
    await live_desk.house.work()
    await live_desk.owner.get(await allowed(begun["authorize_url"]))
    await live_desk.house.work()
    shown = await live_desk.get(f"/connections/{live_desk.connection_id}")
    assert (shown["status"], shown["features"], shown["active_features"]) == ("active", ["comments"], ["comments"])


async def test_a_late_word_that_somebody_has_left(live_desk: Desk, meta: Meta) -> None:
    """Meta tells it two hours late; they have come back since, and stay."""
    house, [connection] = live_desk.house, await live_desk.stored("connections")
    await house.fan_writes("mara", "When is the vinyl back?")
    text = signed_request(APP_SECRET, connection["person_ids"][0], at=house.clock() - timedelta(hours=2))
    told = await house.http.post("/v1/webhooks/meta/deauthorize", data={"signed_request": text})
    await house.work()
    assert told.status_code == 200 and len(await live_desk.conversations()) == 1
    assert (await stump(live_desk))["status"] == "active"


async def test_a_late_wish_for_deletion(live_desk: Desk, meta: Meta) -> None:
    """It is about what has come since, too; but that grant lives, and is taken back."""
    house, [connection] = live_desk.house, await live_desk.stored("connections")
    text = signed_request(APP_SECRET, connection["person_ids"][0], at=house.clock() - timedelta(hours=2))
    (await house.http.post("/v1/webhooks/meta/data-deletion", data={"signed_request": text})).raise_for_status()
    assert results(await to_the_end(live_desk))["unsubscribe"] == "done" and not await subscribed(meta)


async def test_what_could_be_chosen_is_gone_too(live_house: House, meta: Meta) -> None:
    """Names of Pages that were never connected; and the page for people says that all is done."""
    login = await fb.log_in(live_house)
    assert await places_of(live_house, b"Night Market")
    text = signed_request(META_APP_SECRET, fb.ROBIN, at=live_house.clock())
    told = await live_house.http.post("/v1/webhooks/meta/data-deletion", data={"signed_request": text})
    await to_the_end(login)
    page = f"/data-deletion/{told.json()['confirmation_code']}"
    assert (await live_house.http.get(page, headers={"Accept": "application/json"})).json()["state"] == "done"
    assert not await places_of(live_house, b"Night Market")


async def test_no_id_of_an_account_stays(live_house: House, meta: Meta) -> None:
    """Neither of the one that was connected, nor of those that were chosen with it."""
    login = await fb.log_in(live_house)
    await login.connect(fb.NIGHTJAR, fb.NIGHTJAR_IG)
    await leave(login)
    await to_the_end(login)
    left = repr(await stump(login))
    assert not [one for one in (fb.NIGHTJAR, fb.NIGHTJAR_IG, fb.ROBIN) if one in left]


class RingAway:
    """A key ring that cannot be reached."""

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        raise RingUnavailable("away")

    def key_ids(self) -> list[str]:
        return []

    async def close(self) -> None:
        pass


async def test_a_key_ring_that_is_away_for_good(live_desk: Desk) -> None:
    """After 72 hours the token is destroyed all the same."""
    house = live_desk.house
    house.worker.rings = (house.worker.rings[0], RingAway())
    await leave(live_desk)
    for _ in range(3):
        await house.work()
        pass_by(house, timedelta(hours=37))
    assert await live_desk.stored("secrets") == []


async def test_log_ins_elsewhere_are_not_waited_for(live_house: House, meta: Meta) -> None:
    """Instagram is down and somebody goes on trying to connect an account there: a Page's end does not wait for it."""
    desk = await page_desk(live_house)
    await meta.fault("http", "api.instagram.com", code=503, times=1000)
    begun = (await desk.owner.post(f"/v1/labels/{desk.label_id}/connections", json=WISH)).raise_for_status().json()
    await desk.owner.get(await allowed(begun["authorize_url"]))
    await leave(desk)
    assert results(await to_the_end(desk))["revoke"] == "done" and len(await revocations(meta)) == 1


async def test_a_log_in_that_leads_to_nothing_keeps_no_grant(live_house: House, meta: Meta) -> None:
    """The same person had begun to connect for another label: when that is abandoned, the grant is taken back."""
    desk = await page_desk(live_house)
    second = await live_house.person("second@example.com")
    await fb.log_in_again(live_house, second, await live_house.label(second, "second"), "robin")
    await leave(desk)
    await live_house.work()
    pass_by(live_house, SETTLED)
    await live_house.work()
    assert await revocations(meta) == [] and await desk.stored("secrets", connection_id=desk.connection_id)
    pass_by(live_house, timedelta(hours=25))
    await tending.tend(live_house.db, live_house.worker.audit, clock=live_house.clock)
    await live_house.work()
    assert len(await revocations(meta)) == 1


async def test_who_logged_in_before_is_revoked_too(live_house: House, meta: Meta) -> None:
    """Robin connected the Page, Sasha renewed it: its end takes back what both have granted."""
    login = await fb.log_in(live_house, "robin")
    await login.connect(fb.LOW_TIDE)
    begun = (await login.owner.post(of_connection(login) + "/reconnect")).raise_for_status().json()
    await fb.decide(login.owner, begun["authorize_url"], "sasha")
    await live_house.work()
    assert (await stump(login))["former_person_ids"] == [fb.ROBIN]
    await leave(login)
    assert results(await to_the_end(login))["revoke"] == "done"
    assert {row["account_id"] for row in await revocations(meta)} == {fb.ROBIN, fb.SASHA}


async def test_a_label_that_is_going_to_be_deleted_connects_nothing(live_house: House, meta: Meta) -> None:
    """Also by a log-in that was begun before."""
    desk, back = await begin(live_house)
    (await desk.owner.delete(f"/v1/labels/{desk.label_id}")).raise_for_status()
    assert (await desk.owner.get(back)).status_code == 400
    await live_house.work()
    assert await meta.ledger("token_issued") == []


async def test_a_receipt_after_a_year(live_desk: Desk) -> None:
    """It is not shown any more, whether or not the sweep has been there."""
    await leave(live_desk)
    await to_the_end(live_desk)
    pass_by(live_desk.house, timedelta(days=366))
    await log_in_again(live_desk)
    assert await live_desk.status(f"/connections/{live_desk.connection_id}/receipt") == 404
