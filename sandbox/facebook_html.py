"""The Facebook pages a person sees. Plain HTML; everything shown is escaped."""

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlencode

from sandbox.facebook_seed import PAGES, PEOPLE
from sandbox.pages import html_page


def facebook_login_page(asked: Mapping[str, str], permissions: Iterable[str]) -> str:
    """The dialog: which person, which permissions, which Pages, allow or deny."""
    people = "".join(f'<option value="{escape(p.id)}">{escape(p.name)}</option>' for p in PEOPLE)
    boxes = "".join(_box("scope", name, f"<code>{escape(name)}</code>") for name in permissions)
    pages = "".join(_box("page", page.id, escape(page.name)) for page in PAGES)
    body = f"""<h1>Log in with Facebook (sandbox)</h1>
<p class="note">This is not Facebook. It is the sandbox that stands in for it; there is no password.</p>
<form method="post" action="?{escape(urlencode(asked))}">
<label>Person <select name="person">{people}</select></label>
<p>The app <code>{escape(asked.get("client_id", ""))}</code> asks for:</p>
<input type="hidden" name="boxes" value="1">{boxes}
<p>For these Pages, as far as the person has a role on them:</p>
<input type="hidden" name="page_boxes" value="1">{pages}
<p><button name="allow" value="1">Allow</button><button name="allow" value="0">Deny</button></p>
</form>"""
    return html_page("Log in (sandbox)", body)


def _box(name: str, value: str, label: str) -> str:
    return f'<label><input type="checkbox" name="{name}" value="{escape(value)}" checked> {label}</label>'
