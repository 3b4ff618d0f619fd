"""Why something cannot be done to a comment: the problems, by their stable codes."""

from typing import ClassVar

from app.errors import Problem
from app.models.comment_actions import Hindrance


class NotPossible(Problem):
    """Meta would refuse this."""

    status: ClassVar[int] = 409


class CommentDeleted(NotPossible):
    """It is not there any more."""

    code, title = "comment_deleted", "The comment was deleted"


class CommentHidden(NotPossible):
    """A hidden comment takes no reply, and cannot be hidden again."""

    code, title = "comment_hidden", "The comment is hidden"


class CommentNotHidden(NotPossible):
    """What everybody sees cannot be shown."""

    code, title = "comment_not_hidden", "The comment is not hidden"


class OwnComment(NotPossible):
    """Meta keeps the account's own comments visible, and nobody writes to themselves."""

    code, title = "own_comment", "This is the account's own comment"


class LiveComment(NotPossible):
    """Comments on live video can be neither answered nor hidden."""

    code, title = "live_comment", "This is a comment on live video"


class OnlyAMention(NotPossible):
    """It stands below what is not the account's: it can be answered, and nothing else."""

    code, title = "only_a_mention", "The comment is on another account's media"


class PrivateReplyUsed(NotPossible):
    """Meta takes one private reply for a comment."""

    code, title = "private_reply_used", "This comment has had its private reply"


class PrivateReplyWindowClosed(NotPossible):
    """Meta takes a private reply for 7 days after the comment."""

    code, title = "private_reply_window_closed", "The time for a private reply has passed"


class NotSupported(NotPossible):
    """The provider has no call for it."""

    code, title = "not_supported_by_provider", "The provider does not offer this"


OF_COMMENTS: tuple[type[NotPossible], ...] = (
    CommentDeleted,
    CommentHidden,
    CommentNotHidden,
    OwnComment,
    LiveComment,
    OnlyAMention,
    PrivateReplyUsed,
    PrivateReplyWindowClosed,
)
BY_REASON: dict[Hindrance, type[NotPossible]] = {kind.code: kind for kind in OF_COMMENTS}  # type: ignore[misc]
