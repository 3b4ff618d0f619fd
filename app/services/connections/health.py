"""From the facts of a connection to its health: pure, so that the same facts always mean the same."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, cast, get_args

from app.models.base import Doc
from app.models.connection_health import (
    Code,
    ConnectionHealth,
    Diagnosis,
    QuotaHealth,
    ScopesHealth,
    Severity,
    TokenHealth,
    UsageHealth,
    WebhooksHealth,
)
from app.models.connections import usable_scopes
from app.models.features import asked_scopes

ENDING_WITHIN = timedelta(days=14)
SILENT_AFTER = timedelta(days=14)
RANK: Final[dict[Severity, int]] = {"broken": 0, "warning": 1, "info": 2}
MEANING: Final[dict[Code, tuple[Severity, str, str]]] = {
    "token_expired": (
        "broken",
        "The access that the account's owner gave has expired.",
        "Have the account's owner log in again.",
    ),
    "password_changed": (
        "broken",
        "The account's password was changed, which ends every access.",
        "Have the account's owner log in again with the new password.",
    ),
    "access_removed": (
        "broken",
        "The account's owner has removed SoundOps from the account's apps.",
        "Connect the account again, if it is to be used here.",
    ),
    "account_checkpoint": (
        "broken",
        "The provider wants the account's owner to confirm something before apps may go on.",
        "Open the provider's own app as the account, do what it asks, and have the connection checked.",
    ),
    "page_role_lost": (
        "broken",
        "Whoever connected the Page has no role on it any more.",
        "Have somebody with a role on the Page log in: they, once they have it back, or another.",
    ),
    "token_invalid": (
        "broken",
        "The provider does not take the access any more, and does not say why.",
        "Have the account's owner log in again.",
    ),
    "token_unreadable": (
        "broken",
        "The sealed access cannot be opened here.",
        "Have the account's owner log in again.",
    ),
    "needs_new_login": (
        "broken",
        "The access has ended.",
        "Have the account's owner log in again.",
    ),
    "account_unreachable": (
        "broken",
        "The access is good, but it does not lead to the account.",
        "See that the account exists, is a professional one, and is linked with its Page if it was connected by it.",
    ),
    "not_allowlisted": (
        "broken",
        "The provider does not know the account's owner as somebody who may try our app.",
        "Ask our support to add the account to those that may.",
    ),
    "not_connected": (
        "broken",
        "The account is not connected.",
        "Connect the account.",
    ),
    "permission_withdrawn": (
        "warning",
        "The account's owner has withdrawn a permission, so that what needs it is off.",
        "Have the account's owner log in again and leave every permission ticked.",
    ),
    "scope_missing": (
        "warning",
        "A feature is switched on whose permissions were not granted.",
        "Have the account's owner log in again and grant what is missing, or switch the feature off.",
    ),
    "webhooks_drifted": (
        "warning",
        "The provider did not send what it should, and could not be brought to do so.",
        "Wait for the next check, and ask our support if it stays so.",
    ),
    "webhooks_silent": (
        "info",
        "Nothing has come from the account for long, although it is subscribed.",
        "If fans have written, see that the account lets apps read its messages in the provider's settings.",
    ),
    "rate_limited": (
        "warning",
        "The provider wants no more calls for the account for a while.",
        "Wait: what is queued goes on by itself.",
    ),
    "provider_unreachable": (
        "warning",
        "The provider could not be reached when the connection was checked.",
        "Wait: we try again by ourselves.",
    ),
    "publishing_quota_used": (
        "warning",
        "The account has published as many posts as it may in the provider's moving window.",
        "Wait with the next post, or publish it in the provider's own app.",
    ),
    "access_ending": (
        "warning",
        "The access ends soon.",
        "Have the account's owner log in again before it does.",
    ),
    "standard_access": (
        "info",
        "The provider lets our app work only with people who have a role in it.",
        "Nothing, while the account and its fans have such a role; ask our support otherwise.",
    ),
    "log_in_pending": (
        "info",
        "The account is not connected yet: the log-in was begun and not finished.",
        "Finish the log-in at the provider, choose among its accounts if there are several, or begin it anew.",
    ),
    "reconnect_pending": (
        "info",
        "A log-in for this account was begun and not finished.",
        "Finish the log-in at the provider, or begin it anew.",
    ),
    "nothing_switched_on": (
        "info",
        "No feature is switched on, so that nothing is done with the account.",
        "Switch a feature on to use the account.",
    ),
}
"""How bad each trouble is, what is wrong, and what to do."""
REPAIRED = "The provider did not send what it should, and was put right."
NOTHING_TO_DO = "Nothing: it was repaired by itself."


def of(connection: Doc, *, advanced: bool, reconnecting: bool, now: datetime) -> ConnectionHealth:
    """How the connection of this document is.

    `advanced`: the provider has opened our app to everybody; `reconnecting`: a log-in that is to renew it is under way.
    """
    checks = connection.get("checks") or {}
    found = sorted(_all_of(connection, checks, advanced, reconnecting, now), key=lambda one: RANK[one.severity])
    diagnoses = [one for number, one in enumerate(found) if one.code not in {before.code for before in found[:number]}]
    checked_at = checks.get("checked_at")
    worst = diagnoses[0].severity if diagnoses else "info"
    known = checked_at is not None or worst != "info"
    kind = connection["account"]["kind"] if connection["account"] else None
    granted = usable_scopes(connection)
    needed = asked_scopes(connection["provider"], connection["features"], kind)
    quota = checks.get("quota") if "publishing" in connection["active_features"] else None
    return ConnectionHealth(
        status=("ok" if worst == "info" else worst) if known else "unknown",
        checked_at=checked_at,
        access_level="advanced" if advanced else "standard",
        scopes=ScopesHealth(
            asked=connection["asked_scopes"],
            granted=[scope for scope in connection["granted_scopes"] if scope in granted],
            missing=[scope for scope in needed if scope not in granted] if kind else [],
        ),
        token=_token(connection, now),
        webhooks=_webhooks(connection, checks),
        publishing_quota=QuotaHealth(**quota) if quota else None,
        usage=UsageHealth(**(checks.get("usage") or {"percent": None, "paused_until": None})),
        diagnoses=diagnoses,
    )


def _all_of(connection: Doc, checks: Doc, advanced: bool, reconnecting: bool, now: datetime) -> Iterator[Diagnosis]:
    if reconnecting:
        yield _diagnosis("reconnect_pending", None)
    if connection["status"] == "needs_reauth":
        problem = connection["problem"]
        problem = "token_invalid" if problem == "token_dead" else problem
        code = cast(Code, problem) if problem in get_args(Code) else "needs_new_login"
        yield _diagnosis(code, connection.get("problem_since"))
    elif connection["status"] == "pending":
        yield _diagnosis("log_in_pending", None)
        return
    elif connection["status"] != "active":
        problem = connection["problem"]
        code = cast(Code, problem) if problem in get_args(Code) else "not_connected"
        yield _diagnosis(code, connection.get("problem_since"))
        return
    elif trouble := checks.get("trouble"):
        yield _diagnosis(trouble["code"], trouble["since"], "broken")
    if since := checks.get("unreachable_since"):
        yield _diagnosis("provider_unreachable", since)
    yield from _of_use(connection, checks, now)
    yield from _of_webhooks(connection, checks, now)
    ends_at = connection["access_ends_at"]
    if ends_at and connection["status"] == "active" and ends_at - now <= ENDING_WITHIN:
        yield _diagnosis("access_ending", ends_at - ENDING_WITHIN)
    if not advanced and connection["provider"] != "spotify":
        yield _diagnosis("standard_access", None)


def _of_use(connection: Doc, checks: Doc, now: datetime) -> Iterator[Diagnosis]:
    """What keeps features from being used although the token is good."""
    withdrawn = checks.get("withdrawn") or {}
    if withdrawn:
        yield _diagnosis("permission_withdrawn", min(withdrawn.values()))
    inactive = set(connection["features"]) - set(connection["active_features"]) - set(withdrawn)
    if inactive:
        yield _diagnosis("scope_missing", None)
    if not connection["features"]:
        yield _diagnosis("nothing_switched_on", None)
    paused_until = (checks.get("usage") or {}).get("paused_until")
    if paused_until and paused_until > now:
        yield _diagnosis("rate_limited", None)
    quota = checks.get("quota")
    if quota and quota["total"] is not None and quota["used"] >= quota["total"]:
        yield _diagnosis("publishing_quota_used", checks["checked_at"])


def _of_webhooks(connection: Doc, checks: Doc, now: datetime) -> Iterator[Diagnosis]:
    seen = checks.get("webhooks") or {}
    drifted = seen.get("drifted")
    if drifted and seen["repaired"]:
        yield Diagnosis(
            code="webhooks_drifted", severity="info", since=drifted["since"], detail=REPAIRED, what_to_do=NOTHING_TO_DO
        )
    elif drifted:
        yield _diagnosis("webhooks_drifted", drifted["since"])
    elif connection["subscribed_fields"] and connection["status"] == "active":
        last = connection.get("last_webhook_at") or connection["created_at"]
        if now - last >= SILENT_AFTER:
            yield _diagnosis("webhooks_silent", last)


def _diagnosis(code: Code, since: datetime | None, severity: Severity | None = None) -> Diagnosis:
    usual, detail, what_to_do = MEANING[code]
    return Diagnosis(code=code, severity=severity or usual, since=since, detail=detail, what_to_do=what_to_do)


def _token(connection: Doc, now: datetime) -> TokenHealth:
    issued_at = connection["token_issued_at"]
    return TokenHealth(
        age_s=max(0, int((now - issued_at).total_seconds())) if issued_at else None,
        expires_at=connection["token_expires_at"],
        refresh_due_at=connection.get("refresh_at"),
        access_ends_at=connection["access_ends_at"],
        version=connection["token_version"],
    )


def _webhooks(connection: Doc, checks: Doc) -> WebhooksHealth:
    seen = checks.get("webhooks") or {}
    return WebhooksHealth(
        wanted_fields=seen.get("wanted_fields", connection["subscribed_fields"]),
        subscribed_fields=seen.get("subscribed_fields", connection["subscribed_fields"]),
        drift=seen.get("drift", []),
        repaired_at=seen.get("repaired_at"),
        last_received_at=connection.get("last_webhook_at"),
    )
