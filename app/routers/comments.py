"""Comments on the label's media."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, Security
from pydantic import Field

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep, content_tag
from app.errors import (
    Forbidden,
    InvalidCursor,
    InvalidInput,
    NotFound,
    Unauthenticated,
)
from app.models.comments import CommentOut, CommentPage, CommentStatus
from app.problems import problems
from app.services.comments import reading

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["comments"])
CommentReader = Annotated[Access, Security(label_access, scopes=["comments:read"])]
_READ = problems(Forbidden, NotFound, Unauthenticated)
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
Id = Annotated[str, Field(min_length=1, max_length=64)]


@router.get("/comments", operation_id="listComments", responses=_LIST)
async def list_comments(
    parts: PartsDep,
    access: CommentReader,
    paging: PagingDep,
    media_id: Annotated[Id | None, Query(description="Only those on this post, by its id at the provider")] = None,
    status: Annotated[CommentStatus | None, Query(description="Only those that stand so")] = None,
) -> CommentPage:
    """Comments on the label's media, newest first; none that is older than 30 days."""
    place = f"comments:{access.label_id}:{media_id}:{status}"
    found = await reading.page_of_comments(
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
    shown = CommentOut.of(await reading.need_comment(parts.db, access.label_id, comment_id, now=parts.clock()))
    response.headers["ETag"] = content_tag(shown)
    return shown
