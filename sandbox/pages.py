"""The pages a person sees: the login dialog, and the front page. Plain HTML; everything shown is escaped."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode

from sandbox.box import Sandbox
from sandbox.call import BASIC
from sandbox.seed import ACCOUNTS, FANS, MEDIA, media_of

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.6rem} h2{font-size:1.15rem;margin-top:2rem} table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
form{background:#f5f5f2;padding:1rem;border-radius:.4rem} label{display:block;margin:.4rem 0}
input[type=text],select{font:inherit;padding:.3rem;width:100%;max-width:30rem;box-sizing:border-box}
button{font:inherit;padding:.4rem 1rem;margin-right:.6rem} code{font-size:.85rem} .note{color:#555}
"""


def login_page(asked: Mapping[str, str], scopes: Iterable[str]) -> str:
    """The dialog: which account, which permissions, allow or deny."""
    accounts = "".join(
        f'<option value="{escape(a.id)}">{escape(a.username)} ({escape(a.name)})</option>' for a in ACCOUNTS
    )
    boxes = "".join(
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}" checked'
        f"{' disabled' if scope == BASIC else ''}> <code>{escape(scope)}</code></label>"
        for scope in scopes
    )
    body = f"""<h1>Log in with Instagram (sandbox)</h1>
<p class="note">This is not Instagram. It is the sandbox that stands in for it; there is no password.</p>
<form method="post" action="?{escape(urlencode(asked))}">
<label>Account <select name="account">{accounts}</select></label>
<p>The app <code>{escape(asked.get("client_id", ""))}</code> asks for:</p>
<input type="hidden" name="boxes" value="1">{boxes}
<p><button name="allow" value="1">Allow</button><button name="allow" value="0">Deny</button></p>
</form>"""
    return html_page("Log in (sandbox)", body)


def refusal_page(problem: str) -> str:
    """What a person sees when the dialog does not open."""
    return html_page("Error (sandbox)", f"<h1>Sorry, this cannot be opened</h1><p>{escape(problem)}</p>")


def front_page(box: Sandbox, said: str = "") -> str:
    """What this is, who lives here, a form to write as a fan, and what has lately happened."""
    world = box.world
    accounts = "".join(
        _row(a.username, a.name, a.id, a.scoped_id, ", ".join(world.subscriptions.get(a.id, [])) or "none")
        for a in ACCOUNTS
    )
    fans = "".join(_row(f.handle, f.username, *(f.scoped_id(a) for a in ACCOUNTS)) for f in FANS)
    ledger = "".join(_row(str(r["seq"]), _clock(r["at"]), r["kind"], _details(r)) for r in reversed(world.ledger[-20:]))
    body = f"""<h1>The sandbox Meta</h1>
<p>A small program that behaves like Instagram's API with Instagram Login, so that a product can be run and tested
without a Meta account. Its three hosts are the path prefixes <code>/www.instagram.com</code>,
<code>/api.instagram.com</code> and <code>/graph.instagram.com</code>; webhooks go to
<code>{escape(box.settings.webhook_url)}</code>. Scripts drive it under <code>/_sandbox/</code>, or with
<code>python -m sandbox --help</code>.</p>
{f"<p><strong>{escape(said)}</strong></p>" if said else ""}
<h2>Write as a fan</h2>{_fan_form()}
<h2>Deliveries</h2>
<p>{world.delivered} delivered, {len(world.outbox)} waiting, {world.dropped} dropped, {world.given_up} given up.</p>
<h2>Accounts</h2><table>{_head("username", "name", "user_id", "id for this app", "webhooks")}{accounts}</table>
<h2>Newest in the ledger</h2><table>{_head("seq", "time (UTC)", "what", "details")}{ledger}</table>
<h2>Fans</h2><table>{_head("fan", "username", *(f"id for {a.username}" for a in ACCOUNTS))}{fans}</table>"""
    return html_page("The sandbox Meta", body)


def _fan_form() -> str:
    fans = "".join(f'<option value="{escape(f.handle)}">{escape(f.name)}</option>' for f in FANS)
    accounts = "".join(f'<option value="{escape(a.id)}">{escape(a.username)}</option>' for a in ACCOUNTS)
    media = "".join(
        f'<option value="{escape(m.id)}">{escape(a.username)}: {escape(m.caption)}</option>'
        for a in ACCOUNTS
        for m in media_of(a)
    )
    return f"""<form method="post" action="/">
<label>Fan <select name="fan">{fans}</select></label>
<label>To <select name="account">{accounts}</select></label>
<label>Words <input type="text" name="text" required maxlength="1000"></label>
<label>If a comment, under <select name="media">{media}</select></label>
<p><button name="kind" value="message">Send as message</button>
<button name="kind" value="comment">Post as comment</button></p>
</form>"""


def _details(row: Mapping[str, object]) -> str:
    kept = {
        k: v for k, v in row.items() if k not in ("seq", "at", "kind", "body", "sent_ms") and v not in (None, [], "")
    }
    text = json.dumps(kept, ensure_ascii=False)
    return text if len(text) <= 400 else text[:400] + " …"


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _head(*cells: str) -> str:
    return "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in cells) + "</tr>"


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def html_page(title: str, body: str) -> str:
    """A whole page around this body."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>"
    )


def media_owner(media_id: str) -> str | None:
    """The account whose media this is."""
    media = MEDIA.get(media_id)
    return media.account_id if media else None
