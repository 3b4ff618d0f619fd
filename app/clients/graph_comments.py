"""Comments at Meta, of Instagram accounts on whichever host, and of Pages. Errors are in `graph_errors`.

The two networks have the same things under other names. A reply and a private reply done twice are there twice, or
refused the second time; everything else here may be repeated. Source: Meta, comment moderation and Page comments,
2026-02 (meta-platform.md, sections 3.4 and 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clients.graph_call import At, once, retried
from app.clients.graph_errors import OutcomeUnknown, Unavailable
from app.models.features import UsedFor

COMMENTS: tuple[UsedFor, ...] = ("comments",)
AT_ONCE = 50
"""Meta shows no more of them at once."""
_OF_INSTAGRAM = "id,text,timestamp,username,from,hidden,parent_id,media{id,media_product_type}"
_OF_PAGES = "id,message,created_time,from,is_hidden,parent{id}"


@dataclass(frozen=True)
class RemoteComment:
    """A comment as Meta shows it. Who wrote it may be withheld."""

    provider_id: str
    text: str
    created_at: datetime
    author_id: str | None
    username: str | None
    parent_id: str | None
    hidden: bool
    media_id: str | None
    product_type: str | None


@dataclass(frozen=True)
class Shown:
    """One page of a list: where the next one begins, or none at the end."""

    comments: tuple[RemoteComment, ...]
    after: str | None


async def read(at: At, comment_id: str) -> RemoteComment:
    """One comment as it is now. `Refused` with `not_found`: it is gone."""
    fields = _OF_INSTAGRAM if at.network == "instagram" else _OF_PAGES
    return _comment(at, await _get(at, f"/{comment_id}", fields=fields))


async def read_mention(at: At, *, comment_id: str | None, media_id: str) -> RemoteComment:
    """The comment, or the media's caption, that mentions the account: it cannot be read by its own id."""
    if at.network == "facebook":
        return _comment(at, await _get(at, f"/{comment_id or media_id}", fields="id,message,created_time,from"))
    if comment_id:
        name, field = (
            "mentioned_comment",
            f"mentioned_comment.comment_id({comment_id}){{id,text,timestamp,media{{id}}}}",
        )
    else:
        name = "mentioned_media"
        field = f"mentioned_media.media_id({media_id}){{id,caption,timestamp,username}}"
    body = await _get(at, f"/{at.account_id}", fields=field)
    return _comment(at, body.get(name) or {})


async def newest_media(at: At, *, limit: int) -> list[str]:
    """The ids of the account's newest media or posts."""
    path = f"/{at.account_id}/" + ("media" if at.network == "instagram" else "feed")
    body = await _get(at, path, fields="id", limit=str(limit))
    return [str(item["id"]) for item in body.get("data") or []]


async def page_of(at: At, media_id: str, *, after: str | None) -> Shown:
    """Comments on a post, the newest first: of Instagram those of the top, with their newest replies among them."""
    more = {"after": after} if after else {}
    if at.network == "facebook":
        order = {"filter": "stream", "order": "reverse_chronological"}
        body = await _get(at, f"/{media_id}/comments", fields=_OF_PAGES, limit=str(AT_ONCE), **order, **more)
    else:
        fields = f"{_OF_INSTAGRAM},replies.limit({AT_ONCE}){{{_OF_INSTAGRAM}}}"
        body = await _get(at, f"/{media_id}/comments", fields=fields, limit=str(AT_ONCE), **more)
    return _shown(at, body, media_id)


async def replies_to(at: At, comment_id: str, *, after: str | None) -> Shown:
    """What stands below a comment."""
    more = {"after": after} if after else {}
    edge, fields = ("replies", _OF_INSTAGRAM) if at.network == "instagram" else ("comments", _OF_PAGES)
    return _shown(at, await _get(at, f"/{comment_id}/{edge}", fields=fields, limit=str(AT_ONCE), **more), None)


async def reply(at: At, comment_id: str, text: str) -> str:
    """Answer a comment; Meta's id of the answer. Done twice it is there twice: after `OutcomeUnknown`, look first."""
    edge = "replies" if at.network == "instagram" else "comments"
    return _id_of(await _write(at, f"/{comment_id}/{edge}", {"message": text}), "id")


async def reply_to_mention(at: At, *, comment_id: str | None, media_id: str, text: str) -> str:
    """Answer where the account was mentioned. As `reply`."""
    if at.network == "facebook":
        return await reply(at, comment_id or media_id, text)
    form = {"media_id": media_id, "message": text} | ({"comment_id": comment_id} if comment_id else {})
    return _id_of(await _write(at, f"/{at.account_id}/mentions", form), "id")


async def private_reply(at: At, comment_id: str, text: str) -> str:
    """Write to who commented; Meta's id of the message. A second one for the same comment is refused (2534025)."""
    told: dict[str, Any] = {"token": at.token, "used_for": COMMENTS, "account_id": at.account_id}
    body = {"recipient": {"comment_id": comment_id}, "message": {"text": text}}
    answer = await once(at.host, "POST", at.host.address("/me/messages"), **told, repeatable=False, json=body)
    return _id_of(answer, "message_id")


async def set_hidden(at: At, comment_id: str, *, hidden: bool) -> None:
    """Hide a comment, or show it again. The words for it differ, and Instagram reads its own in the address alone."""
    name = "hide" if at.network == "instagram" else "is_hidden"
    await _repeat(at, "POST", f"/{comment_id}", params={name: "true" if hidden else "false"})


async def delete(at: At, comment_id: str) -> None:
    """Delete a comment, and the replies below it."""
    await _repeat(at, "DELETE", f"/{comment_id}")


async def set_enabled(at: At, media_id: str, *, enabled: bool) -> None:
    """Let people comment on an Instagram post, or not any more."""
    await _repeat(at, "POST", f"/{media_id}", params={"comment_enabled": "true" if enabled else "false"})


async def _get(at: At, path: str, **params: str) -> dict[str, Any]:
    return await _repeat(at, "GET", path, params=params)


async def _repeat(at: At, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"token": at.token, "used_for": COMMENTS, "account_id": at.account_id}
    return await retried(at.host, method, at.host.address(path), **told, **kwargs)


async def _write(at: At, path: str, form: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {"token": at.token, "used_for": COMMENTS, "account_id": at.account_id}
    return await once(at.host, "POST", at.host.address(path), **told, repeatable=False, data=form)


def _id_of(answer: dict[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str | int) or not found:
        raise OutcomeUnknown
    return str(found)


def _shown(at: At, body: dict[str, Any], media_id: str | None) -> Shown:
    rows: list[dict[str, Any]] = []
    for row in body.get("data") or []:
        below = (row.get("replies") or {}).get("data") or []
        rows += [row, *({"parent_id": row.get("id"), **reply} for reply in below)]
    comments = tuple(_comment(at, row, media_id) for row in rows)
    paging = body.get("paging") or {}
    after = (paging.get("cursors") or {}).get("after")
    return Shown(comments, str(after) if after and paging.get("next") else None)  # `next` holds the token: not followed


def _comment(at: At, row: dict[str, Any], media_id: str | None = None) -> RemoteComment:
    """Raises `Unavailable` for an answer without id or time: nothing is known then."""
    author, media = row.get("from") or {}, row.get("media") or {}
    parent = row.get("parent_id") or (row.get("parent") or {}).get("id")
    try:
        created_at = datetime.strptime(str(row.get("timestamp") or row["created_time"]), "%Y-%m-%dT%H:%M:%S%z")
        return RemoteComment(
            provider_id=str(row["id"]),
            text=str(row.get("text") or row.get("message") or row.get("caption") or ""),
            created_at=created_at,
            author_id=_text(author.get("id")),
            username=_text(row.get("username") or author.get("username") or author.get("name")),
            parent_id=_text(parent),
            hidden=bool(row.get("hidden") or row.get("is_hidden")),
            media_id=_text(media.get("id")) or media_id,
            product_type=_text(media.get("media_product_type")),
        )
    except (KeyError, ValueError):
        raise Unavailable from None


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def ours_among(found: Sequence[RemoteComment], account_id: str, text: str) -> list[RemoteComment]:
    """Those that the account wrote with these words, the oldest first. Meta may trim the ends of a text."""
    mine = [one for one in found if one.author_id == account_id and one.text.strip() == text.strip()]
    return sorted(mine, key=lambda one: one.created_at)
