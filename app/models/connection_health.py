"""The health of a connection, as the API shows it."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Instant

Code = Literal[
    "token_expired",
    "password_changed",
    "access_removed",
    "account_checkpoint",
    "page_role_lost",
    "token_invalid",
    "token_unreadable",
    "needs_new_login",
    "account_unreachable",
    "not_allowlisted",
    "not_connected",
    "permission_withdrawn",
    "scope_missing",
    "webhooks_drifted",
    "webhooks_silent",
    "rate_limited",
    "provider_unreachable",
    "publishing_quota_used",
    "access_ending",
    "standard_access",
    "log_in_pending",
    "reconnect_pending",
    "nothing_switched_on",
]
Severity = Literal["info", "warning", "broken"]


class Diagnosis(ApiModel):
    """One trouble, and what to do about it."""

    code: Code
    severity: Severity
    """`broken`: the account cannot be used. `warning`: a part of it cannot, or soon. `info`: good to know."""
    since: Instant | None
    """When we first saw it so; null where that is not known."""
    detail: str
    """What is wrong, in a sentence."""
    what_to_do: str
    """What helps, in a sentence."""


class ScopesHealth(ApiModel):
    """What was asked of the account's owner, and what they granted."""

    asked: list[str]
    granted: list[str]
    missing: list[str]
    """What the features that are switched on need beyond what is granted."""


class TokenHealth(ApiModel):
    """How old the token is. Never the token."""

    age_s: Annotated[int | None, Field(ge=0)]
    expires_at: Instant | None
    refresh_due_at: Instant | None
    access_ends_at: Instant | None
    """When the account's owner must have logged in again."""
    version: int
    """Counts each new token."""


class WebhooksHealth(ApiModel):
    """What the provider sends us of the account."""

    wanted_fields: list[str]
    subscribed_fields: list[str]
    """As the last check left them."""
    drift: list[str]
    """The fields in which the last check found them to differ."""
    repaired_at: Instant | None
    """When a check last put that right."""
    last_received_at: Instant | None
    """When something last came that was taken in, to the minute."""


class QuotaHealth(ApiModel):
    """Posts published through apps in the provider's moving window."""

    used: int
    total: int | None
    window_s: int | None
    """So long after each post, its place is free again."""


class UsageHealth(ApiModel):
    """How much of the provider's limits for the account is used up."""

    percent: int | None
    """Null when the provider does not say, as it does while it is little. It may pass 100."""
    paused_until: Instant | None
    """Until then we make no calls for the account."""


class ConnectionHealth(ApiModel):
    """How a connection is, as the last check found it."""

    status: Literal["ok", "warning", "broken", "unknown"]
    """The worst of the diagnoses; `unknown` before the first check."""
    checked_at: Instant | None
    access_level: Literal["standard", "advanced"]
    """`standard`: the provider lets our app work only with people who have a role in it."""
    scopes: ScopesHealth
    token: TokenHealth
    webhooks: WebhooksHealth
    publishing_quota: QuotaHealth | None
    usage: UsageHealth
    diagnoses: list[Diagnosis]
    """Each trouble once, the worst first."""
