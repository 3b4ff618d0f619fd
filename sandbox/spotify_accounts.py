"""accounts.spotify.com: the dialog, codes and tokens. Source: Spotify, Authorization Code with PKCE, 2026-05."""

import re
import secrets
from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from sandbox.box import Sandbox
from sandbox.oauth import back
from sandbox.pages import STYLE, refusal_page
from sandbox.spotify_errors import guarded
from sandbox.spotify_seed import USERS, find_user
from sandbox.spotify_tokens import answer_token_call

SCOPES = frozenset(
    (
        *("user-read-private", "user-read-email", "user-top-read", "user-read-recently-played"),
        *("user-library-read", "user-library-modify", "user-follow-read", "user-follow-modify"),
        *("playlist-read-private", "playlist-read-collaborative", "playlist-modify-public", "playlist-modify-private"),
        "ugc-image-upload",
    )
)
AUTHORIZE = "/accounts.spotify.com/authorize"
_REDIRECT = re.compile(r"https://[^\s/]|http://(127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def spotify_accounts_routes(box: Sandbox) -> APIRouter:
    """The calls on accounts.spotify.com."""
    router = APIRouter()

    @router.get(AUTHORIZE)
    async def spotify_authorize(request: Request) -> Response:
        """Show the dialog."""
        asked = dict(request.query_params)
        problem = dialog_problem(box, asked)
        return HTMLResponse(refusal_page(problem) if problem else dialog_page(asked), 400 if problem else 200)

    @router.post(AUTHORIZE)
    async def spotify_decide(request: Request) -> Response:
        """Allow or deny, and go back to the product."""
        form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
        asked = form | dict(request.query_params)
        problem = dialog_problem(box, asked)
        if problem:
            return HTMLResponse(refusal_page(problem), 400)
        if form.get("allow") != "1":
            return back(asked, {"error": "access_denied"})
        user = find_user(form.get("user", ""))
        if user is None:
            return HTMLResponse(refusal_page("Pick a user that exists."), 400)
        return back(asked, {"code": issue_code(box, user.handle, asked)})

    async def token(request: Request) -> Response:
        return await answer_token_call(box, request)

    router.add_api_route("/accounts.spotify.com/api/token", guarded(box, token), methods=["POST"])
    return router


def dialog_problem(box: Sandbox, asked: Mapping[str, str]) -> str | None:
    """Why the dialog will not open, in a sentence."""
    if asked.get("client_id") != box.settings.spotify_client_id:
        return "INVALID_CLIENT: Invalid client"
    if not _REDIRECT.match(asked.get("redirect_uri", "")):
        return "INVALID_CLIENT: Insecure redirect URI"
    if asked.get("response_type") != "code":
        return "response_type must be code"
    if not set(asked.get("scope", "").split()) <= SCOPES:
        return "INVALID_SCOPE: Invalid scope"
    challenge = asked.get("code_challenge")
    if challenge is not None and not (asked.get("code_challenge_method") == "S256" and _CHALLENGE.fullmatch(challenge)):
        return "code_challenge_method must be S256 with a challenge of 43 characters"
    return None


def issue_code(box: Sandbox, user: str, asked: Mapping[str, str]) -> str:
    """A fresh authorization code."""
    code = "AQ" + secrets.token_urlsafe(150)
    box.record(
        "spotify_authorized",
        user=user,
        redirect_uri=asked["redirect_uri"],
        scopes=asked.get("scope", "").split(),
        challenge=asked.get("code_challenge"),
        token={"code": code},
    )
    return code


def dialog_page(asked: Mapping[str, str]) -> str:
    """The dialog: which user, what the app asks for, agree or cancel."""
    users = "".join(
        f'<option value="{escape(user.handle)}">{escape(user.handle)} ({escape(user.name)})</option>' for user in USERS
    )
    scopes = ", ".join(asked.get("scope", "").split()) or "your name and picture"
    return f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Log in (sandbox)</title>
<style>{STYLE}</style></head><body><h1>Log in with Spotify (sandbox)</h1>
<p class="note">This is not Spotify. It is the sandbox that stands in for it; there is no password.</p>
<form method="post" action="?{escape(urlencode(asked))}"><label>User <select name="user">{users}</select></label>
<p>The app <code>{escape(asked.get("client_id", ""))}</code> asks for: <code>{escape(scopes)}</code></p>
<p><button name="allow" value="1">Agree</button><button name="allow" value="0">Cancel</button></p>
</form></body></html>"""
