"""Why something cannot be done to a comment: the problems, by their stable codes."""

from app.errors import Problem


class CommentDeleted(Problem):
    """It is not there any more."""

    status, code, title = 409, "comment_deleted", "The comment was deleted"


class CommentHidden(Problem):
    """A hidden comment takes no reply, and cannot be hidden again."""

    status, code, title = 409, "comment_hidden", "The comment is hidden"


class CommentNotHidden(Problem):
    """What everybody sees cannot be shown."""

    status, code, title = 409, "comment_not_hidden", "The comment is not hidden"


class OwnComment(Problem):
    """Meta keeps the account's own comments visible, and nobody writes to themselves."""

    status, code, title = 409, "own_comment", "This is the account's own comment"


class LiveComment(Problem):
    """Comments on live video can be neither answered nor hidden."""

    status, code, title = 409, "live_comment", "This is a comment on live video"


class OnlyAMention(Problem):
    """It stands below what is not the account's: it can be answered, and nothing else."""

    status, code, title = 409, "only_a_mention", "The comment is on another account's media"


class PrivateReplyUsed(Problem):
    """Meta takes one private reply for a comment."""

    status, code, title = 409, "private_reply_used", "This comment has had its private reply"


class PrivateReplyWindowClosed(Problem):
    """Meta takes a private reply for 7 days after the comment."""

    status, code, title = 409, "private_reply_window_closed", "The time for a private reply has passed"


class NotSupported(Problem):
    """The provider has no call for it."""

    status, code, title = 409, "not_supported_by_provider", "The provider does not offer this"


OF_COMMENTS: tuple[type[Problem], ...] = (
    CommentDeleted,
    CommentHidden,
    CommentNotHidden,
    OwnComment,
    LiveComment,
    OnlyAMention,
    PrivateReplyUsed,
    PrivateReplyWindowClosed,
)
BY_REASON = {kind.code: kind for kind in OF_COMMENTS}
"""By what `hindrance` says."""
