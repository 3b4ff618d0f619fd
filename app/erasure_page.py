"""What somebody reads about an erasure that they asked for: a page without scripts, or JSON. It names nobody."""

from typing import Any

from markupsafe import Markup

from app.deletion_page import CONTACT, STYLE, page, shown_time
from app.models.privacy_requests import ErasureStatus

SUMMARY = {
    "received": "Received. It begins in a moment.",
    "waiting": "Waiting. Nobody can log in to the account; until the time below, the link in the mail keeps it.",
    "in_progress": "In progress. What there was is being erased; in a few minutes everything is looked for again.",
    "done": "Done. Everything was erased but what is named below, and then looked for again.",
    "refused": "Refused.",
    "cancelled": "Called off. The account was kept.",
}


def page_of(status: ErasureStatus | None) -> str:
    """The page; with none, the one that says that there is no such request."""
    shown: dict[str, Any] = {"title": "No such request", "status": None}
    if status is not None:
        shown = {"title": "Your erasure request", "status": status, "summary": SUMMARY[status.state]}
    return page("erasure.html").render(shown, style=Markup(STYLE), contact=CONTACT, time=shown_time)  # noqa: S704
