"""Connecting the accounts that were chosen after a Facebook log-in: each tried out first, then each made active.

The first takes the pending connection itself, and is the last to be connected: once that is active, the vault gives
the person's token to nobody who chooses. What became of an account is written down at once, so that a worker who takes
over goes on with the others; an account's own connection has its id before there is a connection, so that it is made
once.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from pymongo.errors import DuplicateKeyError

from app.clients import facebook as meta
from app.clients.credentials import Opened
from app.clients.facebook_trials import try_feature
from app.clients.graph_errors import GraphError, RateLimited, Refused, TokenDead, Unavailable
from app.db import Doc
from app.models.features import Feature, missing_scopes, missing_tasks
from app.services.connections import store
from app.services.connections.activation import Grant, activate, end, give_up, may_renew
from app.services.connections.hands import Hands
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed
from app.services.vault.secrets import put_secret

RETRY = timedelta(seconds=10)
REFRESH_AFTER = timedelta(days=30)
"""Half of the life of a person's token."""
LOST_ROLE = 492
"""Meta's subcode of a Page's token whose person has no role on the Page any more."""


@dataclass(frozen=True)
class Tried:
    """A chosen account that can be used, and what for."""

    number: int
    row: Doc
    choice: Doc
    token: Opened = field(repr=False)
    """The Page's."""
    verified: list[Feature]


async def choose_accounts(hands: Hands, operation: Doc) -> Doc:
    """Connect the chosen accounts. The result tells of each what came of it. Raises `TryAgain`, `GiveUp`."""
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    if connection.get("choosing") not in (None, operation["_id"]):
        raise GiveUp("chosen_anew", "Somebody has chosen anew since.")
    try:
        if connection["status"] == "pending":
            await connect_chosen(hands, operation, connection)
    except (Unavailable, RateLimited) as exc:
        wait = exc.wait if isinstance(exc, RateLimited) else RETRY
        raise TryAgain(hands.clock() + wait, "provider_unavailable") from exc
    except NotAllowed:
        pass  # another worker has finished it, or somebody has ended it: that is told below
    except (GraphError, NoSecret, SealBroken, KeyError, ValueError) as exc:
        await end(hands, connection, "log_in_ended")
        raise GiveUp("log_in_ended", "The log-in has ended meanwhile. Connect the account again.") from exc
    now_there = await store.need(hands.db, connection["label_id"], connection["_id"])
    return {"accounts": [_result(row, now_there) for row in now_there.get("chosen", ())]}


async def connect_chosen(hands: Hands, operation: Doc, connection: Doc) -> None:
    """Connect what is chosen in this pending connection and not done yet.

    Raises `GraphError` when nothing more can be done now, and what opening a secret raises.
    """
    user = await hands.open(connection, "user_token", used_for="choose", job=operation["_id"])
    begun = await _begun(hands, connection)
    usable: list[Tried] = []
    for number, row in enumerate(connection["chosen"]):
        own = begun.get(row["connection_id"])
        if row["outcome"] is not None:
            continue
        if own and own["status"] != "pending":
            await _record_begun(hands, connection, number, own)
        elif tried := await _try_out(hands, user, connection, number):
            usable.append(tried)
        elif own:
            await end(hands, own, "account_not_usable")
    heir = next((one for one in usable if one.row["connection_id"] not in begun), None)
    for tried in usable:
        if tried is not heir:
            own = begun.get(tried.row["connection_id"]) or await _own_connection(hands, connection, tried)
            await _connect(hands, connection, own, tried, user)
    if heir is not None:
        await _take_over(hands, connection, heir, user)
        return
    chosen = (await store.need(hands.db, connection["label_id"], connection["_id"]))["chosen"]
    if any(row["outcome"] and row["outcome"]["verified"] for row in chosen):
        await end(hands, connection, "account_not_usable")  # the others have connections of their own
    else:
        await store.update(hands.db, connection, {"choosing": None})  # there may be others to choose


async def _begun(hands: Hands, connection: Doc) -> dict[str, Doc]:
    """The connections that an earlier worker has made for chosen accounts, by id."""
    ids = [row["connection_id"] for row in connection["chosen"]]
    query = {"label_id": connection["label_id"], "_id": {"$in": ids}}
    return {doc["_id"]: doc for doc in await hands.db.open("connections").find(query).to_list()}


async def _try_out(hands: Hands, user: Opened, connection: Doc, number: int) -> Tried | None:
    """The chosen account with what it can be used for; none when it cannot be connected, which is then on record."""
    row = connection["chosen"][number]
    choice = next(one for one in connection["choices"] if one["provider_id"] == row["provider_id"])
    if known := await _known_already(hands, connection, row, choice):
        await _record(hands, connection, number, problem="account_already_connected", connection_id=known["_id"])
        return None
    try:
        token = Opened(await meta.page_token(hands.facebook, user, page_id=choice["page_id"]), "choose")
        verified, dropped = await _verified(hands, token, connection, row, choice)
    except TokenDead as exc:
        if exc.subcode != LOST_ROLE:
            raise
        await _record(hands, connection, number, problem="page_role_lost")
        return None
    except Refused as exc:
        await _record(hands, connection, number, problem=_reason(exc))
        return None
    if not verified:
        await _record(hands, connection, number, problem="nothing_usable", dropped=dropped)
        return None
    tried = {"verified": verified, "dropped_features": dropped}
    await store.update(hands.db, connection, {f"chosen.{number}.tried": tried})
    return Tried(number, row | {"tried": tried}, choice, token, verified)


async def _known_already(hands: Hands, connection: Doc, row: Doc, choice: Doc) -> Doc | None:
    """The label's connection that has the account and that this log-in will not renew."""
    network = store.NETWORKS[connection["provider"], choice["kind"]]
    known = await store.of_account(hands.db, connection["label_id"], network, choice["provider_id"])
    if known is None or known["_id"] in (connection["_id"], row["connection_id"], connection["renews"]):
        return None
    if known["provider"] != connection["provider"]:
        return known
    return None if any(may_renew(known, one) for one in (connection, {"_id": row["connection_id"]})) else known


async def _verified(
    hands: Hands, token: Opened, connection: Doc, row: Doc, choice: Doc
) -> tuple[list[Feature], list[Doc]]:
    """The features that the Page's token serves, and those that it does not, each with the reason."""
    verified: list[Feature] = []
    dropped: list[Doc] = []
    where = {"kind": choice["kind"], "page_id": choice["page_id"], "account_id": choice["provider_id"]}
    for feature in row["features"]:
        reason = None
        if missing_scopes(connection["provider"], choice["kind"], feature, connection["granted_scopes"]):
            reason = "scope_missing"
        elif missing_tasks(feature, choice["tasks"]):
            reason = "task_missing"
        else:
            try:
                await try_feature(hands.facebook, token, feature, **where)
            except Refused as exc:
                reason = _reason(exc)
        if reason:
            dropped.append({"feature": feature, "reason": reason})
        else:
            verified.append(feature)
    return verified, dropped


def _reason(refused: Refused) -> str:
    return refused.reason if refused.reason != "unknown_error" else "refused_by_provider"


async def _own_connection(hands: Hands, connection: Doc, tried: Tried) -> Doc:
    """A pending connection for one of several accounts of the same log-in."""
    kept = ("label_id", "provider", "asked_scopes", "granted_scopes", "person_ids", "token_issued_at", "abandon_at")
    empty: Doc = {"problem": None, "account": None, "network": None, "subscription_id": None, "renews": None}
    made = {name: connection[name] for name in (*kept, "access_ends_at")} | empty
    made |= {
        "_id": tried.row["connection_id"],
        "status": "pending",
        "step": "exchange",
        "features": tried.row["features"],
        "active_features": [],
        "account_ids": [],
        "subscribed_fields": [],
        "token_version": 0,
        "token_expires_at": None,
        "created_at": hands.clock(),
        "version": 1,
    }
    try:
        await hands.db.open("connections").insert_one(made)
    except DuplicateKeyError:
        return await store.need(hands.db, connection["label_id"], made["_id"])
    return made


async def _take_over(hands: Hands, connection: Doc, tried: Tried, user: Opened) -> None:
    """Let the account have the connection that logged in, where the person's token is sealed already."""
    taken = {"features": tried.row["features"], f"chosen.{tried.number}.taken": True}
    await store.update(hands.db, connection, taken)
    page_token = tried.token.reveal("choose")
    await put_secret(hands.db, hands.ring, page_token, connection=connection, purpose="access_token", now=hands.clock())
    await _connect(hands, connection, connection, tried, user)


async def _connect(hands: Hands, connection: Doc, own: Doc, tried: Tried, user: Opened) -> None:
    """Make `own` the active connection of the account, and write down what came of it."""
    try:
        await activate(hands, own, _grant(connection, tried, user), sealed=own["_id"] == connection["_id"])
    except GiveUp as exc:
        await _record(hands, connection, tried.number, problem=exc.code)
    except (Refused, TokenDead):
        await end(hands, own, "webhooks_refused")
        await _record(hands, connection, tried.number, problem="webhooks_refused")
    else:
        there = await store.need(hands.db, own["label_id"], own["_id"])
        await _record_begun(hands, connection, tried.number, there)


async def _record_begun(hands: Hands, connection: Doc, number: int, there: Doc) -> None:
    """Write down what came of a chosen account, by the connection that was made for it."""
    row = (await store.need(hands.db, connection["label_id"], connection["_id"]))["chosen"][number]
    if there["status"] == "error":
        await _record(hands, connection, number, problem=there["problem"])
        return
    tried = {"verified": row["tried"]["verified"], "dropped": row["tried"]["dropped_features"]}
    await _record(hands, connection, number, connection_id=there.get("replaced_by") or there["_id"], **tried)


def _grant(connection: Doc, tried: Tried, user: Opened) -> Grant:
    choice = tried.choice
    return Grant(
        kind=choice["kind"],
        provider_id=choice["provider_id"],
        username=choice["username"] or choice["name"],
        name=choice["name"],
        picture_url=choice["picture_url"],
        account_ids=(choice["provider_id"],),
        person_ids=tuple(connection["person_ids"]),
        subscription_id=choice["page_id"],
        tokens={"access_token": tried.token, "user_token": user},
        token_expires_at=None,
        refresh_at=connection["token_issued_at"] + REFRESH_AFTER,
        access_ends_at=connection["access_ends_at"],
        verified=tuple(tried.verified),
    )


async def _record(
    hands: Hands,
    connection: Doc,
    number: int,
    *,
    problem: str | None = None,
    connection_id: str | None = None,
    verified: list[Feature] | None = None,
    dropped: list[Doc] | None = None,
) -> None:
    """Write down what came of a chosen account."""
    outcome: Doc = {"problem": problem, "connection_id": connection_id}
    outcome |= {"verified": verified or [], "dropped_features": dropped or []}
    await store.update(hands.db, connection, {f"chosen.{number}.outcome": outcome})


def _result(row: Doc, connection: Doc) -> Doc:
    """What came of a chosen account; what took the connection that logged in may have had nobody to write it down."""
    outcome, has_it = row["outcome"], connection.get("replaced_by") or connection["_id"]
    if outcome is None and row.get("taken") and (connection["status"] == "active" or has_it != connection["_id"]):
        outcome = row["tried"] | {"problem": None, "connection_id": has_it}
    gone: Doc = {"problem": "connection_gone", "connection_id": None, "verified": [], "dropped_features": []}
    return {"provider_id": row["provider_id"], **(outcome or gone)}


async def renew_chosen(hands: Hands, operation: Doc, connection: Doc) -> None:
    """Connect the one account that a log-in was begun to renew. Raises `GiveUp` when that cannot be, and all else."""
    await connect_chosen(hands, operation, connection)
    now_there = await store.need(hands.db, connection["label_id"], connection["_id"])
    outcome = now_there["chosen"][0]["outcome"]
    if outcome["problem"] and now_there["status"] == "pending":
        await give_up(hands, connection, outcome["problem"], "The account cannot be used with this log-in.")
    if outcome["problem"]:
        raise GiveUp(outcome["problem"], "The log-in did not renew the connection.")
