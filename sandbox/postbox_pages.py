"""The postbox's pages for people, and its JSON for tests and curl. Everything shown is escaped; no script runs."""

from html import escape

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.pages import STYLE
from sandbox.postbox_mails import Mail, Mails

SHOWN = 200
LOOKS = f"""{STYLE}
iframe{{width:100%;height:34rem;border:1px solid #ddd}} pre{{white-space:pre-wrap;background:#f5f5f2;padding:1rem}}
"""
PAGE = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"
ITS_OWN = "allow-popups allow-popups-to-escape-sandbox"
"""What a mail's HTML may do: open its links beside, no more."""
MAIL = f"default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; sandbox {ITS_OWN}"


def create_app(mails: Mails) -> Starlette:
    """The postbox as an ASGI program."""

    async def front(request: Request) -> Response:
        return _page("The postbox", _list(mails.newest()[:SHOWN]))

    async def read(request: Request) -> Response:
        found = _need(mails, request)
        return _page(found.subject, _mail(found))

    async def html(request: Request) -> Response:
        text = f'<base target="_blank">{_need(mails, request).html}'
        return HTMLResponse(text, headers={"Content-Security-Policy": MAIL, "Referrer-Policy": "no-referrer"})

    async def listed(request: Request) -> Response:
        return JSONResponse([mail.shown() for mail in mails.newest(request.query_params.get("to"))])

    async def one(request: Request) -> Response:
        return JSONResponse(_need(mails, request).shown())

    async def forget(request: Request) -> Response:
        await mails.forget()
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", front),
            Route("/read/{number}", read),
            Route("/read/{number}/html", html),
            Route("/mails", listed, methods=["GET"]),
            Route("/mails", forget, methods=["DELETE"]),
            Route("/mails/{number}", one),
        ]
    )


def _need(mails: Mails, request: Request) -> Mail:
    found = mails.get(request.path_params["number"])
    if found is None:
        raise HTTPException(404, "There is no such mail.")
    return found


def _list(mails: list[Mail]) -> str:
    rows = "".join(
        f"<tr><td>{escape(mail.received_at)}</td><td>{escape(mail.to)}</td>"
        f'<td><a href="/read/{mail.id}">{escape(mail.subject or "(no subject)")}</a></td></tr>'
        for mail in mails
    )
    table = f"<table><tr><th>time (UTC)</th><th>to</th><th>subject</th></tr>{rows}</table>"
    return f"""<h1>The postbox</h1>
<p class="note">Every mail that the product sends ends here, newest first; none leaves this machine. As JSON:
<code>GET /mails?to=…</code>, <code>GET /mails/{{id}}</code>; to forget them all: <code>DELETE /mails</code>.</p>
{table if mails else "<p>No mail yet.</p>"}"""


def _mail(mail: Mail) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in mail.headers)
    frame = f'<iframe src="/read/{mail.id}/html" sandbox="{ITS_OWN}" title="The mail as HTML"></iframe>'
    return f"""<p><a href="/">All mails</a></p><h1>{escape(mail.subject or "(no subject)")}</h1>
<p>To {escape(mail.to)}</p>
<h2>As text</h2><pre>{escape(mail.text)}</pre>
<h2>As HTML</h2>{frame if mail.html else "<p>It has no HTML part.</p>"}
<h2>Headers</h2><table>{rows}</table>"""


def _page(title: str, body: str) -> Response:
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{LOOKS}</style></head>'
        f"<body>{body}</body></html>",
        headers={"Content-Security-Policy": PAGE, "Referrer-Policy": "no-referrer"},
    )
