"""Comments on the label's media: reading them, and what the team notes about them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, Security
from pydantic import Field

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Forbidden, InvalidCursor, InvalidInput, NotFound, StaleVersion, Unauthenticated
from app.models.comment_actions import ModerationOut, ModerationPage
from app.models.comments import CommentChange, CommentKind, CommentOut, CommentPage, CommentStatus
from app.problems import problems
from app.services.comments import flags, log, reading
from app.services.comments.reading import Filters

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["comments"])
CommentReader = Annotated[Access, Security(label_access, scopes=["comments:read"])]
CommentWriter = Annotated[Access, Security(label_access, scopes=["comments:write"])]
_READ = problems(Forbidden, NotFound, Unauthenticated)
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
Id = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[str, Field(min_length=1, max_length=200)]


@router.get("/comments", operation_id="listComments", responses=_LIST)
async def list_comments(
    parts: PartsDep,
    access: CommentReader,
    paging: PagingDep,
    media_id: Annotated[Id | None, Query(description="Only those on this post, by its id at the provider")] = None,
    connection_id: Annotated[Id | None, Query(description="Only those of this connection")] = None,
    kind: Annotated[CommentKind | None, Query(description="Only comments, or only mentions")] = None,
    status: Annotated[CommentStatus | None, Query(description="Only those that stand so")] = None,
    flagged: Annotated[bool | None, Query(description="Only those with a flag, or only the others")] = None,
    unanswered: Annotated[bool | None, Query(description="Only those that wait for an answer, or the others")] = None,
    q: Annotated[Words | None, Query(description="Only those with all of these words, each as a whole")] = None,
) -> CommentPage:
    """Comments on the label's media and mentions of its accounts, newest first; none that is older than 30 days."""
    filters = Filters(media_id, connection_id, kind, status, flagged, unanswered, q)
    place = f"comments:{access.label_id}:{filters!r}"
    found = await reading.page_of_comments(
        parts.db,
        access.label_id,
        filters,
        after=cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
        now=parts.clock(),
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["sent_at", "_id"], limit=paging.limit)
    return CommentPage(data=[CommentOut.of(doc, now=parts.clock()) for doc in page], next_cursor=following)


@router.get("/comments/{comment_id}", operation_id="getComment", responses=_READ)
async def get_comment(parts: PartsDep, access: CommentReader, comment_id: str, response: Response) -> CommentOut:
    """One comment."""
    now = parts.clock()
    found = await reading.need_comment(parts.db, access.label_id, comment_id, now=now)
    response.headers["ETag"] = version_tag(found)
    return CommentOut.of(found, now=now)


@router.patch(
    "/comments/{comment_id}",
    operation_id="changeComment",
    responses=problems(InvalidInput, Forbidden, NotFound, StaleVersion, Unauthenticated),
)
async def change_comment(
    parts: PartsDep,
    access: CommentWriter,
    comment_id: str,
    body: CommentChange,
    versions: VersionsDep,
    response: Response,
) -> CommentOut:
    """Flag a comment, or take its flag away. It stays here: nothing is changed at the provider."""
    now = parts.clock()
    found = await reading.need_comment(parts.db, access.label_id, comment_id, now=now)
    for flagged in body.model_dump(exclude_unset=True).values():
        change = {"flagged": flagged, "by": access.by, "versions": versions}
        found = await flags.set_flag(parts.db, access.label_id, comment_id, **change, now=now)
    response.headers["ETag"] = version_tag(found)
    return CommentOut.of(found, now=now)


@router.get("/moderation-log", operation_id="listModerationLog", responses=_LIST)
async def list_moderation_log(
    parts: PartsDep,
    access: CommentReader,
    paging: PagingDep,
    comment_id: Annotated[Id | None, Query(description="Only what was done to this comment")] = None,
) -> ModerationPage:
    """What was done to comments, by which person or rule, why, and what came of it; newest first, for 90 days."""
    place = f"moderation-log:{access.label_id}:{comment_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await log.page_of_log(
        parts.db, access.label_id, comment_id=comment_id, before=before, limit=paging.limit, now=parts.clock()
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return ModerationPage(data=[ModerationOut.of(doc) for doc in page], next_cursor=following)
