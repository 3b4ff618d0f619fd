"""Connecting a Spotify account at the sandbox: code and PKCE, the allow-list, lost answers, and reconnecting."""

from datetime import timedelta
from typing import Any

import pytest

from app.services.connections import health, planning
from app.services.connections.schedule import end_of_grant
from sandbox.spotify_seed import find_user
from tests.flows.flows_harness import Meta
from tests.flows.keeping_harness import Kept, decide, kept
from tests.house import House


async def purposes(account: Kept) -> set[str]:
    """Which secrets of the connection the vault holds."""
    return {one["purpose"] for one in await account.stored("secrets", connection_id=account.connection_id)}


async def test_the_whole_log_in(live_house: House, meta: Meta) -> None:
    """From the wish to an active connection: the immutable account id, both tokens sealed, six months."""
    account = await kept(live_house, meta, "spotify", "nightjar")
    user = find_user("nightjar")
    assert user is not None
    found = await account.now()
    assert (found["status"], found["active_features"], found["network"]) == ("active", ["catalogue"], "spotify")
    assert (found["account"]["provider_id"], found["account"]["kind"]) == (user.account_id, "spotify_user")
    assert (found["subscription_id"], found["subscribed_fields"]) == (None, [])
    assert await purposes(account) == {"access_token", "refresh_token"}
    assert found["access_ends_at"] == end_of_grant(found["authorized_at"])
    assert found["warn_at"] == found["access_ends_at"] - timedelta(days=14)
    assert timedelta(days=6) < found["refresh_at"] - found["token_issued_at"] <= timedelta(days=7)
    assert timedelta(minutes=59) < found["token_expires_at"] - found["token_issued_at"] <= timedelta(hours=1)
    assert "abandon_at" not in found
    issued = (await meta.control("GET", "/tokens"))["ever_issued"]
    everything = str(await account.stored("secrets")) + str(await account.stored("operations")) + str(found)
    assert issued and not any(token in everything for token in issued)


async def test_somebody_who_is_not_on_the_allow_list(live_house: House, meta: Meta) -> None:
    """They can log in, but are refused all else: the connection ends with that problem, and no secret stays."""
    await meta.control("PUT", "/spotify", allow_list=["lowtide"])
    account = await kept(live_house, meta, "spotify", "nightjar")
    found = await account.now()
    assert (found["status"], found["problem"]) == ("error", "not_allowlisted")
    assert await purposes(account) == set()
    [operation] = await account.stored("operations", kind="exchange_code")
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "not_allowlisted")


async def test_a_lost_answer_to_the_code(live_house: House, meta: Meta) -> None:
    """A code works once: its owner begins anew."""
    await meta.control("PUT", "/spotify", lost_share=1)
    account = await kept(live_house, meta, "spotify", "nightjar")
    found = await account.now()
    assert (found["status"], found["problem"]) == ("error", "exchange_interrupted")
    assert await purposes(account) == set()


@pytest.mark.parametrize(("path", "code"), [("/api/token", 429), ("/v1/me", 503)])
async def test_trouble_that_passes(live_house: House, meta: Meta, path: str, code: int) -> None:
    """A limit or an outage at either step: it waits, and goes on where it stopped."""
    await meta.fault("http", path, code=code, times=3 if code == 503 else 1, retry_after_s=1)
    account = await kept(live_house, meta, "spotify", "nightjar")
    assert (await account.now())["status"] == "pending"
    live_house.worker.spotify._not_before.clear()
    await account.pass_by(timedelta(seconds=11))
    assert (await account.now())["status"] == "active"
    assert len(await meta.ledger("spotify_token_issued")) == 1


async def test_reconnecting_in_place(live_house: House, meta: Meta) -> None:
    """The same connection gets the fresh tokens and six more months; another account changes nothing."""
    account = await kept(live_house, meta, "spotify", "nightjar")
    before = await account.now()
    await account.set(status="needs_reauth", problem="access_ended")
    live_house.clock.offset += timedelta(days=1)
    owner = await live_house.person("second@example.com")
    await live_house.db.open("memberships").update_one(
        {"label_id": account.label_id}, {"$set": {"user_id": (await owner.get("/v1/me")).json()["id"]}}
    )
    path = f"/v1/labels/{account.label_id}/connections/{account.connection_id}"
    for user, status, problem in (("lowtide", "error", "wrong_account"), ("nightjar", "revoked", "replaced")):
        begun = (await owner.post(f"{path}/reconnect", json={})).raise_for_status().json()
        assert (begun["renews"], begun["features"]) == (account.connection_id, ["catalogue"])
        await decide(owner, begun["authorize_url"], user)
        await live_house.work()
        ended = (await owner.get(f"/v1/labels/{account.label_id}/connections/{begun['id']}")).json()
        assert (ended["status"], ended["problem"]) == (status, problem)
    found = await account.now()
    assert (found["status"], found["token_version"]) == ("active", before["token_version"] + 1)
    assert found["access_ends_at"] >= before["access_ends_at"] + timedelta(days=1)
    assert await purposes(account) == {"access_token", "refresh_token"}
    assert len(await account.stored("secrets")) == 2


async def checked(account: Kept) -> dict[str, Any]:
    """Have the connection checked until that has ended; its health."""
    await planning.ask(account.house.db, account.label_id, account.connection_id, now=account.house.clock())
    for _ in range(8):
        await account.pass_by(timedelta(seconds=15))
    found = await account.now()
    return health.of(found, advanced=False, reconnecting=False, now=account.house.clock()).model_dump()


async def test_a_check_of_a_removed_app(live_house: House, meta: Meta) -> None:
    """The token looks alive for an hour more; a check finds that its grant is gone, and has its owner log in again."""
    account = await kept(live_house, meta, "spotify", "nightjar")
    await account.pass_by(timedelta(minutes=5))
    assert (await checked(account))["status"] == "ok"
    await meta.control("POST", "/spotify/remove", user="nightjar")
    found = await checked(account)
    assert (found["status"], [one["code"] for one in found["diagnoses"]]) == ("broken", ["token_invalid"])
    assert ((await account.now())["status"], await purposes(account)) == (
        "needs_reauth",
        {"access_token", "refresh_token"},
    )


async def test_a_check_of_somebody_who_is_taken_off_the_allow_list(live_house: House, meta: Meta) -> None:
    """Said as it is, and over when they are on it again."""
    account = await kept(live_house, meta, "spotify", "nightjar")
    await meta.control("PUT", "/spotify", allow_list=["lowtide"])
    found = await checked(account)
    assert (found["status"], [one["code"] for one in found["diagnoses"]]) == ("broken", ["not_allowlisted"])
    assert (await account.now())["status"] == "active"
    await meta.control("PUT", "/spotify")
    assert (await checked(account))["status"] == "ok"
