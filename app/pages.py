"""Pages about privacy for everybody: server-rendered, without scripts, with nothing from another site."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.deletion_page import CONTACT, STYLE, page, shown_time

_STYLE = STYLE + (Path(__file__).parent / "templates" / "privacy.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CSP, "Cache-Control": "public, max-age=60"}


def render(template: str, **shown: Any) -> str:
    """The page of this template."""
    style = Markup(_STYLE)  # noqa: S704 (our own file)
    return page(template).render(shown, style=style, contact=CONTACT, time=shown_time)
