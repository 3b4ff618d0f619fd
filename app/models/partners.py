"""Partners' API clients, as the API shows and takes them."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from app.models.access import MetaScope, Scope
from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.people import Name

S = TypeVar("S", bound=str)


def _each_once(scopes: list[S]) -> list[S]:
    if len(set(scopes)) < len(scopes):
        raise ValueError("must name each scope once")
    return sorted(scopes)


_UNIQUE = {"uniqueItems": True}
Scopes = Annotated[list[Scope], Field(min_length=1, examples=[["inbox:read", "label:read"]], json_schema_extra=_UNIQUE)]
ClientScopes = Annotated[Scopes, AfterValidator(_each_once)]
MetaScopes = Annotated[
    list[MetaScope],
    Field(min_length=1, examples=[["inbox:read"]], json_schema_extra=_UNIQUE),
    AfterValidator(_each_once),
]
Days = Annotated[int, Field(ge=1, le=365, strict=True, examples=[90])]


class ClientCreate(ApiModel):
    """A new API client."""

    name: Name
    scopes: ClientScopes
    """What it may do. Those that reach data from Meta work once the owner has decided on them."""
    expires_in_days: Days = 90
    """For how long its first secret works."""


class ClientChange(ApiModel):
    """What to change; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    scopes: ClientScopes = Field(default_factory=left_out)


class SecretCreate(ApiModel):
    """A second secret, to change over to."""

    expires_in_days: Days = 90


class MetaAccessChange(ApiModel):
    """The owner's decision that a partner needs data from Meta to operate the service."""

    scopes: MetaScopes
    """Those of the client's scopes that are decided on; others that were before are no longer."""
    reason: Annotated[str, Field(min_length=10, max_length=500, examples=["Our help desk answers fans for us."])]


class SecretOut(ApiModel):
    """A secret, without the secret itself."""

    id: Annotated[str, Field(examples=["key_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    hint: Annotated[str, Field(examples=["f9Qa"])]
    """Its last four characters."""
    created_at: Instant
    expires_at: Instant
    last_used_at: Instant | None
    """When a token was asked for with it, to the minute."""
    created_by: Annotated[str, Field(examples=["usr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    """Who made it. It works while this person is owner or admin of the label."""

    @classmethod
    def of(cls, key: Doc) -> "SecretOut":
        """The secret of this part of a client's document."""
        return cls(**{name: key[name] for name in SecretOut.model_fields})


class SecretMade(SecretOut):
    """A new secret."""

    client_secret: Annotated[str, Field(examples=["sok_1h3jK9zv3t5W8x2m4C6d7f9g1H3j5k7M9n1p3r5T7v5wXyZ0"])]
    """Shown here once, and never again."""

    @classmethod
    def with_secret(cls, key: Doc, secret: str) -> "SecretMade":
        """The secret of this part of a client's document, and the secret itself."""
        return cls(**SecretOut.of(key).model_dump(), client_secret=secret)


class MetaAccess(ApiModel):
    """The owner's recorded decision on data from Meta."""

    scopes: list[MetaScope]
    reason: str
    decided_by: Annotated[str, Field(examples=["usr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    decided_at: Instant


class ClientOut(ApiModel):
    """An API client."""

    id: Annotated[str, Field(examples=["cli_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    scopes: list[Scope]
    granted_scopes: list[Scope]
    """Those of its scopes that work: without those from Meta that the owner has not decided on."""
    meta_access: MetaAccess | None
    secrets: list[SecretOut]
    """At most two that are live, to change over from one to the other."""
    created_by: str
    created_at: Instant

    @classmethod
    def of(cls, client: Doc, granted: list[Scope]) -> "ClientOut":
        """The client of this document."""
        decision = client["meta_access"]
        return cls(
            id=client["_id"],
            name=client["name"],
            scopes=client["scopes"],
            granted_scopes=granted,
            meta_access=MetaAccess(**decision) if decision else None,
            secrets=[SecretOut.of(key) for key in client["secrets"]],
            created_by=client["created_by"],
            created_at=client["created_at"],
        )


class ClientShown(ClientOut):
    """An API client, with what was decided on it."""

    meta_decisions: list[MetaAccess]
    """The last 20 of the owner's decisions, the newest last; also those that were withdrawn. Lists leave them out."""

    @classmethod
    def with_decisions(cls, client: Doc, granted: list[Scope]) -> "ClientShown":
        """The client of this document, with the decisions in it."""
        decisions = [MetaAccess(**decision) for decision in client.get("meta_decisions", [])]
        return cls(**ClientOut.of(client, granted).model_dump(), meta_decisions=decisions)


class ClientMade(ClientShown):
    """A new API client, and its first secret."""

    client_id: Annotated[str, Field(examples=["cli_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    """Its `id`, by the name that OAuth has for it."""
    client_secret: Annotated[str, Field(examples=["sok_1h3jK9zv3t5W8x2m4C6d7f9g1H3j5k7M9n1p3r5T7v5wXyZ0"])]
    """Shown here once, and never again."""

    @classmethod
    def with_secret(cls, client: Doc, granted: list[Scope], secret: str) -> "ClientMade":
        """The client of this document, and its secret."""
        return cls(
            **ClientShown.with_decisions(client, granted).model_dump(), client_id=client["_id"], client_secret=secret
        )


class ClientPage(Page[ClientOut]):
    """A label's API clients."""
