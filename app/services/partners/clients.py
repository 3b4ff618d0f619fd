"""API clients: who they are, what they may do now, and which of their tokens were revoked.

All of it is read at each request, so whatever is taken away is away at the next one.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from pymongo.errors import DuplicateKeyError, PyMongoError

from app.db import ALL_LABELS, Database, Doc
from app.errors import (
    Forbidden,
    InvalidClient,
    InvalidScope,
    LabelDeleting,
    NotFound,
    OwnerDecisionRequired,
    Unauthenticated,
)
from app.logs import get_logger
from app.models.access import META_SCOPES, PERMISSIONS, Permission, Scope
from app.services.labels import members
from app.services.partners import client_secrets
from app.services.people import accounts
from app.services.tokens import ENDED, LEEWAY_S, LIFE, ClientClaims, new_token_id

log = get_logger(__name__)
RESPONSIBLE = PERMISSIONS["clients:write"].roles
"""A secret works while the person who made it has one of these roles: it does not outlive their leaving."""
COARSE = timedelta(minutes=1)
"""`last_used_at` is written no more often."""


@dataclass(frozen=True)
class Proven:
    """A client that has shown its secret."""

    client: Doc
    key: Doc


def granted_scopes(client: Doc) -> list[Scope]:
    """What a client may do: its scopes, of those that reach data from Meta only what the owner has decided on."""
    decided = (client["meta_access"] or {"scopes": []})["scopes"]
    return [scope for scope in client["scopes"] if scope not in META_SCOPES or scope in decided]


async def check_access(
    db: Database, claims: ClientClaims, label_id: str, permission: Permission, *, now: datetime
) -> None:
    """Let a partner's token through that is still good for this.

    Raises `Unauthenticated`, `NotFound` for another label, `Forbidden`, `OwnerDecisionRequired`, `LabelDeleting`.
    """
    client, membership = await _living(db, claims, now=now)
    if label_id != claims.label_id:
        raise NotFound
    if permission not in claims.scopes or permission not in client["scopes"]:
        raise Forbidden("This API client does not have the scope for this")
    if permission not in granted_scopes(client):
        raise OwnerDecisionRequired
    if membership.get("label_deleting") and not PERMISSIONS[permission].while_deleting:
        raise LabelDeleting


async def permissions_of(db: Database, claims: ClientClaims) -> frozenset[Permission]:
    """What a partner's token can be used for now: of its scopes, those that the client has and may use."""
    client = await db.open("api_clients").find_one({"label_id": claims.label_id, "_id": claims.client_id})
    usable: list[Permission] = [*granted_scopes(client)] if client else []
    return frozenset(permission for permission in usable if permission in claims.scopes)


async def _living(db: Database, claims: ClientClaims, *, now: datetime) -> tuple[Doc, Doc]:
    """The client of a token that has not ended, and the membership that its secret hangs on.

    Raises `Unauthenticated`.
    """
    client = await db.open("api_clients").find_one({"label_id": claims.label_id, "_id": claims.client_id})
    key = next((key for key in (client or {"secrets": []})["secrets"] if key["id"] == claims.key_id), None)
    if client is None or key is None or key["expires_at"] <= now:
        raise Unauthenticated(ENDED)
    membership, revoked = await asyncio.gather(
        _responsible(db, claims.label_id, key),
        db.open("revoked_tokens").find_one({"label_id": claims.label_id, "_id": claims.token_id}),
    )
    if membership is None or revoked is not None:
        raise Unauthenticated(ENDED)
    return client, membership


async def _responsible(db: Database, label_id: str, key: Doc) -> Doc | None:
    """The membership of who made this secret, while they may answer for it; none when nobody does any more."""
    membership, maker = await asyncio.gather(
        members.membership_of(db, key["created_by"], label_id), db.open("users").find_one({"_id": key["created_by"]})
    )
    enabled = maker is not None and not accounts.is_shut(maker)
    return membership if membership and enabled and membership["role"] in RESPONSIBLE else None


async def is_working(db: Database, label_id: str, client_id: str, scope: Scope, *, now: datetime) -> bool:
    """Whether a client could use this scope now: it is there, has the scope, and a secret that somebody answers for."""
    client = await db.open("api_clients").find_one({"label_id": label_id, "_id": client_id})
    if client is None or scope not in granted_scopes(client):
        return False
    return any([await _why_not(db, label_id, key, now=now) is None for key in client["secrets"]])


async def prove(db: Database, client_id: str, secret: str, *, now: datetime, request_id: str) -> Proven:
    """The client whose secret this is; a refusal is logged with the `request_id`.

    Raises `InvalidClient`, alike for an unknown client and a wrong secret.
    """
    if not client_secrets.is_well_formed(secret):
        raise InvalidClient
    client = await db.open("api_clients").find_one({"_id": client_id}, comment=f"{ALL_LABELS}a client that logs in")
    key = client_secrets.match(client["secrets"] if client else [], secret)
    if client is None or key is None:
        _log_refusal(client, "secret", request_id)
        raise InvalidClient
    reason = await _why_not(db, client["label_id"], key, now=now)
    if reason:
        _log_refusal(client, reason, request_id)
        raise InvalidClient
    return Proven(client, key)


def _log_refusal(client: Doc | None, reason: str, request_id: str) -> None:
    """One line for each, of unknown clients too: else the time that it takes would tell them apart."""
    known = client or {"_id": None, "label_id": None}
    ids = {"label_id": known["label_id"], "client_id": known["_id"], "request_id": request_id}
    log.warning("an API client was refused", reason=reason, **ids)


async def _why_not(db: Database, label_id: str, key: Doc, *, now: datetime) -> str | None:
    if key["expires_at"] <= now:
        return "expired"
    return None if await _responsible(db, label_id, key) else "nobody is responsible"


async def check_proven(db: Database, label_id: str, client_id: str, key_id: str, *, now: datetime) -> None:
    """Raise `InvalidClient` unless this secret, which was shown before, still works."""
    client = await db.open("api_clients").find_one({"label_id": label_id, "_id": client_id})
    key = next((key for key in (client or {"secrets": []})["secrets"] if key["id"] == key_id), None)
    if key is None or await _why_not(db, label_id, key, now=now):
        raise InvalidClient


def grant(proven: Proven, asked: str | None, *, now: datetime) -> ClientClaims:
    """What a new token of the client says, for the scopes asked for (with spaces between), or all that are granted.

    Raises `InvalidScope` for what the client does not have, `OwnerDecisionRequired` for what is not decided on.
    """
    granted = granted_scopes(proven.client)
    wanted = set(asked.split(" ")) if asked else set(granted)
    if not wanted <= set(proven.client["scopes"]):
        raise InvalidScope
    if not wanted or not wanted <= set(granted):
        raise OwnerDecisionRequired
    return ClientClaims(
        client_id=proven.client["_id"],
        label_id=proven.client["label_id"],
        key_id=proven.key["id"],
        scopes=frozenset(wanted),
        token_id=new_token_id(),
        expires_at=min(now + LIFE, proven.key["expires_at"]).replace(microsecond=0),
    )


async def note_use(db: Database, proven: Proven, *, now: datetime) -> None:
    """Note that a token was asked for, once a minute. Nobody waits for it, and nothing hangs on it."""
    seen = proven.key["last_used_at"]
    if seen is not None and now - seen < COARSE:
        return
    used = {"id": proven.key["id"], "last_used_at": seen}
    place = {"label_id": proven.client["label_id"], "_id": proven.client["_id"], "secrets": {"$elemMatch": used}}
    with suppress(PyMongoError):
        await db.open("api_clients").update_one(place, {"$set": {"secrets.$.last_used_at": now}})


async def revoke(db: Database, proven: Proven, claims: ClientClaims) -> None:
    """End a token of the client's own at once; another's stays as it is. It may be repeated."""
    if claims.client_id != proven.client["_id"]:
        return
    gone = {
        "_id": claims.token_id,
        "label_id": claims.label_id,
        "client_id": claims.client_id,
        "expires_at": claims.expires_at + timedelta(seconds=2 * LEEWAY_S),
    }
    with suppress(DuplicateKeyError):
        await db.open("revoked_tokens").insert_one(gone)


async def scopes_of(db: Database, proven: Proven, claims: ClientClaims, *, now: datetime) -> list[Scope] | None:
    """What a token of the client's own can be used for now; none for another's, and for one that has ended."""
    if claims.client_id != proven.client["_id"]:
        return None
    try:
        client, _ = await _living(db, claims, now=now)
    except Unauthenticated:
        return None
    return [scope for scope in granted_scopes(client) if scope in cast(frozenset[Scope], claims.scopes)]
