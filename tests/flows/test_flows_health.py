"""The sandbox broken in many ways: each is a diagnosis of its own, ends when the trouble ends, and none is false."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from app.db import Doc
from app.services.connections.tending import tend
from tests.flows.flows_harness import Desk, Meta, pass_by, rewritten
from tests.house import PASSWORD, House
from workers import jobs

ACCOUNT = "nightjar.records"
ALWAYS = {"standard_access"}
"""Of an app that nobody has given advanced access."""


async def check(desk: Desk) -> Doc:
    """Have the connection checked, as somebody may, and what it was told confirmed; the operation."""
    path = f"/v1/labels/{desk.label_id}/connections/{desk.connection_id}/check"
    asked = await desk.owner.post(path)
    assert asked.status_code == 202, asked.text
    found = await run(desk, asked.json()["id"])
    if found["state"] == "queued" and found["problem"]["code"] == "token_denied":
        pass_by(desk.house, timedelta(seconds=11))
        found = await run(desk, found["id"])
    return found


async def run(desk: Desk, operation_id: str) -> Doc:
    await jobs.run_operation({"parts": desk.house.worker}, operation_id)
    found: Doc = (await desk.owner.get(f"/v1/operations/{operation_id}")).json()
    return found


async def look(house: House) -> None:
    """A worker's look at what is due."""
    await tend(house.db, house.worker.audit, clock=house.worker.clock)


async def later(desk: Desk, time: timedelta) -> None:
    """Let so much time pass, after which the owner must log in again."""
    pass_by(desk.house, time)
    login = await desk.house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    desk.owner.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"


async def health(desk: Desk) -> Doc:
    found: Doc = await desk.get(f"/connections/{desk.connection_id}/health")
    return found


async def codes(desk: Desk) -> set[str]:
    """The diagnoses that stand."""
    return {one["code"] for one in (await health(desk))["diagnoses"]} - ALWAYS


async def status(desk: Desk) -> tuple[str, str | None]:
    found = await desk.get(f"/connections/{desk.connection_id}")
    return found["status"], found["problem"]


async def fields_at_meta(meta: Meta) -> set[str]:
    accounts = (await meta.control("GET", "/state"))["accounts"]
    return set(next(one for one in accounts if one["username"] == ACCOUNT)["subscribed_fields"])


async def drop_fields(desk: Desk, meta: Meta) -> None:
    """Somebody else takes our app's webhooks away at Meta."""
    token = (await meta.control("GET", "/tokens"))["tokens"][-1]["value"]
    gone = await meta.http.delete("/graph.instagram.com/v26.0/me/subscribed_apps", params={"access_token": token})
    assert gone.status_code == 200


async def test_a_healthy_connection(live_desk: Desk, meta: Meta) -> None:
    """Unknown before the first check; then all is told, and no diagnosis stands."""
    assert (await health(live_desk))["status"] == "unknown"
    assert (await check(live_desk))["state"] == "succeeded"
    found = await health(live_desk)
    assert (found["status"], found["access_level"], await codes(live_desk)) == ("ok", "standard", set())
    assert set(found["webhooks"]["subscribed_fields"]) == await fields_at_meta(meta)
    assert found["webhooks"]["drift"] == [] and found["scopes"]["missing"] == []
    assert found["token"]["age_s"] >= 0 and found["token"]["refresh_due_at"] and found["token"]["version"] >= 0
    stored = str(await live_desk.stored("connections"))
    assert not any(token in stored for token in (await meta.control("GET", "/tokens"))["ever_issued"])


async def fault(meta: Meta, path: str, code: int, subcode: int | None = None, times: int | None = None) -> None:
    await meta.fault("error", path, code=code, subcode=subcode, times=times)


def refusal(code: int, subcode: int | None = None, path: str = "/me$") -> Callable[[Desk, Meta], Awaitable[None]]:
    """Break the sandbox so that calls of this path are refused."""

    async def broken(desk: Desk, meta: Meta) -> None:
        await fault(meta, path, code, subcode)

    return broken


async def outage(desk: Desk, meta: Meta) -> None:
    await meta.fault("http", "graph.instagram.com", code=500, times=None)


BROKEN: dict[str, Callable[[Desk, Meta], Awaitable[None]]] = {
    "token_expired": refusal(190, 463),
    "password_changed": refusal(190, 460),
    "access_removed": refusal(190, 458),
    "account_checkpoint": refusal(190, 459),
    "page_role_lost": refusal(190, 492),
    "token_invalid": refusal(190),
    "account_unreachable": refusal(100, 33),
    "permission_withdrawn": refusal(10, path="/me/conversations"),
    "rate_limited": refusal(4),
    "provider_unreachable": outage,
    "webhooks_drifted": drop_fields,
}


@pytest.mark.parametrize("code", BROKEN)
async def test_each_trouble_has_its_own_diagnosis_and_heals(live_desk: Desk, meta: Meta, code: str) -> None:
    """Exactly one diagnosis, with what to do; when the trouble is over, the next check finds all well."""
    await BROKEN[code](live_desk, meta)
    await check(live_desk)
    assert await codes(live_desk) == {code}
    [told] = [one for one in (await health(live_desk))["diagnoses"] if one["code"] == code]
    assert told["detail"].endswith(".") and told["what_to_do"].endswith(".")
    suspended = code in {*list(BROKEN)[:6]}
    assert (await status(live_desk)) == (("needs_reauth", code) if suspended else ("active", None))
    await meta.control("DELETE", "/faults")
    pass_by(live_desk.house, timedelta(minutes=10))
    await check(live_desk)
    assert (await codes(live_desk), (await status(live_desk))) == (set(), ("active", None))
    assert (await health(live_desk))["status"] == "ok"
    assert {secret["purpose"] for secret in await live_desk.stored("secrets")} == {"access_token"}


@pytest.mark.parametrize(("subcode", "problem"), [(458, "access_removed"), (460, "password_changed")])
async def test_tokens_that_are_really_dead(live_desk: Desk, meta: Meta, subcode: int, problem: str) -> None:
    """What its owner does at Meta is told as what it was, and a new log-in heals it."""
    await meta.control("POST", "/tokens/revoke", account=ACCOUNT, subcode=subcode)
    await check(live_desk)
    assert (await codes(live_desk), (await status(live_desk))[1]) == ({problem}, problem)
    again = await live_desk.house.connect(live_desk.owner, live_desk.label_id)
    assert again["replaced_by"] is None or again["replaced_by"] == live_desk.connection_id
    assert (await status(live_desk)) == ("active", None)


async def test_usage_that_is_nearly_up(live_desk: Desk, meta: Meta) -> None:
    """At 80 percent it is told; at 96 no more calls are made for a while, and that is a diagnosis."""
    await meta.control("PUT", "/usage", app={"call_count": 80, "total_time": 3})
    await check(live_desk)
    assert ((await health(live_desk))["usage"]["percent"], await codes(live_desk)) == (80, set())
    await meta.control("PUT", "/usage", app={"call_count": 96})
    await check(live_desk)
    found = await health(live_desk)
    assert (found["usage"]["percent"], await codes(live_desk)) == (96, {"rate_limited"})
    assert found["usage"]["paused_until"] is not None


async def test_drift_is_repaired_without_anybody_asking(live_desk: Desk, meta: Meta) -> None:
    """The check that comes by itself subscribes again, and says when it did."""
    before = await fields_at_meta(meta)
    await drop_fields(live_desk, meta)
    assert await fields_at_meta(meta) == set()
    house = live_desk.house
    await later(live_desk, timedelta(hours=7))
    await look(house)
    await look(house)
    assert len(await live_desk.stored("operations", kind="check_connection")) == 1
    await house.work()
    assert await fields_at_meta(meta) == before
    found = await health(live_desk)
    assert set(found["webhooks"]["drift"]) == before and found["webhooks"]["repaired_at"]
    assert (found["status"], await codes(live_desk)) == ("ok", {"webhooks_drifted"})
    await later(live_desk, timedelta(hours=7))
    await look(house)
    assert len(await live_desk.stored("operations", kind="check_connection")) == 2


@pytest.mark.parametrize(
    ("code", "subcode"),
    [(368, None), (10, None), (100, None), (9, 2207042), (4, 2207051), (200, None), (100, 33), (190, 463)],
)
@pytest.mark.parametrize("path", ["/me/messages", "/me/subscribed_apps", "/insights", "/media_publish"])
async def test_no_false_alarm(live_desk: Desk, meta: Meta, code: int, subcode: int | None, path: str) -> None:
    """What other calls are refused with says nothing of the connection: not even a 190, which `GET /me` contradicts."""
    await fault(meta, path, code, subcode)
    if path == "/me/messages":
        await answer_a_fan(live_desk)
        await look(live_desk.house)
        await live_desk.house.work()
    await check(live_desk)
    assert (await codes(live_desk), await status(live_desk)) == (set(), ("active", None))


async def answer_a_fan(desk: Desk) -> Any:
    """Queue an answer, and have it tried."""
    fan = await desk.house.fan_writes("mara", "Hello")
    conversation = await desk.conversation(fan["igsid"])
    path = f"/v1/labels/{desk.label_id}/conversations/{conversation['id']}/messages"
    sent = await desk.owner.post(path, json={"text": "Hi"})
    assert sent.status_code == 202, sent.text
    await desk.house.work()
    return sent.json()


async def test_an_outage_is_told_from_its_beginning(live_desk: Desk, meta: Meta) -> None:
    """Nothing else changes, and the time of the first failure stays."""
    await check(live_desk)
    before = await health(live_desk)
    await outage(live_desk, meta)
    await check(live_desk)
    [told] = [one for one in (await health(live_desk))["diagnoses"] if one["code"] == "provider_unreachable"]
    await later(live_desk, timedelta(hours=1))
    await check(live_desk)
    after = await health(live_desk)
    [again] = [one for one in after["diagnoses"] if one["code"] == "provider_unreachable"]
    assert (again["since"], after["checked_at"]) == (told["since"], before["checked_at"])
    assert after["webhooks"] == before["webhooks"] and (await status(live_desk)) == ("active", None)


async def test_what_is_not_connected_cannot_be_checked(house: House) -> None:
    """There is nothing to ask a provider with."""
    owner = await house.person()
    label_id = await house.label(owner)
    ended = await house.connection(label_id, status="revoked")
    path = f"/v1/labels/{label_id}/connections/{ended['_id']}/check"
    assert (await owner.post(path)).json()["code"] == "connection_not_active"


@pytest.mark.parametrize("path", ["/me", "/subscribed_apps"])
async def test_an_answer_that_makes_no_sense(live_desk: Desk, meta: Meta, path: str) -> None:
    """The check ends, and the connection stays as it is."""
    async with rewritten(live_desk.house, path, lambda body: {"data": "x"}):
        found = await check(live_desk)
    assert (found["state"], found["problem"]["code"]) == ("failed", "refused_by_provider")
    assert await status(live_desk) == ("active", None)


async def test_one_lie_ends_nothing(live_desk: Desk, meta: Meta) -> None:
    """A check and a reply are told once that the token is dead: asked again, it is good, and nobody gets a mail."""
    await fault(meta, "/me$", 190, 467, times=1)
    assert (await check(live_desk))["state"] == "succeeded"
    await fault(meta, "/me/messages", 190, 463, times=1)
    await answer_a_fan(live_desk)
    assert await status(live_desk) == ("active", None) and await meta.texts_sent() == []
    pass_by(live_desk.house, timedelta(seconds=11))
    await live_desk.house.work()
    assert await status(live_desk) == ("active", None) and await meta.texts_sent() == ["Hi"]
    mails = await live_desk.house.mails("owner@example.com")
    assert not [mail for mail in mails if "connected anew" in mail["subject"]]
