"""A Facebook log-in when things go wrong: renewals, dead workers and tokens, Meta's troubles, tokens of other apps."""

import dataclasses
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from app.db import Database, Doc
from app.services.audit import By
from app.services.connections import beginning
from app.services.connections.beginning import Beginner, Wish
from tests.flows.facebook_harness import (
    ALL,
    LOW_TIDE,
    MARKET,
    NIGHTJAR,
    NIGHTJAR_IG,
    ROBIN,
    Login,
    begin,
    decide,
    log_in,
    log_in_again,
)
from tests.flows.flows_harness import Meta, pass_by, rewritten
from tests.house import House
from workers import jobs


async def renew(login: Login, known: Doc, person: str = "robin", **form: Any) -> Login:
    """A log-in to renew a connection, as far as it comes."""
    [session] = (await login.owner.get("/v1/sessions")).json()["data"]
    user_id = (await login.owner.get("/v1/me")).json()["id"]
    who = Beginner(login.label_id, user_id, session["id"], By("person", user_id, None, None))
    house, wish = login.house, Wish("facebook", known["features"], None, renews=known["id"])
    begun, url = await beginning.begin(house.db, house.api.settings, house.api.audit, wish, who, now=house.clock())
    await decide(login.owner, url, person, **form)
    await house.work()
    return Login(house, login.owner, login.label_id, begun["_id"])


async def test_a_renewal_chooses_by_itself(live_house: House, meta: Meta) -> None:
    """The connection keeps its id and gets both tokens anew; nothing is left of the log-in that brought them."""
    login = await log_in(live_house)
    await login.connect(NIGHTJAR_IG, NIGHTJAR)
    known = (await login.connections())[NIGHTJAR]
    before = {one["_id"] for one in await login.stored("secrets")}
    again = await renew(login, known)
    shown = await again.shown()
    assert (shown["status"], shown["problem"], shown["replaced_by"]) == ("revoked", "replaced", known["id"])
    operation = await login.operation("exchange_code")
    assert (operation["state"], operation["result"]) == ("succeeded", {"connection_id": known["id"]})
    assert (await login.connections())[NIGHTJAR]["id"] == known["id"]
    of_known = {one["purpose"]: one["_id"] for one in await login.stored("secrets", connection_id=known["id"])}
    assert set(of_known) == {"user_token", "access_token"} and not before & set(of_known.values())
    assert await login.stored("secrets", connection_id=again.connection_id) == []
    [stored] = await login.stored("connections", _id=known["id"])
    assert (stored["token_version"], stored["active_features"]) == (2, ALL)
    assert [one["choices"] for one in await login.stored("connections", _id=again.connection_id)] == [[]]


@pytest.mark.parametrize("form", [{"page": LOW_TIDE, "page_boxes": "1"}, {"person": "sasha"}])
async def test_a_renewal_with_another_account(live_house: House, meta: Meta, form: dict[str, str]) -> None:
    """The Page is not among what was allowed, or it is another person's log-in: nothing is changed."""
    login = await log_in(live_house)
    await login.connect(NIGHTJAR)
    secrets = await login.stored("secrets")
    again = await renew(login, await login.shown(), **form)
    shown = await again.shown()
    assert (shown["status"], shown["problem"]) == ("error", "wrong_account")
    assert await login.stored("secrets") == secrets
    assert (await login.shown())["status"] == "active"


async def test_a_renewal_that_cannot_be_used(live_house: House, meta: Meta) -> None:
    """What was granted serves nothing any more: the connection stays as it was, and the log-in says why it ended."""
    login = await log_in(live_house, features=["messages"])
    await login.connect(NIGHTJAR)
    scopes = "pages_show_list,pages_read_engagement"
    again = await renew(login, await login.shown(), boxes="1", scope=scopes)
    assert ((await again.shown())["status"], (await again.shown())["problem"]) == ("error", "nothing_usable")
    assert (await login.shown())["active_features"] == ["messages"]
    assert await login.stored("secrets", connection_id=again.connection_id) == []


async def test_a_log_in_renews_what_waits_for_one(live_house: House, meta: Meta) -> None:
    """A Page whose token has died gets the new one when it is chosen again, and keeps its connection."""
    login = await log_in(live_house)
    await login.connect(NIGHTJAR)
    dead = {"$set": {"status": "needs_reauth", "problem": "token_dead"}}
    key = {"_id": login.connection_id, "label_id": login.label_id}
    await live_house.db.open("connections").update_one(key, dead)
    again = await log_in_again(live_house, login.owner, login.label_id)
    results = await again.connect(MARKET, NIGHTJAR)
    assert results[NIGHTJAR]["connection_id"] == login.connection_id
    assert results[MARKET]["connection_id"] == again.connection_id
    assert set(await login.connections()) == {NIGHTJAR, MARKET}
    live = {one["id"] for one in (await login.connections()).values()}
    assert await login.secrets() == {(one, name) for one in live for name in ("user_token", "access_token")}


class Killed(BaseException):
    """The worker is dead from here on."""


class Dying(Database):
    """The database of a worker that dies when it looks into it for the n-th time."""

    def __init__(self, real: Database, after: int) -> None:
        self.__dict__.update(real.__dict__)
        self.left = after

    def open(self, name: str) -> Any:
        """The collection, or death."""
        self.left -= 1
        if self.left < 0:
            raise Killed
        return super().open(name)


async def killed_after(house: House, operation_id: str, steps: int) -> bool:
    """Have a worker begin the operation that dies after so many looks into the database; whether it died."""
    dying = dataclasses.replace(house.worker, db=Dying(house.db, steps))
    with suppress(Killed):
        await jobs.run_operation({"parts": dying}, operation_id)
        return False
    return True


STRIDE = 3
"""Of the steps at which a worker may die, every so manieth is tried: all of them take a quarter of a minute."""


async def test_a_worker_dies_between_two_steps_of_a_choice(live_house: House, meta: Meta) -> None:
    """The next one goes on with the same operation: each account is connected once, with both secrets and no more."""
    owner, died, steps = await live_house.person(), True, 3
    while died:
        live_house.clock.offset = timedelta()
        login = await log_in_again(live_house, owner, await live_house.label(owner, f"label-{steps}"))
        assert (await login.choose(NIGHTJAR_IG, NIGHTJAR, MARKET)).status_code == 202
        died = await killed_after(live_house, (await login.operation("choose_accounts"))["_id"], steps)
        pass_by(live_house, timedelta(seconds=live_house.worker.settings.lease_s + 1))
        await live_house.work()
        await check_all_connected(login, steps)
        steps += STRIDE
    assert steps > 45


async def test_a_worker_dies_between_two_steps_of_a_log_in(live_house: House, meta: Meta) -> None:
    """The next one goes on where it stopped; only when the code was used and its token lost, the owner begins anew."""
    owner, died, steps, lost = await live_house.person(), True, 3, 0
    while died:
        live_house.clock.offset = timedelta()
        label_id = await live_house.label(owner, f"label-{steps}")
        begun = await begin(live_house, owner, label_id)
        await decide(owner, begun["authorize_url"])
        login = Login(live_house, owner, label_id, begun["id"])
        died = await killed_after(live_house, (await login.operation("exchange_code"))["_id"], steps)
        pass_by(live_house, timedelta(seconds=live_house.worker.settings.lease_s + 1))
        await live_house.work()
        shown = await login.shown()
        if shown["status"] == "error":
            assert (shown["problem"], await login.secrets()) == ("exchange_refused", set())
            lost += 1
        else:
            assert shown["step"] == "choose_accounts", steps
            assert await login.secrets() == {(login.connection_id, "user_token")}
        steps += 1
    assert lost <= 3 and steps > 20


async def check_all_connected(login: Login, steps: int) -> None:
    """Three active connections and nothing else."""
    results = await login.results((await login.operation("choose_accounts"))["_id"])
    assert [(row["problem"], row["verified"]) for row in results.values()] == [(None, ALL)] * 3, (steps, results)
    stored = await login.stored("connections", label_id=login.label_id)
    found = {one["active_account_id"]: one["_id"] for one in stored if one["status"] == "active"}
    assert len(stored) == 3, (steps, stored)
    assert found == {one: row["connection_id"] for one, row in results.items()}, steps
    purposes = ("user_token", "access_token")
    assert await login.secrets() == {(one, name) for one in found.values() for name in purposes}, steps


async def pass_troubles(login: Login, kind: str) -> None:
    """Let time pass until the operation has ended."""
    for _ in range(5):
        await login.house.work()
        operation = await login.operation(kind)
        if operation["state"] != "queued":
            return
        assert operation["problem"]["code"] == "provider_unavailable"
        pass_by(login.house, operation["due_at"] - login.house.clock())


@pytest.mark.parametrize(("fault", "code"), [("error", 4), ("http", 500)])
@pytest.mark.parametrize("path", ["/debug_token", "/permissions", "/me/accounts", "/me$"])
async def test_trouble_that_passes(live_house: House, meta: Meta, fault: str, code: int, path: str) -> None:
    """A rate limit or an outage at any step after the code: it waits, and goes on where it stopped."""
    await meta.fault(fault, path, code=code, times=3)
    owner = await live_house.person()
    begun = await begin(live_house, owner, label_id := await live_house.label(owner))
    await decide(owner, begun["authorize_url"])
    login = Login(live_house, owner, label_id, begun["id"])
    await pass_troubles(login, "exchange_code")
    assert (await login.shown())["step"] == "choose_accounts"


@pytest.mark.parametrize(("fault", "code"), [("error", 4), ("http", 500)])
@pytest.mark.parametrize("path", [f"/{NIGHTJAR}$", "/insights", f"/{NIGHTJAR}/subscribed_apps"])
async def test_trouble_while_choosing(live_house: House, meta: Meta, fault: str, code: int, path: str) -> None:
    """The same at any step of connecting what was chosen."""
    login = await log_in(live_house)
    await meta.fault(fault, path, code=code, times=3)
    assert (await login.choose(NIGHTJAR, MARKET)).status_code == 202
    await pass_troubles(login, "choose_accounts")
    assert set(await login.connections()) == {NIGHTJAR, MARKET}


async def test_meta_answers_in_different_shapes(live_house: House, meta: Meta) -> None:
    """No lifetime of the long token, a long one at once, and a proof wanted with every call."""
    options = {"facebook_expires_in": "missing", "facebook_code_token": "long", "require_proof": True}
    await meta.control("PUT", "/options", **options)
    login = await log_in(live_house)
    assert (await login.connect(NIGHTJAR, NIGHTJAR_IG))[NIGHTJAR_IG]["verified"] == ALL


@pytest.mark.parametrize("path", [f"/{NIGHTJAR}$", "/conversations"])
async def test_the_grant_ends_before_the_choice(live_house: House, meta: Meta, path: str) -> None:
    """The person has removed our app meanwhile: the log-in ends, no secret stays, and nothing is tried again."""
    login = await log_in(live_house)
    await meta.fault("error", path, code=190, subcode=458)
    assert (await login.choose(NIGHTJAR)).status_code == 202
    await live_house.work()
    shown = await login.shown()
    assert (shown["status"], shown["problem"]) == ("error", "log_in_ended")
    assert (await login.operation("choose_accounts"))["problem"]["code"] == "log_in_ended"
    assert await login.secrets() == set()


async def test_a_role_that_is_lost(live_house: House, meta: Meta) -> None:
    """A Page's token dies as the person has no role there any more: the other Page is connected all the same."""
    login = await log_in(live_house)
    await meta.fault("error", f"/{NIGHTJAR}/conversations", code=190, subcode=492)
    results = await login.connect(NIGHTJAR, MARKET)
    assert results[NIGHTJAR]["problem"] == "page_role_lost"
    assert results[MARKET]["connection_id"] == login.connection_id


async def test_webhooks_that_cannot_be_switched_on(live_house: House, meta: Meta) -> None:
    """Meta refuses the subscription of one Page: that one is not connected, and keeps no token."""
    login = await log_in(live_house)
    await meta.control(
        "POST", "/faults", match={"path": f"{MARKET}/subscribed_apps", "method": "POST"}, fault="error", code=200
    )
    results = await login.connect(NIGHTJAR, MARKET)
    assert results[MARKET]["problem"] == "webhooks_refused"
    assert set(await login.connections()) == {NIGHTJAR}
    assert {connection for connection, _ in await login.secrets()} == {login.connection_id}


@pytest.mark.parametrize(
    "lie", [{"app_id": "1000000000000001"}, {"is_valid": False}, {"user_id": "700000000000102"}, {"app_id": None}]
)
async def test_a_token_of_another_app(live_house: House, meta: Meta, lie: Doc) -> None:
    """A token that was not made for our app, does not live, or is another person's: nothing of it is kept."""
    async with rewritten(live_house, "/debug_token", lambda body: {"data": body["data"] | lie}):
        login = await log_in(live_house)
    shown = await login.shown()
    assert (shown["status"], shown["problem"]) == ("error", "token_not_ours")
    assert (await login.operation("exchange_code"))["problem"]["code"] == "token_not_ours"
    assert (await login.secrets(), await login.choices()) == (set(), {})
    assert ROBIN not in str(await login.stored("connections"))


@pytest.mark.parametrize(("path", "code"), [("/oauth/access_token", 100), ("/permissions", 190), ("/me/accounts", 10)])
async def test_a_refused_log_in_ends_it(live_house: House, meta: Meta, path: str, code: int) -> None:
    """Facebook refuses a step: the connection says so, and no secret of the log-in is kept."""
    await meta.fault("error", path, code=code)
    login = await log_in(live_house)
    shown = await login.shown()
    assert (shown["status"], shown["problem"]) == ("error", "exchange_refused")
    assert await login.secrets() == set()


async def test_a_lost_answer_to_the_code_ends_it(live_house: House, meta: Meta) -> None:
    """A code works once: whether it was used cannot be asked, so the owner begins anew."""
    await meta.fault("lost", "/oauth/access_token")
    login = await log_in(live_house)
    assert (await login.shown())["problem"] == "exchange_interrupted"
    assert await login.secrets() == set()


ODD_PAGES: list[Doc] = [
    {"name": None},
    {"name": 7, "tasks": "MESSAGING"},
    {"picture": {"data": {"url": 7}}},
    {"picture": []},
    {"instagram_business_account": {"id": "1", "name": {"a": 1}, "profile_picture_url": "javascript:alert(1)"}},
]


@pytest.mark.parametrize("odd", ODD_PAGES)
async def test_pages_of_an_odd_shape(live_house: House, meta: Meta, odd: Doc) -> None:
    """What Facebook says of a Page otherwise than documented is left out, and the choice is shown."""

    def changed(body: Doc) -> Doc:
        return body | {"data": [row | odd for row in body["data"]]}

    async with rewritten(live_house, "/me/accounts", changed):
        login = await log_in(live_house)
    shown = await login.choices()
    assert NIGHTJAR in shown and "javascript" not in str(shown)
