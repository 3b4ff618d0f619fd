"""What API clients send to the OAuth routes and get from them: names and meanings are those of the RFCs."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from app.models.base import ApiModel

FORM = "application/x-www-form-urlencoded"


class ClientAuth(ApiModel):
    """How a client authenticates, unless it does by HTTP Basic (RFC 6749, section 2.3.1)."""

    client_id: Annotated[str, Field(max_length=64, examples=["cli_01k9zv3t5w8x2m4c6d7f9g1h3j"])] | None = None
    client_secret: Annotated[SecretStr, Field(max_length=128)] | None = None


class TokenRequest(ClientAuth):
    """A request for an access token (RFC 6749, section 4.4.2)."""

    grant_type: Annotated[str, Field(max_length=64, examples=["client_credentials"])] | None = None
    """Must be `client_credentials`."""
    scope: Annotated[str, Field(max_length=1000, examples=["inbox:read label:read"])] | None = None
    """With spaces between; all that are granted, if it is left out."""


class TokenOut(ApiModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    """Seconds."""
    scope: Annotated[str, Field(examples=["inbox:read label:read"])]
    """With spaces between."""


class TokenReference(ClientAuth):
    """A token to revoke or to look at (RFC 7009, section 2.1; RFC 7662, section 2.1)."""

    token: Annotated[SecretStr, Field(max_length=8192)] | None = None
    """Must be there."""
    token_type_hint: Annotated[str, Field(max_length=64, examples=["access_token"])] | None = None
    """Not needed."""


class Introspection(ApiModel):
    """What there is to know of a token (RFC 7662, section 2.2). Of one that is not active, no more than that."""

    active: bool
    scope: str | None = None
    """What it can be used for now, with spaces between."""
    client_id: str | None = None
    sub: str | None = None
    label_id: str | None = None
    iss: str | None = None
    exp: int | None = None
    """Seconds since 1970."""
    jti: str | None = None
