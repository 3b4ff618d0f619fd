"""`Idempotency-Key` on every POST: the first good answer is kept for 24 hours and given again.

The answer is sealed under a key derived from the caller's own `Idempotency-Key`, of which only a hash is stored: what
lies in the database cannot be read without it, not even an access token.
"""

import asyncio
import hashlib
import hmac
import json
import os
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo.errors import DuplicateKeyError, PyMongoError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access import access_to, get_person
from app.db import Doc
from app.deps import REFRESH_COOKIE
from app.errors import FieldError, IdempotencyKeyReused, InvalidInput, RequestInProgress
from app.oauth import PATHS as OAUTH_PATHS
from app.parts import Parts
from app.services.partners import clients
from app.services.people import sessions
from app.services.tokens import BadToken, Claims, ClientClaims

LIFE = timedelta(hours=24)
RUNNING_AT_MOST = timedelta(seconds=60)
"""After this, a request that never ended (its process died) may be made again."""
LONGEST_KEY = 255
HEADER = b"idempotency-key"


class Idempotency:
    """Wraps the app; looks only at POSTs that carry a key. The body has been read and bounded by the edge."""

    def __init__(self, app: ASGIApp, *, parts: Parts) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = [v for n, v in scope.get("headers", []) if n == HEADER] if scope.get("method") == "POST" else []
        if scope["type"] != "http" or not keys:
            await self._app(scope, receive, send)
            return
        if len(keys) > 1 or not 0 < len(keys[0]) <= LONGEST_KEY:
            raise InvalidInput(
                errors=(FieldError("/header/Idempotency-Key", "must be one key of 1 to 255 characters"),)
            )
        message = await receive()
        body: bytes = message.get("body", b"")
        principal, claims = await _principal(self._parts, scope, body)
        request = _Request(self._parts, principal, scope, keys[0], body)
        scope["state"]["intent"] = request.intent
        stored = await request.claim()
        if stored is not None:
            if claims:
                await _check_still(Request(scope), self._parts, claims, stored)
            if stored.get("proven"):  # nor is a client whose secret works no longer
                await clients.check_proven(self._parts.db, *stored["proven"], now=self._parts.clock())
            await _send_again(stored, send)
            return
        await self._first_time(request, scope, _once(message, receive), send)

    async def _first_time(self, request: "_Request", scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Recorder(send)
        try:
            await self._app(scope, receive, answer)
        finally:
            # kept although the caller may have hung up: the effect has happened
            noted = {name: scope["state"].get(name) for name in ("access", "fresh", "proven", "unkept")}
            await asyncio.shield(request.end(answer, noted))


class _Request:
    """One keyed request: its record's id, the fingerprint of its body, and the key that seals its answer."""

    def __init__(self, parts: Parts, principal: str, scope: Scope, key: bytes, body: bytes) -> None:
        self._parts = parts
        place = "\0".join((principal, scope["path"])).encode()
        self.record_id = hmac.new(parts.idempotency_key, place + b"\0" + key, hashlib.sha256).hexdigest()
        self._seal = hmac.new(parts.idempotency_key, b"seal\0" + place + b"\0" + key, hashlib.sha256).digest()
        fingerprint = hmac.new(self._seal, scope["query_string"] + b"\0" + body, hashlib.sha256)
        self._fingerprint = fingerprint.hexdigest()

    @property
    def intent(self) -> str:
        """What is wanted: outlives the kept answer, and is another one with another body."""
        return f"{self.record_id}:{self._fingerprint}"

    async def claim(self) -> Doc | None:
        """The kept answer, or none when this request is the first. Raises `Problem`."""
        now, records = self._parts.clock(), self._parts.db.open("idempotency_keys")
        fresh = {
            "_id": self.record_id,
            "fingerprint": self._fingerprint,
            "answer": None,
            "running_until": now + RUNNING_AT_MOST,
            "expires_at": now + LIFE,
        }
        try:
            await records.insert_one(fresh)
            return None
        except DuplicateKeyError:
            pass
        record = await records.find_one({"_id": self.record_id})
        if record is None:
            raise RequestInProgress
        if record["expires_at"] <= now:  # the sweep has not been there yet
            await records.delete_one({"_id": self.record_id, "expires_at": record["expires_at"]})
            return await self.claim()
        if not hmac.compare_digest(record["fingerprint"], self._fingerprint):
            raise IdempotencyKeyReused
        if record["answer"] is not None:
            return self._opened(record["answer"])
        dead = {"_id": self.record_id, "answer": None, "running_until": record["running_until"]}
        if record["running_until"] > now:
            raise RequestInProgress
        taken = await records.update_one(dead, {"$set": {"running_until": now + RUNNING_AT_MOST}})
        if taken.modified_count == 0:
            raise RequestInProgress
        return None

    async def end(self, answer: "_Recorder", noted: Doc) -> None:
        """Keep the answer, with what the caller needed for it, or let the key go."""
        records = self._parts.db.open("idempotency_keys")
        try:
            if answer.complete and answer.status < 400 and not noted["unkept"]:
                kept: Doc = {"answer": self._sealed(answer.document() | noted)}
                if ends_at := answer.content_ends_at():
                    kept["expires_at"] = min(self._parts.clock() + LIFE, ends_at)
                await records.update_one({"_id": self.record_id}, {"$set": kept})
            else:
                await records.delete_one({"_id": self.record_id, "answer": None})
        except PyMongoError:
            return  # the claim ends by itself; the answer that is on its way is true all the same

    def _sealed(self, document: Doc) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(self._seal).encrypt(nonce, json.dumps(document).encode(), None)

    def _opened(self, sealed: bytes) -> Doc:
        document: Doc = json.loads(AESGCM(self._seal).decrypt(sealed[:12], sealed[12:], None))
        return document


class _Recorder:
    """Passes an answer on and keeps a copy."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status, self.complete = 0, False
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            self.complete = not message.get("more_body")
        await self._send(message)

    def document(self) -> Doc:
        """The answer, to be stored."""
        return {"status": self.status, "headers": self._headers, "body": self._body.decode()}

    def content_ends_at(self) -> datetime | None:
        """Until when what the answer shows may be shown, where it says so: what fans write, and what hangs on it."""
        try:
            shown = json.loads(self._body)
            return datetime.fromisoformat(shown["expires_at"])
        except (ValueError, TypeError, KeyError):
            return None


async def _send_again(stored: Doc, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in stored["headers"]]
    headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": stored["status"], "headers": headers})
    await send({"type": "http.response.body", "body": stored["body"].encode()})


async def _principal(parts: Parts, scope: Scope, body: bytes) -> tuple[str, Claims | ClientClaims | None]:
    """Whose key it is: the account of a live session or an API client, else whoever shows the same token and cookie
    from the same place.

    An API client that authenticates shows its secret, in a header or in the body.
    """
    request = Request(scope)
    given = request.headers.get("authorization", "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() == "bearer":
        try:
            claims = parts.signer.verify(token, now=parts.clock())
        except BadToken:
            claims = None
        if isinstance(claims, ClientClaims):
            return claims.client_id, claims
        if claims and await sessions.get_session(parts.db, claims.session_id, now=parts.clock()):
            return claims.user_id, claims
    shown = f"{given}\0{request.cookies.get(REFRESH_COOKIE, '')}\0{scope['state']['client'].limit_key}"
    if scope["path"] in OAUTH_PATHS:
        return hashlib.sha256(shown.encode() + b"\0" + _client_in(body)).hexdigest(), None
    return hashlib.sha256(shown.encode()).hexdigest(), None


async def _check_still(request: Request, parts: Parts, claims: Claims | ClientClaims, stored: Doc) -> None:
    """Raise what a fresh request would: who may do it no longer, is not told any longer what came of it."""
    if stored.get("access"):
        await access_to(request, parts, claims, *stored["access"])
    if stored.get("fresh"):
        (await get_person(request, parts, claims)).check_fresh(parts.clock())


def _client_in(body: bytes) -> bytes:
    """What a body says of who sends it. It is JSON, or empty."""
    found = json.loads(body or b"{}")
    named = [found.get("client_id"), found.get("client_secret")] if isinstance(found, dict) else []
    return json.dumps(named).encode()


def _once(message: Message, receive: Receive) -> Receive:
    messages = [message]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
