"""Events: what has changed, kept for 30 days, and owed to every endpoint that asked for its type."""

from typing import Any

from sandbox.stripe.errors import missing
from sandbox.stripe.lists import matching, page
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

VERSION = "2026-10-28.endive"
KEPT_S = 30 * 86_400
UPDATED = {
    "charge": "charge.updated",
    "customer": "customer.updated",
    "invoice": "invoice.updated",
    "price": "price.updated",
    "product": "product.updated",
    "refund": "refund.updated",
    "subscription": "customer.subscription.updated",
}
"""Which event says that an object is no longer as it was. Payment intents have none."""


def emit(tx: Tx, kind: str, obj: Obj, previous: dict[str, Any] | None = None) -> None:
    """Write an event down, as the object is now. `previous` holds the old values of what changed."""
    data: Obj = {"object": show(tx, obj)}
    if previous is not None:
        data["previous_attributes"] = previous
    event = whole(
        "event",
        new_id("evt"),
        tx.now,
        api_version=VERSION,
        data=data,
        pending_webhooks=0,
        request={"id": tx.request_id, "idempotency_key": tx.key},
        type=kind,
        _success=True,
    )
    del event["account"], event["context"]
    for endpoint in list(tx.all("webhook_endpoint")):
        if endpoint["status"] == "enabled" and {kind, "*"} & set(endpoint["enabled_events"]):
            owe(tx, event["id"], endpoint["id"])
            event["pending_webhooks"] += 1
            event["_success"] = False
    tx.add(event)
    if "id" in obj:
        tx.told[obj["id"]] = data["object"]


def tell_changes(tx: Tx) -> None:
    """Tell what a call has changed beyond what its events say: nothing changes in silence."""
    for obj in list(tx.changed.values()):
        old = tx.store.objects.get(obj["id"])
        if obj["object"] not in UPDATED or obj.get("deleted") or (old is None and obj["id"] not in tx.told):
            continue
        told = tx.told.get(obj["id"])
        update_event(tx, UPDATED[obj["object"]], told if told is not None else show(tx, old or obj), obj)


def owe(tx: Tx, event_id: str, endpoint_id: str) -> None:
    """Owe one endpoint one event."""
    tx.add(
        {
            "id": new_id("dlv"),
            "object": "_delivery",
            "event": event_id,
            "endpoint": endpoint_id,
            "state": "waiting",
            "attempts": 0,
            "due_at": 0.0,
            "last_status": None,
        }
    )


def changed(old: Obj, new: Obj) -> dict[str, Any]:
    """The old values of the fields that are no longer the same, as an event's `previous_attributes`."""
    names = [name for name in new if not name.startswith("_") and old.get(name) != new[name]]
    return {name: old.get(name) for name in names}


def update_event(tx: Tx, kind: str, old: Obj, new: Obj) -> None:
    """An event that an object has changed, if it has."""
    previous = changed(old, show(tx, new))
    if previous:
        emit(tx, kind, new, previous)


def list_events(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/events`."""
    for name in ("starting_after", "ending_before"):
        if name in params:
            get_event(tx, {}, params[name])
    kinds = params.get("types") or ([params["type"]] if "type" in params else None)
    found = matching((one for one in tx.all("event") if one["created"] > tx.now - KEPT_S), params, "created")
    if kinds:
        found = [one for one in found if any(_is(one["type"], kind) for kind in kinds)]
    if "delivery_success" in params:
        found = [one for one in found if one["_success"] == params["delivery_success"]]
    return page(tx, "/v1/events", found, params)


def _is(kind: str, asked: str) -> bool:
    return kind == asked or (asked.endswith("*") and kind.startswith(asked[:-1]))


def get_event(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/events/{id}`."""
    found = tx.peek(key)
    if found is None or found["object"] != "event" or found["created"] <= tx.now - KEPT_S:
        missing("event", key)
    return found
