"""`sync_plans` shows what differs, makes it the same, and does nothing the second time; our key is written nowhere."""

import asyncio
import json
import logging
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from app.clients import stripe_catalogue, stripe_shop
from app.clients.stripe_api import StripeError, StripeKeyDead
from app.db import ALL_LABELS
from app.models.data_map import DATA_MAP
from app.services.billing import catalogue, plans
from tests.flows.billing_harness import Shop
from tests.house import NOBODY, STRIPE_KEY
from workers import sync_plans


async def synced(shop: Shop, *, agreed: bool | None = True) -> tuple[int, list[str]]:
    """The command; its exit status and what it says."""
    said: list[str] = []
    status = await sync_plans.sync(
        shop.client, agreed=None if agreed is None else (lambda: bool(agreed)), told=said.append
    )
    return status, said


async def test_what_is_the_same_is_left_alone(shop: Shop) -> None:
    """The harness has synced: there is no difference, and no call that would make one."""
    before = len(await shop.effects("price.created"))
    assert before == 6
    status, said = await synced(shop)
    assert (status, said) == (0, ["Stripe has the plans as they are. Nothing to do."])
    assert len(await shop.effects("price.created")) == before


async def test_what_differs_is_shown_before_it_is_done(shop: Shop) -> None:
    """In amounts that people read; a no, or a dry run, does nothing."""
    await shop.control("POST", "/reset")
    status, said = await synced(shop, agreed=None)
    assert status == 0 and said[-1].endswith("Nothing was done.")
    assert any("+ price soundops_pro_month  59.00 EUR, 59.00 USD, 49.00 GBP, 9000 JPY a month" in line for line in said)
    assert any("+ product soundops_starter “SoundOps Starter”" in line for line in said)
    assert any("+ portal configuration" in line for line in said)
    assert (await synced(shop, agreed=False))[0] == 1
    assert await shop.effects("product.created") == []
    status, said = await synced(shop)
    assert status == 0 and said[-1] == "Stripe has the plans as they are."
    assert len(await shop.effects("price.created")) == 6


async def test_an_amount_that_changes_is_a_new_price(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the lookup key over; the old one is archived, and who has subscribed keeps it."""
    await shop.buy("starter")
    old = (await shop.account())["subscription"]["price_id"]
    starter = plans.PLANS["starter"]
    dearer = replace(starter, prices=starter.prices | {"month": starter.prices["month"] | {"gbp": 1_800}})
    monkeypatch.setitem(plans.PLANS, "starter", dearer)
    status, said = await synced(shop)
    assert status == 0
    assert any("~ price soundops_starter_month  17.00 GBP → 18.00 GBP" in line for line in said), said
    assert any(f"- price {old} of soundops_starter: archived" in line for line in said)
    assert await stripe_shop.price_id_of(shop.client, "soundops_starter_month") not in (None, old)
    await shop.look()
    stands = await shop.billing()
    assert (stands["plan"], (await shop.account())["subscription"]["price_id"]) == ("starter", old)
    monkeypatch.undo()
    assert (await synced(shop))[0] == 0
    [now] = [
        price
        for price in await stripe_catalogue.prices_of(shop.client, "soundops_starter")
        if price.lookup_key == "soundops_starter_month"
    ]
    assert now.amounts["gbp"] == 1_700 and now.id != old


async def test_a_product_and_the_portal_are_put_right(shop: Shop) -> None:
    """What somebody changed by hand."""
    await stripe_catalogue.change_product(shop.client, "soundops_pro", {"name": "Oops"}, key="by-hand-1")
    [ours] = await stripe_catalogue.configurations(shop.client)
    wrong = {"features": {"subscription_cancel": {"enabled": False}}}
    await stripe_catalogue.change_configuration(shop.client, ours["id"], wrong, key="by-hand-2")
    status, said = await synced(shop)
    assert status == 0
    assert any("~ product soundops_pro  name: 'Oops' → 'SoundOps Pro'" in line for line in said), said
    assert any("~ portal configuration  subscription_cancel" in line for line in said), said


async def test_what_was_undone_today_is_done_again(shop: Shop) -> None:
    """Stripe would answer the same call with its first answer; what is said to be done is so."""
    for number in range(2):
        price = await stripe_shop.price_id_of(shop.client, "soundops_starter_month")
        assert price is not None
        await stripe_catalogue.archive_price(shop.client, price, key=f"by-hand-{number}")
        wrong = {"name": "Oops"}
        await stripe_catalogue.change_product(shop.client, "soundops_pro", wrong, key=f"by-hand-too-{number}")
        status, said = await synced(shop)
        assert (status, said[-1]) == (0, "Stripe has the plans as they are."), said
        assert any(line.startswith("done  + price soundops_starter_month") for line in said)
        assert len([line for line in said if line.startswith("done  ~ product")]) == 1
        assert await stripe_shop.price_id_of(shop.client, "soundops_starter_month") not in (None, price)


@pytest.mark.parametrize("fault", ["500-executed", "500-not-executed", "lost", "gateway-executed"])
async def test_lost_answers_leave_one_price_of_each(shop: Shop, fault: str) -> None:
    """What is not known to have happened is looked for anew; nothing is left over."""
    await shop.control("POST", "/reset")
    await shop.fault(fault, "/v1/prices", times=2)
    status, said = await synced(shop)
    assert status == 0, said
    for plan in ("starter", "pro", "label_group"):
        found = await stripe_catalogue.prices_of(shop.client, catalogue.product_id(plan))
        assert sorted(price.lookup_key or "" for price in found) == [f"soundops_{plan}_month", f"soundops_{plan}_year"]


async def test_the_portal_opens_for_one_click(shop: Shop) -> None:
    """For who has bought something; its address is shown for some minutes, and each click gets its own."""
    assert (await shop.ask("portal", status=409))["code"] == "not_a_customer"
    await shop.buy("starter")
    first, second = [await shop.done("portal", {"return_to": "https://app.example.com/billing"}) for _ in range(2)]
    assert first["url"] and second["url"] and first["url"] != second["url"]
    assert first["expires_at"] < (await shop.billing())["current_period_end"]


@pytest.fixture
def everything_logged() -> Iterator[StringIO]:
    """All that any logger says, at every level."""
    text, root = StringIO(), logging.getLogger()
    handler = logging.StreamHandler(text)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


async def test_our_key_is_written_nowhere(
    shop: Shop, everything_logged: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """In no document, Redis key, log, answer, error or pickle, though calls went well, failed and were refused."""
    await shop.buy("pro")
    await shop.done("portal")
    await shop.fault("500-not-executed", ".*", times=3)
    await shop.done("cancel")
    caught: list[StripeError] = []
    await shop.control("PUT", "/keys", {"dead": True})
    for _ in range(2):
        try:
            await stripe_shop.subscriptions_of(shop.client, "cus_none")
        except StripeError as exc:
            caught.append(exc)
    await shop.control("PUT", "/keys", {"dead": False})
    try:
        await stripe_shop.subscription(shop.client, "sub_none")
    except StripeError as exc:
        caught.append(exc)
    assert [type(exc).__name__ for exc in caught] == ["StripeKeyDead", "StripeKeyDead", "StripeRefused"]
    assert isinstance(caught[0], StripeKeyDead)
    kept: list[Any] = [repr(exc) + str(exc.__context__) + str(vars(exc)) for exc in caught]
    kept += [pickle.dumps(exc.args) for exc in caught]
    kept += [pickle.dumps(await stripe_shop.subscriptions_of(shop.client, (await shop.account())["customer_id"]))]
    for name in DATA_MAP:
        async for document in shop.house.db.open(name).find({}, comment=f"{ALL_LABELS}a canary"):
            kept.append(repr(document))
    redis = shop.house.worker.bell
    kept += [everything_logged.getvalue(), *capsys.readouterr(), repr(shop.house.worker), repr(redis)]
    kept += [json.dumps(await shop.billing())]
    assert not [one for one in kept if STRIPE_KEY.encode() in (one if isinstance(one, bytes) else one.encode())]


async def test_the_command_ends_as_it_should(shop: Shop) -> None:
    """As a process of its own: by its exit status, and without our key in what it says."""
    env = {
        f"SOUNDOPS_{name.upper()}": value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in shop.house.worker.settings.model_dump().items()
        if value not in (None, "") and name != "environment"
    }
    await shop.control("POST", "/reset")
    for arguments, wanted in ((["--dry-run"], 0), (["--yes"], 0), (["--yes"], 0), (["--no"], 2)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers.sync_plans", *arguments),
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == wanted, said.decode()
        assert STRIPE_KEY.encode() not in said
    await shop.control("POST", "/reset")
    for more, words in (({}, b"nobody is here to ask"), ({"SOUNDOPS_STRIPE_API_URL": NOBODY}, b"cannot be reached")):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers.sync_plans"),
            env=env | more,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 1 and words in said and b"Traceback" not in said, said.decode()
