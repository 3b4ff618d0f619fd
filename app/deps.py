"""What routes ask for beside the caller: paging, versions, the browser's origin, and how long to wait."""

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie
from pydantic import BaseModel

from app.access import PartsDep
from app.db import Doc
from app.errors import FieldError, InvalidInput, StaleVersion, UnsupportedMediaType, WrongOrigin
from app.forms import UNSUBSCRIBE
from app.models.cookies import DEVICE_COOKIE as DEVICE_COOKIE
from app.models.cookies import REFRESH_COOKIE as REFRESH_COOKIE
from app.models.operations import OperationOut
from app.parts import Parts
from app.services import operations

DEVICE_KNOWN_S = 400 * 24 * 3600
"""The longest that browsers keep a cookie."""
POLL_S = 0.1
_VERSION = re.compile(r'"(\d{1,18})"')
_TAGS = re.compile(r'\s*(?:(?:W/)?"[^"\s]*"\s*(?:,\s*|$))+')
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,4})(?:$|[,;\s])", re.IGNORECASE)
LONGEST_WAIT_S = 20

refresh_cookie = APIKeyCookie(
    name=REFRESH_COOKIE,
    auto_error=False,
    scheme_name="refresh_cookie",
    description="Set by `POST /v1/sessions`; changes at each refresh.",
)


def set_cookie(response: Response, name: str, value: str, lasts_s: int) -> None:
    """Set a cookie that no script reads, no plain connection carries, and no other site's POST."""
    response.set_cookie(name, value, max_age=lasts_s, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(response: Response, name: str) -> None:
    """Have the browser forget a cookie of ours."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


async def check_origin(
    parts: PartsDep,
    origin: Annotated[str | None, Header(include_in_schema=False)] = None,
    sec_fetch_site: Annotated[str | None, Header(include_in_schema=False)] = None,
    content_type: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> None:
    """Raise `WrongOrigin` when a browser uses the session's cookie from another site.

    Raise `UnsupportedMediaType` when it does so from ours, but without declaring JSON: no form can declare it, so the
    browser asks us first.

    A request with neither `Origin` nor `Sec-Fetch-Site` is no browser's: nothing else attaches cookies by itself.
    docs/decisions/0013-csrf.md.
    """
    if origin is None and sec_fetch_site is None:
        return
    own = urlsplit(parts.settings.public_url)
    if origin is None:
        ours = sec_fetch_site in ("same-origin", "none")
    else:
        ours = origin in (*parts.settings.origins, f"{own.scheme}://{own.netloc}")
    if not ours:
        raise WrongOrigin
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("Declare Content-Type: application/json, also without a body")


def takes_no_others(path: str) -> bool:
    """Whether what this path is asked with must be in the contract. Who else links to us may add to an address."""
    return path.startswith("/v1/") and not path.startswith(("/v1/oauth/", "/v1/webhooks/", UNSUBSCRIBE))


async def check_query(request: Request) -> None:
    """Raise `InvalidInput` for a parameter that the route does not have: a filter that is misspelt would show all."""
    asked = request.query_params.keys()
    if not asked or not takes_no_others(request.url.path):
        return
    known = list(dict.fromkeys(_queries_of(request.scope["route"].dependant)))
    if asked - set(known):
        detail = f"holds a parameter that this request does not have; there are {', '.join(known) or 'none'}"
        raise InvalidInput(errors=(FieldError("/query", detail),))


def _queries_of(dependant: Dependant) -> Iterator[str]:
    yield from (param.alias for param in dependant.query_params)
    for below in dependant.dependencies:
        yield from _queries_of(below)


@dataclass(frozen=True)
class Paging:
    """Which page is asked for."""

    limit: int
    cursor: str | None


async def get_paging(
    limit: Annotated[int, Query(ge=1, le=100, description="How many a page holds at most")] = 25,
    cursor: Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before")] = None,
) -> Paging:
    """The page asked for."""
    return Paging(limit, cursor)


PagingDep = Annotated[Paging, Depends(get_paging)]


async def get_versions(
    if_match: Annotated[
        str | None, Header(description="The `ETag` that you saw: refuses to overwrite later changes")
    ] = None,
) -> list[int] | None:
    """The versions that a change may apply to; none when any will do.

    Raises `StaleVersion` for no version of ours, and for a weak one, which is not compared here (RFC 9110, section
    13.1.1); `InvalidInput` for what is no entity tag.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        detail = 'must be an ETag as it was given, in its quotes, like "3"'
        raise InvalidInput(errors=(FieldError("/header/If-Match", detail),))
    versions = [int(found[1]) for tag in if_match.split(",") if (found := _VERSION.fullmatch(tag.strip()))]
    if not versions:
        raise StaleVersion
    return versions


VersionsDep = Annotated[list[int] | None, Depends(get_versions)]


def version_tag(document: Doc) -> str:
    """The `ETag` of a document that people change."""
    return f'"{document["version"]}"'


def content_tag(shown: BaseModel) -> str:
    """The `ETag` of what only we change."""
    return f'"{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


async def get_wait_s(
    prefer: Annotated[
        str | None, Header(description="`wait=N`: hold the answer for the result, at most 20 seconds")
    ] = None,
) -> float:
    """For how many seconds the caller would like to wait (RFC 7240)."""
    found = _WAIT.search(prefer or "")
    return float(min(int(found[1]), LONGEST_WAIT_S)) if found else 0


WaitDep = Annotated[float, Depends(get_wait_s)]


async def answer_operation(parts: Parts, operation: Doc, wait_s: float, response: Response) -> OperationOut:
    """Ring for the operation, and answer with it: `202`, or `200` when it ended within the time of `Prefer: wait`."""
    await parts.bell.ring(operation["_id"])
    if wait_s:
        operation = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        response.status_code = 200 if operation["state"] in operations.ENDED else 202
    response.headers["Location"] = f"/v1/operations/{operation['_id']}"
    return OperationOut.of(operation)


async def wait_for_end(parts: Parts, operation: Doc, wait_s: float) -> Doc:
    """The operation as it is when it has ended, or when the time is over, or when we are told to stop."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while operation["state"] not in operations.ENDED and asyncio.get_running_loop().time() < deadline:
        if parts.stopping:
            break
        await asyncio.sleep(POLL_S)
        operation = await operations.need(parts.db, operation["label_id"], operation["_id"])
    return operation
