"""Business Login for Instagram: the dialog, the code exchange, long-lived tokens. Source: section 1.1."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.datastructures import FormData

from sandbox.box import Sandbox, new_code, new_token
from sandbox.call import BASIC, SCOPES, account_of, need_token
from sandbox.errors import GraphError, bad_parameter, no_permission
from sandbox.pages import login_page, refusal_page
from sandbox.seed import Account, find_account
from sandbox.state import Code, Token

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LONG_MS = 60 * DAY_MS - 56_000


def dialog_routes(box: Sandbox) -> APIRouter:
    """`/oauth/authorize` on www.instagram.com."""
    router = APIRouter()

    @router.get("/www.instagram.com/oauth/authorize")
    async def authorize(request: Request) -> Response:
        """Show the login dialog."""
        asked = dict(request.query_params)
        problem = dialog_problem(box, asked)
        if problem:
            return HTMLResponse(refusal_page(problem), 400)
        return HTMLResponse(login_page(asked, asked_scopes(asked)))

    @router.post("/www.instagram.com/oauth/authorize")
    async def decide(request: Request) -> Response:
        """Allow or deny, and go back to the product."""
        form = await request.form()
        asked = {key: value for key, value in form.items() if isinstance(value, str)} | dict(request.query_params)
        problem = dialog_problem(box, asked)
        if problem:
            return HTMLResponse(refusal_page(problem), 400)
        if form.get("allow") != "1":
            return back(asked, DENIED)
        account = find_account(str(form.get("account", "")))
        if account is None:
            return HTMLResponse(refusal_page("Pick an account that exists."), 400)
        return back(asked, {"code": issue_code(box, account, asked["redirect_uri"], granted(asked, form))}, "#_")

    return router


DENIED = {
    "error": "access_denied",
    "error_reason": "user_denied",
    "error_description": "The user denied your request.",
}


def dialog_problem(box: Sandbox, asked: Mapping[str, str]) -> str | None:
    """Why the dialog will not open, in a sentence."""
    redirect_uri = asked.get("redirect_uri", "")
    if asked.get("client_id") != box.settings.app_id:
        return "Invalid platform app: the client_id is not this app's."
    if not re.match(r"https?://[^\s/]", redirect_uri):
        return "Invalid redirect_uri."
    if box.settings.redirect_uris and redirect_uri not in box.settings.redirect_uris:
        return "Invalid redirect_uri: it is not one of the registered ones, character by character."
    if asked.get("response_type") != "code":
        return "Invalid response_type: it must be code."
    scopes = asked_scopes(asked)
    if not scopes or not set(scopes) <= set(SCOPES):
        return "Invalid scope: " + (", ".join(s for s in scopes if s not in SCOPES) or "none was asked for") + "."
    return None


def asked_scopes(asked: Mapping[str, str]) -> list[str]:
    """The scopes the product asked for; commas and spaces both separate."""
    return list(dict.fromkeys(re.findall(r"[^\s,]+", asked.get("scope", ""))))


def granted(asked: Mapping[str, str], form: FormData) -> list[str]:
    """What the user ticked. Without boxes or a `scope` (a script), everything; basic cannot be unticked."""
    wanted = asked_scopes(asked)
    ticked = {name for value in form.getlist("scope") for name in re.findall(r"[^\s,]+", str(value))}
    if not ticked and "boxes" not in form:
        return wanted
    return [scope for scope in wanted if scope in ticked or scope == BASIC]


def issue_code(box: Sandbox, account: Account, redirect_uri: str, scopes: list[str]) -> str:
    """A fresh authorization code."""
    code = new_code()
    box.record("code_issued", code=code, account_id=account.id, redirect_uri=redirect_uri, scopes=scopes)
    return code


def back(asked: Mapping[str, str], answer: dict[str, str], fragment: str = "") -> Response:
    """Send the browser back to the product, with its `state` unchanged."""
    query = urlencode(answer | ({"state": asked["state"]} if "state" in asked else {}))
    uri = asked["redirect_uri"]
    return RedirectResponse(f"{uri}{'&' if '?' in uri else '?'}{query}{fragment}", 302)


def exchange_code(box: Sandbox, form: Mapping[str, Any]) -> Response:
    """A code for a token of one hour (`POST api.instagram.com/oauth/access_token`)."""
    for name in ("client_id", "client_secret", "grant_type", "redirect_uri", "code"):
        if not form.get(name):
            raise GraphError(100, f"Missing required field {name}")
    if form["client_id"] != box.settings.app_id or form["client_secret"] not in box.settings.app_secrets:
        raise GraphError(100, "Error validating client secret.")
    if form["grant_type"] != "authorization_code":
        raise GraphError(100, "Invalid grant_type")
    code = need_code(box, str(form["code"]), str(form["redirect_uri"]))
    token = new_token()
    account_id, scopes = code.account_id, code.scopes
    expires_ms = box.now_ms() + HOUR_MS
    box.record(
        "token_issued",
        account_id=account_id,
        lifetime="short",
        scopes=scopes,
        expires_ms=expires_ms,
        token=token,
        code=form["code"],
    )
    return JSONResponse(exchange_answer(box, box.world.tokens[token]))


def need_code(box: Sandbox, value: str, redirect_uri: str) -> Code:
    """The code, unused, young enough, and asked for with the same `redirect_uri`."""
    code = box.world.codes.get(value)
    if code is None or code.used or find_account(code.account_id) is None:
        raise GraphError(100, "Matching code was not found or was already used")
    if box.now_ms() - code.issued_ms > HOUR_MS:
        raise GraphError(100, "This authorization code has expired.")
    if code.redirect_uri != redirect_uri:
        raise GraphError(
            100,
            "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in"
            " the OAuth dialog request",
        )
    return code


def exchange_answer(box: Sandbox, token: Token) -> dict[str, Any]:
    """The exchange's answer, in the shape the options ask for."""
    options = box.world.options
    user_id = account_of(token).scoped_id
    answer: dict[str, Any] = {
        "access_token": token.value,
        "user_id": int(user_id) if options.exchange_user_id == "number" else user_id,
        "permissions": token.scopes if options.exchange_permissions == "list" else ",".join(token.scopes),
    }
    return {"data": [answer]} if options.exchange_shape == "wrapped" else answer


def lengthen_token(box: Sandbox, params: Mapping[str, Any], value: str) -> dict[str, Any]:
    """A short token for one of about 60 days (`GET graph.instagram.com/access_token`)."""
    if params.get("grant_type") != "ig_exchange_token":
        raise bad_parameter("grant_type must be ig_exchange_token")
    if params.get("client_secret") not in box.settings.app_secrets:
        raise GraphError(101, "Error validating client secret.")
    token = need_token(box, value)
    if token.lifetime != "short":
        raise bad_parameter("The access token is already long-lived")
    return _long_token(box, token, "token_issued")


def refresh_token(box: Sandbox, params: Mapping[str, Any], value: str) -> dict[str, Any]:
    """A fresh token for one that is a day old and lives (`GET graph.instagram.com/refresh_access_token`)."""
    if params.get("grant_type") != "ig_refresh_token":
        raise bad_parameter("grant_type must be ig_refresh_token")
    token = need_token(box, value)
    if token.lifetime != "long":
        raise bad_parameter("Only a long-lived access token can be refreshed")
    if box.now_ms() - token.issued_ms < DAY_MS:
        raise bad_parameter("The access token must be at least 24 hours old to be refreshed")
    if BASIC not in token.scopes:
        raise no_permission()
    answer = _long_token(box, token, "token_refreshed")
    if box.world.options.refresh_kills_old:
        box.record("tokens_expired", tokens=[token.value])
    return answer | {"permissions": ",".join(token.scopes)}


def _long_token(box: Sandbox, old: Token, kind: str) -> dict[str, Any]:
    value = new_token()
    box.record(
        kind,
        account_id=old.account_id,
        lifetime="long",
        scopes=old.scopes,
        expires_ms=box.now_ms() + LONG_MS,
        token=value,
    )
    return {"access_token": value, "token_type": "bearer", "expires_in": LONG_MS // 1000}
