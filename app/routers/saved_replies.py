"""Saved replies: answers that a label's team sends again and again."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Conflict, Forbidden, InvalidCursor, InvalidInput, NotFound, StaleVersion, Unauthenticated
from app.models.saved_replies import (
    RenderedReply,
    RenderOrder,
    SavedReplyChange,
    SavedReplyCreate,
    SavedReplyOut,
    SavedReplyPage,
)
from app.problems import problems
from app.services.inbox import rendering, saved_replies

router = APIRouter(prefix="/v1/labels/{label_id}/saved-replies", tags=["inbox"])
Reader = Annotated[Access, Security(label_access, scopes=["inbox:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]
_READ = problems(Forbidden, NotFound, Unauthenticated)
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
_MADE = problems(InvalidInput, Conflict, Forbidden, NotFound, Unauthenticated)
_CHANGED = problems(InvalidInput, Conflict, Forbidden, NotFound, StaleVersion, Unauthenticated)


@router.get("", operation_id="listSavedReplies", responses=_LIST)
async def list_saved_replies(parts: PartsDep, access: Reader, paging: PagingDep) -> SavedReplyPage:
    """The label's saved replies, oldest first."""
    place = f"saved_replies:{access.label_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await saved_replies.page_of(parts.db, access.label_id, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return SavedReplyPage(data=[SavedReplyOut.of(reply) for reply in page], next_cursor=following)


@router.post("", operation_id="createSavedReply", status_code=201, responses=_MADE | problems(BillingReadOnly))
async def create_saved_reply(
    parts: PartsDep, access: Writer, body: SavedReplyCreate, response: Response
) -> SavedReplyOut:
    """Keep an answer. A name is there once in a label; a variable that nobody could fill is refused."""
    await parts.meter.need_writable(access.label_id, now=parts.clock())
    reply = await saved_replies.add(
        parts.db, access.label_id, name=body.name, text=body.text, by=access.by, now=parts.clock()
    )
    response.headers["ETag"] = version_tag(reply)
    return SavedReplyOut.of(reply)


@router.get("/{saved_reply_id}", operation_id="getSavedReply", responses=_READ)
async def get_saved_reply(parts: PartsDep, access: Reader, saved_reply_id: str, response: Response) -> SavedReplyOut:
    """One saved reply."""
    reply = await saved_replies.need(parts.db, access.label_id, saved_reply_id)
    response.headers["ETag"] = version_tag(reply)
    return SavedReplyOut.of(reply)


@router.patch("/{saved_reply_id}", operation_id="changeSavedReply", responses=_CHANGED)
async def change_saved_reply(
    parts: PartsDep,
    access: Writer,
    saved_reply_id: str,
    body: SavedReplyChange,
    versions: VersionsDep,
    response: Response,
) -> SavedReplyOut:
    """Change a saved reply; what is left out stays."""
    changes = body.model_dump(exclude_unset=True)
    reply = await saved_replies.change(
        parts.db, access.label_id, saved_reply_id, changes=changes, versions=versions, now=parts.clock()
    )
    response.headers["ETag"] = version_tag(reply)
    return SavedReplyOut.of(reply)


@router.delete(
    "/{saved_reply_id}",
    operation_id="deleteSavedReply",
    status_code=204,
    responses=problems(Forbidden, NotFound, StaleVersion, Unauthenticated),
)
async def delete_saved_reply(parts: PartsDep, access: Writer, saved_reply_id: str, versions: VersionsDep) -> None:
    """Take a saved reply away."""
    await saved_replies.delete(parts.db, access.label_id, saved_reply_id, versions=versions)


@router.post("/{saved_reply_id}/render", operation_id="renderSavedReply", responses=_MADE)
async def render_saved_reply(parts: PartsDep, access: Reader, saved_reply_id: str, body: RenderOrder) -> RenderedReply:
    """The text for a conversation, with its variables filled in, and whether it fits. Nothing is sent."""
    return await rendering.render_for(
        parts.db, access.label_id, saved_reply_id, body.conversation_id, by=access.by, now=parts.clock()
    )
