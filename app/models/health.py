"""What the health endpoints answer."""

from typing import Literal

from app.models.base import ApiModel


class Health(ApiModel):
    """The process runs."""

    status: Literal["ok"]


class Readiness(ApiModel):
    """Whether requests can be served, part by part."""

    ready: bool
    mongodb: Literal["ok", "missing"]
    redis: Literal["ok", "missing"]
    key_ring: Literal["ok", "missing"]
    indexes: Literal["ok", "wrong"]
    workers: Literal["consuming", "absent", "late", "unknown"]
    """Whether workers take jobs. It does not make the API unready: what it accepts is kept until one does."""
    promises: Literal["holding", "broken", "not_measured", "unknown"]
    """Whether every promise of the privacy policy holds (`GET /v1/privacy/promises`). The API is ready all the same."""
    restore: Literal["off", "held_back", "broken_off", "unknown"]
    """`held_back`: a backup was restored, and nothing leaves before an operator lifts it. `broken_off`: its restore has
    not ended, and the API is not ready."""
    broken_promises: list[str]
    """The ids of those that do not hold, or that nobody has measured."""
    detail: Literal["green", "yellow", "red"]
    """`red`: not ready. `yellow`: ready, and somebody should look at the workers, a promise or a restored backup."""
    troubles: list[str]
    """Which indexes are missing or differ from the data map."""


class Jwk(ApiModel):
    """A public key (RFC 7517)."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    use: str
    alg: str


class Jwks(ApiModel):
    """The keys that sign our access tokens."""

    keys: list[Jwk]
