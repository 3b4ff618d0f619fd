"""Checking a connection: what is asked of the provider, and what follows from what it says.

A check stores facts as the connection's `checks`: codes, numbers and times. `health.py` says what they mean.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from app.clients import spotify_errors
from app.clients.graph_errors import RateLimited, Unavailable
from app.db import Doc
from app.models.features import Feature, Provider
from app.services.connections import facebook_check, instagram_check, reauth, spotify_check, store, switching
from app.services.connections.facts import Facts, NothingLearnt
from app.services.connections.hands import Hands
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
LOOKS: dict[Provider, Callable[[Hands, Doc, str], Awaitable[Facts]]] = {
    "instagram": instagram_check.look,
    "facebook": facebook_check.look,
    "spotify": spotify_check.look,
}
"""What finds out about a connection, given the connection and the operation's id."""


async def check_connection(hands: Hands, operation: Doc) -> Doc:
    """Look how a connection is, put right what can be, and store the facts. The result names the connection.

    A provider that cannot be reached changes nothing but `checks.unreachable_since`. Raises `TryAgain`, `GiveUp`.
    """
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    if connection["status"] not in store.CONNECTED:
        raise GiveUp("connection_not_active", "The account is not connected.")
    try:
        facts = await LOOKS[connection["provider"]](hands, connection, operation["_id"])
    except (Unavailable, spotify_errors.Unavailable, spotify_errors.OutcomeUnknown) as exc:
        await _note_unreachable(hands, connection)
        if operation["attempts"] > len(RETRIES):
            raise GiveUp("provider_unavailable", "The provider could not be reached.") from exc
        raise TryAgain(hands.clock() + RETRIES[operation["attempts"] - 1], "provider_unavailable") from exc
    except (RateLimited, spotify_errors.RateLimited) as exc:
        until = hands.clock() + exc.wait
        await store.note(hands.db, connection, {"checks.usage": {"percent": None, "paused_until": until}})
        raise TryAgain(until, "rate_limited") from exc
    except NothingLearnt as exc:
        raise GiveUp("refused_by_provider", "The provider's answer says nothing of the account.") from exc
    except NotAllowed as exc:
        raise GiveUp("connection_not_active", "The account is not connected any more.") from exc
    except (NoSecret, SealBroken):
        facts = Facts(dead="token_unreadable")
    await _keep(hands, connection, facts)
    return {"connection_id": connection["_id"]}


async def _note_unreachable(hands: Hands, connection: Doc) -> None:
    checks = connection.get("checks") or {}
    since = checks.get("unreachable_since") or hands.clock()
    await store.note(hands.db, connection, {"checks.unreachable_since": since})


async def _keep(hands: Hands, connection: Doc, facts: Facts) -> None:
    """Store the facts, and let the connection's status and features follow them."""
    now, checks = hands.clock(), connection.get("checks") or {}
    noted: Doc = {"checks.checked_at": now, "checks.unreachable_since": None}
    noted["checks.trouble"] = _since(checks.get("trouble"), facts.trouble, now)
    noted["checks.usage"] = {"percent": facts.usage.percent, "paused_until": facts.usage.paused_until}
    if facts.webhooks:
        seen, before = facts.webhooks, checks.get("webhooks") or {}
        drifted = _since(before.get("drifted"), "webhooks_drifted" if seen.drift else None, now)
        noted["checks.webhooks"] = {
            "wanted_fields": seen.wanted_fields,
            "subscribed_fields": seen.subscribed_fields,
            "drift": seen.drift,
            "drifted": drifted,
            "repaired_at": seen.repaired_at or before.get("repaired_at"),
            "repaired": seen.repaired_at is not None,
        }
        noted["subscribed_fields"] = seen.subscribed_fields
        if seen.drift or "repair_at" not in connection:  # webhooks were off: what came meanwhile is read back
            noted["repair_at"] = now
    if facts.complete:
        quota = facts.quota
        noted["checks.quota"] = quota and {"used": quota.used, "total": quota.total, "window_s": quota.window_s}
    if facts.usage.paused_until:
        noted["check_at"] = facts.usage.paused_until
    await store.note(hands.db, connection, noted)
    if facts.dead:
        await _confirm(hands, connection, facts.dead)
    elif connection["status"] == "needs_reauth":
        await reauth.restore(hands.db, hands.audit, connection, now=now)
    if facts.complete:
        await _follow_permissions(hands, connection, facts.withdrawn, now)


async def _confirm(hands: Hands, connection: Doc, problem: str) -> None:
    """The token is dead: have its owner log in again, or say more exactly why that is waited for."""
    if await reauth.require_login(hands.db, hands.audit, connection, problem, now=hands.clock()):
        return
    query = {name: connection[name] for name in ("_id", "label_id", "token_version")}
    query |= {"status": "needs_reauth", "problem": {"$in": sorted(reauth.OF_TOKENS - {problem})}}
    update = {"$set": {"problem": problem}, "$inc": {"version": 1}}
    await hands.db.open("connections").update_one(query, update)


async def _follow_permissions(hands: Hands, connection: Doc, found: frozenset[Feature], now: datetime) -> None:
    known = (connection.get("checks") or {}).get("withdrawn") or {}
    if set(known) == found:
        return
    withdrawn = {feature: known.get(feature, now) for feature in sorted(found)}
    await switching.withdraw(hands.db, hands.audit, connection, withdrawn, now=now)


def _since(before: Doc | None, code: str | None, now: datetime) -> Doc | None:
    """The trouble, and since when it has been the same."""
    if code is None:
        return None
    return before if before and before["code"] == code else {"code": code, "since": now}
