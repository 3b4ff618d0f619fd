"""Connections, as the API shows and takes them. No field of theirs can hold a token."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from app.models.base import ApiModel, Doc, Instant, Page

Feature = Literal["messages", "comments", "publishing", "insights"]
Status = Literal["pending", "active", "needs_reauth", "revoked", "error"]


class ConnectionCreate(ApiModel):
    """An account to connect."""

    provider: Literal["instagram"]
    features: Annotated[list[Feature], Field(min_length=1, max_length=4, examples=[["messages", "comments"]])]
    """Only the scopes that these need are asked for."""
    return_to: Annotated[str, Field(max_length=2000, examples=["https://app.example.com/settings"])] | None = None
    """Where the browser goes after the log-in at the provider."""

    @field_validator("features")
    @classmethod
    def _each_once(cls, features: list[Feature]) -> list[Feature]:
        return sorted(set(features))


class AccountOut(ApiModel):
    """The account at the provider."""

    provider_id: str
    username: str
    name: str | None
    picture_url: str | None
    """The provider's own address; it expires."""


class ConnectionOut(ApiModel):
    """A connection and how it is."""

    id: Annotated[str, Field(examples=["con_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    provider: Literal["instagram"]
    provider_id: str | None
    status: Status
    problem: str | None
    """Why it is not active, as a stable code."""
    replaced_by: str | None
    """The connection that a new log-in to the same account has renewed instead of this one."""
    account: AccountOut | None
    features: list[Feature]
    active_features: list[Feature]
    """Those whose scopes were granted."""
    granted_scopes: list[str]
    token_expires_at: Instant | None
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


def _shown(connection: Doc) -> Doc:
    account = connection["account"]
    return {
        "id": connection["_id"],
        "provider": connection["provider"],
        "provider_id": account["provider_id"] if account else None,
        "status": connection["status"],
        "problem": connection["problem"],
        "replaced_by": connection.get("replaced_by"),
        "account": AccountOut(**account) if account else None,
        "features": connection["features"],
        "active_features": connection["active_features"],
        "granted_scopes": connection["granted_scopes"],
        "token_expires_at": connection["token_expires_at"],
        "created_at": connection["created_at"],
    }


class ConnectionPage(Page[ConnectionOut]):
    """A label's connections."""
