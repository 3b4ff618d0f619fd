"""What the sandbox knows of Spotify. It changes only by applying journal rows (spotify_apply.py)."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class SpotifyOptions(BaseModel):
    """How Spotify's accounts service behaves: where it is known to vary, and where it fails."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    rotate: bool = False
    """Whether a refresh gives a new refresh token and kills the used one."""
    rotation_grace_s: float = Field(default=0, ge=0, le=86_400)
    """Seconds for which a rotated refresh token gives the pair of its first use once more."""
    access_token_s: int = Field(default=3600, ge=1, le=86_400)
    """How long an access token lives."""
    slow_s: float = Field(default=0, ge=0, le=600)
    slow_share: Share = 0
    """Share of token calls that are executed at once and answered after `slow_s`."""
    lost_share: Share = 0
    """Share of token calls that are executed and never answered: the connection is closed."""
    lie_share: Share = 0
    """Share of refreshes answered `invalid_grant` though the token is good; never twice in a row for one token."""
    allow_list: list[str] | None = None
    """Who may use the app in Development Mode; the Web API answers everyone else 403. Null: everyone may."""
    seed: int = 1


@dataclass
class SpotifyCode:
    """An authorization code: ten minutes, one use."""

    value: str
    user: str
    redirect_uri: str
    scopes: list[str]
    challenge: str | None
    issued_ms: int
    used: bool = False


@dataclass
class SpotifyAccessToken:
    """A token for the Web API. Without a `user` it is for the catalogue alone."""

    value: str
    number: int
    user: str | None
    scopes: list[str]
    expires_ms: int
    revoked: bool = False


@dataclass
class SpotifyRefreshToken:
    """What access tokens are asked for with. `authorized_ms` stays through every rotation."""

    value: str
    number: int
    user: str
    scopes: list[str]
    authorized_ms: int
    revoked: bool = False
    rotated_ms: int | None = None
    """When its first use killed it, where tokens rotate; the pair it gave is in the two fields below."""
    next_access: str | None = None
    next_refresh: str | None = None
    uses: int = 0
    """How many refreshes were asked for with it while it was good, lies included."""
    lied: bool = False
    """Whether the newest of them was a lie."""


@dataclass
class SpotifyWorld:
    """All of Spotify's state. Tokens are numbered all together, so that the ledger can name them and show none."""

    options: SpotifyOptions = field(default_factory=SpotifyOptions)
    codes: dict[str, SpotifyCode] = field(default_factory=dict)
    access_tokens: dict[str, SpotifyAccessToken] = field(default_factory=dict)
    refresh_tokens: dict[str, SpotifyRefreshToken] = field(default_factory=dict)

    def next_number(self) -> int:
        """The number of the next token."""
        return len(self.access_tokens) + len(self.refresh_tokens) + 1
