"""Acting on comments: each answers with an operation, which a worker does."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response, Security

from app.access import Access, PartsDep, label_access
from app.comment_errors import (
    CommentDeleted,
    CommentHidden,
    CommentNotHidden,
    LiveComment,
    NotSupported,
    OnlyAMention,
    OwnComment,
    PrivateReplyUsed,
    PrivateReplyWindowClosed,
)
from app.deps import VersionsDep, WaitDep, answer_operation
from app.errors import ConnectionNotActive, Forbidden, InvalidInput, NotFound, Problem, StaleVersion, Unauthenticated
from app.models.comment_actions import (
    ActionReason,
    BulkItem,
    CommentAction,
    CommentReply,
    CommentsBulk,
    CommentsBulkOut,
    CommentsSwitch,
    ItemProblem,
    PrivateReply,
)
from app.models.operations import OperationOut
from app.parts import Parts
from app.problems import problems
from app.services.comments import actions, switch

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["comments"])
Writer = Annotated[Access, Security(label_access, scopes=["comments:write"])]
ANY = (InvalidInput, Forbidden, NotFound, ConnectionNotActive, Unauthenticated)
ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}
}


@dataclass(frozen=True)
class Asked:
    """What somebody wants to have done to one comment."""

    parts: Parts
    access: Access
    comment_id: str
    wait_s: float
    intent: str | None
    response: Response

    async def queue(
        self, action: CommentAction, reason: str | None, *, text: str | None = None, versions: list[int] | None = None
    ) -> OperationOut:
        """Have it done by a worker; the operation."""
        operation = await actions.queue_action(
            self.parts.db,
            self.access.label_id,
            self.comment_id,
            action=action,
            text=text,
            by=self.access.by,
            reason=reason,
            intent=self.intent,
            versions=versions,
            now=self.parts.clock(),
        )
        return await answer_operation(self.parts, operation, self.wait_s, self.response)


async def get_asked(
    parts: PartsDep, access: Writer, comment_id: str, wait_s: WaitDep, request: Request, response: Response
) -> Asked:
    """What is asked, and by whom."""
    return Asked(parts, access, comment_id, wait_s, getattr(request.state, "intent", None), response)


AskedDep = Annotated[Asked, Depends(get_asked)]


@router.post(
    "/comments/{comment_id}/reply",
    operation_id="replyToComment",
    status_code=202,
    responses=problems(*ANY, CommentDeleted, CommentHidden, LiveComment) | ENDED,
)
async def reply_to_comment(asked: AskedDep, body: CommentReply) -> OperationOut:
    """Answer below a comment, for everybody to see. An answer to a reply goes below the first comment, as Meta has it.

    A worker looks at the comment first: to one that is gone nothing is written.
    """
    return await asked.queue("reply", body.reason, text=body.text)


@router.post(
    "/comments/{comment_id}/private-reply",
    operation_id="replyPrivately",
    status_code=202,
    responses=problems(*ANY, CommentDeleted, OwnComment, OnlyAMention, PrivateReplyUsed, PrivateReplyWindowClosed)
    | ENDED,
)
async def reply_privately(asked: AskedDep, body: PrivateReply) -> OperationOut:
    """Write to who commented: once a comment, and within 7 days of the comment's own time."""
    return await asked.queue("private_reply", body.reason, text=body.text)


@router.post(
    "/comments/{comment_id}/hide",
    operation_id="hideComment",
    status_code=202,
    responses=problems(*ANY, CommentDeleted, CommentHidden, OwnComment, LiveComment, OnlyAMention) | ENDED,
)
async def hide_comment(asked: AskedDep, body: ActionReason | None = None) -> OperationOut:
    """Hide a comment from everybody but who wrote it, who does not learn of it. It can be undone."""
    return await asked.queue("hide", body.reason if body else None)


@router.post(
    "/comments/{comment_id}/unhide",
    operation_id="unhideComment",
    status_code=202,
    responses=problems(*ANY, CommentDeleted, CommentNotHidden, OnlyAMention) | ENDED,
)
async def unhide_comment(asked: AskedDep, body: ActionReason | None = None) -> OperationOut:
    """Show a hidden comment again."""
    return await asked.queue("unhide", body.reason if body else None)


@router.delete(
    "/comments/{comment_id}",
    operation_id="deleteComment",
    status_code=202,
    responses=problems(*ANY, StaleVersion, CommentDeleted, OnlyAMention) | ENDED,
)
async def delete_comment(asked: AskedDep, versions: VersionsDep) -> OperationOut:
    """Delete a comment at Meta, with the replies below it, and its words here. It cannot be undone."""
    return await asked.queue("delete", None, versions=versions)


@router.post(
    "/comments/bulk",
    operation_id="actOnComments",
    status_code=202,
    responses=problems(InvalidInput, Forbidden, NotFound, Unauthenticated),
)
async def act_on_comments(parts: PartsDep, access: Writer, body: CommentsBulk, request: Request) -> CommentsBulkOut:
    """Do one thing to up to 100 comments. Each has its own result: an operation, or the problem that it met.

    What fails later, at Meta, is in its operation and in the moderation log; the others go on.
    """
    results = await actions.queue_many(
        parts.db,
        access.label_id,
        body.ids,
        action=body.action,
        text=body.text,
        by=access.by,
        reason=body.reason,
        intent=getattr(request.state, "intent", None),
        now=parts.clock(),
    )
    for _, found in results:
        if not isinstance(found, Problem):
            await parts.bell.ring(found["_id"])
    return CommentsBulkOut(results=[_item(comment_id, found) for comment_id, found in results])


@router.put(
    "/media/{media_id}/comments-enabled",
    operation_id="switchComments",
    status_code=202,
    responses=problems(*ANY, NotSupported) | ENDED,
)
async def switch_comments(
    parts: PartsDep, access: Writer, media_id: str, body: CommentsSwitch, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Let people comment on a post, or not any more. What was written stays. Instagram only: Pages have no such call.

    `media_id` is the post's id at the provider.
    """
    operation = await switch.queue_switch(
        parts.db,
        access.label_id,
        body.connection_id,
        media_id=media_id,
        enabled=body.enabled,
        by=access.by,
        reason=body.reason,
        now=parts.clock(),
    )
    return await answer_operation(parts, operation, wait_s, response)


def _item(comment_id: str, found: dict[str, object] | Problem) -> BulkItem:
    if isinstance(found, Problem):
        problem = ItemProblem(status=found.status, code=found.code, detail=found.detail)
        return BulkItem(comment_id=comment_id, operation_id=None, problem=problem)
    return BulkItem(comment_id=comment_id, operation_id=str(found["_id"]), problem=None)
