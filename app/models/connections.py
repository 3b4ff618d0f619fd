"""Connections, as the API shows and takes them. No field of theirs can hold a token."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page
from app.models.features import AccountKind, Feature, Provider, asked_scopes

Status = Literal["pending", "active", "needs_reauth", "revoked", "error"]
Step = Literal["log_in", "exchange", "choose_accounts"]
"""How far a pending connection is."""


def _each_once(features: list[Feature]) -> list[Feature]:
    return sorted(set(features))


Features = Annotated[
    list[Feature],
    Field(min_length=1, max_length=5, examples=[["messages", "comments"]]),
    AfterValidator(_each_once),
]
"""What to switch on. `catalogue` is Spotify's only; the others are Instagram's and Facebook's."""
ReturnTo = Annotated[str, Field(max_length=2000, examples=["https://app.example.com/settings"])]


class ConnectionCreate(ApiModel):
    """An account to connect."""

    provider: Provider
    features: Features
    """Only the scopes that these need are asked for."""
    return_to: ReturnTo | None = None
    """Where the browser goes after the log-in at the provider."""


class ConnectionRenewal(ApiModel):
    """A new log-in for a connection that is there."""

    features: Features | None = None
    """What to switch on from then on; left out, what is switched on now."""
    return_to: ReturnTo | None = None
    """Where the browser goes after the log-in at the provider."""


class ConnectionChange(ApiModel):
    """What is to be different."""

    features: Annotated[list[Feature], Field(max_length=5, examples=[["messages"]]), AfterValidator(_each_once)]
    """All that is to be on. With none the account stays connected, and nothing is done with it."""


class AccountOut(ApiModel):
    """The account at the provider."""

    provider_id: str
    kind: AccountKind
    username: str
    name: str | None
    picture_url: str | None
    """The provider's own address; it expires."""


class ConnectionOut(ApiModel):
    """A connection and how it is."""

    id: Annotated[str, Field(examples=["con_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    provider: Provider
    provider_id: str | None
    status: Status
    step: Step | None
    """What a pending connection waits for: its owner's log-in, us, or somebody who chooses among its accounts."""
    problem: str | None
    """Why it is not active, as a stable code."""
    renews: str | None
    """The connection that this log-in was begun to renew."""
    replaced_by: str | None
    """The connection that a new log-in to the same account has renewed instead of this one."""
    account: AccountOut | None
    features: list[Feature]
    active_features: list[Feature]
    """Those whose scopes were granted. Nothing else is done with the account, or taken in from it."""
    asked_scopes: list[str]
    granted_scopes: list[str]
    missing_scopes: list[str]
    """What the features need and was not granted: log in again to grant it."""
    token_expires_at: Instant | None
    """When the present token ends. It is refreshed long before."""
    access_ends_at: Instant | None
    """When the account's owner must have logged in again; null when the provider names no end."""
    created_at: Instant

    @classmethod
    def of(cls, connection: Doc) -> "ConnectionOut":
        """The connection of this document."""
        return cls(**_shown(connection))


class ConnectionStarted(ConnectionOut):
    """A pending connection, and where its owner logs in."""

    authorize_url: str

    @classmethod
    def at(cls, connection: Doc, authorize_url: str) -> "ConnectionStarted":
        """The pending connection of this document."""
        return cls(**_shown(connection), authorize_url=authorize_url)


def usable_scopes(connection: Doc) -> set[str]:
    """The scopes that were granted, and of whose withdrawal we do not know."""
    lost: list[str] = (connection.get("checks") or {}).get("lost_scopes") or []
    return set(connection["granted_scopes"]) - set(lost)


def _shown(connection: Doc) -> Doc:
    account = connection["account"]
    kind = account["kind"] if account else None
    chooses = connection["status"] == "pending" and connection.get("step") == "choose_accounts"
    needed = asked_scopes(connection["provider"], connection["features"], kind)
    granted = usable_scopes(connection)
    copied = ("provider", "status", "problem", "renews", "features", "active_features", "asked_scopes")
    times = ("token_expires_at", "access_ends_at", "created_at")
    return {name: connection[name] for name in (*copied, *times)} | {
        "id": connection["_id"],
        "step": connection.get("step", "log_in") if connection["status"] == "pending" else None,
        "provider_id": account["provider_id"] if account else None,
        "replaced_by": connection.get("replaced_by"),
        "account": AccountOut(**account) if account else None,
        "granted_scopes": [scope for scope in connection["granted_scopes"] if scope in granted],
        "missing_scopes": [scope for scope in needed if scope not in granted] if account or chooses else [],
    }


class ConnectionPage(Page[ConnectionOut]):
    """A label's connections."""
