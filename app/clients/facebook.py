"""Facebook's Graph: log-in, Pages and the Instagram accounts behind them. As `graph.py` for Instagram's hosts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.clients import answers
from app.clients.credentials import Opened
from app.clients.graph import OF_THE_CONNECTION, fields_of_app
from app.clients.graph_call import GraphHost, need, once, retried
from app.clients.graph_errors import Malformed, Refused, TokenDead
from app.models.features import AccountKind, Feature, UsedFor

MOST_PAGES = 1000
"""Nobody chooses among more, and an answer that never ends must not keep a worker."""
AT_ONCE = 100
PAGE_FIELDS = "id,name,tasks,picture{url}"
INSTAGRAM_FIELDS = "instagram_business_account{id,username,name,profile_picture_url}"
SUBSCRIBED_FIELDS: dict[tuple[AccountKind, Feature], list[str]] = {
    ("page", "messages"): [
        *("messages", "messaging_postbacks", "message_reactions", "message_reads", "message_echoes"),
        *("message_edits", "messaging_referrals", "messaging_optins", "standby"),
    ],
    ("page", "comments"): ["feed", "mention"],
    ("instagram", "messages"): ["feed"],
    ("instagram", "comments"): ["feed"],
}
"""What is switched on for a Page. Its Instagram account's events come by themselves once the Page has our app, with
whichever field; `feed` is the one that needs no scope of Messenger's (meta-platform.md, section 2.1)."""
CORE_FIELDS: dict[tuple[AccountKind, Feature], list[str]] = SUBSCRIBED_FIELDS | {
    ("page", "messages"): ["messages", "messaging_postbacks"],
    ("page", "comments"): ["feed"],
}
Wanted = tuple[AccountKind, Feature]
"""A feature of the Page itself, or of the Instagram account behind it."""


@dataclass(kw_only=True)
class Facebook(GraphHost):
    """graph.facebook.com, and the host where its users log in."""

    www_url: str
    with_proof: bool = True


@dataclass(frozen=True)
class UserToken:
    """A person's token. Of a long one, Facebook does not always tell how long it lives."""

    token: str = field(repr=False)
    lifetime: timedelta | None


@dataclass(frozen=True)
class TokenFacts:
    """What Facebook says of a token. `scopes` and times are there only while it is valid; no time means no end."""

    app_id: str
    is_valid: bool
    person_id: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    access_ends_at: datetime | None
    """When the person must have been active with our app again."""
    dead_subcode: int
    """Why it is not valid (meta-platform.md, section 1.7); 0 when that is not told."""


@dataclass(frozen=True)
class LinkedAccount:
    """The Instagram account behind a Page."""

    provider_id: str
    username: str
    name: str | None
    picture_url: str | None


@dataclass(frozen=True)
class Page:
    """A Page on which the person has a role, and what they may do on it."""

    provider_id: str
    name: str
    picture_url: str | None
    tasks: tuple[str, ...]
    instagram: LinkedAccount | None


async def exchange_code(facebook: Facebook, code: Opened, *, redirect_uri: str) -> UserToken:
    """Exchange an authorization code for a short token; it works once. Source: Meta, manual login flow, 2026-02."""
    form = {"redirect_uri": redirect_uri, "code": code.reveal("connect")}
    url = facebook.address("/oauth/access_token")
    return _user_token(await once(facebook, "POST", url, repeatable=False, data=_as_ourselves(facebook) | form))


async def lengthen(facebook: Facebook, token: Opened) -> UserToken:
    """Exchange a person's token for one of about 60 days. It may be repeated while the given one lives."""
    value = token.reveal("connect", "refresh")
    form = {"grant_type": "fb_exchange_token", "fb_exchange_token": value}
    url = facebook.address("/oauth/access_token")
    return _user_token(await retried(facebook, "POST", url, data=_as_ourselves(facebook) | form))


def _as_ourselves(facebook: Facebook) -> dict[str, str]:
    return {"client_id": facebook.app_id, "client_secret": facebook.app_secret}


def _user_token(body: dict[str, Any]) -> UserToken:
    lasts = body.get("expires_in")
    token = need(answers.text(body.get("access_token")))
    return UserToken(token, need(answers.seconds(lasts)) if lasts else None)


async def is_alive(facebook: Facebook, token: Opened) -> bool:
    """Whether this token, of a person or a Page, still opens what it is for."""
    try:
        await me(facebook, token)
    except TokenDead:
        return False
    return True


async def me(facebook: Facebook, token: Opened) -> str:
    """The id, within our app, of the person or Page whose token it is."""
    url = facebook.address("/me")
    body = await retried(facebook, "GET", url, token=token, used_for=OF_THE_CONNECTION, params={"fields": "id"})
    return need(answers.identifier(body.get("id")))


async def permissions(facebook: Facebook, token: Opened, *, person_id: str) -> dict[str, str]:
    """What the person said to each scope: `granted`, `declined` or `expired`."""
    url = facebook.address(f"/{person_id}/permissions")
    body = await retried(facebook, "GET", url, token=token, used_for=OF_THE_CONNECTION)
    said = need(answers.rows(body.get("data")))
    return {need(answers.text(row.get("permission"))): need(answers.text(row.get("status"))) for row in said}


async def debug_token(facebook: Facebook, token: Opened) -> TokenFacts:
    """What a token of ours is worth, whoever gave it to us: the app it was made for, and whether it lives.

    The token asked about stands in the address: Meta documents no other place for it.
    """
    params = {"input_token": token.reveal(*OF_THE_CONNECTION)}
    url = facebook.address("/debug_token")
    told = {"token": app_token(facebook, token.used_for), "used_for": OF_THE_CONNECTION}
    data = need(answers.table((await retried(facebook, "GET", url, params=params, **told)).get("data")))
    if not isinstance(is_valid := data.get("is_valid"), bool):
        raise Malformed
    scopes, error = answers.words(data.get("scopes")), answers.table(data.get("error")) or {}
    return TokenFacts(
        app_id=answers.identifier(data.get("app_id")) or "",
        is_valid=is_valid,
        person_id=answers.identifier(data.get("user_id")) or "",
        scopes=tuple(need(scopes) if is_valid else ()),
        expires_at=_end(data.get("expires_at")),
        access_ends_at=_end(data.get("data_access_expires_at")),
        dead_subcode=answers.whole(error.get("subcode")) or 0,
    )


def app_token(facebook: Facebook, used_for: UsedFor) -> Opened:
    """Our app's own token, which needs no exchange (Meta, access tokens, 2026-02)."""
    return Opened(f"{facebook.app_id}|{facebook.app_secret}", used_for)


def _end(value: Any) -> datetime | None:
    """None, and 0, for what has no end. Raises `Malformed`."""
    return need(answers.instant(value)) if value else None


async def pages(facebook: Facebook, token: Opened, *, with_instagram: bool) -> list[Page]:
    """The Pages that the person has let us see, `MOST_PAGES` at most; no token of theirs is asked for.

    `with_instagram` asks for the accounts behind them, which takes the scope `instagram_basic`.
    """
    fields = f"{PAGE_FIELDS},{INSTAGRAM_FIELDS}" if with_instagram else PAGE_FIELDS
    params = {"fields": fields, "limit": str(AT_ONCE)}
    found: list[Page] = []
    for _ in range(MOST_PAGES // AT_ONCE):
        told = {"token": token, "used_for": OF_THE_CONNECTION}
        body = await retried(facebook, "GET", facebook.address("/me/accounts"), params=params, **told)
        found += [_page(row) for row in need(answers.rows(body.get("data")))]
        paging = answers.table(body.get("paging")) or {}
        after = answers.text((answers.table(paging.get("cursors")) or {}).get("after"))
        if not paging.get("next") or not after:  # an empty page is not the end; `next` holds the token: not followed
            break
        params = params | {"after": after}
    return found


async def page_token(facebook: Facebook, token: Opened, *, page_id: str) -> str:
    """The token of a Page, by that of a person who has a role on it. It ends with the latter, but has no date."""
    told = {"token": token, "used_for": OF_THE_CONNECTION}
    url = facebook.address(f"/{page_id}")
    body = await retried(facebook, "GET", url, params={"fields": "access_token"}, **told)
    if not body.get("access_token"):  # Meta leaves out what the person may not have
        raise _withheld()
    return need(answers.text(body["access_token"]))


def _withheld() -> Refused:
    error = Refused(200, http_status=200)
    error.reason = "permission_lost"
    return error


def _page(row: dict[str, Any]) -> Page:
    picture = answers.table((answers.table(row.get("picture")) or {}).get("data")) or {}
    return Page(
        provider_id=need(answers.identifier(row.get("id"))),
        name=answers.name(row.get("name")) or "",
        picture_url=answers.https_address(picture.get("url")),
        tasks=tuple(answers.words(row.get("tasks")) or ()),
        instagram=_linked(answers.table(row.get("instagram_business_account")) or {}),
    )


def _linked(account: dict[str, Any]) -> LinkedAccount | None:
    provider_id = answers.identifier(account.get("id"))
    if provider_id is None:
        return None
    return LinkedAccount(
        provider_id=provider_id,
        username=answers.name(account.get("username")) or "",
        name=answers.name(account.get("name")),
        picture_url=answers.https_address(account.get("profile_picture_url")),
    )


async def subscribe(facebook: Facebook, token: Opened, *, page_id: str, wanted: Iterable[Wanted]) -> list[str]:
    """Switch on the webhooks that these features need, and no others; the fields now subscribed.

    One unknown field fails the whole call (code 100), so a refused list is tried again with the core set.
    """
    url = facebook.address(f"/{page_id}/subscribed_apps")
    for fields in fields_of(wanted):
        try:
            params = {"subscribed_fields": ",".join(fields)}
            await retried(facebook, "POST", url, token=token, used_for=OF_THE_CONNECTION, params=params)
        except Refused as exc:
            if exc.code != 100:
                raise
            refused = exc
        else:
            return fields
    raise refused


def fields_of(wanted: Iterable[Wanted]) -> tuple[list[str], list[str]]:
    """The webhook fields that these features need: all of them, and the core that every version of Meta's knows."""
    features = sorted(wanted)
    every, core = (
        list(dict.fromkeys(name for feature in features for name in known.get(feature, [])))
        for known in (SUBSCRIBED_FIELDS, CORE_FIELDS)
    )
    return every, core


async def subscribed_fields(facebook: Facebook, token: Opened, *, page_id: str) -> list[str]:
    """The webhook fields that the Page has switched on for our app."""
    url = facebook.address(f"/{page_id}/subscribed_apps")
    body = await retried(facebook, "GET", url, token=token, used_for=OF_THE_CONNECTION)
    return fields_of_app(body, facebook.app_id)


async def unsubscribe(facebook: Facebook, token: Opened, *, page_id: str) -> None:
    """Switch the Page's webhooks off, those of its Instagram account with them."""
    url = facebook.address(f"/{page_id}/subscribed_apps")
    await retried(facebook, "DELETE", url, token=token, used_for=OF_THE_CONNECTION)


async def revoke(facebook: Facebook, *, person_id: str) -> bool:
    """End all that this person has granted our app, every Page of theirs with it; `False`: it had ended before."""
    return await _revoke(facebook, f"/{person_id}/permissions")


async def revoke_one(facebook: Facebook, *, person_id: str, scope: str) -> bool:
    """End one scope that this person has granted our app. As `revoke`."""
    return await _revoke(facebook, f"/{person_id}/permissions/{scope}")


async def _revoke(facebook: Facebook, path: str) -> bool:
    """By our app's token, which lives when the person's is lost already (meta-platform.md, section 1.5)."""
    ourselves, url = app_token(facebook, "disconnect"), facebook.address(path)
    try:
        await once(facebook, "DELETE", url, token=ourselves, used_for=("disconnect",), repeatable=True)
    except TokenDead:
        return False
    return True
