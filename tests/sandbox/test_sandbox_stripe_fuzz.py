"""Stripe's stand-in: any parameters of the right form get an answer of Stripe's form, never a crash."""

import random
from typing import Any, Literal, get_args, get_origin

import pytest
from typing_extensions import is_typeddict

from sandbox.stripe.routes import ROUTES, Route
from sandbox.stripe.shapes import fields_of
from tests.sandbox.stripe_harness import KEY, Stripe, sdk_warns

pytestmark = sdk_warns
WORDS = ("", "eur", "x", "a@b.test", "true", "-1", "0", "5", "now", "2000000000", "DE", "ß%&=[", "http://127.0.0.1:9/a")


def value(chance: random.Random, hint: Any, ids: list[str], depth: int) -> Any:
    """A value that may fit this type; often an id of something that is there."""
    origin, args = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return made(chance, hint, ids, depth + 1)
    if origin is list:
        return {str(n): value(chance, args[0], ids, depth) for n in range(chance.randint(0, 2))}
    if origin is dict:
        return {chance.choice(WORDS) or "k": chance.choice(WORDS)}
    if origin is Literal:
        return chance.choice(args)
    if hint is bool:
        return chance.choice(["true", "false"])
    if hint is int:
        return str(chance.choice([0, 1, 2, 1900, 2_000_000_000, -5]))
    if args and hint not in (str, int):
        return value(chance, chance.choice(args), ids, depth)
    return chance.choice([*WORDS, *ids]) if chance.random() < 0.4 else chance.choice(ids)


def made(chance: random.Random, shape: Any, ids: list[str], depth: int = 0) -> dict[str, Any]:
    """Parameters of this type: those that are needed, and some of the others."""
    if depth > 4:
        return {}
    return {
        name: value(chance, hint, ids, depth)
        for name, (hint, needed) in fields_of(shape).items()
        if needed or chance.random() < 0.15
    }


def flat(params: Any, path: str = "") -> list[tuple[str, str]]:
    """As a form has it."""
    if not isinstance(params, dict):
        return [(path, str(params))]
    return [pair for name, one in params.items() for pair in flat(one, f"{path}[{name}]" if path else name)]


def call(box: Stripe, chance: random.Random, route: Route, ids: list[str]) -> Any:
    """One call of this route."""
    path = route.pattern.pattern.replace("\\", "")
    while "([^/]+)" in path:
        path = path.replace("([^/]+)", chance.choice(ids), 1)
    pairs = flat(made(chance, route.shape, ids))
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "2026-10-28.endive"}
    where: dict[str, Any] = {"data": dict(pairs)} if route.method == "POST" else {"params": pairs}
    return box.http.request(route.method, path, headers=headers, **where)


@pytest.mark.parametrize("seed", range(4))
async def test_no_parameters_make_it_crash(box: Stripe, seed: int) -> None:
    chance = random.Random(seed)
    sub = await box.subscribed()
    price = await box.price("year", amount=19000)
    session = await box.session(sub.customer, price.id)
    charge = (await box.v1.charges.list_async({"customer": sub.customer})).data[0]
    item = sub["items"].data[0]
    ids = [sub.id, sub.customer, price.id, session.id, charge.id, item.id, item.price.id, price.product]
    ids += [sub.latest_invoice, charge.payment_intent, charge.payment_method]
    for _ in range(400):
        answer = call(box, chance, chance.choice(ROUTES), ids)
        assert answer.status_code in (200, 400, 402, 404), answer.text
        assert ("error" in answer.json()) == (answer.status_code != 200)
    box.advance(40)
