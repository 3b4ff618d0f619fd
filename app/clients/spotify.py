"""Spotify's accounts service and Web API: the calls we make. Errors are in `spotify_errors`; each may be raised.

Written for an app in Development Mode, so with small pages and without the fields withheld there. Source: spotify.md.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import httpx

from app.clients import answers
from app.clients.spotify_errors import (
    OutcomeUnknown,
    RateLimited,
    Refused,
    SpotifyError,
    Unavailable,
    api_error,
    token_error,
)

ANSWER_BYTES = 5 * 1024 * 1024
ACCESS_LIFE, LONGEST_ACCESS = timedelta(hours=1), timedelta(days=1)
PAUSES_S = (0.3, 1.0)
ALBUM_PAGE = 10
"""Development Mode's largest page of albums or of a search."""
MOST_PAGES = 30
T = TypeVar("T")
Side = Literal["accounts", "api"]
Query = Mapping[str, str | int]
_ENTITY = re.compile(r"[0-9A-Za-z]{22}")


@dataclass
class Spotify:
    """Where Spotify is, and until when it wants to be left alone. One a process."""

    http: httpx.AsyncClient
    accounts_url: str
    api_url: str
    client_id: str
    client_secret: str = field(repr=False)
    timeout_s: float = 15
    """Seconds that one call may take, from the first byte to the last."""
    _not_before: dict[Side, float] = field(default_factory=dict)

    def pause_left_s(self, side: Side) -> float:
        """Seconds for which Spotify wants no calls on this side; 0 when it does not mind."""
        return max(0.0, self._not_before.get(side, 0.0) - time.monotonic())

    def pause(self, side: Side, wait: timedelta) -> None:
        """Make no call on this side before `wait` is over; a longer wait already noted stands."""
        until = time.monotonic() + wait.total_seconds()
        self._not_before[side] = max(until, self._not_before.get(side, 0.0))


@dataclass(frozen=True)
class Tokens:
    """What the accounts service gives. Without a `refresh_token` the one that was used stays good."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    lifetime: timedelta
    """Of the access token. A refresh token ends six months after its user's authorisation, whatever is refreshed."""
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class SpotifyAccount:
    """A user's account. `account_id` never changes; `user_id` may."""

    account_id: str
    user_id: str
    name: str | None
    picture_url: str | None


@dataclass(frozen=True)
class Artist:
    """An artist."""

    id: str
    name: str


@dataclass(frozen=True)
class Album:
    """A release. `released_on` is as exact as `precision` says: `2026`, `2026-03` or `2026-03-06`."""

    id: str
    name: str
    kind: str
    artists: tuple[Artist, ...]
    released_on: str
    precision: str
    upc: str | None
    """Digits as Spotify shows them; absent where it lists albums in brief."""
    track_count: int
    cover_url: str | None


@dataclass(frozen=True)
class Track:
    """A recording on one album."""

    id: str
    name: str
    isrc: str | None
    album_id: str
    artists: tuple[Artist, ...]


async def exchange_code(spotify: Spotify, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
    """Exchange an authorization code; it works once, within ten minutes."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    return await _tokens(spotify, form, repeatable=False)


async def refresh(spotify: Spotify, refresh_token: str) -> Tokens:
    """A fresh access token. Where tokens rotate, the used refresh token is dead once this has happened.

    Not repeated here: after `OutcomeUnknown` the caller decides, who alone knows whether the token is still its own.
    """
    return await _tokens(spotify, {"grant_type": "refresh_token", "refresh_token": refresh_token}, repeatable=False)


async def catalogue_tokens(spotify: Spotify) -> Tokens:
    """An access token without a user, good for the catalogue alone."""
    return await _tokens(spotify, {"grant_type": "client_credentials"}, repeatable=True)


async def me(spotify: Spotify, access_token: str) -> SpotifyAccount:
    """The account a token belongs to. `NotAllowed` here means that the user is not on the app's allow-list."""
    body = await _get(spotify, access_token, "/me")
    return SpotifyAccount(
        account_id=_text(body, "account_id"),
        user_id=_text(body, "id"),
        name=answers.name(body.get("display_name")),
        picture_url=_picture(body),
    )


async def artist(spotify: Spotify, access_token: str, artist_id: str) -> Artist:
    """The artist of this id."""
    return _artist(await _get(spotify, access_token, f"/artists/{_entity(artist_id)}"))


async def artist_albums(spotify: Spotify, access_token: str, artist_id: str) -> list[Album]:
    """What an artist has released, in brief, 300 at most. One release may occur in several versions."""
    path, offset = f"/artists/{_entity(artist_id)}/albums", 0
    found: list[Album] = []
    for _ in range(MOST_PAGES):
        params: Query = {"include_groups": "album,single,compilation", "limit": ALBUM_PAGE, "offset": offset}
        body = await _get(spotify, access_token, path, params)
        found += [_album(item) for item in _items(body)]
        offset += len(body["items"]) if isinstance(body.get("items"), list) else ALBUM_PAGE
        if not body.get("next"):
            break
    return found


async def album(spotify: Spotify, access_token: str, album_id: str) -> Album:
    """The album of this id, with its UPC."""
    return _album(await _get(spotify, access_token, f"/albums/{_entity(album_id)}"))


async def search_upc(spotify: Spotify, access_token: str, upc: str) -> list[Album]:
    """The albums with this UPC or EAN, each looked at for its own number: a search may find others too."""
    forms = dict.fromkeys((upc, upc.lstrip("0").rjust(12, "0"), upc.lstrip("0").rjust(13, "0")))
    for digits in forms:
        params: Query = {"q": f"upc:{digits}", "type": "album", "limit": ALBUM_PAGE}
        body = await _get(spotify, access_token, "/search", params)
        albums = [await album(spotify, access_token, _text(item, "id")) for item in _items(_part(body, "albums"))]
        same = [found for found in albums if found.upc and found.upc.lstrip("0") == upc.lstrip("0")]
        if same:
            return same
    return []


async def search_isrc(spotify: Spotify, access_token: str, isrc: str) -> list[Track]:
    """The tracks with this ISRC: a recording may be on several albums."""
    plain = isrc.replace("-", "").upper()
    params: Query = {"q": f"isrc:{plain}", "type": "track", "limit": ALBUM_PAGE}
    body = await _get(spotify, access_token, "/search", params)
    return [track for item in _items(_part(body, "tracks")) if (track := _track(item)).isrc == plain]


async def _tokens(spotify: Spotify, form: dict[str, str], *, repeatable: bool) -> Tokens:
    in_doubt = Unavailable if repeatable else OutcomeUnknown
    auth = (spotify.client_id, spotify.client_secret)
    url = f"{spotify.accounts_url}/api/token"
    status, headers, body = await _call(spotify, "accounts", "POST", url, in_doubt=in_doubt, data=form, auth=auth)
    if status != 200:
        raise _noted(spotify, "accounts", token_error(body, status, headers, repeatable=repeatable))
    body = answers.table(body) or {}
    access_token = answers.text(body.get("access_token"))
    if access_token is None:
        raise in_doubt(http_status=status)
    lifetime = answers.seconds(body.get("expires_in"), most=LONGEST_ACCESS)
    return Tokens(
        access_token=access_token,
        refresh_token=answers.text(body.get("refresh_token")),
        lifetime=lifetime or ACCESS_LIFE,  # a rotated refresh token must not be lost for it
        scopes=tuple((answers.text(body.get("scope")) or "").split()),
    )


async def _get(spotify: Spotify, access_token: str, path: str, params: Query | None = None) -> dict[str, Any]:
    """A call on the Web API: twice more after `Unavailable`, a little later each time."""
    for pause_s in (*PAUSES_S, None):
        try:
            return await _get_once(spotify, access_token, path, params)
        except Unavailable:
            if pause_s is None:
                raise
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 (spreads load, hides nothing)
    raise AssertionError("unreachable")


async def _get_once(spotify: Spotify, access_token: str, path: str, params: Query | None) -> dict[str, Any]:
    url, bearer = f"{spotify.api_url}{path}", {"Authorization": f"Bearer {access_token}"}
    status, headers, body = await _call(spotify, "api", "GET", url, in_doubt=Unavailable, headers=bearer, params=params)
    if status != 200:
        raise _noted(spotify, "api", api_error(body, status, headers))
    if not isinstance(body, dict):
        raise Unavailable(http_status=status)
    return body


async def _call(
    spotify: Spotify, side: Side, method: str, url: str, *, in_doubt: type[SpotifyError], **kwargs: Any
) -> tuple[int, httpx.Headers, Any]:
    """Status, headers and JSON of an answer; the JSON of a refusal that holds none is `None`."""
    left_s = spotify.pause_left_s(side)
    if left_s:
        raise RateLimited(timedelta(seconds=left_s))
    try:
        async with asyncio.timeout(spotify.timeout_s):
            status, headers, raw = await _exchange(spotify, method, url, **kwargs)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        raise Unavailable from None  # nothing left this machine
    except (httpx.HTTPError, TimeoutError, ValueError):
        raise in_doubt from None  # their texts hold addresses and answers
    try:
        return status, headers, json.loads(raw)
    except (ValueError, RecursionError):
        if status == 200:
            raise in_doubt(http_status=status) from None
        return status, headers, None  # some 429 and 502 are plain text


async def _exchange(spotify: Spotify, method: str, url: str, **kwargs: Any) -> tuple[int, httpx.Headers, bytes]:
    async with spotify.http.stream(method, url, follow_redirects=False, **kwargs) as response:
        raw = bytearray()
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > ANSWER_BYTES:
                raise ValueError("the answer is too large")
        return response.status_code, response.headers, bytes(raw)


def _noted(spotify: Spotify, side: Side, error: SpotifyError) -> SpotifyError:
    if isinstance(error, RateLimited):
        spotify.pause(side, error.wait)
    return error


def _entity(entity_id: str) -> str:
    if not _ENTITY.fullmatch(entity_id):
        raise Refused("invalid_id")
    return entity_id


def _artist(item: dict[str, Any]) -> Artist:
    return Artist(id=_text(item, "id"), name=answers.name(item.get("name")) or "")


def _album(item: dict[str, Any]) -> Album:
    codes = answers.table(item.get("external_ids")) or {}
    return Album(
        id=_text(item, "id"),
        name=answers.name(item.get("name")) or "",  # empty after a takedown
        kind=answers.text(item.get("album_type")) or "",
        artists=_artists(item),
        released_on=answers.text(item.get("release_date")) or "",
        precision=answers.text(item.get("release_date_precision")) or "",
        upc=answers.text(codes.get("upc")) or answers.text(codes.get("ean")),
        track_count=answers.whole(item.get("total_tracks")) or 0,
        cover_url=_picture(item),
    )


def _track(item: dict[str, Any]) -> Track:
    return Track(
        id=_text(item, "id"),
        name=answers.name(item.get("name")) or "",
        isrc=answers.text(_part(item, "external_ids").get("isrc")),
        album_id=_text(_part(item, "album"), "id"),
        artists=_artists(item),
    )


def _artists(item: dict[str, Any]) -> tuple[Artist, ...]:
    return tuple(_artist(one) for one in answers.rows(item.get("artists")) or ())


def _items(page: dict[str, Any]) -> list[dict[str, Any]]:
    """A page's items; those removed are null there."""
    return answers.rows(page.get("items")) or []


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    return _need(answers.table(body.get(name)))


def _text(body: dict[str, Any], name: str) -> str:
    return _need(answers.text(body.get(name)))


def _need(found: T | None) -> T:
    if found is None:
        raise Refused("malformed_answer")
    return found


def _picture(item: dict[str, Any]) -> str | None:
    images = answers.rows(item.get("images"))
    return answers.https_address(images[0].get("url")) if images else None
