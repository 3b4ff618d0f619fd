"""Metadata: up to 50 keys; an empty value takes a key away."""

from typing import Any

from sandbox.stripe.errors import bad


def merged(old: dict[str, str], given: Any) -> dict[str, str]:
    """What metadata become when a call sends these; null leaves them, an empty string clears them."""
    if given is None:
        return old
    if given == "":
        return {}
    for name, value in given.items():
        if len(name) > 40:
            bad(f"Metadata keys can be at most 40 characters: {name}", f"metadata[{name}]")
        if len(value) > 500:
            bad("Metadata values can be at most 500 characters.", f"metadata[{name}]")
    new = {name: value for name, value in (old | given).items() if value != ""}
    if len(new) > 50:
        bad("You can have at most 50 metadata keys.", "metadata")
    return new
