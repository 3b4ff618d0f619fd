"""Plain pages for people."""

from html import escape

NO_CENTS = frozenset(("jpy", "krw", "huf"))
THREE_PLACES = frozenset(("kwd", "bhd", "jod", "omr", "tnd"))
STYLE = """body{font:16px system-ui;max-width:34em;margin:3em auto;padding:0 1em;color:#222}
form{margin:.4em 0}button{font:inherit;padding:.4em 1em;margin:.2em .3em .2em 0}label{display:block;margin:.3em 0}
input,select{font:inherit;width:100%}.said{background:#fdd;padding:.6em}.small{color:#666;font-size:.9em}"""


def document(title: str, body: str) -> str:
    """A whole page."""
    return f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>{body}"


def money(amount: int, currency: str) -> str:
    """An amount for people, as `EUR 29.00`; 29 yen are `JPY 29`."""
    places = 0 if currency in NO_CENTS - {"huf"} else 3 if currency in THREE_PLACES else 2
    size = str(abs(amount)).rjust(places + 1, "0")
    digits = size if places == 0 else f"{size[:-places]}.{size[-places:]}"
    return f"{currency.upper()} {'-' if amount < 0 else ''}{digits}"


def button(name: str, value: str, label: str) -> str:
    """A button of a form."""
    return f'<button name="{escape(name)}" value="{escape(value)}">{escape(label)}</button>'


def field(name: str, label: str, value: str = "") -> str:
    """A field of a form."""
    return f'<label>{escape(label)}<input name="{escape(name)}" value="{escape(value)}"></label>'


def said(text: str | None) -> str:
    """What went wrong."""
    return f'<p class="said" role="alert">{escape(text)}</p>' if text else ""
