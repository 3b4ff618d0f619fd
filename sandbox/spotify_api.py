"""api.spotify.com/v1: the caller's profile and the catalogue, as an app in Development Mode sees them.

Withheld there, so absent here: an artist's followers, popularity and genres; an album's label, popularity and markets;
a track's preview, popularity and markets. Source: Spotify, February 2026 migration guide.
"""

import re
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox.box import Sandbox
from sandbox.spotify_errors import api_refusal, guarded
from sandbox.spotify_seed import ALBUMS, ARTISTS, PAGE, Album, Artist, Track, albums_of, find_user, same_code
from sandbox.spotify_state import SpotifyAccessToken

BASE = "/api.spotify.com/v1"
_ID = re.compile(r"[0-9A-Za-z]{22}")
_REMOVED = re.compile(r"/(albums|artists|tracks|markets|artists/[^/]+/(top-tracks|related-artists)|browse/.*)")
LISTED, LISTED_MOST = 5, 10
"""Of an artist's albums, and of a search: how many a page holds unasked, and at most."""
TRACKS, TRACKS_MOST = 20, 50


class Refusal(Exception):
    """A call that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def spotify_api_routes(box: Sandbox) -> APIRouter:
    """The calls on api.spotify.com."""
    router = APIRouter()

    async def anything(request: Request) -> Response:
        return answer_call(box, request)

    router.add_api_route(BASE + "/{path:path}", guarded(box, anything), methods=["GET"])
    return router


def answer_call(box: Sandbox, request: Request) -> Response:
    """Answer one call, and write down whose it was."""
    path = request.scope["path"].removeprefix(BASE)
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    token = box.world.spotify.access_tokens.get(value.strip()) if scheme.lower() == "bearer" else None
    dead = token is None or token.revoked or box.now_ms() >= token.expires_ms
    try:
        response: Response = JSONResponse(answer(box, request, path, need_good(token, dead=dead, sent=bool(value))))
    except Refusal as refusal:
        response = api_refusal(refusal.status, refusal.message)
    user, number = (token.user, token.number) if token else (None, None)
    box.record("spotify_called", user=user, token_number=number, dead=dead, path=path, status=response.status_code)
    return response


def need_good(token: SpotifyAccessToken | None, *, dead: bool, sent: bool) -> SpotifyAccessToken:
    """The token, if the Web API takes it."""
    if not sent:
        raise Refusal(401, "No token provided")
    if token is None:
        raise Refusal(401, "Invalid access token")
    if dead:
        raise Refusal(401, "The access token expired")
    return token


def answer(box: Sandbox, request: Request, path: str, token: SpotifyAccessToken) -> dict[str, Any]:
    """What a call with a good token gets."""
    allowed = box.world.spotify.options.allow_list
    if token.user and allowed is not None and token.user not in allowed:
        raise Refusal(403, "User not registered in the Developer Dashboard")
    if _REMOVED.fullmatch(path):
        raise Refusal(403, "Forbidden")
    match path.strip("/").split("/"):
        case ["me"]:
            return show_user(token)
        case ["search"]:
            return search(request)
        case ["artists", key]:
            return show_artist(need_artist(key))
        case ["artists", key, "albums"]:
            return page(request, [brief_album(a) for a in albums_of(need_artist(key))], LISTED, LISTED_MOST)
        case ["albums", key]:
            return show_album(need_album(key), request)
        case ["albums", key, "tracks"]:
            album = need_album(key)
            return page(request, [brief_track(t, album) for t in album.tracks], TRACKS, TRACKS_MOST)
        case ["tracks", key]:
            return show_track(*need_track(key))
    raise Refusal(404, "Service not found")


def show_user(token: SpotifyAccessToken) -> dict[str, Any]:
    """`GET /me`: country, product and e-mail are withheld too."""
    user = find_user(token.user or "")
    if user is None:
        raise Refusal(403, "This call needs a user")
    return {
        "account_id": user.account_id,
        "display_name": user.name,
        "images": [{"url": user.picture_url, "height": 300, "width": 300}],
        **_entity("user", user.id),
    }


def search(request: Request) -> dict[str, Any]:
    """Find albums by `upc:` or tracks by `isrc:`; any other search finds nothing here."""
    query, kind = request.query_params.get("q", ""), request.query_params.get("type", "")
    if not query:
        raise Refusal(400, "No search query")
    field, _, value = query.partition(":")
    found: list[dict[str, Any]] = []
    if kind == "album":
        found = [brief_album(a) for a in ALBUMS if field == "upc" and same_code(a.upc, value)]
    elif kind == "track":
        found = [show_track(t, a) for a in ALBUMS for t in a.tracks if field == "isrc" and t.isrc == value.upper()]
    else:
        raise Refusal(400, "Bad search type field")
    return {f"{kind}s": page(request, found, LISTED, LISTED_MOST)}


def page(request: Request, items: list[dict[str, Any]], usual: int, most: int) -> dict[str, Any]:
    """The asked part of a list, with the addresses of the parts before and after it."""
    limit = _number(request, "limit", usual, 1, most)
    offset = _number(request, "offset", 0, 0, 1000)
    url = f"{request.url.scheme}://{request.url.netloc}{request.scope['sandbox.path']}"
    others = {key: value for key, value in request.query_params.items() if key not in ("limit", "offset")}

    def at(start: int) -> str:
        return f"{url}?{urlencode(others | {'offset': start, 'limit': limit})}"

    return {
        "href": at(offset),
        "items": items[offset : offset + limit],
        "limit": limit,
        "next": at(offset + limit) if offset + limit < len(items) else None,
        "offset": offset,
        "previous": at(max(0, offset - limit)) if offset else None,
        "total": len(items),
    }


def need_artist(key: str) -> Artist:
    """The artist of this id."""
    return next((a for a in ARTISTS if a.id == _checked(key)), None) or _not_found()


def need_album(key: str) -> Album:
    """The album of this id."""
    return next((a for a in ALBUMS if a.id == _checked(key)), None) or _not_found()


def need_track(key: str) -> tuple[Track, Album]:
    """The track of this id and its album."""
    return next(((t, a) for a in ALBUMS for t in a.tracks if t.id == _checked(key)), None) or _not_found()


def show_artist(artist: Artist) -> dict[str, Any]:
    """An artist."""
    return brief_artist(artist) | {"images": _images(artist.id)}


def show_album(album: Album, request: Request) -> dict[str, Any]:
    """An album with the first page of its tracks. Its `genres` are always empty."""
    tracks = [brief_track(t, album) for t in album.tracks]
    first = page(request, tracks, TRACKS_MOST, TRACKS_MOST)
    identity = "upc" if len(album.upc) == 12 else "ean"
    more = {"tracks": first, "external_ids": {identity: album.upc, "upc": album.upc}, "genres": [], "copyrights": []}
    return brief_album(album) | more


def show_track(track: Track, album: Album) -> dict[str, Any]:
    """A track with its album."""
    return brief_track(track, album) | {"album": brief_album(album), "external_ids": {"isrc": track.isrc}}


def brief_artist(artist: Artist) -> dict[str, Any]:
    """An artist within something else."""
    return {"name": artist.name, **_entity("artist", artist.id)}


def brief_album(album: Album) -> dict[str, Any]:
    """An album in a list."""
    return {
        "album_type": album.kind,
        "artists": [brief_artist(album.artist)],
        "images": _images(album.id),
        "name": album.name,
        "release_date": album.released_on,
        "release_date_precision": album.precision,
        "total_tracks": len(album.tracks),
        **_entity("album", album.id),
    }


def brief_track(track: Track, album: Album) -> dict[str, Any]:
    """A track in a list."""
    return {
        "artists": [brief_artist(album.artist)],
        "disc_number": 1,
        "duration_ms": track.duration_ms,
        "explicit": False,
        "is_local": False,
        "name": track.name,
        "track_number": track.number,
        **_entity("track", track.id),
    }


def _entity(kind: str, key: str) -> dict[str, Any]:
    url = f"{PAGE}/{kind}/{key}"
    href = f"https://api.spotify.com/v1/{kind}s/{key}"
    return {"external_urls": {"spotify": url}, "href": href, "id": key, "type": kind, "uri": f"spotify:{kind}:{key}"}


def _images(key: str) -> list[dict[str, Any]]:
    return [{"url": f"https://i.scdn.co/image/{key}-{size}", "height": size, "width": size} for size in (640, 300, 64)]


def _number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise Refusal(400, f"Invalid {name}")
    return int(text)


def _checked(key: str) -> str:
    if not _ID.fullmatch(key):
        raise Refusal(400, "Invalid base62 id")
    return key


def _not_found() -> Any:
    raise Refusal(404, "Resource not found")
