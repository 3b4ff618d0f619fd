"""Health and discovery: alive, ready, the contract, the manual, our public keys, and whom to tell of a hole."""

import asyncio
import mimetypes
from datetime import timedelta
from importlib import resources

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app import contract
from app.access import ANYBODY, PartsDep
from app.errors import NotFound
from app.models.base import rfc3339
from app.models.health import Health, Jwk, Jwks, Readiness
from app.readiness import look

router = APIRouter(tags=["health"])
SECURITY_CONTACT = "mailto:security@soundops.io"
SECURITY_TXT_LIFE = timedelta(days=180)
MANUAL_FILES = {
    "swagger-ui.css": resources.files("fastapi_swagger") / "resources" / "swagger-ui.css",
    "swagger-ui-bundle.js": resources.files("fastapi_swagger") / "resources" / "swagger-ui-bundle.js",
}
MANUAL_CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
MANUAL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>SoundOps API</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/docs/swagger-ui.css"></head><body><main id="manual"></main>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""
MANUAL_START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#manual", validatorUrl: null, deepLinking: true, tryItOutEnabled: true,
  showExtensions: true,
  requestInterceptor: request => { // a refresh or a log-out has no body, and must declare JSON all the same
    const named = Object.keys(request.headers).some(name => name.toLowerCase() === "content-type")
    if (!named && !/^get$/i.test(request.method || "get")) request.headers["Content-Type"] = "application/json"
    return request
  },
})
"""


@router.get("/healthz", operation_id="getHealth", openapi_extra=ANYBODY)
async def get_health() -> Health:
    """Whether the process runs. It looks at nothing else."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="getReadiness",
    openapi_extra=ANYBODY,
    responses={503: {"model": Readiness, "description": "A part is missing, or an index is not as declared"}},
)
async def get_readiness(parts: PartsDep, request: Request, response: Response) -> Readiness:
    """Whether requests can be served: MongoDB and its indexes, Redis and the key ring, each with its state."""
    found = await look(parts, request.app.state.indexes)
    response.status_code = 200 if found.ready else 503
    return found


@router.get("/.well-known/jwks.json", operation_id="getJwks", openapi_extra=ANYBODY)
async def get_jwks(parts: PartsDep, response: Response) -> Jwks:
    """The public keys that our access tokens are verified with."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return Jwks(keys=[Jwk(**found) for found in parts.signer.public_jwks])


@router.get(
    "/.well-known/security.txt",
    operation_id="getSecurityTxt",
    openapi_extra=ANYBODY,
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_security_txt(parts: PartsDep) -> Response:
    """Whom to tell of a vulnerability (RFC 9116)."""
    ends = rfc3339((parts.clock() + SECURITY_TXT_LIFE).replace(hour=0, minute=0, second=0, microsecond=0))
    url = f"{parts.settings.public_url}/.well-known/security.txt"
    text = f"Contact: {SECURITY_CONTACT}\nExpires: {ends}\nPreferred-Languages: en\nCanonical: {url}\n"
    return Response(text, media_type="text/plain")


@router.get("/openapi.json", include_in_schema=False, openapi_extra=ANYBODY)
async def get_contract(request: Request) -> Response:
    """The contract, byte by byte as the repository's `openapi.json`."""
    return Response(await asyncio.to_thread(contract.document, request.app), media_type="application/json")


@router.get("/docs", include_in_schema=False, openapi_extra=ANYBODY)
async def get_manual(parts: PartsDep) -> HTMLResponse:
    """The contract as a page on which each request can be tried. Raises `NotFound` where it is not shown."""
    if not parts.settings.shows_docs:
        raise NotFound
    return HTMLResponse(MANUAL, headers={"Content-Security-Policy": MANUAL_CSP})


@router.get("/docs/{name}", include_in_schema=False, openapi_extra=ANYBODY)
async def get_manual_file(parts: PartsDep, name: str) -> Response:
    """What the page is made of; nothing comes from another site. Raises `NotFound`."""
    if not parts.settings.shows_docs:
        raise NotFound
    if name == "start.js":
        return Response(MANUAL_START, media_type="text/javascript")
    if name not in MANUAL_FILES:
        raise NotFound
    kind = mimetypes.guess_type(name)[0]
    return Response(MANUAL_FILES[name].read_bytes(), media_type=kind, headers={"Cache-Control": "max-age=3600"})
