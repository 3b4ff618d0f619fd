"""The pages that people open: Checkout, an invoice, its PDF."""

import secrets
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe.cards import make_default, make_method
from sandbox.stripe.checkout_page import checkout_page
from sandbox.stripe.collect import collect
from sandbox.stripe.errors import BadOrder, Refused
from sandbox.stripe.html import button, document, money, said
from sandbox.stripe.pdf import invoice_pdf
from sandbox.stripe.portal_page import portal_act, portal_page
from sandbox.stripe.session_end import act
from sandbox.stripe.store import Obj, Store, Tx


async def form_of(request: Request) -> dict[str, str]:
    """What a person has filled in."""
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


def gone() -> Response:
    """No such page."""
    return HTMLResponse(document("Not found", "<h1>Something went wrong</h1><p>The page was not found.</p>"), 404)


def page_routes(store: Store) -> list[Route]:
    """Their routes."""
    return [_checkout_route(store), _portal_route(store), *_invoice_routes(store)]


def _checkout_route(store: Store) -> Route:
    async def checkout(request: Request) -> Response:
        """Show a session's page, or do what its buttons say."""
        tx = Tx(store)
        session = tx.get(request.path_params["key"])
        if session is None or session["object"] != "checkout.session":
            return gone()
        if request.method == "GET":
            return HTMLResponse(checkout_page(tx, session))
        form = await form_of(request)
        try:
            where = act(tx, session, form.get("how", ""), form)
        except (BadOrder, Refused) as exc:
            page = document("Checkout", f"{said(str(exc))}<p><a href=''>Again</a></p>")
            return HTMLResponse(page, 400)
        tx.commit()
        await store.settled()
        return RedirectResponse(where or str(request.url), 303)

    return Route("/c/pay/{key}", checkout, methods=["GET", "POST"])


def _invoice_routes(store: Store) -> list[Route]:
    async def invoice(request: Request) -> Response:
        """Show an open invoice's page, and pay it there."""
        tx = Tx(store)
        found = _invoice(tx, request)
        if found is None:
            return gone()
        if request.method == "POST" and found["status"] == "open":
            customer = tx.the(found["customer"])
            method = make_method(tx, "ok", customer)
            make_default(tx, customer, method)
            collect(tx, found, method)
            tx.commit()
            await store.settled()
            return RedirectResponse(str(request.url), 303)
        due = money(found["amount_due"], found["currency"])
        pay = f"<form method=post>{button('how', 'ok', f'Pay {due}')}</form>" if found["status"] == "open" else ""
        words = f"<h1>Invoice {found['number']}</h1><p>{due}, {found['status']}</p>{pay}"
        return HTMLResponse(document("Invoice", f"{words}<p><a href='{request.url}/pdf'>PDF</a></p>"))

    async def pdf(request: Request) -> Response:
        """The invoice as a file."""
        found = _invoice(Tx(store), request)
        if found is None:
            return gone()
        name = f'attachment; filename="Invoice-{found["number"]}.pdf"'
        return Response(invoice_pdf(found), media_type="application/pdf", headers={"Content-Disposition": name})

    return [
        Route("/i/{key}/{token}", invoice, methods=["GET", "POST"]),
        Route("/i/{key}/{token}/pdf", pdf),
    ]


def _portal_route(store: Store) -> Route:
    async def portal(request: Request) -> Response:
        """Show a portal session's page, or do what its buttons say."""
        tx = Tx(store)
        session = _portal(tx, request.path_params["token"])
        if session is None:
            return gone()
        if request.method == "GET":
            return HTMLResponse(portal_page(tx, session))
        try:
            portal_act(tx, session, await form_of(request))
        except (BadOrder, Refused) as exc:
            return HTMLResponse(portal_page(Tx(store), session, str(exc)), 400)
        tx.commit()
        await store.settled()
        return RedirectResponse(_after(session) or str(request.url), 303)

    return Route("/p/session/{token}", portal, methods=["GET", "POST"])


def _portal(tx: Tx, token: str) -> Obj | None:
    found = tx.peek(f"portal:{token}")
    session = tx.get(found["session"]) if found else None
    if session is None or session["_until"] <= tx.now:
        return None
    customer = tx.peek(session["customer"]) or {}
    return None if customer.get("deleted") else session


def _after(session: Obj) -> str | None:
    """Where the browser goes once the session's flow is done."""
    after = (session["flow"] or {}).get("after_completion") or {}
    where: str | None = (after.get("redirect") or {}).get("return_url") if after.get("type") == "redirect" else None
    return where


def _invoice(tx: Tx, request: Request) -> Obj | None:
    found = tx.get(request.path_params["key"])
    if found is None or found["object"] != "invoice" or "_token" not in found:
        return None
    return found if secrets.compare_digest(found["_token"], request.path_params["token"]) else None
