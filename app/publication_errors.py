"""Why something cannot be done to what is planned: the problems, by their stable codes."""

from app.errors import Problem


class WrongState(Problem):
    """Its state, which is told, does not allow it: somebody else was quicker, or it is published."""

    status, code, title = 409, "wrong_state", "The state of the publication does not allow this"


class ApprovalNeeded(Problem):
    """The label has its publications approved, and this version is not."""

    status, code, title = 409, "approval_needed", "This version must be approved first"


class OwnPublication(Problem):
    """The label wants four eyes: who wrote a version does not approve it."""

    status, code, title = 403, "own_publication", "Somebody else must approve what you have written"


class Embargoed(Problem):
    """It would reveal a release before its first midnight."""

    status, code, title = 409, "embargoed", "This would reveal the release too early"


class NoFreeSlot(Problem):
    """No slot fits its accounts, or all are taken for a year."""

    status, code, title = 409, "no_free_slot", "There is no free slot for these accounts"


class PublicationInvalid(Problem):
    """Meta would refuse it: each limit that it breaks is named. `POST …/validate` tells more of them."""

    status, code, title = 422, "publication_invalid", "Meta would not take this publication"
