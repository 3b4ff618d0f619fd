"""accounts.spotify.com/api/token: three grants, and the ways in which their answers go wrong on purpose.

A call is executed in one go, between two awaits; only its answer may be late or lost.
"""

import asyncio
import hashlib
import random
import secrets
from base64 import b64decode, urlsafe_b64encode
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from sandbox.box import Sandbox
from sandbox.faults import HangUp
from sandbox.spotify_errors import token_refusal
from sandbox.spotify_state import SpotifyRefreshToken

CODE_MS = 10 * 60_000
MONTHS = 6
"""A refresh token ends this long after its user's authorisation. Source: Spotify, 2026-06-18."""


async def answer_token_call(box: Sandbox, request: Request) -> Response:
    """Answer `POST /api/token`."""
    form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    if not is_our_client(box, request.headers.get("authorization", "")):
        return token_refusal("invalid_client", "Invalid client secret")
    options = box.world.spotify.options
    used = box.world.spotify.refresh_tokens.get(form.get("refresh_token", ""))
    draw = random.Random(f"{options.seed}/{call_name(box, used)}")
    lie, lost, slow = draw.random(), draw.random(), draw.random()
    match form.get("grant_type"):
        case "authorization_code":
            response = exchange_code(box, form)
        case "refresh_token":
            response = refresh(box, used, lie=lie < options.lie_share)
        case "client_credentials":
            response = JSONResponse(issue(box, "client_credentials", user=None, scopes=[]))
        case _:
            response = token_refusal("unsupported_grant_type", "grant_type parameter is missing or unknown")
    if slow < options.slow_share:
        await asyncio.sleep(options.slow_s)
    return HangUp() if lost < options.lost_share else response


def call_name(box: Sandbox, used: SpotifyRefreshToken | None) -> str:
    """What chance hangs on: a refresh token's nth use, whatever else goes on; otherwise the next token's number."""
    return f"{used.number}.{used.uses}" if used else str(box.world.spotify.next_number())


def is_our_client(box: Sandbox, header: str) -> bool:
    """Whether this is the app's `Basic` header."""
    scheme, _, value = header.partition(" ")
    try:
        told = b64decode(value, validate=True).decode()
    except ValueError:
        return False
    ours = f"{box.settings.spotify_client_id}:{box.settings.spotify_client_secret}"
    return scheme.lower() == "basic" and told == ours


def exchange_code(box: Sandbox, form: Mapping[str, str]) -> Response:
    """A code for a pair of tokens."""
    code = box.world.spotify.codes.get(form.get("code", ""))
    if code is None or code.used:
        return token_refusal("invalid_grant", "Invalid authorization code")
    if box.now_ms() - code.issued_ms > CODE_MS:
        return token_refusal("invalid_grant", "Authorization code expired")
    if form.get("redirect_uri") != code.redirect_uri:
        return token_refusal("invalid_grant", "Invalid redirect URI")
    verifier = form.get("code_verifier")
    if (challenge_of(verifier) if verifier else None) != code.challenge:
        return token_refusal("invalid_grant", "code_verifier was incorrect")
    answer = issue(box, "authorization_code", user=code.user, scopes=code.scopes, code=code.value)
    return JSONResponse(answer)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of this verifier (RFC 7636, section 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def issue(box: Sandbox, grant: str, *, user: str | None, scopes: list[str], code: str | None = None) -> dict[str, Any]:
    """A fresh access token, and a refresh token where there is a user."""
    number = box.world.spotify.next_number()
    access, refresh_value = new_access_token(), new_refresh_token() if user else None
    box.record(
        "spotify_token_issued",
        grant=grant,
        user=user,
        scopes=scopes,
        access_number=number,
        refresh_number=number + 1 if user else None,
        expires_ms=box.now_ms() + box.world.spotify.options.access_token_s * 1000,
        token={"access": access, "refresh": refresh_value, "code": code},
    )
    return token_answer(box, access, refresh_value)


def refresh(box: Sandbox, used: SpotifyRefreshToken | None, *, lie: bool) -> Response:
    """A fresh access token, and where tokens rotate a fresh refresh token too."""
    problem = refresh_problem(box, used)
    if used is None or problem:
        return refuse_refresh(box, used, problem or "unknown")
    if lie and not used.lied:
        return refuse_refresh(box, used, "lie")
    spotify = box.world.spotify
    if used.rotated_ms is not None and used.next_access and used.next_refresh:
        new = spotify.refresh_tokens[used.next_refresh]
        box.record(
            "spotify_token_repeated", user=used.user, old=used.number, new=new.number, token={"used": used.value}
        )
        return JSONResponse(token_answer(box, used.next_access, used.next_refresh))
    number = spotify.next_number()
    access, rotated = new_access_token(), new_refresh_token() if spotify.options.rotate else None
    box.record(
        "spotify_token_refreshed",
        user=used.user,
        scopes=used.scopes,
        old=used.number,
        new=number + 1 if rotated else used.number,
        access_number=number,
        expires_ms=box.now_ms() + spotify.options.access_token_s * 1000,
        token={"used": used.value, "access": access, "refresh": rotated},
    )
    return JSONResponse(token_answer(box, access, rotated))


def refresh_problem(box: Sandbox, used: SpotifyRefreshToken | None) -> str | None:
    """Why this refresh token is no longer good."""
    if used is None:
        return "unknown"
    if used.revoked:
        return "revoked"
    if box.now_ms() >= end_of_authorisation_ms(used.authorized_ms):
        return "expired"
    grace_ms = box.world.spotify.options.rotation_grace_s * 1000
    if used.rotated_ms is not None and box.now_ms() >= used.rotated_ms + grace_ms:
        return "rotated"
    return None


def refuse_refresh(box: Sandbox, used: SpotifyRefreshToken | None, reason: str) -> Response:
    """`invalid_grant`, with the true reason in the ledger alone."""
    user, old, value = (used.user, used.number, used.value) if used else (None, None, None)
    box.record("spotify_token_refused", user=user, old=old, reason=reason, token={"used": value})
    return token_refusal("invalid_grant", "Refresh token revoked")


def end_of_authorisation_ms(authorized_ms: int) -> int:
    """Six calendar months later."""
    start = datetime.fromtimestamp(authorized_ms / 1000, UTC)
    years, month = divmod(start.month - 1 + MONTHS, 12)
    year, month = start.year + years, month + 1
    end = start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
    return int(end.timestamp() * 1000)


def token_answer(box: Sandbox, access: str, refresh_value: str | None) -> dict[str, Any]:
    """The pair as the token endpoint shows it; without a fresh refresh token that member is absent."""
    token = box.world.spotify.access_tokens[access]
    answer = {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": max(0, (token.expires_ms - box.now_ms() + 999) // 1000),
    }
    if token.user:
        answer["scope"] = " ".join(token.scopes)
    return answer | ({"refresh_token": refresh_value} if refresh_value else {})


def new_access_token() -> str:
    """An access token, about as long as Spotify's."""
    return "BQ" + secrets.token_urlsafe(150)


def new_refresh_token() -> str:
    """A refresh token, about as long as Spotify's."""
    return "AQ" + secrets.token_urlsafe(96)
