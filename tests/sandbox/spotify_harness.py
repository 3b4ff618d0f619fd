"""Spotify's calls as a script makes them, on a running sandbox."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from sandbox.settings import Settings
from tests.sandbox.sandbox_harness import Sandbox

CLIENT = (Settings().spotify_client_id, Settings().spotify_client_secret)
SPOTIFY_REDIRECT = "https://label.example.test/spotify"
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


def spotify_dialog(**more: str) -> dict[str, str]:
    """The parameters of Spotify's dialog."""
    app = {"client_id": CLIENT[0], "redirect_uri": SPOTIFY_REDIRECT, "response_type": "code"}
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    return app | pkce | {"scope": "playlist-read-private", "state": "st=1&x"} | more


def decide(sandbox: Sandbox, user: str = "nightjar", allow: str = "1", **asked: str) -> dict[str, str]:
    """Answer the dialog; what comes back to the product."""
    url = "/accounts.spotify.com/authorize"
    answer = sandbox.http.post(url, params=spotify_dialog(**asked), data={"user": user, "allow": allow})
    assert answer.status_code == 302, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


def token_call(sandbox: Sandbox, grant_type: str, client: tuple[str, str] = CLIENT, /, **form: str) -> httpx.Response:
    """One call of the token endpoint."""
    form = {"grant_type": grant_type} | form
    return sandbox.http.post("/accounts.spotify.com/api/token", data=form, auth=client)


def exchange(sandbox: Sandbox, code: str, **form: str) -> httpx.Response:
    """Exchange a code."""
    good = {"redirect_uri": SPOTIFY_REDIRECT, "code_verifier": VERIFIER} | form
    return token_call(sandbox, "authorization_code", CLIENT, code=code, **good)


def refresh(sandbox: Sandbox, refresh_token: str) -> httpx.Response:
    """Ask for a fresh access token."""
    return token_call(sandbox, "refresh_token", refresh_token=refresh_token)


def grant(sandbox: Sandbox, user: str = "nightjar") -> dict[str, Any]:
    """A fresh pair without the dialog."""
    pair: dict[str, Any] = sandbox.control("POST", "/spotify/grant", {"user": user, "scopes": ["user-top-read"]})
    return pair


def call(sandbox: Sandbox, path: str, access_token: str, **params: str) -> httpx.Response:
    """One call of the Web API."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return sandbox.http.get(f"/api.spotify.com/v1{path}", params=params, headers=headers)
