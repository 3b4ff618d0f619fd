"""What is kept of a change that nobody understood: its form and its ids, for an engineer, and no text.

Text could not be taken away again when the fan unsends it, for nobody knows where in it the message's id stands.
"""

import json
import re
from typing import Any

from app.services.webhooks.changes import NotAWebhook, parse_raw

ID_KEY = re.compile(r"(?:.*_)?m?ids?")
KEPT = ("item", "verb", "field", "type", "action", "source")
"""Keys whose values are words of Meta's own, not of a person."""
WORD = re.compile(r"[A-Za-z_-]{1,40}")


def form_of(change: bytes) -> bytes:
    """The change with each text replaced by how long it is. One that is not JSON is left out."""
    try:
        return json.dumps(_form(parse_raw(change), ""), sort_keys=True, separators=(",", ":")).encode()
    except (NotAWebhook, RecursionError):
        return b""


def _form(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {_shortened(name): _form(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_form(part, key) for part in value]
    is_kept = ID_KEY.fullmatch(key) or (key in KEPT and WORD.fullmatch(str(value)))
    return f"<{len(value)} characters>" if isinstance(value, str) and not is_kept else value


def _shortened(name: str) -> str:
    """Keys are Meta's; one that does not look like it could be anything."""
    return name if re.fullmatch(r"[\w-]{1,60}", name) else f"<{len(name)} characters>"
