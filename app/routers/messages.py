"""A conversation's messages: reading them, and answering."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.db import Database, Doc
from app.deps import PagingDep, WaitDep, content_tag, wait_for_end
from app.errors import (
    AssetNotFound,
    AssetNotReady,
    Conflict,
    Forbidden,
    HumanAgentNotAllowed,
    InvalidCursor,
    InvalidInput,
    NotFound,
    Unauthenticated,
)
from app.models.messages import MessageCreate, MessageOut, MessagePage
from app.models.reply_window import EligibilityOut
from app.parts import Parts
from app.problems import problems
from app.services import operations
from app.services.assets.links import rendition_of
from app.services.assets.reading import need_ready
from app.services.inbox import conversations, replies
from app.services.inbox.eligibility import our_apps
from app.services.inbox.outgoing import Attachment, Outgoing, OwnFile, QuickReply

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["inbox"])
Reader = Annotated[Access, Security(label_access, scopes=["inbox:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]
_READ = problems(Forbidden, NotFound, Unauthenticated)
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
_DONE: dict[int | str, dict[str, Any]] = {
    200: {"model": MessageOut, "description": "The same, when it was done within the time of `Prefer: wait`"}
}
_SENDS = problems(
    *replies.REFUSED.values(),
    InvalidInput,
    AssetNotFound,
    AssetNotReady,
    HumanAgentNotAllowed,
    Forbidden,
    NotFound,
    Unauthenticated,
)


@router.get("/conversations/{conversation_id}/messages", operation_id="listMessages", responses=_LIST)
async def list_messages(parts: PartsDep, access: Reader, conversation_id: str, paging: PagingDep) -> MessagePage:
    """A conversation's messages, newest first; none that is older than 30 days."""
    now, place = parts.clock(), f"messages:{access.label_id}:{conversation_id}"
    after = cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor)
    conversation = await conversations.need_conversation(parts.db, access.label_id, conversation_id, now=now)
    found = await conversations.page_of_messages(
        parts.db, access.label_id, conversation_id, after=after, limit=paging.limit, now=now
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["ordered_at", "_id"], limit=paging.limit)
    read_at = conversation.get("fan_read_at")
    return MessagePage(data=[MessageOut.of(doc, fan_read_at=read_at) for doc in page], next_cursor=following)


@router.post(
    "/conversations/{conversation_id}/messages",
    operation_id="sendMessage",
    status_code=202,
    responses=_SENDS | _DONE,
)
async def send_message(
    parts: PartsDep,
    access: Writer,
    conversation_id: str,
    body: MessageCreate,
    wait_s: WaitDep,
    request: Request,
    response: Response,
) -> MessageOut:
    """Answer a fan. A worker sends it, once; `state` and the operation tell what came of it."""
    message = await replies.queue_reply(
        parts.db,
        access.label_id,
        conversation_id,
        content=await content_of(parts.db, access.label_id, body),
        by=access.by,
        human_agent=body.human_agent,
        intent=getattr(request.state, "intent", None),
        app_ids=our_apps(parts.settings),
        now=parts.clock(),
    )
    return await _answer(parts, access, message, wait_s, response)


@router.get(
    "/conversations/{conversation_id}/eligibility",
    operation_id="getEligibility",
    responses=problems(Forbidden, NotFound, Unauthenticated),
)
async def get_eligibility(parts: PartsDep, access: Reader, conversation_id: str) -> EligibilityOut:
    """Whether you may write to the fan at this moment, as sending itself decides it."""
    found = await replies.eligibility_of(
        parts.db,
        access.label_id,
        conversation_id,
        by=access.by,
        app_ids=our_apps(parts.settings),
        now=parts.clock(),
    )
    return EligibilityOut(**asdict(found))


@router.get("/messages/{message_id}", operation_id="getMessage", responses=_READ)
async def get_message(parts: PartsDep, access: Reader, message_id: str, response: Response) -> MessageOut:
    """One message."""
    message, conversation = await conversations.need_message_in_conversation(
        parts.db, access.label_id, message_id, now=parts.clock()
    )
    shown = MessageOut.of(message, fan_read_at=conversation.get("fan_read_at"))
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.post(
    "/messages/{message_id}/retry",
    operation_id="retryMessage",
    status_code=202,
    responses=problems(
        *replies.REFUSED.values(),
        Conflict,
        AssetNotFound,
        AssetNotReady,
        HumanAgentNotAllowed,
        Forbidden,
        NotFound,
        Unauthenticated,
    )
    | _DONE,
)
async def retry_message(
    parts: PartsDep, access: Writer, message_id: str, wait_s: WaitDep, response: Response
) -> MessageOut:
    """Send one again that failed, or of which it stays unknown whether it went out: then it may go out twice."""
    message = await replies.retry(
        parts.db, access.label_id, message_id, by=access.by, app_ids=our_apps(parts.settings), now=parts.clock()
    )
    return await _answer(parts, access, message, wait_s, response)


@router.post(
    "/messages/{message_id}/mark-sent",
    operation_id="markMessageSent",
    responses=problems(Conflict, Forbidden, NotFound, Unauthenticated),
)
async def mark_message_sent(parts: PartsDep, access: Writer, message_id: str) -> MessageOut:
    """Take one as sent of which it stays unknown whether it went out: you have looked, and it did."""
    message = await replies.mark_sent(
        parts.db, parts.audit, access.label_id, message_id, by=access.by, now=parts.clock()
    )
    return MessageOut.of(message)


async def _answer(parts: Parts, access: Access, message: Doc, wait_s: float, response: Response) -> MessageOut:
    """Ring for the message's operation, and answer with it: `202`, or `200` when it ended within the time."""
    await parts.bell.ring(message["operation_id"])
    response.headers["Location"] = f"/v1/operations/{message['operation_id']}"
    if wait_s:
        operation = await operations.need(parts.db, access.label_id, message["operation_id"])
        ended = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        response.status_code = 200 if ended["state"] in operations.ENDED else 202
        message = await conversations.need_message(parts.db, access.label_id, message["_id"], now=parts.clock())
    return MessageOut.of(message)


async def content_of(db: Database, label_id: str, body: MessageCreate) -> Outgoing:
    """What is to be sent. Raises `AssetNotFound`, `AssetNotReady`."""
    asset = await need_ready(db, label_id, body.asset_id) if body.asset_id is not None else None
    return Outgoing(
        text=body.text,
        attachment=Attachment(body.attachment.type, body.attachment.url) if body.attachment else None,
        file=OwnFile(asset["kind"], asset["_id"], rendition_of(asset, "original")["bytes"]) if asset else None,
        media_id=body.media_id,
        sticker=body.sticker,
        quick_replies=tuple(QuickReply(one.title, one.payload) for one in body.quick_replies),
        reply_to=body.reply_to,
    )
