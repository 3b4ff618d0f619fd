"""Facebook Login: the dialog, the code exchange, long-lived tokens. Source: section 1.2."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from sandbox.box import Sandbox, new_code, new_token
from sandbox.call import FACEBOOK_GRAPH, need_token
from sandbox.errors import GraphError, bad_parameter
from sandbox.facebook_call import granted
from sandbox.facebook_html import facebook_login_page
from sandbox.facebook_seed import PAGES, PERMISSIONS, find_page, find_person
from sandbox.oauth import HOUR_MS, LONG_MS, asked_scopes, back
from sandbox.pages import refusal_page
from sandbox.state import Code, Grant

SHORT_MS = HOUR_MS + 1_800_000
DENIED = {
    "error": "access_denied",
    "error_code": "200",
    "error_description": "Permissions error",
    "error_reason": "user_denied",
}
ALWAYS = "public_profile"


def facebook_dialog_routes(box: Sandbox) -> APIRouter:
    """`/dialog/oauth` on www.facebook.com."""
    router = APIRouter()

    @router.get("/www.facebook.com/dialog/oauth")
    async def authorize(request: Request) -> Response:
        """Show the login dialog."""
        asked = dict(request.query_params)
        problem = dialog_problem(box, asked)
        if problem:
            return HTMLResponse(refusal_page(problem), 400)
        return HTMLResponse(facebook_login_page(asked, asked_permissions(asked)))

    @router.post("/www.facebook.com/dialog/oauth")
    async def decide(request: Request) -> Response:
        """Allow or deny, and go back to the product."""
        form = await request.form()
        asked = {key: value for key, value in form.items() if isinstance(value, str)} | dict(request.query_params)
        problem = dialog_problem(box, asked)
        if problem:
            return HTMLResponse(refusal_page(problem), 400)
        if form.get("allow") != "1":
            return back(asked, DENIED, "#_=_")
        person = find_person(str(form.get("person", "")))
        if person is None:
            return HTMLResponse(refusal_page("Pick a person who exists."), 400)
        known = box.world.grants.get(person.id)
        code = new_code()
        box.record(
            "permissions_granted",
            account_id=person.id,
            permissions=decided(asked, form, known),
            pages=chosen_pages(form),
            redirect_uri=asked["redirect_uri"],
            code=code,
        )
        return back(asked, {"code": code}, "#_=_")

    return router


def dialog_problem(box: Sandbox, asked: Mapping[str, str]) -> str | None:
    """Why the dialog will not open, in a sentence."""
    redirect_uri = asked.get("redirect_uri", "")
    if asked.get("client_id") != box.settings.meta_app_id:
        return "Invalid App ID: the client_id is not this app's."
    if not re.match(r"https?://[^\s/]", redirect_uri):
        return "URL blocked: invalid redirect_uri."
    if box.settings.redirect_uris and redirect_uri not in box.settings.redirect_uris:
        return "URL blocked: the redirect_uri is not one of the registered ones, character by character."
    if asked.get("response_type", "code") != "code":
        return "Invalid response_type: it must be code."
    unknown = [scope for scope in asked_scopes(asked) if scope not in PERMISSIONS]
    if unknown:
        return f"Invalid Scopes: {', '.join(unknown)}."
    if asked.get("auth_type", "rerequest") not in ("rerequest", "reauthenticate", "reauthorize"):
        return "Invalid auth_type."
    return None


def asked_permissions(asked: Mapping[str, str]) -> list[str]:
    """What the product asks for: its `scope`, or with a configuration (`config_id`) everything there is."""
    if asked.get("config_id"):
        return list(PERMISSIONS)
    return list(dict.fromkeys([ALWAYS, *asked_scopes(asked)]))


def decided(asked: Mapping[str, str], form: FormData, known: Grant | None) -> dict[str, str]:
    """What the person says to each permission they are asked for.

    Without boxes or a `scope` in the form (a script), yes to all. Who declined one before is not asked for it again,
    unless the product says `auth_type=rerequest` or brings a configuration.
    """
    again = asked.get("auth_type") == "rerequest" or bool(asked.get("config_id"))
    before = known.permissions if known else {}
    wanted = [name for name in asked_permissions(asked) if again or before.get(name) != "declined"]
    ticked = {name for value in form.getlist("scope") for name in re.findall(r"[^\s,]+", str(value))}
    if not ticked and "boxes" not in form:
        return dict.fromkeys(wanted, "granted")
    return {name: "granted" if name in ticked or name == ALWAYS else "declined" for name in wanted}


def chosen_pages(form: FormData) -> list[str] | None:
    """The Pages the person ticked, by id; `None` for all of them, or when the form does not ask (a script)."""
    pages = [page.id for page in (find_page(str(value)) for value in form.getlist("page")) if page]
    if (not pages and "page_boxes" not in form) or len(pages) == len(PAGES):
        return None
    return pages


def exchange(box: Sandbox, params: Mapping[str, Any]) -> dict[str, Any]:
    """A token for a code, or a long-lived one for a short one (`oauth/access_token`)."""
    if params.get("client_id") != box.settings.meta_app_id:
        raise GraphError(101, "Error validating application. Cannot get application info due to a system error.")
    if params.get("client_secret") not in box.settings.meta_app_secrets:
        raise GraphError(101, "Error validating client secret.")
    grant_type = params.get("grant_type", "authorization_code")
    if grant_type == "fb_exchange_token":
        return _lengthened(box, str(params.get("fb_exchange_token", "")))
    if grant_type != "authorization_code":
        raise bad_parameter("Invalid grant_type")
    if not params.get("code"):
        raise bad_parameter("Missing authorization code")
    code = need_code(box, str(params["code"]), str(params.get("redirect_uri", "")))
    long = box.world.options.facebook_code_token == "long"
    lasts_ms = LONG_MS if long else SHORT_MS
    value = new_token("EAA")
    _issued(
        box, "token_issued", code.account_id, value, long=long, expires_ms=box.now_ms() + lasts_ms, code=params["code"]
    )
    return {"access_token": value, "token_type": "bearer", "expires_in": lasts_ms // 1000}


def need_code(box: Sandbox, value: str, redirect_uri: str) -> Code:
    """The code, unused, young enough, and asked for with the same `redirect_uri`. Raises code 100."""
    code = box.world.codes.get(value)
    if code is None or code.account_id not in box.world.grants:
        raise GraphError(100, "Invalid verification code format.", 36009)
    if code.used:
        raise GraphError(100, "This authorization code has been used.", 36009)
    if box.now_ms() - code.issued_ms > HOUR_MS:
        raise GraphError(100, "This authorization code has expired.", 36007)
    if code.redirect_uri != redirect_uri:
        message = "Error validating verification code. Please make sure your redirect_uri is identical to the one you"
        raise GraphError(100, f"{message} used in the OAuth dialog request", 36008)
    return code


def _lengthened(box: Sandbox, value: str) -> dict[str, Any]:
    """A token of about 60 days. One that is long-lived already is changed for another with the same end."""
    old = need_token(box, value, FACEBOOK_GRAPH)
    if old.token_kind != "user":
        raise bad_parameter("fb_exchange_token must be a user access token")
    again = old.lifetime == "long"
    fresh = new_token("EAA")
    expires_ms = old.expires_ms if again else box.now_ms() + LONG_MS
    kind = "token_refreshed" if again else "token_issued"
    _issued(box, kind, old.person_id, fresh, long=True, expires_ms=expires_ms)
    answer: dict[str, Any] = {"access_token": fresh, "token_type": "bearer"}
    if box.world.options.facebook_expires_in == "given":
        answer["expires_in"] = (expires_ms - box.now_ms()) // 1000
    return answer


def _issued(
    box: Sandbox, kind: str, person_id: str, value: str, *, long: bool, expires_ms: int, code: str | None = None
) -> None:
    have = granted(box.world, person_id)
    box.record(
        kind,
        account_id=person_id,
        person_id=person_id,
        host=FACEBOOK_GRAPH,
        token_kind="user",
        lifetime="long" if long else "short",
        scopes=[name for name in PERMISSIONS if name in have],
        expires_ms=expires_ms,
        token=value,
        code=code,
    )
