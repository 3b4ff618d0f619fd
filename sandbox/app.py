"""The program: wires the parts together and serves them."""

import asyncio
import logging
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import FrameType

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import control, control_callbacks, facebook_control, fans, pages
from sandbox.box import Sandbox
from sandbox.deliver import AT_ONCE, Deliverer
from sandbox.errors import ControlError
from sandbox.facebook import facebook_routes
from sandbox.facebook_login import facebook_dialog_routes
from sandbox.google_analytics import google_analytics_routes
from sandbox.graph import graph_routes
from sandbox.insights_plan import insights_routes
from sandbox.journal import JournalError
from sandbox.oauth import dialog_routes
from sandbox.publishing_control import publishing_routes
from sandbox.settings import Settings
from sandbox.spotify_accounts import spotify_accounts_routes
from sandbox.spotify_api import spotify_api_routes
from sandbox.spotify_control import spotify_control_routes
from sandbox.storm import Storm
from sandbox.stripe.app import PREFIX as STRIPE
from sandbox.stripe.app import StripeSandbox
from sandbox.threads import thread_routes

VERSIONED = re.compile(r"^/(graph\.instagram\.com|(?:graph|www)\.facebook\.com)/(v\d+\.\d+)(/.*)?$")


class Front:
    """The outermost layer: takes the version out of a path, and lets no answer out before the journal is on disk."""

    def __init__(self, app: ASGIApp, box: Sandbox) -> None:
        self.app, self.box = app, box

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        versioned = VERSIONED.match(path)
        if versioned:
            scope["path"] = f"/{versioned[1]}{versioned[3] or '/'}"
        scope["sandbox.path"] = path
        scope["sandbox.version"] = versioned[2] if versioned else None
        scope["sandbox.hang_up"] = lambda: _hang_up(send)

        async def send_settled(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self.box.journal.settled()
            await send(message)

        await self.app(scope, receive, send_settled)


def create_app(box: Sandbox) -> ASGIApp:
    """The sandbox as an ASGI program. Its lifespan runs the deliveries."""
    storm = Storm()
    limits = httpx.Limits(max_connections=AT_ONCE + 4, max_keepalive_connections=AT_ONCE + 4)
    http = httpx.AsyncClient(timeout=box.settings.webhook_timeout_s, limits=limits, trust_env=False)
    deliverer = Deliverer(box, http)
    box.http = http
    stripe = StripeSandbox(box.settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        delivering = asyncio.create_task(deliverer.run())
        async with stripe.running():
            yield
        storm.stop()
        delivering.cancel()
        with suppress(asyncio.CancelledError):
            await delivering
        await deliverer.stop()
        await http.aclose()
        await box.journal.close()

    app = FastAPI(title="The sandbox Meta", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(control.look_routes(box))
    app.include_router(control.end_routes(box))
    app.include_router(control.set_routes(box, storm))
    app.include_router(control.fan_routes(box))
    app.include_router(control.comment_routes(box))
    app.include_router(thread_routes(box))
    app.include_router(control.storm_routes(box, storm))
    app.include_router(control.fault_routes(box, deliverer))
    app.include_router(publishing_routes(box))
    app.include_router(insights_routes(box))
    app.include_router(control_callbacks.callback_routes(box, http))
    app.include_router(facebook_control.people_routes(box))
    app.include_router(facebook_control.page_routes(box))
    app.include_router(dialog_routes(box))
    app.include_router(graph_routes(box))
    app.include_router(facebook_dialog_routes(box))
    app.include_router(facebook_routes(box))
    app.include_router(google_analytics_routes(box))
    app.include_router(spotify_control_routes(box))
    app.include_router(spotify_accounts_routes(box))
    app.include_router(spotify_api_routes(box))
    app.mount(STRIPE, stripe.app)
    add_front_page(app, box)
    app.add_exception_handler(ControlError, answer_control_error)
    app.add_exception_handler(RequestValidationError, answer_bad_order)
    return Front(app, box)


def add_front_page(app: FastAPI, box: Sandbox) -> None:
    """The page for people at `/`."""

    @app.get("/")
    async def front(said: str = "") -> Response:
        """What this is, and what has happened."""
        return HTMLResponse(pages.front_page(box, said))

    @app.post("/")
    async def act(request: Request) -> Response:
        """Write as a fan."""
        form = {key: str(value) for key, value in (await request.form()).items()}
        who = {"fan": form.get("fan", ""), "account": form.get("account", ""), "text": form.get("text", "")}
        try:
            if form.get("kind") == "comment":
                media = form.get("media", "")
                account = pages.media_owner(media) or who["account"]
                fans.comment(box, fans.Commented.model_validate(who | {"account": account, "media": media}))
            else:
                fans.write(box, fans.Write.model_validate(who))
        except ControlError as error:
            return HTMLResponse(pages.front_page(box, error.message), error.status)
        return RedirectResponse("/", 303)


async def answer_control_error(request: Request, exc: Exception) -> Response:
    """A control call that cannot be done."""
    assert isinstance(exc, ControlError)
    return JSONResponse({"error": exc.message}, exc.status)


async def answer_bad_order(request: Request, exc: Exception) -> Response:
    """A control call whose body or query is wrong, in a sentence."""
    assert isinstance(exc, RequestValidationError)
    problems = (f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in exc.errors())
    return JSONResponse({"error": "; ".join(problems) + "."}, 422)


def serve(settings: Settings) -> int:
    """Run until told to stop; the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, _exit_cleanly)
    try:
        asyncio.run(_serve(settings))
    except JournalError as exc:
        print(f"sandbox: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _serve(settings: Settings) -> None:
    box = Sandbox(settings)
    config = uvicorn.Config(
        create_app(box),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # addresses carry tokens
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    print(
        f"The sandbox Meta is at http://{settings.host}:{settings.port}/ and keeps its journal in {settings.data}",
        flush=True,
    )
    await uvicorn.Server(config).serve()


def _exit_cleanly(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _hang_up(send: Send) -> None:
    """Close the connection under uvicorn: `send` is bound to its request cycle, which holds the transport."""
    cycle = send.__self__  # type: ignore[attr-defined]
    cycle.disconnected = True
    cycle.transport.abort()
