"""Refreshing at the sandbox: once for whoever asks, believed only when confirmed, and never in a loop."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from app.clients.credentials import Opened
from app.db import Doc
from app.services.connections import refreshing
from app.services.connections.refreshing import ask, usable_token
from app.services.operations import GiveUp, TryAgain
from app.services.vault.opening import NotAllowed
from app.services.vault.ring import Bound, PublicRing, RingUnavailable
from tests.flows.flows_harness import Meta, rewritten
from tests.flows.keeping_harness import DAY, OWNER, PAGE, Kept, facebook, kept
from tests.house import House

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
async def account(live_house: House, meta: Meta) -> Kept:
    """A Spotify account whose tokens rotate; its access token ends within the minute."""
    await meta.control("PUT", "/spotify", rotate=True)
    found = await kept(live_house, meta, "spotify", "nightjar")
    await found.set(token_expires_at=live_house.clock() + 50 * SECOND)
    return found


async def use(account: Kept) -> Opened | str:
    """The token that a service would get now, or why it gets none."""
    try:
        connection = await account.now()
        return await usable_token(account.house.worker.hands, connection, used_for="catalogue", job="op_test")
    except (TryAgain, GiveUp, NotAllowed) as exc:
        return str(exc)


async def live_pair(meta: Meta) -> set[str]:
    """The newest access token and the newest refresh token that Spotify has given."""
    tokens = (await meta.control("GET", "/tokens"))["spotify"]
    newest: dict[str, Doc] = {}
    for token in tokens:
        if "number" in token and token["number"] >= newest.get(token["kind"], token)["number"]:
            newest[token["kind"]] = token
    return {token["value"] for token in newest.values()}


async def sealed_pair(account: Kept) -> set[str]:
    """What the vault holds."""
    hands, connection = account.house.worker.hands, await account.now()
    opened = [
        await hands.open(connection, purpose, used_for="refresh", job="op_test")
        for purpose in ("access_token", "refresh_token")
    ]
    return {one.reveal("refresh") for one in opened}


async def test_a_token_that_lives_is_given(account: Kept) -> None:
    """Nothing is asked of the provider for it."""
    await account.set(token_expires_at=account.house.clock() + 90 * SECOND)
    assert isinstance(await use(account), Opened)
    assert await account.refreshes() == []


async def test_many_want_a_token_that_ends(account: Kept, meta: Meta) -> None:
    """One refresh for all of them; until it is done nobody gets a token, then everybody gets the new one."""
    assert set(await asyncio.gather(*(use(account) for _ in range(20)))) == {"token_refreshing"}
    await account.round()
    assert len(await account.refreshes()) == len(await meta.ledger("spotify_token_refreshed")) == 1
    found = await asyncio.gather(*(use(account) for _ in range(20)))
    assert all(isinstance(one, Opened) for one in found)
    assert await sealed_pair(account) == await live_pair(meta)


async def test_two_at_once_despite_the_single_flight(account: Kept, meta: Meta) -> None:
    """A lease ran out: of two answers the first is written, the other's owner is content, and nothing is lost."""
    operation = await ask(account.house.db, await account.now(), now=account.house.clock())
    hands = account.house.worker.hands
    results = await asyncio.gather(*(refreshing.refresh(hands, operation) for _ in range(4)), return_exceptions=True)
    assert any(result == {"connection_id": account.connection_id} for result in results)
    assert all(isinstance(result, dict | TryAgain) for result in results), results
    found = await account.now()
    assert (found["status"], found.get("denied"), found["token_version"]) == ("active", None, 2)
    assert len(await meta.ledger("spotify_token_refreshed")) == 1
    assert await sealed_pair(account) == await live_pair(meta)


async def test_without_a_new_refresh_token_the_old_one_stays(account: Kept, meta: Meta) -> None:
    """An answer that has none says that it stays good."""
    await meta.control("PUT", "/spotify", rotate=False)
    before = await sealed_pair(account)
    await use(account)
    await account.round()
    after = await sealed_pair(account)
    assert len(before & after) == 1 and after == await live_pair(meta)


@pytest.mark.parametrize("fault", ["lost", "500-executed", "html"])
async def test_a_lost_answer_within_the_grace(account: Kept, meta: Meta, fault: str) -> None:
    """Tried again a moment later with what we have, which gives the same pair once more."""
    await meta.control("PUT", "/spotify", rotate=True, rotation_grace_s=60)
    await meta.fault(fault, "/api/token")
    await use(account)
    await account.round()
    assert (await account.now())["token_version"] == 1
    await account.pass_by(3 * SECOND)
    assert (await account.now())["token_version"] == 2
    assert len(await meta.ledger("spotify_token_refreshed")) == 1
    assert await sealed_pair(account) == await live_pair(meta)


async def test_an_outage_never_ends_a_grant(account: Kept, meta: Meta) -> None:
    """Half a day without an answer: it is tried at growing intervals, and works when Spotify is back."""
    await meta.fault("http", "/api/token", code=503, times=None)
    await use(account)
    for _ in range(72):
        await account.pass_by(10 * MINUTE)
    [operation] = await account.refreshes()
    assert (operation["state"], operation["problem"]["code"]) == ("queued", "provider_unavailable")
    assert 30 < operation["attempts"] < 90
    assert (await account.now())["status"] == "active"
    await meta.control("DELETE", "/faults")
    await account.pass_by(13 * MINUTE)
    assert isinstance(await use(account), Opened)


async def test_one_lie_is_not_believed(account: Kept, meta: Meta) -> None:
    """Spotify says `invalid_grant` of a good token: asked again after ten seconds, it is refreshed."""
    await meta.control("PUT", "/spotify", rotate=True, lie_share=1)
    await use(account)
    await account.round()
    found = await account.now()
    assert (found["status"], found["denied"]["count"], found["denied"]["code"]) == ("active", 1, "invalid_grant")
    await account.pass_by(11 * SECOND)
    found = await account.now()
    assert (found["status"], found["token_version"], found.get("denied")) == ("active", 2, None)


async def test_a_removed_app_is_believed_and_then_left_alone(account: Kept, meta: Meta) -> None:
    """Three denials: one mail, one event, one audit row; three probes; then nobody asks, and nothing is deleted."""
    await meta.control("POST", "/spotify/remove", user="nightjar")
    await use(account)
    await account.round()
    await account.pass_by(11 * SECOND)
    assert (await account.now())["status"] == "active"
    await account.pass_by(61 * SECOND)
    found = await account.now()
    assert (found["status"], found["problem"], found["denied"]["count"]) == ("needs_reauth", "token_dead", 3)
    assert await use(account) == "needs_reauth"
    for wait in (HOUR, 6 * HOUR, 24 * HOUR):
        await account.pass_by(wait + SECOND)
    assert await use(account) == "needs_reauth"
    await account.days(40)
    assert len(await meta.ledger("spotify_token_refused")) == 6
    [operation] = await account.refreshes()
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "needs_reauth")
    assert sum((await account.subjects(OWNER)).values()) == 1
    assert len(await account.stored("audit_log", action="connection.needs_reauth")) == 1
    assert len([one for one in await account.events("connection.changed") if "needs_reauth" in one["key"]]) == 1
    assert len(await account.stored("secrets")) == 2


async def test_half_an_hour_of_lies(live_house: House, meta: Meta) -> None:
    """Instagram calls a good token dead: its label is told once, nothing is lost, and a probe finds it alive."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    await account.days(26)
    await meta.fault("error", "refresh_access_token", code=190, subcode=467, times=None)
    await account.set(refresh_at=live_house.clock())
    for _ in range(30):
        await account.pass_by(MINUTE)
    found = await account.now()
    assert (found["status"], found["problem"]) == ("needs_reauth", "token_dead")
    assert (found["denied"]["count"], found["denied"]["code"], found["denied"]["subcode"]) == (3, 190, 467)
    await meta.control("DELETE", "/faults")
    await account.pass_by(HOUR)
    found = await account.now()
    assert (found["status"], found["problem"], found["token_version"]) == ("active", None, 2)
    assert sum((await account.subjects(OWNER)).values()) == 1
    assert len(await account.stored("audit_log", action="connection.restored")) == 1


@pytest.mark.parametrize(("code", "subcode"), [(10, None), (200, None), (100, 33), (4, None), (2, None), (368, None)])
async def test_only_a_dead_token_is_one(live_house: House, meta: Meta, code: int, subcode: int | None) -> None:
    """Whatever else Meta refuses with leaves the connection as it is, and is tried again."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    await account.days(2)
    await meta.fault("error", "refresh_access_token", code=code, subcode=subcode, times=5)
    await account.set(refresh_at=live_house.clock())
    for _ in range(6):
        await account.pass_by(15 * MINUTE)
        assert (await account.now())["status"] == "active"
    found = await account.now()
    assert (found.get("denied"), found["token_version"]) == (None, 2)


async def test_a_life_of_no_time_is_none(live_house: House, meta: Meta) -> None:
    """Instagram says that the fresh token is good for 0 seconds: not believed, and asked again."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    await account.days(2)
    before = (await account.now())["access_ends_at"]
    await account.set(refresh_at=live_house.clock())
    async with rewritten(live_house, "/refresh_access_token", lambda body: body | {"expires_in": 0}):
        await account.round()
    found = await account.now()
    assert (found["status"], found["access_ends_at"], found["token_version"]) == ("active", before, 1)
    await account.pass_by(MINUTE)
    found = await account.now()
    assert (found["status"], found["token_version"]) == ("active", 2)


async def test_a_young_token_waits(live_house: House, meta: Meta) -> None:
    """Instagram refreshes no token on the day of its issue: it is not even asked."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    await account.set(refresh_at=live_house.clock())
    await account.round()
    [operation] = await account.refreshes()
    issued_at = (await account.now())["token_issued_at"]
    assert (operation["state"], operation["due_at"] - issued_at) == ("queued", DAY)
    await account.pass_by(DAY)
    assert len(await meta.ledger("token_refreshed")) == 1


async def test_a_grant_renewed_meanwhile_is_not_suspended(account: Kept, meta: Meta) -> None:
    """The old tokens' denials count no more once there are fresh ones."""
    await meta.control("POST", "/spotify/remove", user="nightjar")
    await use(account)
    await account.round()
    await account.pass_by(11 * SECOND)
    await account.set(token_version=2, token_expires_at=account.house.clock() + HOUR)
    await account.pass_by(61 * SECOND)
    assert (await account.now())["status"] == "active"
    assert [operation["state"] for operation in await account.refreshes()] == ["succeeded"]
    assert len(await meta.ledger("spotify_token_refused")) == 2


async def test_a_connection_that_is_left_meanwhile(account: Kept, meta: Meta) -> None:
    """Its refresh ends, whether it is revoked or gone, and the provider is not asked."""
    await use(account)
    await account.set(status="revoked")
    await account.round()
    await account.set(status="active", token_version=2)
    await use(account)
    key = {"_id": account.connection_id, "label_id": account.label_id}
    await account.house.db.open("connections").delete_one(key)
    await account.round()
    ended = [(one["state"], one["problem"]["code"]) for one in await account.refreshes()]
    assert ended == [("failed", "connection_gone")] * 2
    assert await meta.ledger("spotify_token_refreshed") == []


async def test_a_lost_answer_without_any_grace(account: Kept, meta: Meta) -> None:
    """The only good refresh token was in that answer: the connection waits for a new log-in, and all else is kept."""
    await meta.fault("lost", "/api/token")
    await use(account)
    await account.round()
    for wait in (3 * SECOND, 11 * SECOND, 61 * SECOND):
        assert (await account.now())["status"] == "active"
        await account.pass_by(wait)
    assert (await account.now())["problem"] == "token_dead"
    await account.days(5)
    [operation] = await account.refreshes()
    assert (operation["state"], operation["attempts"]) == ("failed", 7)
    assert len(await account.stored("secrets")) == 2
    assert sum((await account.subjects(OWNER)).values()) == 1


async def test_facebook_calls_both_tokens_dead(live_house: House, meta: Meta) -> None:
    """The person took the app away: believed after the third denial, and never tried again."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(400, json={"error": {"code": 190, "error_subcode": 458, "type": "OAuthException"}})

    account = await facebook(live_house, meta, answer)
    await account.set(refresh_at=live_house.clock())
    await account.round()
    await account.pass_by(11 * SECOND)
    assert (await account.now())["status"] == "active"
    await account.pass_by(61 * SECOND)
    found = await account.now()
    assert (found["status"], found["problem"], found["denied"]["subcode"]) == ("needs_reauth", "token_dead", 458)
    await account.days(70)
    assert len(asked) == 6
    assert [one["state"] for one in await account.refreshes()] == ["failed"]
    assert len(await account.stored("secrets")) == 2
    assert sum((await account.subjects(OWNER)).values()) == 1


async def test_lies_at_the_due_time_are_outlived(live_house: House, meta: Meta) -> None:
    """Facebook calls both tokens dead for 73 seconds; a check finds them good, and the refresh is begun anew."""
    lying = True

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/debug_token"):
            told = {"app_id": live_house.worker.facebook.app_id, "is_valid": True, "scopes": [], "expires_at": 0}
            return httpx.Response(200, json={"data": told})
        if lying:
            return httpx.Response(400, json={"error": {"code": 190, "error_subcode": 467}})
        return httpx.Response(200, json={"id": PAGE, "access_token": "user-1", "expires_in": 60 * 86_400, "data": []})

    account = await facebook(live_house, meta, answer)
    now = live_house.clock()
    await account.set(refresh_at=now, check_at=now + HOUR, access_ends_at=None, warn_at=None)
    await account.round()
    await account.pass_by(11 * SECOND)
    await account.pass_by(62 * SECOND)
    assert (await account.now())["status"] == "needs_reauth"
    lying = False
    await account.pass_by(HOUR)
    found = await account.now()
    assert (found["status"], found["token_version"]) == ("active", 1)
    await account.pass_by(6 * HOUR)
    found = await account.now()
    assert (found["status"], found["token_version"], found.get("denied")) == ("active", 2, None)
    await account.days(66)
    assert (await account.now())["token_version"] >= 3


async def test_who_comes_and_goes_is_told_once_a_day(live_house: House, meta: Meta) -> None:
    """Instagram refuses to refresh a token that works: four days, four mails at most; in the end it is refreshed."""
    account = await kept(live_house, meta, "instagram", "nightjar.records")
    await account.days(26)
    await meta.fault("error", "refresh_access_token", code=190, subcode=467, times=None)
    await account.set(refresh_at=live_house.clock())
    for _ in range(4 * 24):
        await account.pass_by(HOUR)
    assert 1 <= sum((await account.subjects(OWNER)).values()) <= 4
    assert (await account.now())["denied"]["count"] > 3
    await meta.control("DELETE", "/faults")
    await account.days(2)
    found = await account.now()
    assert (found["status"], found["token_version"], found.get("denied")) == ("active", 2, None)


class Leaves:
    """The house's ring, which goes away after it has wrapped so many data keys."""

    def __init__(self, ring: PublicRing, wraps: int) -> None:
        self.ring, self.wraps, self.kind, self.current = ring, wraps, ring.kind, ring.current

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """As the ring, while it is there."""
        if self.wraps == 0:
            raise RingUnavailable("away")
        self.wraps -= 1
        return await self.ring.wrap(data_key, binding=binding)

    async def close(self) -> None:
        """Nothing of its own."""


async def test_the_key_ring_goes_away_beside_the_provider(account: Kept, meta: Meta) -> None:
    """What Spotify gives once is kept, although the ring is away when it comes; without the ring nothing is asked."""
    worker, whole = account.house.worker, account.house.worker.rings[0]
    worker.rings = (Leaves(whole, 1), worker.rings[1])
    await use(account)
    await account.house.work()
    assert await meta.ledger("spotify_token_refreshed") == []
    worker.rings = (Leaves(whole, 2), worker.rings[1])
    await account.pass_by(MINUTE)
    assert len(await meta.ledger("spotify_token_refreshed")) == 1
    worker.rings = (whole, worker.rings[1])
    assert await sealed_pair(account) == await live_pair(meta)
