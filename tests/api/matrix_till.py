"""What a label buys and pays, one of everything: makers as those of `matrix_makers.py`."""

from datetime import timedelta

from app.db import Doc
from app.ids import new_id
from app.services import operations as work
from tests.api.matrix_side import Side
from tests.house import House


async def make_orders(house: House, side: Side) -> list[str]:
    """A look at what another plan would cost, which has been answered; and an order that nobody has begun."""
    wish = {"plan": "label_group", "interval": "year"}
    made = (await side.owner.post(f"{side.path}/billing/preview", json=wish)).raise_for_status().json()
    place = {"_id": made["id"], "label_id": side.label_id}
    answered = {"$set": {"price_id": "price_year", "from_price_id": "price_test"}}
    await house.db.open("billing_orders").update_one(place, answered)
    claimed = await work.claim(house.db, made["operation_id"], lease=timedelta(seconds=45), now=house.clock())
    assert claimed is not None
    await work.succeed(house.db, claimed, result={"order_id": made["id"]}, now=house.clock())
    waits = (await side.owner.post(f"{side.path}/billing/portal")).raise_for_status().json()
    return [made["id"], waits["id"]]


async def make_money(house: House, side: Side) -> list[str]:
    """Two invoices, and two payments of the first."""
    now = house.clock()
    common: Doc = {
        "label_id": side.label_id,
        "at": now,
        "latest_at": now,
        "currency": "gbp",
        "digits": 2,
        "amount": 1700,
    }
    common |= {"status": "paid", "keep_until": "2033-04-05", "law": "GB"}
    none = ("number", "reason", "next_attempt_at", "paid_at", "country")
    whole = ("subtotal", "tax", "amount_due", "amount_paid", "amount_remaining", "credited", "attempts")
    invoice = common | dict.fromkeys(none) | dict.fromkeys(whole, 0) | {"kind": "invoice"}
    payment = common | {"kind": "payment", "amount_received": 1700, "amount_refunded": 0, "failure_code": None}
    made: dict[str, list[str]] = {"invoice": [], "payment": []}
    for number in range(2):
        for one in (invoice | {"period_start": now, "period_end": now}, payment | {"invoice_id": f"in_{side.name}0"}):
            stored = one | {"_id": new_id("mny"), "provider_id": f"{one['kind'][:2]}_{side.name}{number}"}
            await house.db.open("money_records").insert_one(stored)
            made[one["kind"]].append(stored["_id"])
    side.ids["payment_id"] = made["payment"]
    return made["invoice"]
