"""Instagram's hosts: the calls we make. Errors are in `graph_errors`; every function may raise any of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.clients.credentials import Opened
from app.clients.graph_call import GraphHost, once, retried
from app.clients.graph_errors import Refused
from app.models.features import UsedFor

OF_THE_CONNECTION: tuple[UsedFor, ...] = ("connect", "choose", "refresh", "check", "subscribe", "disconnect")
"""What calls on the account itself, and not on what is in it, are for."""
SUBSCRIBED_FIELDS = {
    "messages": [
        *("messages", "message_edit", "message_reactions", "messaging_optins"),
        *("messaging_postbacks", "messaging_referral", "messaging_seen", "standby"),
    ],
    "comments": ["comments", "live_comments", "mentions"],
}
CORE_FIELDS = {"messages": ["messages"], "comments": ["comments"]}


@dataclass(kw_only=True)
class Graph(GraphHost):
    """graph.instagram.com, and the hosts where its users log in."""

    www_url: str
    api_url: str


@dataclass(frozen=True)
class ShortToken:
    """What a code is exchanged for: good for an hour."""

    token: str = field(repr=False)
    account_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class LongToken:
    """Good for about 60 days."""

    token: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True)
class Account:
    """A professional account. Webhooks name it by `provider_id`; `scoped_id` is its id within our app."""

    provider_id: str
    scoped_id: str
    username: str
    name: str | None
    picture_url: str | None
    kind: str


async def exchange_code(graph: Graph, code: Opened, *, redirect_uri: str) -> ShortToken:
    """Exchange an authorization code; it works once. Source: Meta, Business Login, 2026-02."""
    form = {
        "client_id": graph.app_id,
        "client_secret": graph.app_secret,
        "grant_type": "authorization_code",
        "redirect_uri": redirect_uri,
        "code": code.reveal("connect"),
    }
    body = await once(graph, "POST", f"{graph.api_url}/oauth/access_token", repeatable=False, data=form)
    found = body.get("data", body)
    found = found[0] if isinstance(found, list) and found else found
    scopes = found.get("permissions") or []
    names = scopes.split(",") if isinstance(scopes, str) else scopes
    return ShortToken(
        token=str(found["access_token"]),
        account_id=str(found["user_id"]),
        scopes=tuple(str(name).strip() for name in names),
    )


async def exchange_for_long(graph: Graph, short: Opened) -> LongToken:
    """Exchange a short token for a long one. It may be repeated while the short one lives."""
    params = {
        "grant_type": "ig_exchange_token",
        "client_secret": graph.app_secret,
        "access_token": short.reveal("connect"),
    }
    return _long_token(await retried(graph, "GET", f"{graph.graph_url}/access_token", params=params))


async def refresh_token(graph: Graph, token: Opened) -> LongToken:
    """A fresh long token for one that is at least 24 hours old and still lives; the old one may end with it.

    Source: Meta, Business Login, 2026-02.
    """
    params = {"grant_type": "ig_refresh_token", "access_token": token.reveal("refresh")}
    return _long_token(await retried(graph, "GET", f"{graph.graph_url}/refresh_access_token", params=params))


def _long_token(body: dict[str, Any]) -> LongToken:
    return LongToken(token=str(body["access_token"]), lifetime=timedelta(seconds=int(body["expires_in"])))


async def get_account(graph: Graph, token: Opened, *, account_id: str = "") -> Account:
    """The account a token belongs to. `account_id` is what the usage that Meta tells is noted under, once known."""
    params = {"fields": "id,user_id,username,name,account_type,profile_picture_url"}
    told: dict[str, Any] = {"token": token, "used_for": OF_THE_CONNECTION, "account_id": account_id}
    body = await retried(graph, "GET", graph.address("/me"), **told, params=params)
    found = body.get("data", body)
    found = found[0] if isinstance(found, list) and found else found
    return Account(
        provider_id=str(found.get("user_id") or found["id"]),
        scoped_id=str(found["id"]),
        username=str(found["username"]),
        name=found.get("name"),
        picture_url=found.get("profile_picture_url"),
        kind=str(found.get("account_type", "")).lower(),
    )


async def subscribe(graph: Graph, token: Opened, features: list[str]) -> list[str]:
    """Switch on the webhooks of these features, and of no others; the fields now subscribed.

    One unknown field fails the whole call (code 100), so a refused list is tried again with the core set.
    """
    url = graph.address("/me/subscribed_apps")
    for fields in fields_of(features):
        try:
            params = {"subscribed_fields": ",".join(fields)}
            await retried(graph, "POST", url, token=token, used_for=OF_THE_CONNECTION, params=params)
        except Refused as exc:
            if exc.code != 100:
                raise
            refused = exc
        else:
            return fields
    raise refused


def fields_of(features: Iterable[str]) -> tuple[list[str], list[str]]:
    """The webhook fields that these features need: all of them, and the core that every version of Meta's knows."""
    wanted = sorted(features)
    every, core = (
        [name for feature in wanted for name in known.get(feature, [])] for known in (SUBSCRIBED_FIELDS, CORE_FIELDS)
    )
    return every, core


async def subscribed_fields(graph: Graph, token: Opened, *, account_id: str = "") -> list[str]:
    """The webhook fields that the account has switched on for our app."""
    url = graph.address("/me/subscribed_apps")
    body = await retried(graph, "GET", url, token=token, used_for=OF_THE_CONNECTION, account_id=account_id)
    ours = [app for app in body.get("data") or [] if str(app.get("app_id") or app.get("id")) == graph.app_id]
    return [str(name) for app in ours for name in app.get("subscribed_fields") or []]


async def unsubscribe(graph: Graph, token: Opened) -> None:
    """Switch the account's webhooks off."""
    url = graph.address("/me/subscribed_apps")
    await retried(graph, "DELETE", url, token=token, used_for=OF_THE_CONNECTION)


async def ask_revocation(graph: Graph, token: Opened) -> None:
    """Ask Instagram to withdraw the account's grant, once. Meta documents no such call: a refusal is to be expected.

    Source: meta-platform.md, section 1.5.
    """
    url = graph.address("/me/permissions")
    await once(graph, "DELETE", url, token=token, used_for=OF_THE_CONNECTION, repeatable=True)
