"""What Spotify's journal rows do to the world. Values of tokens and codes are under `token`, which no ledger shows."""

from collections.abc import Callable

from sandbox.journal import Row
from sandbox.spotify_state import SpotifyAccessToken, SpotifyCode, SpotifyOptions, SpotifyRefreshToken
from sandbox.state import World

SPOTIFY_LEDGER_KINDS = frozenset(
    (
        "spotify_authorized",
        "spotify_token_issued",
        "spotify_token_refreshed",
        "spotify_token_repeated",
        "spotify_token_refused",
        "spotify_called",
    )
)


def _authorized(world: World, row: Row) -> None:
    value = row["token"]["code"]
    world.issued.append(value)
    world.spotify.codes[value] = SpotifyCode(
        value, row["user"], row["redirect_uri"], row["scopes"], row["challenge"], row["at"]
    )


def _token_issued(world: World, row: Row) -> None:
    if row["token"]["code"]:
        world.spotify.codes[row["token"]["code"]].used = True
    _add_access(world, row, row["access_number"])
    if row["token"]["refresh"]:
        _add_refresh(world, row, row["refresh_number"], row["at"])


def _token_refreshed(world: World, row: Row) -> None:
    used = world.spotify.refresh_tokens[row["token"]["used"]]
    used.uses, used.lied = used.uses + 1, False
    _add_access(world, row, row["access_number"])
    if row["token"]["refresh"]:
        used.rotated_ms = row["at"]
        used.next_access, used.next_refresh = row["token"]["access"], row["token"]["refresh"]
        _add_refresh(world, row, row["new"], used.authorized_ms)


def _add_access(world: World, row: Row, number: int) -> None:
    value = row["token"]["access"]
    world.issued.append(value)
    world.spotify.access_tokens[value] = SpotifyAccessToken(
        value, number, row["user"], row["scopes"], row["expires_ms"]
    )


def _add_refresh(world: World, row: Row, number: int, authorized_ms: int) -> None:
    value = row["token"]["refresh"]
    world.issued.append(value)
    world.spotify.refresh_tokens[value] = SpotifyRefreshToken(value, number, row["user"], row["scopes"], authorized_ms)


def _token_used(world: World, row: Row) -> None:
    used = world.spotify.refresh_tokens.get(row["token"]["used"])
    if used:
        used.uses, used.lied = used.uses + 1, row.get("reason") == "lie"


def _removed(world: World, row: Row) -> None:
    for access in world.spotify.access_tokens.values():
        access.revoked |= access.user == row["user"]
    for refresh in world.spotify.refresh_tokens.values():
        refresh.revoked |= refresh.user == row["user"]


def _options_set(world: World, row: Row) -> None:
    world.spotify.options = SpotifyOptions.model_validate(row["options"])


SPOTIFY_CHANGES: dict[str, Callable[[World, Row], None]] = {
    "spotify_authorized": _authorized,
    "spotify_token_issued": _token_issued,
    "spotify_token_refreshed": _token_refreshed,
    "spotify_token_repeated": _token_used,
    "spotify_token_refused": _token_used,
    "spotify_removed": _removed,
    "spotify_options_set": _options_set,
}
