"""From a log-in that a provider has confirmed to an active connection, whichever provider it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

from pymongo.errors import DuplicateKeyError

from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.clients.credentials import Opened
from app.clock import Clock
from app.db import Database, Doc, Session
from app.models.features import AccountKind, Feature, granted_features
from app.services.audit import SYSTEM, Audit
from app.services.connections import store, webhooks
from app.services.connections.hands import Hands
from app.services.connections.schedule import next_warning
from app.services.events import Event, append
from app.services.operations import GiveUp, TryAgain
from app.services.vault.secrets import destroy_secret, put_secrets

FIRST_CHECK_AFTER = timedelta(minutes=2)
FIRST_REPAIR_AFTER = timedelta(minutes=1)
"""What was written before, or while a dead token was waited for, is read back."""


@dataclass(frozen=True)
class Grant:
    """What a log-in has led to: an account, and the secrets by which it can be used."""

    kind: AccountKind
    provider_id: str
    username: str
    name: str | None
    picture_url: str | None
    account_ids: tuple[str, ...]
    """Every id by which webhooks may name the account."""
    person_ids: tuple[str, ...]
    """Every id by which the provider may name the person who logged in, in our app."""
    subscription_id: str | None
    """What is subscribed at the provider to get the account's webhooks; none where there are none."""
    tokens: Mapping[str, Opened] = field(repr=False)
    """By their purpose in the vault. Those of the connection that logged in are sealed already."""
    token_expires_at: datetime | None
    refresh_at: datetime | None
    """When to refresh, long before the end."""
    access_ends_at: datetime | None
    """When the owner must have logged in again, unless a refresh moves it; none when the provider names no end."""
    verified: tuple[Feature, ...] | None = None
    """The features that were tried out with these tokens; none where what was granted is all that counts."""


async def activate(hands: Hands, connection: Doc, grant: Grant, *, sealed: bool) -> None:
    """Make the pending connection active, or give its tokens to the one that the label has of the account already.

    `sealed` says that the tokens lie in the vault under this connection. Raises `GiveUp`, and what the provider's
    client raises while webhooks are switched on; it may be done again.
    """
    fresh = await store.need(hands.db, connection["label_id"], connection["_id"])
    network = store.NETWORKS[fresh["provider"], grant.kind]
    if fresh.get("keeps_features"):
        fresh |= {"features": (await need_renewed(hands, fresh))["features"]}  # they may have been switched meanwhile
    ready = _ready(fresh, grant) | {"network": network, "warn_at": next_warning(grant.access_ends_at, hands.clock())}
    if fresh["renews"]:
        await _renew_chosen(hands, fresh, grant, ready)
        return
    try:  # before the provider sends the first webhook, which would otherwise be nobody's
        waits = await hands.db.in_transaction(lambda session: _take_place(hands, fresh, ready, session))
    except DuplicateKeyError as exc:
        known = await store.of_account(hands.db, fresh["label_id"], network, grant.provider_id)
        if known and known["provider"] == fresh["provider"] and may_renew(known, fresh):
            await _renew(hands, fresh, known, grant, ready)
            return
        await end(hands, fresh, "account_already_connected")
        raise GiveUp("account_already_connected", "This account is connected to the label already.") from exc
    except (BillingReadOnly, PlanLimitReached) as full:
        await give_up(hands, fresh, full.code, full.detail)
    if not waits:
        raise GiveUp("disconnected", "The connection was ended while its log-in was completed.")
    if not sealed:
        await hands.db.in_transaction(lambda session: _seal(hands, fresh, grant, session))
    fields = await webhooks.sync(hands, fresh | ready, grant.tokens["access_token"])
    changes = {
        "status": "active",
        "problem": None,
        "subscribed_fields": fields,
        "active_features": ready["active_features"],
    }
    if not await _make_active(hands.db, hands.audit, fresh, changes, hands.clock, only_if={"status": "pending"}):
        there = await store.need(hands.db, fresh["label_id"], fresh["_id"])
        if there["status"] not in store.CONNECTED:  # else another worker was faster
            raise GiveUp("disconnected", "The connection was ended while its log-in was completed.")
    await tell(hands.db, fresh, "active", hands.clock)


async def _take_place(hands: Hands, fresh: Doc, ready: Doc, session: Session) -> bool:
    """Let it have its account, if it waits and the label's plan has room. Raises `PlanLimitReached`.

    Its account is its own before it is counted: one that the label has already comes first, and takes no room.
    """
    waits = await store.update(hands.db, fresh, ready, only_if={"status": "pending"}, session=session)
    if waits:
        await hands.meter.need_room(fresh["label_id"], "connections", now=hands.clock(), session=session, made=1)
    return waits


def may_renew(known: Doc, fresh: Doc) -> bool:
    """Whether a log-in of its own accord may give fresh tokens to what the label has: it must wait for them."""
    return bool(known["status"] == "needs_reauth" or known.get("renewed_by") == fresh["_id"])


def _ready(fresh: Doc, grant: Grant) -> Doc:
    """What a connection needs to receive webhooks and to be kept alive."""
    account = {"provider_id": grant.provider_id, "username": grant.username, "name": grant.name}
    wanted = [name for name in fresh["features"] if grant.verified is None or name in grant.verified]
    return {
        "account": account | {"picture_url": grant.picture_url, "kind": grant.kind},
        "account_ids": sorted(set(grant.account_ids)),
        "person_ids": sorted(set(grant.person_ids)),
        "subscription_id": grant.subscription_id,
        "active_account_id": grant.provider_id,
        "active_features": granted_features(fresh["provider"], grant.kind, wanted, fresh["granted_scopes"]),
        "token_issued_at": fresh["token_issued_at"],
        "token_expires_at": grant.token_expires_at,
        "refresh_at": grant.refresh_at,
        "access_ends_at": grant.access_ends_at,
        "authorized_at": fresh.get("authorized_at"),
    }


async def _renew_chosen(hands: Hands, fresh: Doc, grant: Grant, ready: Doc) -> None:
    """Renew the connection that the log-in was begun for, if it is the same account. Raises `GiveUp`."""
    known = await need_renewed(hands, fresh)
    if known["network"] != ready["network"] or known["account"]["provider_id"] != grant.provider_id:
        await give_up(hands, fresh, "wrong_account", "The log-in was to another account. Nothing was changed.")
    await _renew(hands, fresh, known, grant, ready)


async def need_renewed(hands: Hands, fresh: Doc) -> Doc:
    """The connection that the log-in was begun to renew. Raises `GiveUp`, and ends the log-in, when it is gone."""
    known = await hands.db.open("connections").find_one({"_id": fresh["renews"], "label_id": fresh["label_id"]})
    if known is None or known["status"] not in store.LIVE:
        await give_up(hands, fresh, "connection_gone", "The connection to be renewed is not there any more.")
    return known


async def give_up(hands: Hands, fresh: Doc, problem: str, detail: str) -> NoReturn:
    """End a log-in that led to nothing. Raises `GiveUp`."""
    await end(hands, fresh, problem)
    raise GiveUp(problem, detail)


async def _renew(hands: Hands, fresh: Doc, known: Doc, grant: Grant, ready: Doc) -> None:
    """Give the fresh tokens to the connection that the account has already, with all its conversations."""
    fields = await webhooks.sync(hands, known | ready, grant.tokens["access_token"])
    kept = {name: fresh[name] for name in ("features", "asked_scopes", "granted_scopes")}
    changes = ready | kept | {"status": "active", "problem": None, "subscribed_fields": fields}
    changes["renewed_by"] = fresh["_id"]
    changes["former_person_ids"] = [
        person
        for person in [*known["person_ids"], *known.get("former_person_ids", ())]
        if person not in ready["person_ids"]
    ]
    before: Doc = {"renewed_by": {"$ne": fresh["_id"]}, "status": {"$in": list(store.LIVE)}}
    before |= {"features": known["features"]} if fresh.get("keeps_features") else {}

    async def seal(session: Session) -> None:
        await _seal(hands, known, grant, session)

    if not await _make_active(hands.db, hands.audit, known, changes, hands.clock, only_if=before, also=seal):
        there = await need_renewed(hands, fresh)
        if there.get("renewed_by") != fresh["_id"]:
            raise TryAgain(hands.clock(), "changed_meanwhile")
    for purpose in ("code", "verifier", *grant.tokens):
        await destroy_secret(hands.db, connection=fresh, purpose=purpose)
    replaced = {"status": "revoked", "problem": "replaced", "replaced_by": known["_id"], "choices": []}
    await store.update(hands.db, fresh, replaced)
    await tell(hands.db, known, f"renewed:{fresh['_id']}", hands.clock)


async def _seal(hands: Hands, connection: Doc, grant: Grant, session: Session) -> None:
    secrets = {purpose: token.reveal("connect", "choose") for purpose, token in grant.tokens.items()}
    await put_secrets(hands.db, hands.ring, secrets, connection=connection, now=hands.clock(), session=session)


async def _make_active(
    db: Database,
    audit: Audit,
    connection: Doc,
    changes: Doc,
    clock: Clock,
    *,
    only_if: Doc,
    also: store.Also | None = None,
) -> bool:
    query = {"_id": connection["_id"], "label_id": connection["label_id"]} | only_if
    fields = changes | {"check_at": clock() + FIRST_CHECK_AFTER, "comments_at": clock(), "insights_at": clock()}
    fields |= {"repair_at": clock() + FIRST_REPAIR_AFTER, "features_at": clock()}
    update = {"$set": fields, "$inc": {"version": 1, "token_version": 1}}
    update["$unset"] = {"abandon_at": "", "denied": "", "choices": "", "problem_since": "", "checks.withdrawn": ""} | {
        "checks.lost_scopes": ""
    }
    told = {"features": " ".join(changes["active_features"])}
    action = "connection.connected"
    return await store.change_once(db, audit, query, update, action, details=told, by=SYSTEM, now=clock(), also=also)


async def end(hands: Hands, connection: Doc, problem: str) -> None:
    """End a log-in that led to nothing, if it has not become something."""
    await store.end_log_in(hands.db, hands.audit, connection, problem=problem, by=SYSTEM, now=hands.clock())


async def tell(db: Database, connection: Doc, status: str, clock: Clock) -> None:
    """Append the event that the connection has changed to this."""
    key = f"connection:{connection['_id']}:{status}"
    await append(db, [Event(connection["label_id"], key, "connection.changed", connection["_id"], clock())])
