"""Connections as they are stored: finding them, and moving them from one state to another."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import NotFound
from app.models.connections import Status
from app.models.features import Provider
from app.services.audit import Audit, By
from app.services.events import Event, append

Also = Callable[[Session], Awaitable[None]]
Ending = Literal["needs_reauth", "error"]
AUDITED: dict[Ending, str] = {"needs_reauth": "connection.needs_reauth", "error": "connection.refused"}
"""What the audit log calls it when a connection comes to this status."""
NETWORKS: dict[tuple[Provider, str], str] = {
    ("instagram", "instagram"): "instagram",
    ("facebook", "instagram"): "instagram",
    ("facebook", "page"): "facebook",
    ("spotify", "spotify_user"): "spotify",
}
"""Where an account lives, however its owner logs in: a label has it once."""
LIVE = ("pending", "active", "needs_reauth")
CONNECTED = ("active", "needs_reauth")
"""There is an account, and a token that is good or may be again."""

FAILED_LIFE = timedelta(days=30)
"""How long a log-in that led to nothing is shown."""
WEBHOOK_NOTED_EVERY = timedelta(minutes=1)


def is_usable(connection: Doc, feature: str) -> bool:
    """Whether the connection may be used for this now."""
    return connection["status"] == "active" and feature in connection["active_features"]


async def need(db: Database, label_id: str, connection_id: str) -> Doc:
    """The connection. Raises `NotFound`."""
    connection = await db.open("connections").find_one({"_id": connection_id, "label_id": label_id})
    if connection is None:
        raise NotFound
    return connection


async def page_of(db: Database, label_id: str, *, status: Status | None, after: str | None, limit: int) -> list[Doc]:
    """Oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$gt": after}} if after else {})
    query |= {"status": status} if status else {}
    return await db.open("connections").find(query).sort("_id", 1).limit(limit + 1).to_list()


async def mark(
    db: Database,
    audit: Audit,
    connection: Doc,
    *,
    status: Ending,
    problem: str,
    by: By,
    now: datetime,
    also: Also | None = None,
) -> bool:
    """Move a connection to another status, unless it has moved already; whether it was this call that did.

    One that needs a new log-in keeps its account, and receives what fans write meanwhile; one that has fresh tokens by
    now needs none. `also` is done in the same transaction.
    """
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    query = key | {"status": {"$eq": connection["status"], "$nin": [status, "revoked"]}}
    query |= {"token_version": connection["token_version"]} if status == "needs_reauth" else {}
    update: Doc = {"$set": {"status": status, "problem": problem, "problem_since": now}, "$inc": {"version": 1}}
    if status == "error":
        update["$unset"] = {"active_account_id": "", "choices": "", "abandon_at": ""}
        update["$set"] |= {"active_features": [], "expires_at": now + FAILED_LIFE}
    told = {"problem": problem}
    return await change_once(db, audit, query, update, AUDITED[status], details=told, by=by, now=now, also=also)


async def end_log_in(db: Database, audit: Audit, connection: Doc, *, problem: str, by: By, now: datetime) -> None:
    """End a log-in that led to nothing, unless it has become something meanwhile: no secret of it stays."""
    label_id, connection_id = connection["label_id"], connection["_id"]

    async def forget(session: Session) -> None:
        key = {"label_id": label_id, "connection_id": connection_id}
        await db.open("secrets").delete_many(key, session=session)
        event = Event(label_id, f"connection:{connection_id}:error", "connection.changed", connection_id, now)
        await append(db, [event], session=session)

    await mark(db, audit, connection, status="error", problem=problem, by=by, now=now, also=forget)


async def change_once(
    db: Database,
    audit: Audit,
    query: Doc,
    update: Doc,
    action: str,
    *,
    details: dict[str, str],
    by: By,
    now: datetime,
    also: Also | None = None,
) -> bool:
    """Change the connection, if it still is as the `query` says, and tell the audit log; whether it was this call.

    `also` is done in the same transaction, then and only then.
    """

    async def both(session: Session) -> bool:
        changed = await db.open("connections").update_one(query, update, session=session)
        if changed.modified_count:
            where = {"label_id": query["label_id"], "target": query["_id"]}
            await audit.record(by, action, **where, details=details, now=now, session=session)
            if also:
                await also(session)
        return changed.modified_count == 1

    return await db.in_transaction(both)


async def of_account(db: Database, label_id: str, network: str, account_id: str) -> Doc | None:
    """The label's connection that has this account, or none."""
    query = {"label_id": label_id, "network": network, "active_account_id": account_id}
    return await db.open("connections").find_one(query)


async def live_connections(db: Database, account_ids: Iterable[str]) -> dict[str, list[Doc]]:
    """The connections that receive for these accounts, whoever's they are, by each id that Meta may call the account.

    One whose webhooks are being switched on receives already, and one whose token is dead receives still.
    """
    wanted = {account_id for account_id in account_ids if account_id}
    query = {"account_ids": {"$in": sorted(wanted)}, "status": {"$in": list(LIVE)}}
    found: dict[str, list[Doc]] = {}
    async for doc in db.open("connections").find(query, comment=f"{ALL_LABELS}whose account a webhook is about"):
        for account_id in wanted.intersection(doc["account_ids"]):
            found.setdefault(account_id, []).append(doc)
    return found


async def sharing(db: Database, connection: Doc) -> list[Doc]:
    """The other live connections, whoever's, that receive by the same subscription at the provider."""
    query = {
        "provider": connection["provider"],
        "subscription_id": connection["subscription_id"],
        "status": {"$in": list(LIVE)},
        "_id": {"$ne": connection["_id"]},
    }
    why = f"{ALL_LABELS}who else receives by a subscription at a provider"
    return await db.open("connections").find(query, comment=why).to_list()


async def of_person(db: Database, provider: Provider, person_id: str) -> list[Doc]:
    """The live connections, whoever's, that this person has made by logging in at the provider."""
    query = {"provider": provider, "person_ids": person_id, "status": {"$in": list(LIVE)}}
    why = f"{ALL_LABELS}what a person at a provider has connected"
    return await db.open("connections").find(query, comment=why).to_list()


async def all_of_person(db: Database, provider: Provider, person_id: str, *, session: Session) -> list[Doc]:
    """The same however they are: one that was refused, or that is just being ended, still holds what came from it."""
    why = f"{ALL_LABELS}what of a person is here, when the provider says that they have left"
    query = {"provider": provider, "person_ids": person_id}
    return await db.open("connections").find(query, comment=why, session=session).to_list()


async def has_log_in_under_way(db: Database, connection: Doc) -> bool:
    """Whether the label has a log-in at the same provider whose code is being exchanged."""
    query = {"label_id": connection["label_id"], "provider": connection["provider"], "status": "pending"}
    return await db.open("connections").find_one(query | {"step": "exchange"}, {"_id": 1}) is not None


async def forget_former(db: Database, provider: Provider, person_id: str, *, session: Session) -> None:
    """Forget that this person once logged in for connections that live by other people's log-ins now."""
    why = f"{ALL_LABELS}connections that a person who has left had made, and that others have renewed"
    former = {"provider": provider, "former_person_ids": person_id}
    forget = {"$pull": {"former_person_ids": person_id}}
    await db.open("connections").update_many(former, forget, comment=why, session=session)


async def update(
    db: Database, connection: Doc, changes: Doc, *, only_if: Doc | None = None, session: Session | None = None
) -> bool:
    """Set these fields, if it still is as `only_if` says; whether it was."""
    key = {"_id": connection["_id"], "label_id": connection["label_id"]} | (only_if or {})
    update = {"$set": changes, "$inc": {"version": 1}}
    return (await db.open("connections").update_one(key, update, session=session)).matched_count == 1


async def note(db: Database, connection: Doc, facts: Doc) -> None:
    """Set fields that tell how the connection is, and not what anybody has decided: its `ETag` stays."""
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    await db.open("connections").update_one(key, {"$set": facts})


async def note_webhooks(db: Database, connections: Sequence[Doc], *, now: datetime) -> None:
    """Note that these have received something from their provider: of each at most once a minute."""
    for connection in {one["_id"]: one for one in connections}.values():
        noted = connection.get("last_webhook_at")
        if noted is None or now - noted >= WEBHOOK_NOTED_EVERY:
            await note(db, connection, {"last_webhook_at": now})


async def is_being_renewed(db: Database, connection: Doc) -> bool:
    """Whether a log-in that is to give it fresh tokens was begun, and has not ended."""
    query = {"label_id": connection["label_id"], "renews": connection["_id"], "status": "pending"}
    return await db.open("connections").find_one(query, {"_id": 1}) is not None
