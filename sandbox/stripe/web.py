"""The API's front: keys, version, idempotency, faults, and how answers look."""

import asyncio
import hashlib
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.stripe.errors import Refused
from sandbox.stripe.events import VERSION
from sandbox.stripe.faults import EXECUTED, STORED_500, Fault, error_of, take_fault
from sandbox.stripe.render import show
from sandbox.stripe.routes import Route, find
from sandbox.stripe.shapes import read
from sandbox.stripe.store import Obj, Store, Tx, new_id

KEY_KEPT_S = 24 * 3600
LONGEST_KEY = 255
LARGEST_BODY = 1 << 20
SERVER_ERROR = {"message": "An error occurred with our servers. Please try again.", "type": "api_error"}


@dataclass
class Call:
    """One call of the API."""

    method: str
    path: str
    pairs: list[tuple[str, str]]
    key: str | None
    request_id: str = field(default_factory=lambda: new_id("req", 14))

    @property
    def fingerprint(self) -> str:
        """What has to be the same for the same idempotency key."""
        told = repr((self.method, self.path, sorted(self.pairs)))
        return hashlib.sha256(told.encode()).hexdigest()


class HangUp(Response):
    """No answer at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close it under the server."""
        hang_up: Callable[[], None] = scope["sandbox.hang_up"]
        hang_up()


class Api:
    """Answers the calls under `/v1`."""

    def __init__(self, store: Store, keys: tuple[str, ...]) -> None:
        self.store, self.keys = store, keys
        self.in_use: set[str] = set()
        """Idempotency keys whose first call has not been answered yet."""

    async def answer(self, request: Request) -> Response:
        """Answer one call; nothing leaves before what it changed is on disk."""
        call = Call(request.method, request.path_params["path"], [], request.headers.get("idempotency-key"))
        call.path = f"/v1/{call.path}"
        try:
            call.pairs = await _pairs(request)
            self._check(request, call)
            answer = await self._keyed(call)
        except Refused as refused:
            answer = refusal(call, refused)
        await self.store.settled()
        return answer

    def _check(self, request: Request, call: Call) -> None:
        key = _bearer(request)
        dead = (self.store.objects.get("keys") or {}).get("dead", False)
        if key not in self.keys or dead:
            tail = key[-4:] if key else ""
            words = "Expired API Key provided" if key in self.keys else "Invalid API Key provided"
            code = "api_key_expired" if key in self.keys else None
            raise Refused(f"{words}: {(key or '')[:7]}****{tail}", status=401, code=code)
        version = request.headers.get("stripe-version")
        if version != VERSION:
            raise Refused(f"Invalid Stripe API version: {version}. This stand-in is {VERSION}.")
        if request.headers.get("stripe-account") or request.headers.get("stripe-context"):
            raise Refused("The provided key does not have access to this account.", status=403, code="account_invalid")
        if call.key is not None and not 0 < len(call.key) <= LONGEST_KEY:
            raise Refused(f"Idempotency keys may have 1 to {LONGEST_KEY} characters.", kind="idempotency_error")

    async def _keyed(self, call: Call) -> Response:
        """Answer as the key's first call was answered, if there was one."""
        if call.method != "POST" or call.key is None:
            return await self._suffer(call)
        kept = self.store.objects.get(f"idem:{call.key}")
        if kept and kept["at"] > self.store.now() - KEY_KEPT_S:
            return self._replayed(call, kept)
        if call.key in self.in_use:
            words = f"There is currently another in-progress request using this Idempotent Key: {call.key}"
            raise Refused(words, status=409, kind="idempotency_error", code="idempotency_key_in_use", should_retry=True)
        self.in_use.add(call.key)
        try:
            return await self._suffer(call)
        finally:
            self.in_use.discard(call.key)

    def _replayed(self, call: Call, kept: Obj) -> Response:
        if kept["fingerprint"] != call.fingerprint:
            words = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            raise Refused(f"{words} Try using a key other than '{call.key}'.", kind="idempotency_error")
        headers = {"Idempotent-Replayed": "true", "Original-Request": kept["request_id"]}
        if kept["status"] >= 500:
            headers["Stripe-Should-Retry"] = "false"
        return answered(call, kept["status"], kept["body"], headers)

    async def _suffer(self, call: Call) -> Response:
        """Do it, as well as the faults that wait let it be done."""
        tx = Tx(self.store)
        fault = take_fault(tx, call.method, call.path)
        tx.commit()
        if fault is None:
            return self._execute(call, None)
        if fault.fault == "http":
            return self._http(call, fault)
        if fault.fault in ("slow", "timeout-not-executed"):
            await asyncio.sleep(fault.seconds)
        answer = self._execute(call, fault) if fault.fault in EXECUTED | STORED_500 else None
        await self.store.settled()
        if fault.fault == "timeout-executed":
            await asyncio.sleep(fault.seconds)
        return self._spoilt(call, fault, answer)

    def _http(self, call: Call, fault: Fault) -> Response:
        headers = {} if fault.should_retry is None else {"Stripe-Should-Retry": str(fault.should_retry).lower()}
        if fault.retry_after_s is not None:
            headers["Retry-After"] = str(fault.retry_after_s)
        return answered(call, fault.status, encoded({"error": error_of(fault)}), headers)

    def _spoilt(self, call: Call, fault: Fault, answer: Response | None) -> Response:
        match fault.fault:
            case "timeout-executed" | "timeout-not-executed" | "lost" | "lost-not-executed":
                return HangUp()
            case "gateway-executed" | "gateway-not-executed":
                return Response("<html><h1>502 Bad Gateway</h1></html>", 502, media_type="text/html")
            case "cut":
                assert answer is not None
                return Response(bytes(answer.body)[:-20], answer.status_code, media_type="application/json")
            case "huge":
                return Response(b'{"object": "' + b"x" * (8 << 20) + b'"}', 200, media_type="application/json")
        assert answer is not None
        return answer

    def _execute(self, call: Call, fault: Fault | None) -> Response:
        """Execute it as one change: objects, events, effects and the answer under its key."""
        stored_500 = fault is not None and fault.fault in STORED_500
        tx = Tx(self.store, request_id=call.request_id, key=call.key)
        refused: Refused | None = None
        try:
            if fault is not None and fault.fault == "500-not-executed":
                raise Refused("", status=500, executed=True)
            shown = self._handled(tx, call)
        except Refused as exc:
            refused = exc
        if refused is not None and not refused.kept:
            tx = Tx(self.store, request_id=call.request_id, key=call.key)
        status, body = (200, encoded(shown)) if refused is None else (refused.status, encoded(_error(call, refused)))
        if stored_500 and (refused is None or refused.executed):
            status, body = 500, encoded({"error": SERVER_ERROR})
        if call.method == "POST" and call.key is not None and (refused is None or refused.executed):
            tx.add(
                {
                    "id": f"idem:{call.key}",
                    "object": "_idem",
                    "fingerprint": call.fingerprint,
                    "status": status,
                    "body": body.decode(),
                    "at": self.store.now(),
                    "request_id": call.request_id,
                }
            )
        tx.commit()
        return answered(call, status, body, _retry_header(refused))

    def _handled(self, tx: Tx, call: Call) -> Obj:
        found = find(call.method, call.path)
        if found is None:
            raise Refused(f"Unrecognized request URL ({call.method}: {call.path}).", status=404)
        route, ids = found
        params = _params(route, call)
        given = params.get("metadata")
        tx.metadata = dict(given) if isinstance(given, dict) else {}
        result = route.handler(tx, params, *ids)
        if result["object"] == "list":
            return result
        return show(tx, result, params.get("expand", ()))


def _params(route: Route, call: Call) -> dict[str, Any]:
    params: dict[str, Any] = read(call.pairs, route.shape)
    return params


async def _pairs(request: Request) -> list[tuple[str, str]]:
    """The parameters as they were sent."""
    query = parse_qsl(request.url.query, keep_blank_values=True)
    if request.method != "POST":
        return query
    kind = request.headers.get("content-type", "")
    body = await request.body()
    if len(body) > LARGEST_BODY:
        raise Refused("Request entity too large.", status=413)
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        raise Refused(f"Invalid request (check that your POST content type is form-encoded, not {kind}).")
    try:
        return query + parse_qsl(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        raise Refused("Invalid request: the body is not UTF-8.") from None


def _bearer(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return b64decode(value).decode().partition(":")[0]
        except (NotBase64, UnicodeDecodeError):
            return None
    return value.strip() or None if scheme.lower() == "bearer" else None


def _error(call: Call, refused: Refused) -> Obj:
    body = dict(refused.body) | {"request_log_url": f"https://dashboard.stripe.test/logs/{call.request_id}"}
    return {"error": body}


def _retry_header(refused: Refused | None) -> dict[str, str]:
    if refused is None or refused.should_retry is None:
        return {}
    return {"Stripe-Should-Retry": str(refused.should_retry).lower()}


def refusal(call: Call, refused: Refused) -> Response:
    """A refusal, before anything was executed."""
    return answered(call, refused.status, encoded(_error(call, refused)), _retry_header(refused))


def answered(call: Call, status: int, body: bytes | str, headers: dict[str, str]) -> Response:
    """An answer with what every answer says."""
    told = {"Request-Id": call.request_id, "Stripe-Version": VERSION}
    if call.key is not None and call.method == "POST":
        told["Idempotency-Key"] = call.key
        told.setdefault("Original-Request", call.request_id)
    return Response(body, status, told | headers, media_type="application/json")


def encoded(body: Any) -> bytes:
    """JSON as Stripe writes it."""
    return orjson.dumps(body, option=orjson.OPT_INDENT_2)
