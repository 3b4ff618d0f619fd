"""Connections: an account at a provider, connected by its owner's log-in there."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode, urlsplit

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import FieldError, InvalidInput, InvalidState, NotFound
from app.ids import new_id
from app.services import operations
from app.services.audit import Audit, By
from app.services.vault.ring import PublicRing
from app.services.vault.secrets import put_secret
from app.settings import Settings

Feature = Literal["messages", "comments", "publishing", "insights"]
SCOPES: dict[str, str] = {
    "messages": "instagram_business_manage_messages",
    "comments": "instagram_business_manage_comments",
    "publishing": "instagram_business_content_publish",
    "insights": "instagram_business_manage_insights",
}
"""What each feature needs beside the basic scope (Meta, Business Login, 2026-02)."""
BASIC_SCOPE = "instagram_business_basic"
STATE_LIFE = timedelta(minutes=10)
Ending = Literal["needs_reauth", "error"]
AUDITED: dict[Ending, str] = {"needs_reauth": "connection.needs_reauth", "error": "connection.refused"}
"""What the audit log calls it when a connection comes to this status."""


def check_return_to(settings: Settings, return_to: str) -> None:
    """Raise `InvalidInput` unless a person may be sent there: to our own origins, or in development to any site."""
    refusal = InvalidInput(errors=(FieldError("/return_to", "must lead to one of the app's origins"),))
    try:
        parts = urlsplit(return_to)
    except ValueError:
        raise refusal from None
    origin = f"{parts.scheme}://{parts.netloc}"
    known = {*settings.origins, f"{urlsplit(settings.public_url).scheme}://{urlsplit(settings.public_url).netloc}"}
    anywhere = settings.environment == "development" and not settings.origins
    if parts.scheme not in ("http", "https") or not parts.hostname or not (anywhere or origin in known):
        raise refusal


async def begin(
    db: Database,
    settings: Settings,
    audit: Audit,
    *,
    label_id: str,
    user_id: str,
    session_id: str,
    features: list[Feature],
    return_to: str | None,
    by: By,
    now: datetime,
) -> tuple[Doc, str]:
    """A pending connection, and where its owner logs in. The `state` in it works once, for this session, 10 minutes."""
    scopes = [BASIC_SCOPE, *(SCOPES[feature] for feature in features)]
    connection = _pending(label_id, features, scopes, now=now)
    state = secrets.token_urlsafe(32)
    pending = {
        "_id": _digest(state),
        "label_id": label_id,
        "connection_id": connection["_id"],
        "provider": "instagram",
        "user_id": user_id,
        "session_id": session_id,
        "return_to": return_to,
        "expires_at": now + STATE_LIFE,
    }

    async def both(session: Session) -> None:
        await db.open("connections").insert_one(connection, session=session)
        await db.open("oauth_states").insert_one(pending, session=session)
        told = {"provider": "instagram", "features": " ".join(features)}
        await audit.record(
            by,
            "connection.begun",
            label_id=label_id,
            target=connection["_id"],
            details=told,
            now=now,
            session=session,
        )

    await db.in_transaction(both)
    return connection, _authorize_url(settings, scopes, state)


def _authorize_url(settings: Settings, scopes: list[str], state: str) -> str:
    query = {
        "client_id": settings.instagram_app_id,
        "redirect_uri": settings.instagram_redirect_uri,
        "response_type": "code",
        "scope": ",".join(scopes),
        "state": state,
    }
    return f"{settings.instagram_www_url}/oauth/authorize?{urlencode(query)}"


def _pending(label_id: str, features: list[Feature], scopes: list[str], *, now: datetime) -> Doc:
    return {
        "_id": new_id("con"),
        "label_id": label_id,
        "provider": "instagram",
        "status": "pending",
        "problem": None,
        "features": features,
        "active_features": [],
        "asked_scopes": scopes,
        "granted_scopes": [],
        "account": None,
        "account_ids": [],
        "token_expires_at": None,
        "created_at": now,
        "version": 1,
    }


async def consume_state(db: Database, state: str, *, provider: str, session_id: str | None, now: datetime) -> Doc:
    """Use a `state` up. Raises `InvalidState`.

    `session_id` is the session that the browser showed, none if it showed none (the caller decides whether it may).
    """
    query = {"_id": _digest(state)}
    found = await db.open("oauth_states").find_one(query, comment=f"{ALL_LABELS}a state, before its label is known")
    if found is None or found["expires_at"] <= now or found["provider"] != provider:
        raise InvalidState
    if session_id is not None and session_id != found["session_id"]:
        raise InvalidState
    used = await db.open("oauth_states").delete_one(query | {"label_id": found["label_id"]})
    if used.deleted_count == 0:
        raise InvalidState
    return found


async def accept_code(db: Database, ring: PublicRing, pending: Doc, *, code: str, now: datetime) -> Doc:
    """Seal the code and have a worker exchange it: both, or neither. The operation."""
    connection = await need(db, pending["label_id"], pending["connection_id"])

    async def both(session: Session) -> Doc:
        code_only = code.removesuffix("#_")
        await put_secret(db, ring, code_only, connection=connection, purpose="code", now=now, session=session)
        return await operations.add(
            db,
            label_id=connection["label_id"],
            kind="exchange_code",
            target=connection["_id"],
            key=f"exchange_code:{connection['_id']}",
            now=now,
            session=session,
        )

    return await db.in_transaction(both)


async def need(db: Database, label_id: str, connection_id: str) -> Doc:
    """The connection. Raises `NotFound`."""
    connection = await db.open("connections").find_one({"_id": connection_id, "label_id": label_id})
    if connection is None:
        raise NotFound
    return connection


async def page_of(db: Database, label_id: str, *, after: str | None, limit: int) -> list[Doc]:
    """Oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$gt": after}} if after else {})
    return await db.open("connections").find(query).sort("_id", 1).limit(limit + 1).to_list()


async def mark(
    db: Database, audit: Audit, connection: Doc, *, status: Ending, problem: str, by: By, now: datetime
) -> bool:
    """Move a connection to another status, unless it has moved already; whether it was this call that did.

    One that needs a new log-in keeps its account, and receives what fans write meanwhile.
    """
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    query = key | {"status": {"$eq": connection["status"], "$ne": status}}
    update: Doc = {"$set": {"status": status, "problem": problem}, "$inc": {"version": 1}}
    if status == "error":
        update["$unset"] = {"active_account_id": ""}
        update["$set"]["active_features"] = []
    told = {"problem": problem}
    return await change_once(db, audit, query, update, AUDITED[status], details=told, by=by, now=now)


async def change_once(
    db: Database, audit: Audit, query: Doc, update: Doc, action: str, *, details: dict[str, str], by: By, now: datetime
) -> bool:
    """Change the connection, if it still is as the `query` says, and tell the audit log; whether it was this call."""

    async def both(session: Session) -> bool:
        changed = await db.open("connections").update_one(query, update, session=session)
        if changed.modified_count:
            where = {"label_id": query["label_id"], "target": query["_id"]}
            await audit.record(by, action, **where, details=details, now=now, session=session)
        return changed.modified_count == 1

    return await db.in_transaction(both)


async def of_account(db: Database, label_id: str, account_id: str) -> Doc | None:
    """The label's connection that has this account, or none."""
    query = {"label_id": label_id, "provider": "instagram", "active_account_id": account_id}
    return await db.open("connections").find_one(query)


async def live_connections(db: Database, account_ids: Iterable[str]) -> dict[str, list[Doc]]:
    """The connections that receive for these accounts, whoever's they are, by each id that Meta may call the account.

    One whose webhooks are being switched on receives already, and one whose token is dead receives still.
    """
    wanted = {account_id for account_id in account_ids if account_id}
    query = {"account_ids": {"$in": sorted(wanted)}, "status": {"$in": ["active", "needs_reauth", "pending"]}}
    found: dict[str, list[Doc]] = {}
    async for doc in db.open("connections").find(query, comment=f"{ALL_LABELS}whose account a webhook is about"):
        for account_id in wanted.intersection(doc["account_ids"]):
            found.setdefault(account_id, []).append(doc)
    return found


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
