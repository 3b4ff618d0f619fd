"""The control API under `/_sandbox`: what tests and demos may do that no product could."""

import json
import secrets
from typing import Any, Literal

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from sandbox import fans
from sandbox.box import Sandbox
from sandbox.control_models import Callback, ClockOrder, Dead, Usage
from sandbox.deliver import HEADERS, Deliverer
from sandbox.errors import ControlError
from sandbox.seed import ACCOUNTS, FANS, media_of
from sandbox.signing import sign, signed_request
from sandbox.spotify_control import spotify_tokens
from sandbox.state import DeliveryPlan, Fault, Options
from sandbox.storm import Storm, StormOrder

PREFIX = "/_sandbox"


def look_routes(box: Sandbox) -> APIRouter:
    """Looking, which changes nothing."""
    router = APIRouter(prefix=PREFIX)

    @router.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Ready."""
        return {"status": "ok"}

    @router.get("/state")
    async def state() -> dict[str, Any]:
        """Accounts, fans with the ids each account knows them by, media, clock."""
        return show_state(box)

    @router.get("/ledger")
    async def ledger(kind: str | None = None, since: int = 0, account: str | None = None) -> dict[str, Any]:
        """The effects a real Meta would have shown the world, oldest first."""
        account_id = fans.need_account(account).id if account else None
        rows = [
            row
            for row in box.world.ledger
            if row["seq"] > since and kind in (None, row["kind"]) and account_id in (None, row.get("account_id"))
        ]
        return {"rows": rows, "count": len(rows), "last_seq": box.world.seq}

    @router.get("/tokens")
    async def tokens() -> dict[str, Any]:
        """Every token and code ever issued, in clear: for tests that look for leaks."""
        tokens = [vars(token) for token in box.world.tokens.values()]
        spotify = spotify_tokens(box.world.spotify)
        return {
            "tokens": tokens,
            "codes": list(box.world.codes),
            "spotify": spotify,
            "ever_issued": box.world.issued,
        }

    @router.get("/clock")
    async def clock() -> dict[str, Any]:
        """The sandbox's time."""
        return {"now_ms": box.now_ms(), "offset_s": box.world.offset_ms / 1000}

    @router.get("/options")
    async def options() -> Options:
        """Which way Meta goes where it is known to vary."""
        return box.world.options

    return router


def set_routes(box: Sandbox, storm: Storm) -> APIRouter:
    """The clock, the end of tokens, options, and starting over."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/tokens/expire")
    async def expire(order: Dead) -> dict[str, Any]:
        """Let tokens end now (190/463)."""
        values = _tokens_of(box, order)
        box.record("tokens_expired", tokens=values)
        return {"tokens": len(values)}

    @router.post("/tokens/revoke")
    async def revoke(order: Dead) -> dict[str, Any]:
        """Revoke tokens, as when the user removes the app (190/458) or changes the password (190/460)."""
        values = _tokens_of(box, order)
        box.record("tokens_revoked", tokens=values, subcode=order.subcode)
        return {"tokens": len(values)}

    @router.put("/clock")
    async def set_clock(order: ClockOrder) -> dict[str, Any]:
        """Move the sandbox's time against the real one."""
        box.record("clock_set", offset_ms=int(order.offset_s * 1000))
        return {"now_ms": box.now_ms(), "offset_s": order.offset_s}

    @router.put("/options")
    async def set_options(order: Options) -> Options:
        """Set the options; what is left out goes back to its default."""
        box.record("options_set", options=order.model_dump())
        return order

    @router.put("/usage")
    async def set_usage(order: Usage) -> dict[str, Any]:
        """Set the rate-limit headers of every Graph answer; text goes out as it is, null removes."""
        named = {"X-App-Usage": order.app, "X-Business-Use-Case-Usage": order.business}
        headers = {k: v if isinstance(v, str) else json.dumps(v) for k, v in named.items() if v is not None}
        box.record("usage_set", headers=headers)
        return {"headers": headers}

    @router.post("/reset")
    async def reset() -> dict[str, Any]:
        """Forget everything but the seed. `seq` goes on."""
        storm.stop()
        box.record("reset")
        return {"seq": box.world.seq}

    return router


def fan_routes(box: Sandbox) -> APIRouter:
    """What fans do."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/fans/write")
    async def write(order: fans.Write) -> dict[str, Any]:
        """A fan writes."""
        return fans.write(box, order)

    @router.post("/fans/comment")
    async def comment(order: fans.Commented) -> dict[str, Any]:
        """A fan comments."""
        return fans.comment(box, order)

    @router.delete("/fans/comment/{comment_id}")
    async def delete_comment(comment_id: str) -> dict[str, Any]:
        """A fan deletes a comment; Meta tells nobody."""
        return fans.delete_comment(box, comment_id)

    @router.post("/fans/unsend")
    async def unsend(order: fans.OnMessage) -> dict[str, Any]:
        """A fan unsends."""
        return fans.unsend(box, order)

    @router.post("/fans/edit")
    async def edit(order: fans.Edited) -> dict[str, Any]:
        """A fan edits."""
        return fans.edit(box, order)

    @router.post("/fans/react")
    async def react(order: fans.Reacted) -> dict[str, Any]:
        """A fan reacts."""
        return fans.react(box, order)

    @router.post("/fans/read")
    async def read(order: fans.OnMessage) -> dict[str, Any]:
        """A fan has seen a message."""
        return fans.read(box, order)

    @router.post("/fans/postback")
    async def postback(order: fans.Pressed) -> dict[str, Any]:
        """A fan presses a button."""
        return fans.postback(box, order)

    @router.post("/fans/referral")
    async def referral(order: fans.Referred) -> dict[str, Any]:
        """A fan follows a link."""
        return fans.referral(box, order)

    return router


def storm_routes(box: Sandbox, storm: Storm) -> APIRouter:
    """Many fans at once."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/storm")
    async def start_storm(order: StormOrder) -> dict[str, Any]:
        """Many fans write, in the background."""
        return storm.start(box, order)

    @router.get("/storm")
    async def storm_progress() -> dict[str, Any]:
        """How far the storm is."""
        return storm.progress()

    @router.delete("/storm")
    async def stop_storm() -> dict[str, Any]:
        """End the storm."""
        return storm.stop()

    return router


def fault_routes(box: Sandbox, deliverer: Deliverer) -> APIRouter:
    """Faults of calls and of deliveries."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/faults")
    async def add_fault(order: Fault) -> Fault:
        """Queue a fault; the first that matches a call hits it."""
        if order.match.account:
            fans.need_account(order.match.account)
        fault = order.model_copy(update={"id": box.world.seq + 1})
        box.record("fault_added", fault=fault.model_dump())
        return fault

    @router.get("/faults")
    async def faults() -> dict[str, Any]:
        """The faults that still wait."""
        return {"faults": [fault.model_dump() for fault in box.world.faults]}

    @router.delete("/faults")
    async def clear_faults() -> dict[str, Any]:
        """Drop all of them."""
        box.record("faults_cleared")
        return {"faults": []}

    @router.get("/delivery")
    async def delivery() -> dict[str, Any]:
        """The plan, and how deliveries stand."""
        return deliverer.status()

    @router.put("/delivery")
    async def set_delivery(order: DeliveryPlan) -> dict[str, Any]:
        """Set the plan; what is left out goes back to its default."""
        if order.rebatch[0] > order.rebatch[1]:
            raise ControlError("rebatch must be [fewest, most].", 422)
        box.record("delivery_set", plan=order.model_dump(mode="json"))
        deliverer.replan()
        return deliverer.status()

    @router.post("/delivery/flush")
    async def flush() -> dict[str, Any]:
        """Deliver now what waits for a delay or a retry."""
        deliverer.flush()
        return deliverer.status()

    return router


def callback_routes(box: Sandbox, http: httpx.AsyncClient) -> APIRouter:
    """Single calls to the product's callbacks."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/webhook/raw")
    async def raw(request: Request, signature: Literal["good", "bad", "none", "sha1"] = "good") -> JSONResponse:
        """POST this request's body to the webhook as it is, once."""
        body = await request.body()
        signed = sign(box.settings.app_secret if signature != "bad" else "another secret", body)
        kept = {"good": set(signed), "bad": set(signed), "none": set(), "sha1": {"X-Hub-Signature"}}[signature]
        headers = HEADERS | {name: value for name, value in signed.items() if name in kept}
        return await _passed_on(
            http.build_request("POST", box.settings.webhook_url, content=body, headers=headers), http
        )

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
        """POST a `signed_request` about an account: the user removed the app, or asks for deletion."""
        account = fans.need_account(order.account)
        tokens = [t.value for t in box.world.tokens.values() if t.account_id == account.id and not t.dead_subcode]
        box.record("tokens_revoked", tokens=tokens, subcode=458)
        box.record("subscription_changed", account_id=account.id, fields=[])
        payload = {
            "algorithm": "HMAC-SHA256",
            "issued_at": box.now_ms() // 1000,
            "user_id": account.id if order.user_id == "user_id" else account.scoped_id,
        }
        form = {"signed_request": signed_request(box.settings.app_secret, payload)}
        url = order.url or f"{box.settings.webhook_url}/{order.kind}"
        return await _passed_on(http.build_request("POST", url, data=form), http)

    return router


def show_state(box: Sandbox) -> dict[str, Any]:
    """The seed, and what is set."""
    world = box.world
    accounts = [
        {
            "id": a.scoped_id,
            "user_id": a.id,
            "self_ig_scoped_id": a.self_scoped_id,
            "username": a.username,
            "name": a.name,
            "subscribed_fields": world.subscriptions.get(a.id, []),
            "media": [
                {"id": m.id, "caption": m.caption, "comments": len(world.comments_of.get(m.id, ()))}
                for m in media_of(a)
            ],
        }
        for a in ACCOUNTS
    ]
    people = [
        {
            "fan": f.handle,
            "username": f.username,
            "name": f.name,
            "igsids": {a.username: f.scoped_id(a) for a in ACCOUNTS},
        }
        for f in FANS
    ]
    counts = {"messages": len(world.messages), "comments": len(world.comments), "threads": len(world.threads)}
    clock = {"now_ms": box.now_ms(), "offset_s": world.offset_ms / 1000}
    return {"accounts": accounts, "fans": people, "clock": clock, "counts": counts, "last_seq": world.seq}


def _tokens_of(box: Sandbox, order: Dead) -> list[str]:
    if not (order.account or order.all):
        raise ControlError('Name an account, or say {"all": true}.', 422)
    account_id = fans.need_account(order.account).id if order.account else None
    return [t.value for t in box.world.tokens.values() if account_id in (None, t.account_id) and not t.dead_subcode]


async def _passed_on(request: httpx.Request, http: httpx.AsyncClient) -> JSONResponse:
    try:
        answer = await http.send(request)
    except httpx.HTTPError as exc:
        raise ControlError(f"The product cannot be reached: {type(exc).__name__}.", 502) from exc
    return JSONResponse({"status": answer.status_code, "body": answer.text[:4000]})
