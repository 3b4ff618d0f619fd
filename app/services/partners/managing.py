"""API clients as owners and admins manage them: made, changed, deleted; their secrets; the owner's decision.

Each change is in the label's audit log, in the change's own transaction. Of two changes at once the database lets one
go first, and the other sees it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.errors import Conflict, FieldError, InvalidInput, NotFound, StaleVersion
from app.ids import new_id
from app.models.access import META_SCOPES
from app.services.audit import Audit, By
from app.services.billing.entitlements import Meter
from app.services.labels import labels, members
from app.services.partners import client_secrets

DECISIONS = 20
"""How many of the owner's decisions are kept with a client."""


@dataclass(frozen=True)
class Desk:
    """Who changes which label's clients, when, and where it is written down."""

    db: Database
    audit: Audit
    by: By
    label_id: str
    user_id: str
    meter: Meter
    now: datetime

    async def record(self, action: str, target: str, details: dict[str, str], session: Session) -> None:
        """A row of the audit log."""
        await self.audit.record(
            self.by, action, label_id=self.label_id, target=target, details=details, now=self.now, session=session
        )


@dataclass(frozen=True)
class Made:
    """A client with a new secret, which nobody can be shown again."""

    client: Doc
    key: Doc
    secret: str = field(repr=False)
    operation_ids: list[str]
    """They tell the owners."""


async def need_client(db: Database, label_id: str, client_id: str, *, session: Session | None = None) -> Doc:
    """The client. Raises `NotFound`."""
    client = await db.open("api_clients").find_one({"label_id": label_id, "_id": client_id}, session=session)
    if client is None:
        raise NotFound
    return client


async def page_of_clients(db: Database, label_id: str, *, after: str | None, limit: int) -> list[Doc]:
    """The oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$gt": after}} if after else {})
    return [doc async for doc in db.open("api_clients").find(query).sort("_id", 1).limit(limit + 1)]


async def create_client(desk: Desk, *, name: str, scopes: list[str], life: timedelta) -> Made:
    """Make a client and its first secret, and tell the label's owners. Raises `PlanLimitReached`, `BillingReadOnly`."""
    secret, key = client_secrets.make(desk.user_id, life=life, now=desk.now)
    client: Doc = {
        "_id": new_id("cli"),
        "label_id": desk.label_id,
        "name": name,
        "scopes": scopes,
        "meta_access": None,
        "meta_decisions": [],
        "secrets": [key],
        "created_by": desk.user_id,
        "created_at": desk.now,
        "version": 1,
    }

    async def work(session: Session) -> list[str]:
        await desk.meter.need_room(desk.label_id, "partner_clients", now=desk.now, session=session)
        await desk.db.open("api_clients").insert_one(client, session=session)
        await desk.record("client.made", client["_id"], {"scopes": " ".join(scopes)}, session)
        return await _secret_made(desk, client, key, session)

    return Made(client, key, secret, await desk.db.in_transaction(work))


async def change_client(desk: Desk, client_id: str, *, changes: Doc, versions: list[int] | None) -> Doc:
    """Change the name or the scopes. A decision on a scope that is taken away ends: given back, it needs another.

    Raises `NotFound`, `StaleVersion`.
    """

    async def work(client: Doc, session: Session) -> Doc:
        fields, details = dict(changes), {"fields": " ".join(sorted(changes))}
        if "scopes" in changes:
            fields["meta_access"] = _narrowed(client["meta_access"], changes["scopes"])
            details["scopes"] = " ".join(changes["scopes"])
        if changes:
            await desk.record("client.changed", client_id, details, session)
        return fields

    return await _change(desk, client_id, versions, work)


async def decide(desk: Desk, client_id: str, *, scopes: list[str], reason: str, versions: list[int] | None) -> Doc:
    """Record the owner's decision which of the client's scopes may reach data from Meta, in an earlier one's place.

    Raises `NotFound`, `StaleVersion`, `InvalidInput` for a scope that the client does not have.
    """

    async def work(client: Doc, session: Session) -> Doc:
        if not set(scopes) <= META_SCOPES & set(client["scopes"]):
            raise InvalidInput(errors=(FieldError("/scopes", "must be scopes of this client"),))
        await desk.record("meta_access.granted", client_id, {"scopes": " ".join(scopes)}, session)
        decision = {"scopes": scopes, "reason": reason, "decided_by": desk.user_id, "decided_at": desk.now}
        kept = [*client.get("meta_decisions", []), decision][-DECISIONS:]  # their reasons outlive a withdrawal
        return {"meta_access": decision, "meta_decisions": kept}

    return await _change(desk, client_id, versions, work)


async def withdraw(desk: Desk, client_id: str, *, versions: list[int] | None) -> None:
    """End the owner's decision: the next request for data from Meta is refused. Raises `NotFound`, `StaleVersion`."""

    async def work(client: Doc, session: Session) -> Doc:
        if client["meta_access"] is None:
            raise NotFound
        details = {"scopes": " ".join(client["meta_access"]["scopes"])}
        await desk.record("meta_access.withdrawn", client_id, details, session)
        return {"meta_access": None}

    await _change(desk, client_id, versions, work)


async def delete_client(desk: Desk, client_id: str, *, versions: list[int] | None) -> None:
    """Delete a client with its secrets; every token of it is dead at once. Raises `NotFound`, `StaleVersion`."""

    async def work(session: Session) -> None:
        client = await _need_version(desk, client_id, versions, session)
        place = {"label_id": desk.label_id, "_id": client_id, "version": client["version"]}
        if (await desk.db.open("api_clients").delete_one(place, session=session)).deleted_count == 0:
            raise Conflict("The client is being changed by somebody else")
        await desk.record("client.deleted", client_id, {}, session)

    await desk.db.in_transaction(work)


async def add_secret(desk: Desk, client_id: str, *, life: timedelta) -> Made:
    """Make a second secret, and tell the label's owners. Ended ones give way.

    Raises `NotFound`, and `Conflict` when two are live already.
    """
    secret, key = client_secrets.make(desk.user_id, life=life, now=desk.now)
    place: Doc = {"label_id": desk.label_id, "_id": client_id}
    full = f"secrets.{client_secrets.LIVE_AT_MOST - 1}"

    async def work(session: Session) -> tuple[Doc, list[str]]:
        clients = desk.db.open("api_clients")
        await clients.update_one(place, {"$pull": {"secrets": {"expires_at": {"$lte": desk.now}}}}, session=session)
        added = await clients.update_one(
            place | {full: {"$exists": False}}, {"$push": {"secrets": key}, "$inc": {"version": 1}}, session=session
        )
        client = await need_client(desk.db, desk.label_id, client_id, session=session)
        if added.matched_count == 0:
            raise Conflict("The client has two live secrets: delete one of them first")
        return client, await _secret_made(desk, client, key, session)

    client, operation_ids = await desk.db.in_transaction(work)
    return Made(client, key, secret, operation_ids)


async def delete_secret(desk: Desk, client_id: str, key_id: str) -> None:
    """Delete a secret; every token that was given for it is dead at once. Raises `NotFound`."""

    async def work(session: Session) -> None:
        gone = await desk.db.open("api_clients").update_one(
            {"label_id": desk.label_id, "_id": client_id, "secrets.id": key_id},
            {"$pull": {"secrets": {"id": key_id}}, "$inc": {"version": 1}},
            session=session,
        )
        if gone.matched_count == 0:
            raise NotFound
        await desk.record("secret.deleted", key_id, {"client": client_id}, session)

    await desk.db.in_transaction(work)


async def _change(
    desk: Desk, client_id: str, versions: list[int] | None, work: Callable[[Doc, Session], Awaitable[Doc]]
) -> Doc:
    """Set the fields that `work` says for the client as it is, if it is of one of the `versions` seen."""

    async def both(session: Session) -> Doc:
        client = await _need_version(desk, client_id, versions, session)
        fields = await work(client, session)
        place = {"label_id": desk.label_id, "_id": client_id, "version": client["version"]}
        update: Doc = {"$inc": {"version": 1}} | ({"$set": fields} if fields else {})
        if (await desk.db.open("api_clients").update_one(place, update, session=session)).matched_count == 0:
            raise Conflict("The client is being changed by somebody else")
        return client | fields | {"version": client["version"] + 1}

    return await desk.db.in_transaction(both)


async def _need_version(desk: Desk, client_id: str, versions: list[int] | None, session: Session) -> Doc:
    client = await need_client(desk.db, desk.label_id, client_id, session=session)
    if versions is not None and client["version"] not in versions:
        raise StaleVersion
    return client


def _narrowed(decision: Doc | None, scopes: list[str]) -> Doc | None:
    """The decision, without what the client has no longer."""
    kept = [scope for scope in decision["scopes"] if scope in scopes] if decision else []
    return decision | {"scopes": kept} if decision and kept else None


async def _secret_made(desk: Desk, client: Doc, key: Doc, session: Session) -> list[str]:
    """Record a new secret, and write a mail to each owner; the operations that send them."""
    await desk.record("secret.made", key["id"], {"client": client["_id"]}, session)
    label = await labels.need_label(desk.db, desk.label_id)
    told = [
        await members.tell(
            desk.db,
            "client_secret_made",
            owner["user_id"],
            label,
            now=desk.now,
            session=session,
            client=client["name"],
        )
        for owner in await members.owners(desk.db, desk.label_id, session=session)
    ]
    return [operation for operation in told if operation]
