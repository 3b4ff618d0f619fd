"""The product's Spotify client against the real sandbox."""

import asyncio
import secrets
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.clients import spotify as client
from app.clients.spotify import Spotify
from app.clients.spotify_errors import (
    GrantInvalid,
    NotAllowed,
    OutcomeUnknown,
    RateLimited,
    Refused,
    SpotifyError,
    TokenExpired,
    Unavailable,
    api_error,
    token_error,
)
from app.services.pkce import challenge_of, verifier_of
from tests.sandbox.sandbox_harness import Sandbox
from tests.sandbox.spotify_harness import CLIENT, SPOTIFY_REDIRECT, grant
from tools.embedded import spotify_urls

NO_TOKEN = "0" * 22


@pytest.fixture
async def spotify(sandbox: Sandbox) -> AsyncIterator[Spotify]:
    """The client, led to the sandbox."""
    urls = spotify_urls(sandbox.url)
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Spotify(
            http, urls["SOUNDOPS_SPOTIFY_ACCOUNTS_URL"], urls["SOUNDOPS_SPOTIFY_API_URL"], *CLIENT, timeout_s=5
        )


def fault(sandbox: Sandbox, path: str, kind: str, **more: Any) -> None:
    """Queue one fault."""
    sandbox.control("POST", "/faults", {"match": {"path": path}, "fault": kind} | more)


async def log_in(spotify: Spotify, sandbox: Sandbox, user: str) -> tuple[str, str]:
    """A code for this user, and the verifier that goes with it."""
    verifier = verifier_of(secrets.token_bytes(32), "state")
    asked = {
        "client_id": spotify.client_id,
        "response_type": "code",
        "redirect_uri": SPOTIFY_REDIRECT,
        "state": "s t&1",
        "scope": "playlist-read-private user-top-read",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    url = httpx.URL(f"{spotify.accounts_url}/authorize", params=asked)
    answer = await spotify.http.post(url, data={"user": user, "allow": "1"})
    back = httpx.URL(answer.headers["location"])
    assert back.params["state"] == "s t&1"
    return back.params["code"], verifier


async def test_a_user_connects_and_stays_connected(spotify: Spotify, sandbox: Sandbox) -> None:
    code, verifier = await log_in(spotify, sandbox, "user42")
    first = await client.exchange_code(spotify, code, redirect_uri=SPOTIFY_REDIRECT, verifier=verifier)
    assert (first.lifetime, first.scopes) == (timedelta(hours=1), ("playlist-read-private", "user-top-read"))
    account = await client.me(spotify, first.access_token)
    assert (account.user_id, account.name, len(account.account_id)) == ("user42.listens", "User 42", 22)
    assert account.picture_url and urlsplit(account.picture_url).scheme == "https"
    assert first.refresh_token
    kept = await client.refresh(spotify, first.refresh_token)
    assert kept.refresh_token is None and kept.access_token != first.access_token
    sandbox.control("PUT", "/spotify", {"rotate": True})
    rotated = await client.refresh(spotify, first.refresh_token)
    assert rotated.refresh_token and rotated.refresh_token != first.refresh_token


async def test_a_code_or_refresh_token_that_is_not_good(spotify: Spotify, sandbox: Sandbox) -> None:
    code, verifier = await log_in(spotify, sandbox, "nightjar")
    with pytest.raises(GrantInvalid) as caught:
        await client.exchange_code(
            spotify, code, redirect_uri=SPOTIFY_REDIRECT, verifier=verifier_of(secrets.token_bytes(32), "state")
        )
    assert (caught.value.code, caught.value.http_status) == ("invalid_grant", 400)
    sandbox.control("POST", "/spotify/remove", {"user": "nightjar"})
    with pytest.raises(GrantInvalid):
        await client.refresh(spotify, "unknown")
    stranger = replace(spotify, client_secret="another")
    with pytest.raises(Refused) as refused:
        await client.exchange_code(stranger, code, redirect_uri=SPOTIFY_REDIRECT, verifier=verifier)
    assert refused.value.code == "invalid_client"


async def test_a_user_who_is_not_on_the_allow_list(spotify: Spotify, sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"allow_list": ["nightjar"]})
    with pytest.raises(NotAllowed):
        await client.me(spotify, grant(sandbox, "lowtide")["access_token"])


async def test_an_access_token_that_has_run_out(spotify: Spotify, sandbox: Sandbox) -> None:
    pair = grant(sandbox)
    sandbox.control("PUT", "/clock", {"offset_s": 3601})
    with pytest.raises(TokenExpired):
        await client.me(spotify, pair["access_token"])
    assert len(sandbox.ledger("spotify_called")) == 1


@pytest.mark.parametrize("kind", ["lost", "500-executed", "html", "empty"])
async def test_a_refresh_without_an_answer_is_not_repeated(spotify: Spotify, sandbox: Sandbox, kind: str) -> None:
    token = grant(sandbox)["refresh_token"]
    fault(sandbox, "/api/token", kind)
    with pytest.raises(OutcomeUnknown):
        await client.refresh(spotify, token)
    assert len(sandbox.ledger("spotify_token_refreshed")) == (1 if kind in ("lost", "500-executed") else 0)


async def test_a_refresh_that_takes_too_long_may_have_happened(spotify: Spotify, sandbox: Sandbox) -> None:
    token = grant(sandbox)["refresh_token"]
    sandbox.control("PUT", "/spotify", {"slow_share": 1, "slow_s": 5})
    with pytest.raises(OutcomeUnknown):
        await client.refresh(replace(spotify, timeout_s=0.3), token)
    assert len(sandbox.ledger("spotify_token_refreshed")) == 1


async def test_what_never_left_did_not_happen(spotify: Spotify) -> None:
    nowhere = replace(spotify, accounts_url="http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await client.refresh(nowhere, "x")


async def test_a_read_is_repeated_and_then_given_up(spotify: Spotify, sandbox: Sandbox) -> None:
    pair = grant(sandbox)
    fault(sandbox, "/v1/me", "html", times=2)
    assert (await client.me(spotify, pair["access_token"])).user_id == "nightjar.listens"
    fault(sandbox, "/v1/me", "http", code=503, times=3)
    with pytest.raises(Unavailable):
        await client.me(spotify, pair["access_token"])
    assert sandbox.control("GET", "/faults")["faults"] == []


async def test_after_a_429_no_call_is_made_on_that_side(spotify: Spotify, sandbox: Sandbox) -> None:
    pair = grant(sandbox)
    fault(sandbox, "/v1/", "http", code=429, retry_after_s=1)
    with pytest.raises(RateLimited) as limited:
        await client.me(spotify, pair["access_token"])
    assert limited.value.wait == timedelta(seconds=1)
    with pytest.raises(RateLimited) as held:
        await client.me(spotify, pair["access_token"])
    assert timedelta() < held.value.wait <= timedelta(seconds=1)
    assert sandbox.ledger("spotify_called") == []
    await client.refresh(spotify, pair["refresh_token"])
    await asyncio.sleep(spotify.pause_left_s("api"))
    assert (await client.me(spotify, pair["access_token"])).user_id


async def test_a_used_up_quota_is_waited_for_at_least_an_hour(spotify: Spotify, sandbox: Sandbox) -> None:
    pair = grant(sandbox)
    fault(sandbox, "/v1/", "http", code=429, retry_after_s=5, reason="QUOTA_EXCEEDED")
    with pytest.raises(RateLimited) as limited:
        await client.me(spotify, pair["access_token"])
    assert (limited.value.wait, limited.value.code) == (timedelta(hours=1), "QUOTA_EXCEEDED")


async def test_the_catalogue_without_a_user(spotify: Spotify, sandbox: Sandbox) -> None:
    token = (await client.catalogue_tokens(spotify)).access_token
    (found,) = await client.search_upc(spotify, token, "4006180000010")
    assert (found.name, found.upc, found.released_on, found.precision) == (
        *("Night Bus", "4006180000010"),
        *("2026-03-06", "day"),
    )
    assert await client.album(spotify, token, found.id) == found
    assert (await client.artist(spotify, token, found.artists[0].id)).name == "Mara Lindqvist"
    albums = await client.artist_albums(spotify, token, found.artists[0].id)
    assert [album.name for album in albums] == ["Night Bus", "Windows (Single)"]
    assert [a.upc for a in await client.search_upc(spotify, token, "0036000291452")] == ["036000291452"]
    assert await client.search_upc(spotify, token, "4006180009999") == []
    assert len({track.album_id for track in await client.search_isrc(spotify, token, "de-snd-26-00004")}) == 2
    for wrong in ("../me", "short"):
        with pytest.raises(Refused, match="invalid_id"):
            await client.album(spotify, token, wrong)
    with pytest.raises(Refused) as gone:
        await client.album(spotify, token, NO_TOKEN)
    assert gone.value.http_status == 404


class OneAPage(httpx.AsyncHTTPTransport):
    """The network to a Spotify whose pages hold one item."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "limit" in request.url.params:
            request.url = request.url.copy_set_param("limit", 1)
        return await super().handle_async_request(request)


async def test_an_artists_albums_are_read_page_by_page(spotify: Spotify, sandbox: Sandbox) -> None:
    token = (await client.catalogue_tokens(spotify)).access_token
    (found,) = await client.search_upc(spotify, token, "036000291452")
    async with httpx.AsyncClient(transport=OneAPage()) as http:
        albums = await client.artist_albums(replace(spotify, http=http), token, found.artists[0].id)
    assert sum(row["path"].endswith("/albums") for row in sandbox.ledger("spotify_called")) == 2
    assert [album.name for album in albums] == ["Low Water", "Pier Songs"]


async def test_no_secret_is_shown_anywhere(spotify: Spotify, sandbox: Sandbox) -> None:
    """Neither a repr nor the text of an error, with all it was raised from, holds a token, code or secret."""
    sandbox.control("PUT", "/spotify", {"rotate": True})
    code, verifier = await log_in(spotify, sandbox, "nightjar")
    tokens = await client.exchange_code(spotify, code, redirect_uri=SPOTIFY_REDIRECT, verifier=verifier)
    assert tokens.refresh_token
    shown = [repr(tokens), repr(spotify)]
    for kind in ("lost", "html", "http"):
        fault(sandbox, "spotify", kind, times=4)
        for call in (
            client.refresh(spotify, tokens.refresh_token),
            client.me(spotify, tokens.access_token),
            client.exchange_code(spotify, code, redirect_uri=SPOTIFY_REDIRECT, verifier=verifier),
        ):
            try:
                await call
            except SpotifyError as exc:
                shown += ["".join(traceback.format_exception(exc)), repr(exc)]
        sandbox.control("DELETE", "/faults")
    secrets = [code, verifier, tokens.access_token, tokens.refresh_token, CLIENT[1]]
    assert len(shown) > 6 and not [secret for secret in secrets if secret in "".join(shown)]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "x"}, GrantInvalid),
        (400, {"error": "invalid_client"}, Refused),
        (400, {"error": {"status": 400}}, Refused),
        (401, None, Refused),
        (429, None, RateLimited),
        (302, None, OutcomeUnknown),
        (503, {"error": "invalid_grant"}, OutcomeUnknown),
        (503, None, OutcomeUnknown),
    ],
)
def test_refusals_of_the_accounts_service(status: int, body: Any, kind: type[SpotifyError]) -> None:
    assert type(token_error(body, status, {}, repeatable=False)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, TokenExpired),
        (403, NotAllowed),
        (404, Refused),
        (429, RateLimited),
        (302, Unavailable),
        (502, Unavailable),
    ],
)
def test_refusals_of_the_web_api(status: int, kind: type[SpotifyError]) -> None:
    bodies: list[Any] = [None, [], {"error": "x"}, {"error": {"reason": 7}}, {"error": {"reason": "a secret, perhaps"}}]
    for body in bodies:
        error = api_error(body, status, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
        assert type(error) is kind and error.code == ""
    if isinstance(error, RateLimited):
        assert error.wait == timedelta(seconds=30)


def test_the_challenge_is_the_one_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    key = secrets.token_bytes(32)
    assert verifier_of(key, "a state") == verifier_of(key, "a state") != verifier_of(key, "another")
    assert len(verifier_of(key, "a state")) == 43
