"""What can be done to a comment, and what was: the actions, and the log of them."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from app.models.base import ActorOut, ApiModel, Doc, Instant, Page

CommentAction = Literal["reply", "private_reply", "hide", "unhide", "delete"]
LoggedAction = Literal[CommentAction, "flag", "unflag", "enable_comments", "disable_comments"]
ActionState = Literal["queued", "done", "already_gone", "failed", "unknown"]
Hindrance = Literal[
    "comment_deleted",
    "comment_hidden",
    "comment_not_hidden",
    "own_comment",
    "live_comment",
    "only_a_mention",
    "private_reply_used",
    "private_reply_window_closed",
]
"""Why an action is not possible, as a stable code."""
ACTIONS: tuple[CommentAction, ...] = get_args(CommentAction)
WITH_TEXT: frozenset[str] = frozenset(("reply", "private_reply"))
PRIVATE_REPLY_WITHIN = timedelta(days=7)
"""After the comment's own time, once a comment (Meta, private replies, 2026-02)."""
COMMENT_CHARACTERS = 2200
MESSAGE_BYTES = 1000
BULK = 100


def hindrance(comment: Doc, action: CommentAction, *, now: datetime) -> Hindrance | None:
    """Why Meta would not do this to the comment as we know it, or none. Source: meta-platform.md, section 4."""
    status = comment["status"]
    if status == "deleted":
        return "comment_deleted"
    if comment.get("kind") == "mention" and action != "reply":
        return "only_a_mention"
    if action == "private_reply":
        return _against_private_reply(comment, now=now)
    if action in ("reply", "hide") and comment["live"]:
        return "live_comment"
    if action == "hide" and comment["own"]:
        return "own_comment"
    if action in ("reply", "hide") and status == "hidden":
        return "comment_hidden"
    if action == "unhide" and status != "hidden":
        return "comment_not_hidden"
    return None


def _against_private_reply(comment: Doc, *, now: datetime) -> Hindrance | None:
    if comment["own"]:
        return "own_comment"
    if comment.get("private_reply"):
        return "private_reply_used"
    return "private_reply_window_closed" if now >= comment["sent_at"] + PRIVATE_REPLY_WITHIN else None


def possible(comment: Doc, *, now: datetime) -> list[CommentAction]:
    """What can be done to the comment now."""
    return [action for action in ACTIONS if hindrance(comment, action, now=now) is None]


def _reads(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _fits_a_message(text: str) -> str:
    if len(text.encode()) > MESSAGE_BYTES:
        raise ValueError(f"must be at most {MESSAGE_BYTES} bytes of UTF-8 (Meta's limit)")
    return _reads(text)


Reason = Annotated[str, Field(max_length=200, examples=["spam"])]


class CommentReply(ApiModel):
    """An answer below a comment, for everybody to see."""

    text: Annotated[
        str,
        AfterValidator(_reads),
        Field(min_length=1, max_length=COMMENT_CHARACTERS, examples=["Thank you! It is out on Friday."]),
    ]
    reason: Reason | None = None
    """Why, for the moderation log."""


class PrivateReply(ApiModel):
    """A message to who commented, once a comment and within 7 days of it."""

    text: Annotated[
        str,
        AfterValidator(_fits_a_message),
        Field(min_length=1, max_length=MESSAGE_BYTES, examples=["Here is your download code."]),
    ]
    """At most 1000 bytes of UTF-8."""
    reason: Reason | None = None
    """Why, for the moderation log."""


class ActionReason(ApiModel):
    """Why something is done."""

    reason: Reason | None = None
    """For the moderation log. Not the place for a fan's words: it is kept for 90 days."""


class CommentsBulk(ApiModel):
    """One action on many comments."""

    action: Annotated[CommentAction, Field(examples=["hide"])]
    ids: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=BULK)]
    """The comments. One that stands twice counts once."""
    text: Annotated[str, AfterValidator(_reads), Field(min_length=1, max_length=COMMENT_CHARACTERS)] | None = None
    """Of a reply or a private reply; for each of them the same."""
    reason: Reason | None = None
    """Why, for the moderation log."""


class ItemProblem(ApiModel):
    """Why one of them was not taken on."""

    status: int
    code: str
    detail: str


class BulkItem(ApiModel):
    """What came of one of them: an operation, or a problem."""

    comment_id: str
    operation_id: str | None
    problem: ItemProblem | None


class CommentsBulkOut(ApiModel):
    """What came of each, in the order of the request."""

    results: list[BulkItem]


class CommentsSwitch(ApiModel):
    """Whether people can comment on a post."""

    media_id: Annotated[
        str, Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_]+$", examples=["18000000000000001"])
    ]
    """The post's id at the provider."""
    enabled: Annotated[bool, Field(examples=[False])]
    reason: Reason | None = None
    """Why, for the moderation log."""


class ModerationOut(ApiModel):
    """Something that was done to a comment, or to the comments of a post."""

    id: Annotated[str, Field(examples=["mod_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    action: LoggedAction
    by: ActorOut
    reason: str | None
    comment_id: str | None
    """Null of what was done to a post."""
    provider_id: str
    """The provider's own id of the comment or post."""
    connection_id: str
    state: ActionState
    """`already_gone`: somebody had deleted the comment before. `unknown`: it may have happened."""
    problem: str | None
    """Why it failed, as a stable code."""
    edited: bool
    """Whether the comment's words had changed between the decision and its execution."""
    operation_id: str | None
    at: Instant
    """When it was decided."""
    done_at: Instant | None

    @classmethod
    def of(cls, action: Doc) -> "ModerationOut":
        """The action of this document."""
        return cls(
            id=action["_id"],
            action=action["action"],
            by=ActorOut(**action["by"]),
            reason=action["reason"],
            comment_id=action["comment_id"],
            provider_id=action["provider_id"],
            connection_id=action["connection_id"],
            state=action["state"],
            problem=action.get("problem"),
            edited=action.get("edited", False),
            operation_id=action.get("operation_id"),
            at=action["at"],
            done_at=action.get("done_at"),
        )


class ModerationPage(Page[ModerationOut]):
    """The moderation log, newest first."""
