"""The control API's part for Spotify, under `/_sandbox/spotify`."""

from typing import Any

from fastapi import APIRouter

from sandbox.box import Sandbox
from sandbox.errors import ControlError
from sandbox.spotify_seed import SpotifyUser, find_user
from sandbox.spotify_state import SpotifyOptions, SpotifyWorld
from sandbox.spotify_tokens import issue
from sandbox.state import ControlModel


class SpotifyGrant(ControlModel):
    """Who grants what."""

    user: str
    scopes: tuple[str, ...] = ()


class SpotifyRemoved(ControlModel):
    """Who removes the app."""

    user: str


def spotify_control_routes(box: Sandbox) -> APIRouter:
    """Options, grants without the dialog, and removals."""
    router = APIRouter(prefix="/_sandbox/spotify")

    @router.get("")
    async def spotify_options() -> SpotifyOptions:
        """How Spotify behaves."""
        return box.world.spotify.options

    @router.put("")
    async def set_spotify_options(order: SpotifyOptions) -> SpotifyOptions:
        """Set how Spotify behaves; what is left out goes back to its default."""
        users = [need_user(name).handle for name in order.allow_list or ()]
        order = order.model_copy(update={"allow_list": None if order.allow_list is None else users})
        box.record("spotify_options_set", options=order.model_dump())
        return order

    @router.post("/grant")
    async def spotify_grant(order: SpotifyGrant) -> dict[str, Any]:
        """A fresh pair of tokens, as if this user had just gone through the dialog."""
        return issue(box, "sandbox", user=need_user(order.user).handle, scopes=list(order.scopes))

    @router.post("/remove")
    async def spotify_remove(order: SpotifyRemoved) -> dict[str, Any]:
        """Let a user remove the app at their account's page: all their tokens are dead."""
        user = need_user(order.user)
        box.record("spotify_removed", user=user.handle)
        return {"user": user.handle}

    return router


def need_user(name: str) -> SpotifyUser:
    """The user of this handle or id."""
    user = find_user(name)
    if user is None:
        raise ControlError(f"There is no Spotify user {name!r}.", 404)
    return user


def spotify_tokens(spotify: SpotifyWorld) -> list[dict[str, Any]]:
    """Every code and token of now, in clear."""
    codes = [{"kind": "code"} | vars(code) for code in spotify.codes.values()]
    access = [{"kind": "access"} | vars(token) for token in spotify.access_tokens.values()]
    return codes + access + [{"kind": "refresh"} | vars(token) for token in spotify.refresh_tokens.values()]
