"""Stripe's webhook: nothing forged is taken, what is good is durable before the answer, repeats change nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.settings import WorkerSettings
from tests.api.people import problem
from tests.house import NOBODY, STRIPE_WEBHOOK_SECRET, House, billing_env, open_house, settings_env
from tests.stripe_webhooks import OTHER_SECRET, deliver, event, forgeries, raw, signed


@pytest.fixture
async def shop(mongodb_url: str, redis_url: str, key_folder: Path) -> AsyncIterator[House]:
    """With billing on, two webhook secrets, and nobody at Stripe's end."""
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url) | billing_env(NOBODY)
    env["SOUNDOPS_STRIPE_WEBHOOK_SECRET"] = f"{STRIPE_WEBHOOK_SECRET},{OTHER_SECRET}x"
    async with open_house(env) as found:
        yield found


def now_of(house: House) -> int:
    """The present, in whole seconds."""
    return int(house.clock().timestamp())


async def rows_of(house: House) -> list[dict[str, object]]:
    """Every event that is written down."""
    found: list[dict[str, object]] = await house.db.open("stripe_events").find({}).sort("_id", 1).to_list()
    return found


async def test_no_forgery_is_taken(shop: House) -> None:
    """Each is a 400 with the same problem, none a 500, and nothing of them is written down."""
    count = 0
    for forgery in forgeries(now_of(shop)):
        answer = await shop.http.post("/v1/webhooks/stripe", content=forgery.body, headers=forgery.headers)
        assert problem(answer) == (400, "invalid_delivery"), forgery.name
        assert "Mara" not in answer.text
        count += 1
    assert count > 60 and await rows_of(shop) == []


@pytest.mark.parametrize("off_s", [0, -299, 299])
async def test_a_good_one_is_taken(shop: House, off_s: int) -> None:
    """Within the window, on both sides of our time."""
    body = raw(event())
    answer = await deliver(shop.http, body, signed(body, now_of(shop) + off_s))
    assert (answer.status_code, answer.content) == (200, b"")
    assert len(await rows_of(shop)) == 1


@pytest.mark.parametrize(
    "secrets",
    [(STRIPE_WEBHOOK_SECRET,), (f"{OTHER_SECRET}x",), ("whsec_unknown0123456789abcdef", STRIPE_WEBHOOK_SECRET)],
)
async def test_secrets_are_rolled(shop: House, secrets: tuple[str, ...]) -> None:
    """Either of our secrets passes, also beside a signature of one that we do not have."""
    body = raw(event())
    header = signed(body, now_of(shop), *secrets) + ",v0=00"
    assert (await deliver(shop.http, body, header)).status_code == 200


async def test_only_ids_are_kept(shop: House) -> None:
    """Of a payload full of names, an event leaves its type, its times and ids."""
    body = raw(event("evt_9", customer="cus_77"))
    assert (await deliver(shop.http, body, signed(body, now_of(shop)))).status_code == 200
    [row] = await rows_of(shop)
    assert (row["_id"], row["type"]) == ("evt_9", "invoice.paid")
    assert (row["object_id"], row["customer_id"]) == ("in_1", "cus_77")
    assert (row["state"], row["found_by"]) == ("waiting", "webhook")
    assert "Mara" not in str(row) and "1900" not in str(row)


async def test_repeats_are_one(shop: House) -> None:
    """The same event twenty times at once, and once more when it has been worked off, is one row."""
    body = raw(event())
    header = signed(body, now_of(shop))
    answers = await asyncio.gather(*(deliver(shop.http, body, header) for _ in range(20)))
    assert {one.status_code for one in answers} == {200}
    ended = {"$set": {"state": "done"}, "$unset": {"due_at": ""}}
    await shop.db.open("stripe_events").update_one({"_id": "evt_1"}, ended)
    assert (await deliver(shop.http, body, signed(body, now_of(shop)))).status_code == 200
    [row] = await rows_of(shop)
    assert row["state"] == "done" and "due_at" not in row


async def test_what_does_not_concern_us_is_ignored(shop: House) -> None:
    """Types that are new or unused, and connected accounts, are taken and written down as ignored."""
    odd = [event("evt_1", "invoice.sung"), event("evt_2", "v1.unheard_of"), event("evt_3", account="acct_1")]
    odd.append(event("evt_4", "payout.paid", data={"object": {}}))
    for told in odd:
        body = raw(told)
        assert (await deliver(shop.http, body, signed(body, now_of(shop)))).status_code == 200
    rows = await rows_of(shop)
    assert [row["state"] for row in rows] == ["ignored"] * 4 and all("due_at" not in row for row in rows)
    assert rows[0]["_id"] == "acct_1/evt_3"


async def test_without_the_store_stripe_delivers_again(shop: House) -> None:
    """A 503 while the store is away: only what is durable is answered with 200."""
    body = raw(event())
    shop.db.client.close()
    answer = await deliver(shop.http, body, signed(body, now_of(shop)))
    assert problem(answer)[0] == 503


async def test_too_large(shop: House) -> None:
    """More than a mebibyte is not read."""
    assert (await deliver(shop.http, b" " * (1024 * 1024 + 1), "t=1,v1=00")).status_code == 413


async def test_where_billing_is_off_nothing_is_taken(house: House) -> None:
    """No secret, no delivery."""
    body = raw(event())
    assert problem(await deliver(house.http, body, signed(body, now_of(house)))) == (400, "invalid_delivery")
    assert not WorkerSettings.model_fields["stripe_webhook_secret"].default


async def test_old_rows_go(shop: House) -> None:
    """After 60 days, which is longer than Stripe can tell of an event again."""
    body = raw(event())
    await deliver(shop.http, body, signed(body, now_of(shop)))
    [row] = await rows_of(shop)
    assert row["expires_at"] - row["received_at"] == timedelta(days=60)  # type: ignore[operator]
