"""Conversations: who talks with a label."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response, Security
from pydantic import Field

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import (
    Forbidden,
    InvalidCursor,
    InvalidInput,
    NotFound,
    StaleVersion,
    Unauthenticated,
)
from app.models.conversations import (
    ConversationChange,
    ConversationOut,
    ConversationPage,
    ConversationStatus,
    ReadCreate,
    Tag,
)
from app.problems import problems
from app.services.inbox import conversations, searching, signs
from app.services.inbox.eligibility import our_apps

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["inbox"])
Reader = Annotated[Access, Security(label_access, scopes=["inbox:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]
_READ = problems(Forbidden, NotFound, Unauthenticated)
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
Id = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="Only those with a message that has all these words, whole"),
]


async def get_filters(
    status: Annotated[ConversationStatus | None, Query(description="Only those that stand so")] = None,
    assignee: Annotated[
        Id | None, Query(description="Only those that this account is to answer; `none`: that nobody is to answer")
    ] = None,
    unread: Annotated[bool | None, Query(description="Only those with something unread, or only the others")] = None,
    connection_id: Annotated[Id | None, Query(description="Only those of this connection")] = None,
    tag: Annotated[Tag | None, Query(description="Only those with this tag")] = None,
) -> conversations.Filters:
    """Which conversations are asked for."""
    return conversations.Filters(status, assignee, unread, connection_id, tag)


FiltersDep = Annotated[conversations.Filters, Depends(get_filters)]


@router.get("/conversations", operation_id="listConversations", responses=_LIST)
async def list_conversations(
    parts: PartsDep, access: Reader, paging: PagingDep, filters: FiltersDep, q: Words = None
) -> ConversationPage:
    """Conversations, the one with the newest message first; with `q`, the one with the newest message that is found.

    A page never repeats one of the pages before it. One that gets a message meanwhile moves to the top: ask for the
    first page again to see it. With `q`, a page may hold fewer than `limit` although there are more: go on as long as
    there is a `next_cursor`.
    """
    place, now = f"conversations:{access.label_id}:{filters}:{q}", parts.clock()
    after = cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor)
    if q is not None:
        hits, at = await searching.page_of_found(
            parts.db, access.label_id, filters, q=q, after=after, limit=paging.limit, now=now
        )
        following = cursors.encode(parts.cursor_key, place, [*at]) if at else None
        return ConversationPage(data=[ConversationOut.of(doc) for doc in hits], next_cursor=following)
    found = await conversations.page_of_conversations(
        parts.db, access.label_id, filters, after=after, limit=paging.limit, now=now
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


@router.post(
    "/conversations/{conversation_id}/read",
    operation_id="markConversationRead",
    responses=problems(InvalidInput, Forbidden, NotFound, Unauthenticated),
)
async def mark_conversation_read(
    parts: PartsDep, access: Writer, conversation_id: str, response: Response, body: ReadCreate | None = None
) -> ConversationOut:
    """The team has read everything up to now; with `receipt` the fan sees it."""
    found = await conversations.mark_read(parts.db, access.label_id, conversation_id, now=parts.clock())
    if body and body.receipt:
        told = await signs.queue_seen(parts.db, found, app_ids=our_apps(parts.settings), now=parts.clock())
        if told:
            await parts.bell.ring(told["_id"])
    response.headers["ETag"] = version_tag(found)
    return ConversationOut.of(found)
