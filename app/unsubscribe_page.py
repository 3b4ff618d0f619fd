"""The page behind the link in a marketing mail: a button, without scripts. To look at it changes nothing (RFC 8058)."""

from markupsafe import Markup

from app import deletion_page

CSP = deletion_page.CSP.replace("form-action 'none'", "form-action 'self'")
HEADERS = deletion_page.HEADERS | {"Content-Security-Policy": CSP}
TITLES = {
    "ask": "Unsubscribe",
    "done": "You are unsubscribed",
    "unknown": "This link is not one of ours",
}


def page_of(state: str) -> str:
    """The page: with the button (`ask`), after it (`done`), or for a link that we did not send (`unknown`)."""
    shown = {"state": state, "title": TITLES[state], "contact": deletion_page.CONTACT}
    return deletion_page.page("unsubscribe.html").render(shown, style=Markup(deletion_page.STYLE))  # noqa: S704 (our own file)
