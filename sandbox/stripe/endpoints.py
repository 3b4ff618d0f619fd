"""Webhook endpoints."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from sandbox.stripe.errors import bad, missing
from sandbox.stripe.events import VERSION
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import page
from sandbox.stripe.metadata import merged
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id


def create_endpoint(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/webhook_endpoints`: the only answer that holds the secret."""
    made = make_endpoint(tx, params["url"], params["enabled_events"], f"whsec_{secrets.token_hex(16)}")
    made |= {"description": params.get("description"), "metadata": merged({}, params.get("metadata"))}
    if params.get("connect"):
        bad("Endpoints for connected accounts are not served here.", "connect")
    if params.get("api_version", VERSION) != VERSION:
        bad(f"Invalid API version: only {VERSION} is served here.", "api_version")
    made["api_version"] = params.get("api_version")
    effect(tx, "webhook_endpoint.created", made)
    return made | {"secret": made["_secrets"][0]}


def make_endpoint(tx: Tx, url: str, kinds: list[str], secret: str, key: str | None = None) -> Obj:
    """An endpoint that hears these types."""
    if urlsplit(url).scheme not in ("http", "https"):
        bad("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    made = whole("webhook_endpoint", key or new_id("we"), tx.now, enabled_events=kinds, status="enabled", url=url)
    made["_secrets"] = [secret]
    del made["secret"]
    return tx.add(made)


def need_endpoint(tx: Tx, key: str) -> Obj:
    """An endpoint."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "webhook_endpoint" else missing("webhook endpoint", key)


def get_endpoint(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/webhook_endpoints/{id}`."""
    return need_endpoint(tx, key)


def list_endpoints(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/webhook_endpoints`."""
    return page(tx, "/v1/webhook_endpoints", tx.all("webhook_endpoint"), params)


def update_endpoint(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/webhook_endpoints/{id}`."""
    found = need_endpoint(tx, key)
    for name in ("url", "enabled_events", "description"):
        if name in params:
            found[name] = params[name]
    if "disabled" in params:
        found["status"] = "disabled" if params["disabled"] else "enabled"
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    return found


def delete_endpoint(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`DELETE /v1/webhook_endpoints/{id}`."""
    need_endpoint(tx, key)
    tx.cut(key)
    return {"id": key, "object": "webhook_endpoint", "deleted": True}
