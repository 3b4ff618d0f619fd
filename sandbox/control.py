"""The control API under `/_sandbox`: what tests and demos may do that no product could."""

import json
from typing import Any

from fastapi import APIRouter

from sandbox import fans
from sandbox.box import Sandbox
from sandbox.control_models import ClockOrder, Dead, Drift, Usage
from sandbox.deliver import Deliverer
from sandbox.errors import ControlError
from sandbox.facebook_control import show_pages, show_people
from sandbox.facebook_seed import PAGES, page_scoped_id
from sandbox.mentions import Mentioned
from sandbox.seed import ACCOUNTS, FANS, media_of
from sandbox.spotify_control import spotify_tokens
from sandbox.state import DeliveryPlan, Fault, Options
from sandbox.storm import Storm, StormOrder
from sandbox.subjects import need_subject

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
        account_id = need_subject(account).id if account else None
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


def end_routes(box: Sandbox) -> APIRouter:
    """What ends behind the product's back: tokens, and webhooks."""
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

    @router.put("/subscriptions")
    async def drift(order: Drift) -> dict[str, Any]:
        """Change an account's or Page's webhook fields behind the product's back."""
        subject = need_subject(order.account)
        box.record("subscription_drifted", account_id=subject.id, fields=order.fields)
        return {"account_id": subject.id, "subscribed_fields": order.fields}

    return router


def set_routes(box: Sandbox, storm: Storm) -> APIRouter:
    """The clock, options, and starting over."""
    router = APIRouter(prefix=PREFIX)

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
    """What fans do in conversations."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/fans/write")
    async def write(order: fans.Write) -> dict[str, Any]:
        """A fan writes."""
        return fans.write(box, order)

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


def comment_routes(box: Sandbox) -> APIRouter:
    """What fans do below posts, and an account about them."""
    router = APIRouter(prefix=PREFIX)

    @router.post("/fans/comment")
    async def comment(order: fans.Commented) -> dict[str, Any]:
        """A fan comments."""
        return fans.comment(box, order)

    @router.delete("/fans/comment/{comment_id}")
    async def delete_comment(comment_id: str) -> dict[str, Any]:
        """A fan deletes a comment; Meta tells nobody."""
        return fans.delete_comment(box, comment_id)

    @router.post("/fans/comment/{comment_id}/edit")
    async def edit_comment(comment_id: str, order: fans.CommentEdited) -> dict[str, Any]:
        """A fan edits a comment; of Instagram's, Meta tells nobody."""
        return fans.edit_comment(box, comment_id, order.text)

    @router.put("/fans/restrict")
    async def restrict(order: fans.Restricted) -> dict[str, Any]:
        """An account restricts a fan."""
        return fans.restrict(box, order)

    @router.post("/fans/mention")
    async def mention(order: Mentioned) -> dict[str, Any]:
        """A fan names an account elsewhere."""
        return fans.mention(box, order)

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
            need_subject(order.match.account)
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
    known_fans = [
        {
            "fan": f.handle,
            "username": f.username,
            "name": f.name,
            "igsids": {a.username: f.scoped_id(a) for a in ACCOUNTS},
            "psids": {p.name: page_scoped_id(f, p) for p in PAGES},
        }
        for f in FANS
    ]
    counts = {"messages": len(world.messages), "comments": len(world.comments), "threads": len(world.threads)}
    clock = {"now_ms": box.now_ms(), "offset_s": world.offset_ms / 1000}
    shown = {"accounts": accounts, "fans": known_fans, "pages": show_pages(world), "people": show_people(world)}
    return shown | {"clock": clock, "counts": counts, "last_seq": world.seq}


def _tokens_of(box: Sandbox, order: Dead) -> list[str]:
    if not (order.account or order.all):
        raise ControlError('Name an account, or say {"all": true}.', 422)
    subject = need_subject(order.account).id if order.account else None
    return [
        t.value
        for t in box.world.tokens.values()
        if subject in (None, t.account_id, t.person_id) and order.kind in (None, t.kind) and not t.dead_subcode
    ]
