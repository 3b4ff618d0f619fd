"""The worker's half of connecting: code, short token, long token, account, webhooks. Each step is kept when it is done,
so that a worker that takes over goes on where the last one stopped."""

from datetime import timedelta
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.clients import graph as meta
from app.clients.graph import Graph
from app.clients.graph_errors import GraphError, OutcomeUnknown, RateLimited, Unavailable
from app.clock import Clock
from app.db import Database, Doc
from app.services import connections
from app.services.audit import SYSTEM, Audit
from app.services.connections import SCOPES
from app.services.events import Event, append
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, Opened, open_secret
from app.services.vault.private_ring import PrivateRing
from app.services.vault.ring import PublicRing
from app.services.vault.secrets import destroy_secret, put_secret

RETRY = timedelta(seconds=10)
Purpose = Literal["code", "short_token", "access_token"]


async def exchange(
    db: Database,
    graph: Graph,
    rings: tuple[PublicRing, PrivateRing],
    audit: Audit,
    operation: Doc,
    *,
    redirect_uri: str,
    clock: Clock,
) -> Doc:
    """Make a pending connection active. The result names it. Raises `TryAgain`, `GiveUp`."""
    connection = await connections.need(db, operation["label_id"], operation["target"])
    try:
        if connection["status"] == "pending":
            await _steps(db, graph, rings, audit, operation, connection, redirect_uri=redirect_uri, clock=clock)
    except (Unavailable, RateLimited) as exc:
        raise TryAgain(clock() + (exc.wait if isinstance(exc, RateLimited) else RETRY), "provider_unavailable") from exc
    except (GraphError, NoSecret, SealBroken, KeyError, ValueError) as exc:
        code = "exchange_interrupted" if isinstance(exc, OutcomeUnknown) else "exchange_refused"
        await _end(db, audit, connection, code, clock)
        raise GiveUp(code, "Instagram did not complete the log-in. Connect the account again.") from exc
    now_there = await connections.need(db, connection["label_id"], connection["_id"])
    return {"connection_id": now_there.get("replaced_by", connection["_id"])}


async def _steps(
    db: Database,
    graph: Graph,
    rings: tuple[PublicRing, PrivateRing],
    audit: Audit,
    operation: Doc,
    connection: Doc,
    *,
    redirect_uri: str,
    clock: Clock,
) -> None:
    public, private = rings

    async def opened(purpose: Purpose) -> Opened:
        return await open_secret(
            db, private, connection=connection, purpose=purpose, used_for="connect", job=operation["_id"], now=clock()
        )

    async def keep(secret: str, purpose: Purpose, instead_of: Purpose) -> None:
        await put_secret(db, public, secret, connection=connection, purpose=purpose, now=clock())
        await destroy_secret(db, connection=connection, purpose=instead_of)

    try:
        token = await opened("access_token")
    except NoSecret:
        try:
            short = await opened("short_token")
        except NoSecret:
            code = await opened("code")
            found = await meta.exchange_code(graph, code.reveal(), redirect_uri=redirect_uri)
            await _set(db, connection, {"granted_scopes": list(found.scopes)})
            await keep(found.token, "short_token", "code")
            short = Opened(found.token)
        long = await meta.exchange_for_long(graph, short.reveal())
        await _set(db, connection, {"token_expires_at": clock() + long.lifetime})
        await keep(long.token, "access_token", "short_token")
        token = Opened(long.token)
    account = await meta.get_account(graph, token.reveal())
    await _activate(db, graph, public, audit, token, connection, account, clock)


async def _activate(
    db: Database,
    graph: Graph,
    ring: PublicRing,
    audit: Audit,
    token: Opened,
    connection: Doc,
    account: meta.Account,
    clock: Clock,
) -> None:
    fresh = await connections.need(db, connection["label_id"], connection["_id"])
    granted = set(fresh["granted_scopes"])
    features = [feature for feature in fresh["features"] if SCOPES[feature] in granted or not granted]
    shown = {
        "provider_id": account.provider_id,
        "username": account.username,
        "name": account.name,
        "picture_url": account.picture_url,
    }
    ready_to_receive = {
        "account": shown,
        "account_ids": sorted({account.provider_id, account.scoped_id}),
        "active_account_id": account.provider_id,
        "active_features": features,
    }
    try:  # before Meta sends the first webhook, which would otherwise be nobody's
        await _set(db, connection, ready_to_receive)
    except DuplicateKeyError as exc:
        known = await connections.of_account(db, connection["label_id"], account.provider_id)
        if known and (known["status"] == "needs_reauth" or known.get("renewed_by") == connection["_id"]):
            kept = {name: fresh[name] for name in ("features", "granted_scopes", "token_expires_at")}
            await _renew(db, graph, ring, audit, token, connection, known, ready_to_receive | kept, clock)
            return
        await destroy_secret(db, connection=connection, purpose="access_token")
        await _end(db, audit, connection, "account_already_connected", clock)
        raise GiveUp("account_already_connected", "This account is connected to the label already.") from exc
    begun = {"status": "pending"}
    await _make_active(db, audit, connection, await _subscribed(graph, token, features), clock, only_if=begun)
    await _tell(db, connection, "active", clock)


async def _renew(
    db: Database,
    graph: Graph,
    ring: PublicRing,
    audit: Audit,
    token: Opened,
    connection: Doc,
    known: Doc,
    changes: Doc,
    clock: Clock,
) -> None:
    """Give the fresh token to the connection that the account has already, with all its conversations."""
    await put_secret(db, ring, token.reveal(), connection=known, purpose="access_token", now=clock())
    active = await _subscribed(graph, token, changes["active_features"])
    renewed = changes | active | {"renewed_by": connection["_id"]}
    before = {"renewed_by": {"$ne": connection["_id"]}}
    await _make_active(db, audit, known, renewed, clock, only_if=before)
    await destroy_secret(db, connection=connection, purpose="access_token")
    await _set(db, connection, {"status": "revoked", "problem": "replaced", "replaced_by": known["_id"]})
    await _tell(db, known, f"renewed:{connection['_id']}", clock)


async def _subscribed(graph: Graph, token: Opened, features: list[str]) -> Doc:
    """Switch the features' webhooks on; what makes the connection active."""
    wanted = [feature for feature in features if feature in meta.SUBSCRIBED_FIELDS]
    fields = await meta.subscribe(graph, token.reveal(), wanted) if wanted else []
    return {"status": "active", "problem": None, "subscribed_fields": fields, "active_features": features}


async def _make_active(
    db: Database, audit: Audit, connection: Doc, changes: Doc, clock: Clock, *, only_if: Doc
) -> None:
    query = {"_id": connection["_id"], "label_id": connection["label_id"]} | only_if
    update = {"$set": changes, "$inc": {"version": 1}}
    told = {"features": " ".join(changes["active_features"])}
    await connections.change_once(
        db, audit, query, update, "connection.connected", details=told, by=SYSTEM, now=clock()
    )


async def _end(db: Database, audit: Audit, connection: Doc, problem: str, clock: Clock) -> None:
    for purpose in ("code", "short_token"):
        await destroy_secret(db, connection=connection, purpose=purpose)
    await connections.mark(db, audit, connection, status="error", problem=problem, by=SYSTEM, now=clock())
    await _tell(db, connection, "error", clock)


async def _set(db: Database, connection: Doc, changes: Doc) -> None:
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    await db.open("connections").update_one(key, {"$set": changes, "$inc": {"version": 1}})


async def _tell(db: Database, connection: Doc, status: str, clock: Clock) -> None:
    key = f"connection:{connection['_id']}:{status}"
    await append(db, [Event(connection["label_id"], key, "connection.changed", connection["_id"], clock())])
