"""What a person reads about the deletion that they asked for: plain words, as a page without scripts and as JSON."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from app.accepting import wishes
from app.db import Doc
from app.models.base import rfc3339
from app.models.deletion import DeletionStatus
from app.services.connections.callbacks import Progress

CONTACT = "privacy@soundops.io"
"""As in the privacy policy, section 12."""
PROVIDERS = {"instagram": "Instagram", "facebook": "Facebook"}
DELETED = (
    "The access to your account: every token, and the keys that they were sealed with.",
    "What we knew of your account: names, picture, and the numbers by which it is called.",
    "Messages, conversations and comments that came in through it.",
    "Whatever else was taken in through it.",
)
RECEIPT = (
    "A receipt that the connection was ended: its steps with their times, and the account's number, without names and "
    "without content. We keep it for 12 months, to be able to show that we did what you asked for."
)
AUDIT = (
    "Rows in a log of what was done and when: codes and our own numbers, without content. They are kept for 12 months, "
    "so that misuse can be found."
)
REQUEST = (
    "This request, for 12 months, so that this page can be read. Instead of your number it holds a keyed hash, from "
    "which nobody can tell who you are."
)
_FOLDER = Path(__file__).parent / "templates"
_PAGES = Environment(loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, trim_blocks=True, autoescape=True)
STYLE = (_FOLDER / "data_deletion.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CSP, "Cache-Control": "no-store", "Vary": "Accept", "X-Robots-Tag": "noindex"}


def status_of(request: Doc, progress: Progress) -> DeletionStatus:
    """How far this request is, and what it does."""
    found = bool(request["ended"])
    return DeletionStatus(
        confirmation_code=request["_id"],
        provider=request["provider"],
        state=progress.state,
        found=found,
        requested_at=request["requested_at"],
        completed_at=progress.completed_at,
        deleted=list(DELETED) if found else [],
        kept=[RECEIPT, AUDIT, REQUEST] if found else [REQUEST],
    )


def page(name: str) -> Template:
    """A page for people: no script, and no address but ours."""
    return _PAGES.get_template(name)


def page_of(status: DeletionStatus | None) -> str:
    """The page; with none, the one that says that there is no such request."""
    shown: dict[str, Any] = {"title": "No such deletion request", "status": None}
    if status is not None:
        shown = {
            "title": "Your data deletion request",
            "status": status,
            "summary": _summary(status),
            "provider": PROVIDERS[status.provider],
            "steps": _steps(status),
        }
    told = {"contact": CONTACT, "time": shown_time}
    return page("data_deletion.html").render(shown, **told, style=Markup(STYLE))  # noqa: S704 (our own file)


def wants_json(accept: str) -> bool:
    """Whether an `Accept` header prefers JSON to a page; who has no wish gets the page."""
    wanted = wishes(accept, "application/json", "text/html")
    return wanted["application/json"] > wanted["text/html"]


def _summary(status: DeletionStatus) -> str:
    if not status.found:
        return "Done. Nothing of you was connected with SoundOps, so there was nothing to delete."
    return {
        "received": "Received. The access to your account has ended; the deletion begins in a moment.",
        "in_progress": "In progress. The access to your account has ended; what came from it is being deleted.",
        "done": "Done. Everything that came from your account has been deleted.",
    }[status.state]


def _steps(status: DeletionStatus) -> list[dict[str, Any]]:
    state = status.state
    being_done = {"received": "not begun yet", "in_progress": "now", "done": "finished"}[state]
    return [
        {"name": "Received", "told": "yes", "at": status.requested_at, "current": state == "received"},
        {"name": "Being done", "told": being_done, "at": None, "current": state == "in_progress"},
        {
            "name": "Done",
            "told": "yes" if state == "done" else "not yet",
            "at": status.completed_at,
            "current": state == "done",
        },
    ]


def shown_time(at: datetime) -> Markup:
    """An instant for people."""
    told = at.astimezone(UTC)
    return Markup('<time datetime="{}">{} {} UTC</time>').format(rfc3339(at), told.day, f"{told:%B %Y, %H:%M}")
