"""The front page for people: who has subscribed to what, and time that passes at a click."""

from datetime import UTC, datetime
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe.aging import age
from sandbox.stripe.catalogue import amount_in
from sandbox.stripe.control_acts import set_card
from sandbox.stripe.errors import BadOrder, Refused
from sandbox.stripe.html import button, document, money, said
from sandbox.stripe.pages import form_of
from sandbox.stripe.store import Obj, Store, Tx

DAYS = {"1": "a day", "7": "a week", "32": "a month", "366": "a year"}
"""A little more than a month, since a renewal's invoice is a draft for an hour."""
SHOWN = 15


def front_routes(store: Store) -> list[Route]:
    """Its route."""

    async def front(request: Request) -> Response:
        """Show it, or do what its buttons say."""
        if request.method == "GET":
            return HTMLResponse(front_page(store))
        form = await form_of(request)
        try:
            _act(store, form)
        except (BadOrder, Refused) as exc:
            return HTMLResponse(front_page(store, str(exc)), 400)
        await store.settled()
        return RedirectResponse(str(request.url), 303)

    return [Route("/", front, methods=["GET", "POST"])]


def _act(store: Store, form: dict[str, str]) -> None:
    if form.get("days") in DAYS:
        age(store, int(form["days"]) * 86_400)
        return
    tx = Tx(store)
    set_card(tx, form.get("customer", ""), {"card": form.get("card", "ok"), "pay": True})
    tx.commit()


def front_page(store: Store, told: str | None = None) -> str:
    """What there is now."""
    tx = Tx(store)
    customers = "".join(_customer(tx, one) for one in list(store.of_kind("customer"))[::-1][:SHOWN])
    sessions = "".join(
        f'<li><a href="{escape(one["url"])}">{one["id"][:16]}…</a></li>'
        for one in list(store.of_kind("checkout.session"))[::-1][:SHOWN]
        if one["url"]
    )
    events = "".join(f"<li>{_day(one['created'])} {one['type']}</li>" for one in list(tx.all("event"))[::-1][:SHOWN])
    clock = "".join(button("days", days, f"Let {label} pass") for days, label in DAYS.items())
    body = f"""<h1>The sandbox's Stripe</h1>{said(told)}<p>It is {_day(store.now())}.</p>
<form method=post>{clock}</form>
<p class="small">All that is here becomes older by so much, and what is due is done. The time stays now.</p>
<h2>Customers</h2>{customers or "<p>None yet.</p>"}
<h2>Open Checkout sessions</h2><ul>{sessions}</ul><h2>Events</h2><ul class="small">{events}</ul>"""
    return document("The sandbox's Stripe", body)


def _customer(tx: Tx, customer: Obj) -> str:
    if customer.get("deleted"):
        return f"<p>{customer['id']}: deleted</p>"
    name = escape(customer["name"] or customer["email"] or customer["id"])
    subs = "".join(_sub(tx, one) for one in tx.all("subscription") if one["customer"] == customer["id"])
    cards = button("card", "ok", "Card works") + button("card", "decline", "Card fails")
    hidden = f'<input type=hidden name=customer value="{customer["id"]}">'
    return f"<p><b>{name}</b> {customer['id']}</p><ul>{subs}</ul><form method=post>{hidden}{cards}</form>"


def _sub(tx: Tx, sub: Obj) -> str:
    item = sub["items"]["data"][0]
    price = tx.the(item["price"])
    name = escape(tx.the(price["product"])["name"])
    cost = money(amount_in(price, sub["currency"]), sub["currency"])
    return f"<li>{name}, {cost}: <b>{sub['status']}</b> until {_day(item['current_period_end'])}</li>"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
