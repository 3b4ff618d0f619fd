"""The end of a customer."""

from typing import Any

from sandbox.stripe.cards import detach_from
from sandbox.stripe.customers import need_customer
from sandbox.stripe.events import emit
from sandbox.stripe.ledger import effect
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.subs import ENDED, end_sub


def delete_customer(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`DELETE /v1/customers/{id}`: subscriptions end at once, methods go; invoices and charges stay as they are."""
    customer = need_customer(tx, key)
    for sub in [one["id"] for one in tx.all("subscription") if one["customer"] == key and one["status"] not in ENDED]:
        end_sub(tx, tx.the(sub), "cancellation_requested")
    for method in [one["id"] for one in tx.all("payment_method") if one["customer"] == key]:
        detach_from(tx, tx.the(method))
    for tax_id in [one["id"] for one in tx.all("tax_id") if one["customer"] == key]:
        tx.cut(tax_id)
    emit(tx, "customer.deleted", customer)
    effect(tx, "customer.deleted", customer)
    stub = {"id": key, "object": "customer", "deleted": True}
    tx.add(dict(stub))
    return stub
