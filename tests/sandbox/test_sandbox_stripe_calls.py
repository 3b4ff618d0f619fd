"""Stripe's stand-in: how calls are refused, repeated and spoilt."""

import asyncio
import random
import signal
from contextlib import suppress

import httpx
import pytest
import stripe

from tests.sandbox.sandbox_harness import Sandbox
from tests.sandbox.stripe_harness import KEY, Stripe, sdk_warns, stripe_at

pytestmark = sdk_warns
VERSION = "2026-10-28.endive"


def raw(box: Stripe, path: str = "/v1/customers", body: str = "", **headers: str) -> httpx.Response:
    """A call without the SDK."""
    told = {"Authorization": f"Bearer {KEY}", "Stripe-Version": VERSION} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    told |= {"Content-Type": "application/x-www-form-urlencoded"} if "Content-Type" not in told else {}
    return box.http.post(path, content=body, headers=told)


@pytest.mark.parametrize(
    ("status", "code", "headers", "body", "path"),
    [
        (401, None, {"Authorization": "Bearer sk_test_other"}, "", "/v1/customers"),
        (401, None, {"Authorization": ""}, "", "/v1/customers"),
        (400, None, {"Stripe_Version": "2024-06-20"}, "", "/v1/customers"),
        (403, "account_invalid", {"Stripe_Account": "acct_1"}, "", "/v1/customers"),
        (400, None, {"Content_Type": "application/json"}, '{"email": "a@b.test"}', "/v1/customers"),
        (400, "parameter_unknown", {}, "plan=x", "/v1/customers"),
        (400, "parameter_unknown", {}, "address[planet]=earth", "/v1/customers"),
        (400, "email_invalid", {}, "email=nobody", "/v1/customers"),
        (400, None, {}, "metadata=x", "/v1/customers"),
        (400, None, {}, f"metadata[k]={'v' * 501}", "/v1/customers"),
        (400, "parameter_missing", {}, "currency=eur", "/v1/prices"),
        (400, "parameter_missing", {}, "unit_amount=5", "/v1/prices"),
        (400, "parameter_invalid_integer", {}, "currency=eur&product=p&unit_amount=1.5", "/v1/prices"),
        (400, "resource_missing", {}, "currency=eur&product=p&unit_amount=1", "/v1/prices"),
        (404, "resource_missing", {}, "name=x", "/v1/customers/cus_none"),
        (404, None, {}, "", "/v1/nothing"),
        (400, "parameter_unknown", {}, "mode=subscription&payment_method_types[0]=card", "/v1/checkout/sessions"),
        (400, "parameter_unknown", {}, "customer=c&coupon=x", "/v1/subscriptions"),
        (400, "parameter_unknown", {}, "mode=subscription&subscription_data[coupon]=x", "/v1/checkout/sessions"),
        (400, None, {}, "mode=subscription&ui_mode=hosted", "/v1/checkout/sessions"),
        (400, None, {}, "billing_cycle_anchor=now", "/v1/subscriptions/sub_1"),
    ],
)
async def test_what_stripe_refuses(
    box: Stripe, status: int, code: str | None, headers: dict[str, str], body: str, path: str
) -> None:
    answer = raw(box, path=path, body=body, **headers)
    error = answer.json()["error"]
    assert (answer.status_code, error.get("code")) == (status, code), answer.text
    assert error["type"] == "invalid_request_error" and error["message"]
    assert answer.headers["request-id"].startswith("req_")
    assert not box.control("GET", "/ledger")["count"]


async def test_the_sdk_raises_what_it_should(box: Stripe) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await box.v1.subscriptions.retrieve_async("sub_none")
    assert (missing.value.code, missing.value.http_status) == ("resource_missing", 404)
    assert str(missing.value.request_id).startswith("req_")
    async with stripe_at(box.sandbox, key="sk_test_wrong") as other:
        with pytest.raises(stripe.AuthenticationError):
            await other.customer()
    box.control("PUT", "/keys", {"dead": True})
    with pytest.raises(stripe.AuthenticationError):
        await box.customer()
    box.control("PUT", "/keys", {})
    box.control("POST", "/faults", {"fault": "http", "status": 429})
    with pytest.raises(stripe.RateLimitError):
        await box.customer()
    box.control("POST", "/faults", {"fault": "http", "status": 403, "type": "invalid_request_error"})
    with pytest.raises(stripe.PermissionError):
        await box.customer()


async def test_a_key_gives_the_first_answer_again(box: Stripe) -> None:
    params, options = {"email": "a@b.test"}, {"idempotency_key": "key-1"}
    first = await box.v1.customers.create_async(params, options)
    again = await box.v1.customers.create_async(params, options)
    assert again.id == first.id and len(box.effects("customer.created")) == 1
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        await box.v1.customers.create_async({"email": "c@d.test"}, options)
    with pytest.raises(stripe.IdempotencyError):
        await box.v1.products.create_async({"name": "a"}, options)
    answer = raw(box, body="email=a%40b.test", Idempotency_Key="key-1")
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.headers["original-request"] != answer.headers["request-id"]
    box.advance(1.01)
    later = await box.v1.customers.create_async(params, options)
    assert later.id != first.id, "a key is pruned after 24 hours"


async def test_what_was_refused_before_it_began_is_not_kept_under_its_key(box: Stripe) -> None:
    options = {"idempotency_key": "key-2"}
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.customers.create_async({"email": "nobody"}, options)
    assert (await box.v1.customers.create_async({"email": "a@b.test"}, options)).id
    sub = await box.subscribed(card="decline")
    pay = {"idempotency_key": "pay-1"}
    with pytest.raises(stripe.CardError):
        await box.v1.invoices.pay_async(sub.latest_invoice, {}, pay)
    box.control("POST", f"/customers/{sub.customer}/card", {"card": "ok"})
    with pytest.raises(stripe.CardError):
        await box.v1.invoices.pay_async(sub.latest_invoice, {}, pay)
    assert (await box.v1.invoices.pay_async(sub.latest_invoice)).status == "paid"


async def test_a_key_in_use_is_a_409_that_the_sdk_tries_again(box: Stripe) -> None:
    box.control("POST", "/faults", {"fault": "slow", "seconds": 1})
    options = {"idempotency_key": "key-3"}
    first = asyncio.create_task(box.v1.customers.create_async({"email": "a@b.test"}, options))
    await asyncio.sleep(0.3)
    answer = await asyncio.to_thread(raw, box, body="email=a%40b.test", Idempotency_Key="key-3")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert answer.headers["stripe-should-retry"] == "true"
    async with stripe_at(box.sandbox, retries=2) as patient:
        second = await patient.v1.customers.create_async({"email": "a@b.test"}, options)
    assert second.id == (await first).id


@pytest.mark.parametrize(
    ("fault", "made", "answered"),
    [
        ("500-executed", 1, False),
        ("500-not-executed", 0, False),
        ("gateway-executed", 1, True),
        ("gateway-not-executed", 1, True),
        ("timeout-executed", 1, True),
        ("timeout-not-executed", 1, True),
        ("lost", 1, True),
        ("lost-not-executed", 1, True),
    ],
)
async def test_a_spoilt_call_and_the_same_key_again(box: Stripe, fault: str, made: int, answered: bool) -> None:
    box.control("POST", "/faults", {"fault": fault, "path": "^/v1/customers$", "seconds": 0.2})
    options = {"idempotency_key": "key-4"}
    params = {"email": "a@b.test", "metadata": {"soundops_operation": "op_1", "soundops_label": "lbl_1"}}
    with pytest.raises(stripe.StripeError):
        await box.v1.customers.create_async(params, options)
    if answered:
        assert (await box.v1.customers.create_async(params, options)).email == "a@b.test"
    else:
        with pytest.raises(stripe.APIError) as replayed:
            await box.v1.customers.create_async(params, options)
        assert replayed.value.headers and replayed.value.headers["Stripe-Should-Retry"] == "false"
    assert len(box.effects("customer.created")) == made
    assert box.control("GET", "/doubles") == {"doubles": [], "intents": made}


async def test_doubles_are_counted(box: Stripe) -> None:
    for _ in range(2):
        await box.v1.customers.create_async({"metadata": {"soundops_operation": "op_1", "soundops_label": "lbl_1"}})
    found = box.control("GET", "/doubles?by=label&effect=customer.created")["doubles"]
    assert found == [{"effect": "customer.created", "label": "lbl_1", "count": 2}]
    assert box.control("GET", "/ledger?operation=op_1")["count"] == 2
    assert box.control("GET", "/ledger?colour=red", status=400)["error"]


@pytest.mark.parametrize("fault", ["cut", "huge"])
async def test_bodies_that_are_no_answer(box: Stripe, fault: str) -> None:
    box.control("POST", "/faults", {"fault": fault, "method": "POST"})
    answer = raw(box, body="email=a%40b.test")
    assert len(answer.content) > 8_000_000 or not answer.text.rstrip().endswith("}")
    assert len(box.effects("customer.created")) == 1
    assert box.control("POST", "/faults", {"fault": "nonsense"}, status=422)["error"]


async def test_lists_go_page_by_page_both_ways(box: Stripe) -> None:
    made = [(await box.customer()).id for _ in range(7)]
    page = await box.v1.customers.list_async({"limit": 3})
    assert [one.id for one in page.data] == made[:3:-1] and page.has_more
    assert [one.id async for one in page.auto_paging_iter()] == made[::-1]
    page = await box.v1.customers.list_async({"limit": 2, "ending_before": made[1]})
    assert [one.id for one in page.data] == [made[3], made[2]] and page.has_more
    assert [one.id async for one in page.auto_paging_iter()] == made[2:]
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.customers.list_async({"limit": 101})
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.customers.list_async({"starting_after": "cus_none"})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        await box.v1.customers.list_async({"expand": ["data.wishes"]})


@pytest.mark.parametrize("seed", range(3))
async def test_kills_amid_calls_lose_and_double_nothing(own_sandbox: Sandbox, seed: int) -> None:
    chance = random.Random(seed)
    answered: dict[str, str] = {}

    async def create(box: Stripe, key: str) -> None:
        params = {"metadata": {"soundops_operation": key}}
        with suppress(stripe.APIConnectionError):
            made = await box.v1.customers.create_async(params, {"idempotency_key": key})
            assert answered.setdefault(key, made.id) == made.id

    for round_ in range(3):
        async with stripe_at(own_sandbox) as box:
            keys = [f"op-{n}" for n in range(round_ * 20, round_ * 20 + 30)]
            calls = [asyncio.create_task(create(box, key)) for key in keys]
            await asyncio.sleep(chance.random() * 0.3)
            own_sandbox.stop(signal.SIGKILL)
            await asyncio.gather(*calls)
        own_sandbox.start()
    async with stripe_at(own_sandbox) as box:
        for key, made in list(answered.items()):
            assert (await box.v1.customers.retrieve_async(made)).metadata["soundops_operation"] == key
            await create(box, key)
        assert not box.control("GET", "/doubles")["doubles"]


async def test_a_kill_loses_nothing_that_was_answered(own_sandbox: Sandbox) -> None:
    async with stripe_at(own_sandbox) as box:
        price = await box.price()
        subs = [await box.subscribed(price) for _ in range(3)]
        keyed = await box.v1.customers.create_async({"email": "a@b.test"}, {"idempotency_key": "kept"})
        box.advance(40)
        before, events = box.control("GET", "/ledger"), len(await box.events())
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    async with stripe_at(own_sandbox) as box:
        assert box.control("GET", "/ledger") == before and len(await box.events()) == events
        assert {(await box.sub(sub.id)).status for sub in subs} == {"active"}
        found = await box.v1.customers.list_async({"email": "a@b.test"})
        assert [one.id for one in found.data] == [keyed.id]
        box.advance(31)
        assert len((await box.v1.invoices.list_async({"subscription": subs[0].id})).data) == 3
