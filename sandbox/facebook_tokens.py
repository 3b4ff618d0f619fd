"""What a person has allowed, its end, and what a token is worth. Source: sections 1.2 and 1.5."""

from collections.abc import Mapping
from typing import Any

from sandbox.box import Sandbox, new_token
from sandbox.call import FACEBOOK_GRAPH, need_token
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.facebook_call import (
    PERSON_BY_ID,
    FacebookCall,
    check_proof,
    granted,
    is_app_token,
    linked_account,
    need_facebook_token,
    pages_of,
)
from sandbox.facebook_seed import PAGES, PERMISSIONS, Page, Person
from sandbox.state import Token

DATA_ACCESS_MS = 90 * 86_400_000
WHOLE_PERSON = frozenset({"public_profile", "email", "business_management"})
"""Permissions that are not about one Page or account."""


def answer_permissions(
    box: Sandbox, method: str, node: str, name: str | None, value: str, params: Mapping[str, Any]
) -> Any:
    """`/{user-id}/permissions[/{name}]` with the person's own token or the app's, never with a Page's."""
    person = _asked_person(box, method, node, value, params)
    if method == "DELETE":
        return _revoke(box, person, name)
    if method != "GET" or name:
        raise unsupported(method, node)
    grant = box.world.grants.get(person.id)
    found = grant.permissions if grant else {}
    return {"data": [{"permission": one, "status": found[one]} for one in PERMISSIONS if one in found]}


def revoke_all(box: Sandbox, person: Person, kind: str, subcode: int) -> None:
    """End all between a person and the app: grants, tokens, and the webhooks of Pages nobody else vouches for."""
    box.record(kind, account_id=person.id, subcode=subcode)
    for page in PAGES:
        others = any(page in pages_of(box.world, other) for other in PERSON_BY_ID.values())
        if person.tasks.get(page.id) and not others and box.world.subscriptions.get(page.id):
            box.record("subscription_changed", account_id=page.id, fields=[])


def page_token(call: FacebookCall, page: Page) -> str:
    """The person's token for a Page: one per user token, made when it is first asked for.

    Without an end when the user token is long-lived.
    """
    world, parent = call.box.world, call.token
    if parent.token_kind == "page":
        return parent.value
    known = world.tokens.get(world.page_tokens.get(f"{parent.value}/{page.id}", ""))
    if known and known.dead_subcode is None and not (known.expires_ms and call.box.now_ms() >= known.expires_ms):
        return known.value
    value = new_token("EAA")
    have = granted(world, call.person.id)
    call.box.record(
        "token_issued",
        account_id=page.id,
        person_id=call.person.id,
        host=FACEBOOK_GRAPH,
        token_kind="page",
        lifetime=parent.lifetime,
        scopes=[name for name in PERMISSIONS if name in have],
        expires_ms=0 if parent.lifetime == "long" else parent.expires_ms,
        token=value,
        user_token=parent.value,
    )
    return value


def debug_token(box: Sandbox, value: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a token is worth, told to the app itself. One that is worth nothing is described too, with HTTP 200."""
    if not is_app_token(box, value):
        raise bad_parameter(
            "You must provide an app access token, or a user access token that is an owner or developer of the app"
        )
    check_proof(box, value, params)
    asked = str(params.get("input_token", ""))
    if not asked:
        raise bad_parameter("The parameter input_token is required")
    app = {"app_id": box.settings.meta_app_id, "application": "SoundOps"}
    if is_app_token(box, asked):
        return {"data": app | {"type": "APP", "is_valid": True, "scopes": []}}
    known = box.world.tokens.get(asked)
    about = app | _about(box, known) if known and known.host == FACEBOOK_GRAPH else {}
    try:
        token = need_token(box, asked, FACEBOOK_GRAPH)
    except GraphError as error:
        nested: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.subcode is not None:
            nested["subcode"] = error.subcode
        return {"data": about | {"error": nested, "is_valid": False, "scopes": []}}
    return {"data": about | {"is_valid": True} | _scopes(box, PERSON_BY_ID[token.person_id])}


def _asked_person(box: Sandbox, method: str, node: str, value: str, params: Mapping[str, Any]) -> Person:
    if is_app_token(box, value):
        check_proof(box, value, params)
        if node == "me":
            message = "An active access token must be used to query information about the current user."
            raise GraphError(2500, message)
        person_id = node
    else:
        token = need_facebook_token(box, value, params)
        person_id = token.person_id if node == "me" else node
        if token.token_kind != "user" or person_id != token.person_id:
            raise unsupported(method, node)
    if person_id not in PERSON_BY_ID:
        raise unsupported(method, node)
    return PERSON_BY_ID[person_id]


def _revoke(box: Sandbox, person: Person, name: str | None) -> Any:
    if name is not None and name not in PERMISSIONS:
        raise bad_parameter(f"Invalid permission: {name}")
    grant = box.world.grants.get(person.id)
    if grant and name is None:
        revoke_all(box, person, "permissions_revoked", 458)
    elif grant and name in grant.permissions:
        box.record("permissions_revoked", account_id=person.id, permission=name)
    return True if box.world.options.revoke_answer == "true" else {"success": True}


def _about(box: Sandbox, token: Token) -> dict[str, Any]:
    grant = box.world.grants.get(token.person_id)
    about: dict[str, Any] = {
        "type": token.token_kind.upper(),
        "issued_at": token.issued_ms // 1000,
        "expires_at": token.expires_ms // 1000,
        "data_access_expires_at": ((grant.login_ms if grant else token.issued_ms) + DATA_ACCESS_MS) // 1000,
        "user_id": token.person_id,
    }
    return about | ({"profile_id": token.account_id} if token.token_kind == "page" else {})


def _scopes(box: Sandbox, person: Person) -> dict[str, Any]:
    """What is granted, and for what: without `target_ids`, for all the person has."""
    world = box.world
    have = granted(world, person.id)
    scopes = [name for name in PERMISSIONS if name in have]
    chosen = world.grants[person.id].pages
    granular: list[dict[str, Any]] = []
    for name in scopes:
        if chosen is None or name in WHOLE_PERSON:
            granular.append({"scope": name})
            continue
        pages = [page for page in PAGES if page.id in chosen]
        accounts = [account.id for account in (linked_account(world, page) for page in pages) if account]
        ids = accounts if name.startswith("instagram_") else [page.id for page in pages]
        granular.append({"scope": name, "target_ids": ids})
    return {"scopes": scopes, "granular_scopes": granular}
