"""What the flows of comments share: fans who comment at the sandbox, and the webhooks of it."""

from datetime import timedelta
from typing import Any

from app.db import Doc
from tests.flows.flows_harness import Desk, Meta

MEDIA = "18000000000000001"


def change(account: str, field: str, value: Doc, ms: int, *, object: str = "instagram") -> Doc:
    """A webhook body of one `changes` item. `ms` is when it is delivered."""
    entry = {"id": account, "time": ms // 1000, "changes": [{"field": field, "value": value}]}
    return {"object": object, "entry": [entry]}


async def fan_comments(
    desk: Desk,
    meta: Meta,
    text: str = "Love it",
    *,
    fan: str = "jonas",
    ago: timedelta = timedelta(),
    told: bool = True,
    **more: Any,
) -> str:
    """Have a fan comment, and Meta tell of it (`told`); our id of the comment, or Meta's of one that is untold."""
    at = desk.house.ms(ago)
    order = {"fan": fan, "account": "nightjar.records", "text": text, "at": at} | more
    made = await meta.control("POST", "/fans/comment", **order)
    if not told:
        return str(made["comment_id"])
    value: Doc = {"id": made["comment_id"], "text": text, "from": {"id": made["igsid"], "username": f"{fan}.listens"}}
    value |= {"media": {"id": made["media_id"], "media_product_type": "FEED"}}
    value |= {"parent_id": made["parent_id"]} if made["parent_id"] else {}
    body = change(made["account_id"], "comments", value, at)
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()
    return str((await by_provider(desk, made["comment_id"]))["id"])


async def by_provider(desk: Desk, provider_id: str) -> Doc:
    """The comment of this id at Meta, which must be shown."""
    return next(one for one in await desk.all("/comments") if one["provider_id"] == provider_id)


async def ask(desk: Desk, comment_id: str, action: str, status: int = 202, **body: Any) -> Doc:
    """Ask for an action, and hand the API's answer back; a worker has not begun then."""
    path = f"/v1/labels/{desk.label_id}/comments/{comment_id}"
    if action == "delete":
        answer = await desk.owner.delete(path)
    else:
        answer = await desk.owner.post(f"{path}/{action}", json=body)
    assert answer.status_code == status, answer.text
    found: Doc = answer.json()
    return found


async def after_work(desk: Desk, operation: Doc) -> Doc:
    """Let the worker work once; the operation as it is then."""
    await desk.house.work()
    found: Doc = (await desk.owner.get(f"/v1/operations/{operation['id']}")).json()
    return found


async def done(desk: Desk, comment_id: str, action: str, **body: Any) -> Doc:
    """Have an action done; its operation."""
    return await after_work(desk, await ask(desk, comment_id, action, **body))


async def log_of(desk: Desk, comment_id: str) -> list[tuple[str, str, str | None]]:
    """The comment's moderation log, the newest first: what, how it stands, and why not."""
    return [(r["action"], r["state"], r["problem"]) for r in await desk.all("/moderation-log", comment_id=comment_id)]


def replies(rows: list[Doc]) -> list[str]:
    """The words of these rows of the sandbox's ledger."""
    return [row["text"] for row in rows]
