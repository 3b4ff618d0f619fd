"""Plans fit together, amounts are whole numbers, and what Stripe says of errors is read as it is meant."""

import itertools
import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
import stripe as sdk
from hypothesis import given
from hypothesis import strategies as st
from stripe._http_client import HTTPClient

from app.clients import stripe_api
from app.clients.stripe_api import Stripe, StripeBusy, StripeError, StripeKeyDead, StripeRefused, StripeUnsure, amount
from app.clients.stripe_errors import error_of
from app.services.billing import plans
from app.services.billing.amounts import digits_of
from app.services.billing.entitlements import too_much_for
from app.services.billing.plans import LIMITS, PLANS, all_prices, plan_with_more, price_of

CANARY = "sk_test_canary0123456789abcdef"


def test_each_plan_has_more_than_the_one_before() -> None:
    """In every limit; and whoever pays by the year pays for at most as many months."""
    found = list(PLANS.values())
    for smaller, larger in itertools.pairwise(found):
        for limit in LIMITS:
            less, more = smaller.entitlements.of(limit), larger.entitlements.of(limit)
            assert more is None or (less is not None and less < more), (larger.name, limit)
    for plan in found[1:]:
        assert set(plan.prices) == {"month", "year"} and plan.trial_days > 0
        for currency, monthly in plan.prices["month"].items():
            assert monthly * 8 <= plan.prices["year"][currency] < monthly * 12
    assert found[0].prices == {}


def test_prices_have_keys_of_their_own_and_whole_amounts() -> None:
    """In every currency we sell in; JPY has no smaller unit, so its amounts are not a hundred times too large."""
    found = list(all_prices())
    assert len({one.lookup_key for one in found}) == len(found) == 6
    for one in found:
        assert price_of(one.lookup_key) == one
        assert set(one.amounts) == {"eur", "usd", "gbp", "jpy"}
        assert all(type(value) is int and value > 0 for value in one.amounts.values())
        assert one.amounts["jpy"] < 100 * one.amounts["eur"] / 50
    assert (digits_of("jpy"), digits_of("kwd"), digits_of("eur")) == (0, 3, 2)
    assert price_of("soundops_gone_month") is None


@given(st.sampled_from(LIMITS), st.integers(0, 10**14))
def test_the_plan_with_more_has_enough_and_no_smaller_one_has(limit: plans.Limit, needed: int) -> None:
    """None where none has."""
    found = plan_with_more(limit, needed)
    has = [name for name, plan in PLANS.items() if (most := plan.entitlements.of(limit)) is None or most >= needed]
    assert found == (has[0] if has else None)


@given(st.sampled_from(list(PLANS)), st.fixed_dictionaries({limit: st.integers(0, 10**13) for limit in LIMITS}))
def test_what_is_too_much_is_named_exactly(plan: str, used: dict[plans.Limit, int]) -> None:
    """With how many are to go; publications of the month that runs stand in nobody's way."""
    found = {one.limit: one for one in too_much_for(plan, used)}
    for limit in LIMITS:
        most = plans.entitlements_of(plan).of(limit)
        over = most is not None and used[limit] > most and limit != "publications_month"
        assert (limit in found) is over
        if over and most is not None:
            assert used[limit] - found[limit].remove == most == found[limit].most


@given(st.one_of(st.floats(), st.booleans(), st.text(), st.none(), st.integers(-(10**20), 10**20), st.decimals()))
def test_only_whole_numbers_are_amounts(value: Any) -> None:
    """No float, not even a round one: what has been one may have lost a penny."""
    found = amount(value)
    assert found is None or (type(value) is int and found is value)
    assert (found is not None) is (type(value) is int and abs(value) < 10**15)


def refusal(status: int, error: Any, headers: dict[str, str] | None = None) -> StripeError:
    """What the SDK makes of an answer, as we read it."""
    body = json.dumps({"error": error}) if error is not None else "<html>bad gateway</html>"
    requestor = sdk.StripeClient(CANARY)._requestor
    try:
        requestor._interpret_response(body.encode(), status, headers or {}, "V1")
    except sdk.StripeError as exc:
        return error_of(exc)
    raise AssertionError("no error")


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (
            400,
            {"type": "invalid_request_error", "code": "tax_id_invalid", "param": "value"},
            StripeRefused,
            "tax_id_invalid",
        ),
        (400, {"type": "idempotency_error"}, StripeRefused, "idempotency_error"),
        (402, {"type": "card_error", "code": "card_declined"}, StripeRefused, "card_declined"),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, StripeRefused, "resource_missing"),
        (401, {"type": "invalid_request_error"}, StripeKeyDead, "invalid_request_error"),
        (403, {"type": "invalid_request_error", "code": "more_permissions_required"}, StripeKeyDead, None),
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}, StripeBusy, "idempotency_key_in_use"),
        (429, {"type": "rate_limit_error", "code": "lock_timeout"}, StripeBusy, "lock_timeout"),
        (500, {"type": "api_error"}, StripeUnsure, "api_error"),
        (502, None, StripeUnsure, ""),
        (503, {"type": "api_error", "code": "Words of <theirs>"}, StripeUnsure, "api_error"),
    ],
)
def test_errors_are_read_by_class_and_code(status: int, error: Any, kind: type[StripeError], code: str | None) -> None:
    """Never by text: what people may read holds none of it."""
    told = {**error, "message": f"No such thing as {CANARY} for mara@example.com"} if error is not None else None
    found = refusal(status, told, {"request-id": "req_abc123"})
    assert type(found) is kind and found.status == status
    assert code is None or found.code == code
    assert found.request_id == ("req_abc123" if error is not None else found.request_id)
    assert "mara" not in str(found) and CANARY not in str(found)
    assert found.__cause__ is None and CANARY.encode() not in pickle.dumps(found.args)


def test_how_long_to_wait_and_what_was_replayed() -> None:
    """`Retry-After` within an hour; a failure that was kept under the key."""
    busy = refusal(429, {"type": "rate_limit_error"}, {"retry-after": "7"})
    assert isinstance(busy, StripeBusy) and busy.retry_after == timedelta(seconds=7)
    long = refusal(429, {"type": "rate_limit_error"}, {"retry-after": "999999"})
    assert isinstance(long, StripeBusy) and long.retry_after == timedelta(hours=1)
    kept = refusal(500, {"type": "api_error"}, {"idempotent-replayed": "true"})
    assert isinstance(kept, StripeUnsure) and kept.replayed


async def test_the_client_is_never_pickled_or_shown() -> None:
    """It holds our key."""
    stripe = stripe_api.open_stripe("http://127.0.0.1:9", CANARY)
    assert CANARY not in repr(stripe) + str(stripe) + str(vars(stripe))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(stripe)
    assert isinstance(stripe.transport, HTTPClient) and isinstance(stripe, Stripe)
    await stripe.close()
