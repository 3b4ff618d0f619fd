"""Leaving Facebook: webhooks off, a token's worth, a grant withdrawn. Every function may raise any `GraphError`."""

from app.clients.credentials import Opened
from app.clients.facebook import Facebook
from app.clients.graph import OF_THE_CONNECTION
from app.clients.graph_call import once, retried

APP_REMOVED = 458
"""Of code 190: the person uses our app no more (meta-platform.md, section 1.7)."""


async def unsubscribe(facebook: Facebook, page_token: Opened, *, page_id: str) -> None:
    """Switch a Page's webhooks off. Source: meta-platform.md, section 1.5."""
    url = facebook.address(f"/{page_id}/subscribed_apps")
    await retried(facebook, "DELETE", url, token=page_token, used_for=OF_THE_CONNECTION)


async def has_been_revoked(facebook: Facebook, token: Opened) -> bool:
    """Whether the person has, or we have, withdrawn what was granted (`debug_token`).

    A token may be dead for other reasons (a new password, a lost role) while the grant lives.
    """
    params = {"input_token": token.reveal(*OF_THE_CONNECTION)}
    url = facebook.address("/debug_token")
    body = await retried(facebook, "GET", url, token=_app_token(facebook), used_for=OF_THE_CONNECTION, params=params)
    told = body.get("data") or {}
    return not told.get("is_valid") and (told.get("error") or {}).get("subcode") == APP_REMOVED


async def revoke(facebook: Facebook, user_id: str) -> None:
    """Withdraw all that the person has granted our app: every token of theirs dies, in whichever label.

    One attempt. It goes by the app's own token: a Page's cannot, and the person's may be lost.
    """
    url = facebook.address(f"/{user_id}/permissions")
    await once(facebook, "DELETE", url, token=_app_token(facebook), used_for=OF_THE_CONNECTION, repeatable=True)


def _app_token(facebook: Facebook) -> Opened:
    return Opened(f"{facebook.app_id}|{facebook.app_secret}", "disconnect")
