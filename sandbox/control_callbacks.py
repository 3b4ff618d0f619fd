"""Single calls to the product's callbacks, genuine and forged, ordered under `/_sandbox`. Source: section 1.6."""

import secrets
from typing import Any, Literal

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from sandbox import fans
from sandbox.box import Sandbox
from sandbox.control import PREFIX
from sandbox.control_models import Callback
from sandbox.deliver import HEADERS
from sandbox.errors import ControlError
from sandbox.facebook_seed import Person
from sandbox.facebook_tokens import revoke_all
from sandbox.seed import Account
from sandbox.signing import sign, signed_request
from sandbox.subjects import need_person


def callback_routes(box: Sandbox, http: httpx.AsyncClient) -> APIRouter:
    """Single calls to the product's callbacks."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/webhook/raw")
    async def raw(
        request: Request,
        signature: Literal["good", "bad", "none", "sha1"] = "good",
        app: Literal["instagram", "meta"] = "instagram",
    ) -> JSONResponse:
        """POST this request's body to the webhook as it is, once."""
        body = await request.body()
        secret = box.settings.meta_app_secret if app == "meta" else box.settings.app_secret
        signed = sign(secret if signature != "bad" else "another secret", body)
        kept = {"good": set(signed), "bad": set(signed), "none": set(), "sha1": {"X-Hub-Signature"}}[signature]
        headers = HEADERS | {name: value for name, value in signed.items() if name in kept}
        posted = http.build_request("POST", box.settings.webhook_url, content=body, headers=headers)
        return JSONResponse(await _passed_on(posted, http))

    @router.post("/handshake")
    async def handshake() -> dict[str, Any]:
        """Check the webhook's verification handshake, and say how it went."""
        challenge = str(secrets.randbelow(10**10))
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": box.settings.verify_token}
        try:
            answer = await http.get(box.settings.webhook_url, params=asked)
        except httpx.HTTPError as exc:
            raise ControlError(f"The webhook cannot be reached: {type(exc).__name__}.", 502) from exc
        good = answer.status_code == 200 and answer.text == challenge
        return {"ok": good, "status": answer.status_code, "challenge": challenge, "answered": answer.text[:200]}

    @router.post("/callback")
    async def callback(order: Callback) -> JSONResponse:
        """POST a `signed_request` about an account or a person: the app was removed, or deletion is asked for.

        A genuine one also removes the app; one that is forged in any way changes nothing here.
        """
        about = callback_about(order)
        if order.genuine:
            remove_app(box, about)
        text = signed_request(_callback_secret(box, order, about), _callback_payload(box, order, about))
        url = order.url or f"{box.settings.webhook_url}/{order.kind}"
        answers = []
        for _ in range(order.times):
            answers.append(await _passed_on(http.build_request("POST", url, data={"signed_request": text}), http))
        return JSONResponse(answers[0] | {"signed_request": text, "answers": answers})

    return router


def callback_about(order: Callback) -> Account | Person:
    """Whom a callback is about. Raises 422 unless it names one account or one person."""
    if (order.account is None) == (order.person is None):
        raise ControlError("Name an account or a person.", 422)
    return need_person(order.person) if order.person else fans.need_account(order.account or "")


def remove_app(box: Sandbox, about: Account | Person) -> None:
    """What Meta does when someone removes the app in their settings: the tokens are dead, the webhooks end."""
    if isinstance(about, Person):
        revoke_all(box, about, "app_removed", 458)
        return
    tokens = [t.value for t in box.world.tokens.values() if t.account_id == about.id and not t.dead_subcode]
    box.record("tokens_revoked", tokens=tokens, subcode=458)
    box.record("subscription_changed", account_id=about.id, fields=[])


def _callback_payload(box: Sandbox, order: Callback, about: Account | Person) -> dict[str, Any]:
    names = {"id": about.scoped_id, "user_id": about.id} if isinstance(about, Account) else {"id": about.id}
    issued_at = box.now_ms() // 1000 if order.issued_at is None else order.issued_at
    return {
        "algorithm": order.algorithm,
        "issued_at": issued_at,
        "user_id": names.get(order.user_id, order.user_id),
    }


def _callback_secret(box: Sandbox, order: Callback, about: Account | Person) -> str:
    secrets_of = [box.settings.app_secret, box.settings.meta_app_secret]
    own, other = secrets_of if isinstance(about, Account) else reversed(secrets_of)
    return {"good": own, "other_app": other, "bad": "another secret"}[order.signature]


async def _passed_on(request: httpx.Request, http: httpx.AsyncClient) -> dict[str, Any]:
    try:
        answer = await http.send(request)
    except httpx.HTTPError as exc:
        raise ControlError(f"The product cannot be reached: {type(exc).__name__}.", 502) from exc
    return {"status": answer.status_code, "body": answer.text[:4000]}
