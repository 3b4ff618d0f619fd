"""Why something cannot be done to what is being published: the problems, by their stable codes."""

from app.errors import Problem


class AlreadyPublishing(Problem):
    """The call that publishes has begun, or has been made: nothing calls it back."""

    status, code, title = 409, "already_publishing", "It is being published, or is published already"


class NotRetryable(Problem):
    """Only what has certainly not been published can be tried again."""

    status, code, title = 409, "not_retryable", "Nothing of this publication has failed for certain"


class NothingToDecide(Problem):
    """The outcome is known, or is still being looked for."""

    status, code, title = 409, "nothing_to_decide", "There is nothing to decide here now"


class CannotBeDeleted(Problem):
    """It is not published, or the provider takes no such call for it."""

    status, code, title = 409, "cannot_be_deleted", "The provider cannot be asked to delete this"
