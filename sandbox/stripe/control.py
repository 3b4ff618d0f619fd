"""What tests and demos may do under `/_control` that no customer and no product could."""

import secrets
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.stripe import control_acts
from sandbox.stripe.aging import age
from sandbox.stripe.clock import advance
from sandbox.stripe.errors import BadOrder, Refused
from sandbox.stripe.events import owe
from sandbox.stripe.faults import Fault, queue_fault
from sandbox.stripe.ledger import NAMED_BY, show_doubles, show_ledger
from sandbox.stripe.options import options_of, set_options
from sandbox.stripe.store import Obj, Store, Tx

Act = Callable[[Store, Request, dict[str, Any]], Any]
LONGEST_S = 20 * 366 * 86_400
FILTERS = ("effect", "customer", "object_id", "idempotency_key", *NAMED_BY)


def control_routes(store: Store, reseed: Callable[[], None]) -> list[Route]:
    """All control routes. `reseed` makes again what a start makes."""

    def on(method: str, path: str, act: Act) -> Route:
        async def handle(request: Request) -> Response:
            """Do one order, in a sentence if it cannot be done."""
            try:
                body = orjson.loads(await request.body() or b"{}")
                found = act(store, request, body)
            except ValidationError as exc:
                words = "; ".join(f"{'.'.join(str(at) for at in e['loc'])}: {e['msg']}" for e in exc.errors())
                return JSONResponse({"error": words}, 422)
            except (BadOrder, Refused, orjson.JSONDecodeError) as exc:
                return JSONResponse({"error": str(exc)}, 400)
            await store.settled()
            return JSONResponse(found)

        return Route(f"/_control{path}", handle, methods=[method])

    def reset(store: Store, request: Request, body: dict[str, Any]) -> Any:
        """Forget everything, also the clock."""
        store.commit([], list(store.objects))
        reseed()
        return {"reset": True}

    return [
        on("GET", "/state", show_state),
        on("POST", "/reset", reset),
        on("GET", "/clock", show_clock),
        on("POST", "/clock", move_clock),
        on("POST", "/age", let_pass),
        on("GET", "/options", lambda store, request, body: options_of(store).model_dump()),
        on("PUT", "/options", put_options),
        on("PUT", "/keys", put_keys),
        on("GET", "/faults", show_faults),
        on("POST", "/faults", post_fault),
        on("DELETE", "/faults", clear_faults),
        on("GET", "/ledger", ledger),
        on("GET", "/doubles", doubles),
        on("GET", "/objects/{key}", show_object),
        on("GET", "/deliveries", deliveries),
        on("POST", "/deliveries/drop", drop_waiting),
        on("POST", "/events/{key}/send", send_event),
        on("POST", "/endpoints/{key}/roll", roll_secret),
        *(on("POST", path, _changing(act)) for path, act in control_acts.ACTS.items()),
    ]


def _changing(act: Callable[[Tx, str, dict[str, Any]], Any]) -> Act:
    def run(store: Store, request: Request, body: dict[str, Any]) -> Any:
        tx = Tx(store)
        found = act(tx, request.path_params["key"], body)
        tx.commit()
        return found

    return run


def show_state(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """How much there is of what, and the time."""
    counts = {kind: len(keys) for kind, keys in store.kinds.items() if not kind.startswith("_")}
    return {"now": store.now(), "seq": store.seq, "counts": counts}


def show_clock(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """The time."""
    return {"now": store.now(), "offset_s": store.clock_offset()}


def move_clock(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Go on by `advance_s`, or to the instant `to`: all that is due until then is done, each in its own time."""
    to = body.get("to", store.now() + body.get("advance_s", 0))
    if not isinstance(to, int) or to < store.now() - 5 or to > store.now() + LONGEST_S:
        raise BadOrder("Give advance_s or to, as whole seconds, not back in time.")
    return {"steps": advance(store, to), "now": store.now()}


def let_pass(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Let `by_s` pass while the time stays now: everything becomes older, and what is due then is done."""
    by_s = body.get("by_s")
    if type(by_s) is not int or not 0 <= by_s <= LONGEST_S:
        raise BadOrder("Give by_s, as whole seconds.")
    return {"steps": age(store, by_s), "now": store.now()}


def put_options(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Set the options; what is left out goes back to its default."""
    tx = Tx(store)
    options = set_options(tx, body)
    tx.commit()
    return options.model_dump()


def put_keys(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Whether all API keys have expired."""
    tx = Tx(store)
    tx.add({"id": "keys", "object": "_keys", "dead": bool(body.get("dead"))})
    tx.commit()
    return {"dead": bool(body.get("dead"))}


def show_faults(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """What waits."""
    return {"faults": [one["said"] | {"left": one["left"]} for one in store.of_kind("_fault")]}


def post_fault(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Queue one."""
    tx = Tx(store)
    made = queue_fault(tx, Fault.model_validate(body))
    tx.commit()
    return {"id": made["id"]} | made["said"]


def clear_faults(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Let none wait."""
    store.commit([], [one["id"] for one in store.of_kind("_fault")])
    return {"faults": []}


def ledger(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """What was really done."""
    asked = dict(request.query_params)
    if set(asked) - set(FILTERS):
        raise BadOrder(f"The ledger is filtered by {', '.join(FILTERS)}.")
    return show_ledger(store, asked)


def doubles(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """What the same intent has done more than once."""
    by = request.query_params.get("by", "operation")
    if by not in (*NAMED_BY, "idempotency_key"):
        raise BadOrder(f"by is one of {', '.join((*NAMED_BY, 'idempotency_key'))}.")
    return show_doubles(store, by, request.query_params.get("effect"))


def show_object(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Anything, with its private fields."""
    found = store.objects.get(request.path_params["key"])
    if found is None:
        raise BadOrder("There is no such object.")
    return found


def deliveries(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """How deliveries stand, and which have not arrived."""
    rows = [_delivery(store, one) for one in store.of_kind("_delivery")]
    counts = {state: sum(row["state"] == state for row in rows) for state in ("waiting", "dropped", "given_up")}
    delivered = (store.objects.get("counts") or {}).get("delivered", 0)
    return counts | {"delivered": delivered, "idle": counts["waiting"] == 0, "deliveries": rows}


def _delivery(store: Store, one: Obj) -> Obj:
    event = store.objects.get(one["event"], {})
    names = ("event", "endpoint", "state", "attempts", "last_status")
    return {name: one[name] for name in names} | {"type": event.get("type")}


def drop_waiting(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Lose for good all that waits to be delivered."""
    tx = Tx(store)
    lost = [one["id"] for one in tx.all("_delivery") if one["state"] == "waiting"]
    for key in lost:
        tx.the(key)["state"] = "dropped"
    tx.commit()
    return {"dropped": len(lost)}


def send_event(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Send an event again, `times` times, to every endpoint: also one that was lost."""
    tx = Tx(store)
    event = tx.get(request.path_params["key"])
    if event is None or event["object"] != "event":
        raise BadOrder("There is no such event.")
    for missed in [one["id"] for one in tx.all("_delivery") if one["event"] == event["id"]]:
        if tx.the(missed)["state"] != "waiting":
            tx.cut(missed)
    event["_missed"] = False
    endpoints = [one["id"] for one in tx.all("webhook_endpoint") if one["status"] == "enabled"]
    for endpoint in endpoints * int(body.get("times", 1)):
        owe(tx, event["id"], endpoint)
        event["pending_webhooks"] += 1
    tx.commit()
    return {"sent": event["id"]}


def roll_secret(store: Store, request: Request, body: dict[str, Any]) -> Any:
    """Give an endpoint a new secret, `secret` or a random one. With `keep` the old one signs as well."""
    tx = Tx(store)
    found = tx.get(request.path_params["key"])
    if found is None or found["object"] != "webhook_endpoint":
        raise BadOrder("There is no such endpoint.")
    new = body.get("secret") or f"whsec_{secrets.token_hex(16)}"
    found["_secrets"] = [new, *(found["_secrets"][:1] if body.get("keep") else [])]
    tx.commit()
    return {"secrets": found["_secrets"]}
