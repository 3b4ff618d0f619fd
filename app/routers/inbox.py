"""The inbox: conversations, their messages, and comments."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response, Security
from pydantic import Field

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep, VersionsDep, WaitDep, content_tag, version_tag, wait_for_end
from app.errors import (
    ConnectionNotActive,
    Forbidden,
    InvalidCursor,
    InvalidInput,
    NotFound,
    ReplyWindowClosed,
    StaleVersion,
    Unauthenticated,
)
from app.models.inbox import (
    CommentOut,
    CommentPage,
    ConversationChange,
    ConversationOut,
    ConversationPage,
    ConversationStatus,
    MessageCreate,
    MessageOut,
    MessagePage,
)
from app.problems import problems
from app.services import operations
from app.services.inbox import conversations, replies

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["inbox"])
Reader = Annotated[Access, Security(label_access, scopes=["inbox:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]
CommentReader = Annotated[Access, Security(label_access, scopes=["comments:read"])]
_READ = problems(Forbidden, NotFound, Unauthenticated)
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
Id = Annotated[str, Field(min_length=1, max_length=64)]


@router.get("/conversations", operation_id="listConversations", responses=_LIST)
async def list_conversations(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    status: Annotated[ConversationStatus | None, Query(description="Only those that stand so")] = None,
    assignee: Annotated[Id | None, Query(description="Only those that this account is to answer")] = None,
    unread: Annotated[bool | None, Query(description="Only those with something unread, or only the others")] = None,
    connection_id: Annotated[Id | None, Query(description="Only those of this connection")] = None,
) -> ConversationPage:
    """Conversations, the one with the newest message first.

    A page never repeats one of the pages before it. One that gets a message meanwhile moves to the top: ask for the
    first page again to see it.
    """
    place = f"conversations:{access.label_id}:{status}:{assignee}:{unread}:{connection_id}"
    found = await conversations.page_of_conversations(
        parts.db,
        access.label_id,
        status=status,
        connection_id=connection_id,
        assignee=assignee,
        unread=unread,
        after=cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
        now=parts.clock(),
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["last_message_at", "_id"], limit=paging.limit)
    return ConversationPage(data=[ConversationOut.of(doc) for doc in page], next_cursor=following)


@router.get("/conversations/{conversation_id}", operation_id="getConversation", responses=_READ)
async def get_conversation(
    parts: PartsDep, access: Reader, conversation_id: str, response: Response
) -> ConversationOut:
    """One conversation."""
    found = await conversations.need_conversation(parts.db, access.label_id, conversation_id, now=parts.clock())
    response.headers["ETag"] = version_tag(found)
    return ConversationOut.of(found)


@router.patch(
    "/conversations/{conversation_id}",
    operation_id="changeConversation",
    responses=problems(InvalidInput, Forbidden, NotFound, StaleVersion, Unauthenticated),
)
async def change_conversation(
    parts: PartsDep,
    access: Writer,
    conversation_id: str,
    body: ConversationChange,
    versions: VersionsDep,
    response: Response,
) -> ConversationOut:
    """Change what the team decides; what is left out stays."""
    found = await conversations.change_conversation(
        parts.db,
        access.label_id,
        conversation_id,
        changes=body.model_dump(exclude_unset=True),
        versions=versions,
        now=parts.clock(),
    )
    response.headers["ETag"] = version_tag(found)
    return ConversationOut.of(found)


@router.post("/conversations/{conversation_id}/read", operation_id="markConversationRead", responses=_READ)
async def mark_conversation_read(
    parts: PartsDep, access: Writer, conversation_id: str, response: Response
) -> ConversationOut:
    """The team has read everything up to now."""
    found = await conversations.mark_read(parts.db, access.label_id, conversation_id, now=parts.clock())
    response.headers["ETag"] = version_tag(found)
    return ConversationOut.of(found)


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
    responses=problems(InvalidInput, Forbidden, NotFound, ReplyWindowClosed, ConnectionNotActive, Unauthenticated)
    | {200: {"model": MessageOut, "description": "The same, when it was done within the time of `Prefer: wait`"}},
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
        text=body.text,
        reply_to=body.reply_to,
        human_agent=body.human_agent,
        intent=getattr(request.state, "intent", None),
        now=parts.clock(),
    )
    await parts.bell.ring(message["operation_id"])
    response.headers["Location"] = f"/v1/operations/{message['operation_id']}"
    if wait_s:
        operation = await operations.need(parts.db, access.label_id, message["operation_id"])
        ended = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        response.status_code = 200 if ended["state"] in operations.ENDED else 202
        message = await conversations.need_message(parts.db, access.label_id, message["_id"], now=parts.clock())
    return MessageOut.of(message)


@router.get("/messages/{message_id}", operation_id="getMessage", responses=_READ)
async def get_message(parts: PartsDep, access: Reader, message_id: str, response: Response) -> MessageOut:
    """One message."""
    message, conversation = await conversations.need_message_in_conversation(
        parts.db, access.label_id, message_id, now=parts.clock()
    )
    shown = MessageOut.of(message, fan_read_at=conversation.get("fan_read_at"))
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.get("/comments", operation_id="listComments", responses=_LIST)
async def list_comments(
    parts: PartsDep,
    access: CommentReader,
    paging: PagingDep,
    media_id: Annotated[Id | None, Query(description="Only those on this post, by its id at the provider")] = None,
    status: Annotated[
        Literal["visible", "hidden", "deleted"] | None, Query(description="Only those that stand so")
    ] = None,
) -> CommentPage:
    """Comments on the label's media, newest first; none that is older than 30 days."""
    place = f"comments:{access.label_id}:{media_id}:{status}"
    found = await conversations.page_of_comments(
        parts.db,
        access.label_id,
        media_id=media_id,
        status=status,
        after=cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
        now=parts.clock(),
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["sent_at", "_id"], limit=paging.limit)
    return CommentPage(data=[CommentOut.of(doc) for doc in page], next_cursor=following)


@router.get("/comments/{comment_id}", operation_id="getComment", responses=_READ)
async def get_comment(parts: PartsDep, access: CommentReader, comment_id: str, response: Response) -> CommentOut:
    """One comment."""
    shown = CommentOut.of(await conversations.need_comment(parts.db, access.label_id, comment_id, now=parts.clock()))
    response.headers["ETag"] = content_tag(shown)
    return shown
