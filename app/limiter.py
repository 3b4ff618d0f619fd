"""Limits: how often whoever may ask for what, counted in Redis over all processes."""

from dataclasses import dataclass
from typing import Literal

from app.clock import Clock
from app.settings import ApiSettings

Name = Literal[
    "address",
    "account",
    "label",
    "client",
    "login_account",
    "login_address",
    "register_address",
    "mail_address",
    "token_client",
    "invite_label",
    "mail_label",
]


@dataclass(frozen=True)
class Standing:
    """Where somebody stands with a limit."""

    name: str
    quota: int
    window_s: int
    remaining: int
    reset_s: int


class Limiter:
    """Counts, and refuses what is too much."""

    async def hit(self, name: Name, key: str, standings: list[Standing]) -> None:
        """Count one, and add how the limit stands to `standings`. Raises `TooManyRequests`, `Unavailable`."""

    async def check(self, name: Name, key: str) -> None:
        """Count nothing, only look. Raises `TooManyRequests`."""

    async def close(self) -> None:
        """Close the connections."""


def open_limiter(settings: ApiSettings, *, clock: Clock) -> Limiter:
    """A limiter on the Redis of these settings."""
    return Limiter()
