"""The ledger of effects: what calls and clicks have really done, for tests that look for double ones."""

from collections import Counter
from typing import Any

from sandbox.stripe.store import Obj, Store, Tx, new_id

NAMED_BY = {"operation": "soundops_operation", "label": "soundops_label"}


def effect(tx: Tx, kind: str, obj: Obj, **more: Any) -> None:
    """Note an effect on this object, with the key and the metadata of the call that had it."""
    tx.add(
        {
            "id": new_id("eff"),
            "object": "_effect",
            "seq": tx.store.seq + 1,
            "at": tx.now,
            "effect": kind,
            "object_id": obj["id"],
            "customer": obj["id"] if obj["object"] == "customer" else obj.get("customer"),
            "idempotency_key": tx.key,
            "request_id": tx.request_id,
            "metadata": _metadata(kind, obj) | tx.metadata,
        }
        | more
    )


def _metadata(kind: str, obj: Obj) -> dict[str, str]:
    """What the object itself says. An older intent's name, from before this call, is not this effect's."""
    said: dict[str, str] = dict(obj.get("metadata") or {})
    return said if kind.endswith(".created") else {name: said[name] for name in (NAMED_BY["label"],) if name in said}


def show_ledger(store: Store, asked: dict[str, str]) -> dict[str, Any]:
    """Effects, oldest first; `effect`, `customer`, `object_id`, `operation`, `label` and `idempotency_key` choose."""
    rows = [
        {name: value for name, value in row.items() if name not in ("id", "object")}
        for row in store.of_kind("_effect")
        if all(_value(row, name) == value for name, value in asked.items())
    ]
    return {"rows": rows, "count": len(rows)}


def show_doubles(store: Store, by: str, kind: str | None) -> dict[str, Any]:
    """Effects that the same intent has had more than once. `by`: operation, label or idempotency_key."""
    counted = Counter(
        (row["effect"], _value(row, by))
        for row in store.of_kind("_effect")
        if _value(row, by) is not None and kind in (None, row["effect"])
    )
    doubles = [{"effect": name, by: value, "count": n} for (name, value), n in counted.items() if n > 1]
    return {"doubles": doubles, "intents": len(counted)}


def _value(row: Obj, name: str) -> Any:
    return row["metadata"].get(NAMED_BY[name]) if name in NAMED_BY else row.get(name)
