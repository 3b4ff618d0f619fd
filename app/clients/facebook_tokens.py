"""Facebook's tokens kept alive: a person's long token for a fresh one, and a Page's token by it. As `graph.py`.

Source: Meta, Facebook Login, 2026-02 (meta-platform.md, section 1.2).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.clients.credentials import Opened
from app.clients.facebook import Facebook
from app.clients.graph_call import retried
from app.clients.graph_errors import TokenDead
from app.models.features import UsedFor

LONG_LIFE = timedelta(days=60)
"""What Meta gives when its answer names no end."""
REFRESH: tuple[UsedFor, ...] = ("refresh",)


@dataclass(frozen=True)
class UserToken:
    """A person's token."""

    token: str = field(repr=False)
    lifetime: timedelta


async def renew_user_token(facebook: Facebook, token: Opened) -> UserToken:
    """A fresh long token for one that still lives. Its life may be what was left of the old one's."""
    form = {
        "grant_type": "fb_exchange_token",
        "client_id": facebook.app_id,
        "client_secret": facebook.app_secret,
        "fb_exchange_token": token.reveal("refresh"),
    }
    body = await retried(facebook, "POST", facebook.address("/oauth/access_token"), data=form)
    seconds = body.get("expires_in")
    lifetime = timedelta(seconds=seconds) if isinstance(seconds, int) and seconds > 0 else LONG_LIFE
    return UserToken(str(body["access_token"]), lifetime)


async def access_end(facebook: Facebook, user_token: Opened) -> datetime | None:
    """When the person must have been active with our app again, by `debug_token`; none where Facebook names no time.

    Fresh tokens do not move it: afterwards its data is withheld, whatever token asks.
    """
    ourselves = Opened(f"{facebook.app_id}|{facebook.app_secret}", "refresh")
    url, params = facebook.address("/debug_token"), {"input_token": user_token.reveal("refresh")}
    body = await retried(facebook, "GET", url, token=ourselves, used_for=REFRESH, params=params)
    seconds = body["data"].get("data_access_expires_at")
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds > 0 else None


async def is_alive(facebook: Facebook, token: Opened) -> bool:
    """Whether this token still opens what it is for."""
    try:
        await retried(facebook, "GET", facebook.address("/me"), token=token, used_for=REFRESH, params={"fields": "id"})
    except TokenDead:
        return False
    return True


async def page_token(facebook: Facebook, user_token: Opened, page_id: str) -> str:
    """A Page's token by its person's. By a long one it has no end of its own."""
    url, fields = facebook.address(f"/{page_id}"), {"fields": "access_token"}
    body = await retried(facebook, "GET", url, token=user_token, used_for=REFRESH, params=fields)
    return str(body["access_token"])
