"""Choosing among the accounts that a log-in leads to: what there is, and what somebody wants. No token is needed.

A worker has written what can be chosen into the pending connection; `choosing.py` connects what was chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import Conflict, FieldError, InvalidInput
from app.ids import new_id
from app.models.features import Feature
from app.services import operations
from app.services.audit import Audit, By
from app.services.connections import store


@dataclass(frozen=True)
class Wanted:
    """An account that somebody wants to connect, and with which features (none: all that the log-in is for)."""

    provider_id: str
    features: list[Feature] | None


def page_of(connection: Doc, *, after: str | None, limit: int) -> list[Doc]:
    """What can be chosen, by id, one more than `limit` if there are more; nothing once it has been chosen."""
    if connection["status"] != "pending":
        return []
    rows = sorted(connection.get("choices") or [], key=lambda row: str(row["provider_id"]))
    return [row for row in rows if after is None or row["provider_id"] > after][: limit + 1]


async def connected_already(db: Database, connection: Doc, choices: Sequence[Doc]) -> dict[str, str]:
    """The label's connections that have these accounts already, by the account's id."""
    query = {
        "label_id": connection["label_id"],
        "active_account_id": {"$in": [row["provider_id"] for row in choices]},
        "_id": {"$ne": connection["_id"]},
    }
    networks = {row["provider_id"]: store.NETWORKS[connection["provider"], row["kind"]] for row in choices}
    found = await db.open("connections").find(query).to_list()
    return {
        one["active_account_id"]: one["_id"] for one in found if networks[one["active_account_id"]] == one["network"]
    }


async def choose(
    db: Database,
    audit: Audit,
    label_id: str,
    connection_id: str,
    wanted: Sequence[Wanted],
    *,
    by: By,
    now: datetime,
) -> Doc:
    """Have a worker connect these accounts; the operation.

    Raises `NotFound`, `InvalidInput` for what cannot be chosen, and `Conflict` when there is nothing to choose, or
    somebody has chosen already.
    """
    connection = await store.need(db, label_id, connection_id)
    if connection["status"] != "pending" or connection.get("step") != "choose_accounts":
        raise Conflict("There is nothing to choose now")
    _check(connection, wanted)
    rows = [row_of(one.provider_id, one.features or connection["features"]) for one in wanted]
    told = {"accounts": " ".join(one.provider_id for one in wanted)[:200]}

    async def both(session: Session) -> Doc:
        operation = await operations.add(
            db,
            label_id=label_id,
            kind="choose_accounts",
            target=connection_id,
            connection_id=connection_id,
            key=f"choose_accounts:{connection_id}:{connection['version']}",
            now=now,
            session=session,
        )
        query = {"_id": connection_id, "label_id": label_id, "status": "pending", "version": connection["version"]}
        query |= {"step": "choose_accounts", "choosing": None}
        changes = {"$set": {"choosing": operation["_id"], "chosen": rows}, "$inc": {"version": 1}}
        changed = await db.open("connections").update_one(query, changes, session=session)
        if changed.modified_count == 0:
            raise Conflict("Somebody has chosen already")
        where = {"label_id": label_id, "target": connection_id}
        await audit.record(by, "connection.accounts_chosen", **where, details=told, now=now, session=session)
        return operation

    if connection.get("choosing"):
        raise Conflict("Somebody has chosen already")
    return await db.in_transaction(both)


def row_of(provider_id: str, features: Sequence[Feature]) -> Doc:
    """An account that was chosen. `connection_id` is its connection's, unless the one that logged in takes it."""
    return {
        "provider_id": provider_id,
        "features": list(features),
        "connection_id": new_id("con"),
        "tried": None,
        "outcome": None,
    }


def _check(connection: Doc, wanted: Sequence[Wanted]) -> None:
    known = {row["provider_id"] for row in connection.get("choices") or []}
    errors: list[FieldError] = []
    for number, one in enumerate(wanted):
        at = f"/accounts/{number}"
        if one.provider_id not in known:
            errors.append(FieldError(f"{at}/provider_id", "is none of the accounts that can be chosen"))
        elif one.provider_id in [earlier.provider_id for earlier in wanted[:number]]:
            errors.append(FieldError(f"{at}/provider_id", "is named twice"))
        if set(one.features or []) - set(connection["features"]):
            errors.append(FieldError(f"{at}/features", "names a feature that the log-in did not ask for"))
    if errors:
        raise InvalidInput(errors=tuple(errors))
