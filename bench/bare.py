"""The ceilings: bare ASGI handlers under the API's own server class, doing only what cannot be left out.

A program of its own, configured like the API: `python -m bench.bare`. Its paths are below.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

import orjson
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.clock import from_ms, utc_now
from app.db import Database, Doc
from app.server import server_config
from app.settings import ApiSettings, load

READ, INSERT = "/read", "/insert"
CONVERSATIONS, MESSAGES = "/conversations/", "/messages/"
"""Followed by the label's id; by the conversation's id."""
PAGE = 25
LIFE = timedelta(days=30)
HIDDEN = {"_id", "label_id", "ordered_at", "status_at", "created_at", "touched", "version"}


def create_app(db: Database, secret: bytes) -> ASGIApp:
    """The handlers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        path = scope["path"]
        if path == READ:
            await _body(receive)
            answer = b""
        elif path == INSERT:
            await _insert(db, await _verified(scope, receive, secret))
            answer = b""
        elif path.startswith(CONVERSATIONS):
            owner = {"label_id": path.removeprefix(CONVERSATIONS)}
            answer = await _page(db, "conversations", owner, "last_message_at")
        else:
            label_id, _, conversation_id = path.removeprefix(MESSAGES).partition("/")
            owner = {"label_id": label_id, "conversation_id": conversation_id}
            answer = await _page(db, "messages", owner, "ordered_at")
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


async def _live(receive: Receive, send: Send) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _verified(scope: Scope, receive: Receive, secret: bytes) -> bytes:
    body = await _body(receive)
    expected = b"sha256=" + hmac.digest(secret, body, hashlib.sha256).hex().encode()
    if not hmac.compare_digest(dict(scope["headers"])[b"x-hub-signature-256"], expected):
        raise ValueError("the signature is wrong")
    return body


async def _insert(db: Database, body: bytes) -> None:
    """One durable `insert_many` for each request, of rows like ours."""
    delivery, now = orjson.loads(body), utc_now()
    rows = [
        _row(delivery["object"], entry["id"], item, now) for entry in delivery["entry"] for item in entry["messaging"]
    ]
    await db.open("webhook_inbox").insert_many(rows, ordered=False)


def _row(name: str, account_id: str, item: dict[str, Any], now: datetime) -> Doc:
    at = from_ms(item["timestamp"])
    return {
        "_id": hashlib.sha256(item["message"]["mid"].encode()).hexdigest()[:40],
        "object": name,
        "account_id": account_id,
        "channel": "messaging",
        "change": orjson.dumps(item),
        "at": at,
        "received_at": now,
        "due_at": now,
        "attempts": 0,
        "expires_at": at + LIFE,
    }


async def _page(db: Database, collection: str, owner: Doc, order: str) -> bytes:
    """The API's own query, and what it shows of each document, as it is stored. The limit is one more, as there."""
    now = utc_now()
    query = owner | {"expires_at": {"$gt": now}, order: {"$gt": now - LIFE - timedelta(days=1)}}
    cursor = db.open(collection).find(query).sort([(order, -1), ("_id", -1)]).limit(PAGE + 1)
    found = await cursor.to_list()
    data = [{"id": doc["_id"]} | {name: doc[name] for name in doc.keys() - HIDDEN} for doc in found[:PAGE]]
    return orjson.dumps({"data": data, "next_cursor": None}, option=orjson.OPT_UTC_Z)


def main() -> None:
    """Serve until told to end."""
    settings = load(ApiSettings)
    db = Database(settings.mongodb_url.get_secret_value())
    app = create_app(db, settings.instagram_signing_secret.encode())
    uvicorn.Server(server_config(app, settings)).run()


if __name__ == "__main__":
    main()
