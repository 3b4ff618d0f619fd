"""Calls of the matrices, and what answers have in common."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import httpx

from app.db import Doc
from app.ids import Prefix
from tests.api.matrix_contract import Operation, Place, put

Shape = tuple[int, list[tuple[str, str]], str]
"""A status, headers and a text."""
_ID = re.compile(rf"\b(?:{'|'.join(get_args(Prefix))})_[0-9a-z]{{26}}\b")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_FRESH = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=state=)[\w-]+|(?<=secret=)\w+|(?<=totp_seed\":\")\w+|\b\w{4}(?:-\w{4}){3}\b|\bso[krt]_[\w-]+|(?<=hint\":\")[\w-]+"
    r"|(?<=policy\":\")[\w+/=]+|(?<=signature\":\")\w+|(?<=expires=)\d+|\b[A-Z2-7]{24}\b|(?<=signature=)\w+"
)
"""Tokens, states, seeds, recovery and confirmation codes, forms and links, which are new in each answer."""
_BLANK = re.compile(r"x-request-id|date|etag|location|retry-after|ratelimit.*|set-cookie")


@dataclass(frozen=True)
class Call:
    """A request that is good as it is, and can be made with something else at one place."""

    operation: Operation
    path: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def at(self, place: Place, value: str) -> "Call":
        """The same with this value there."""
        if place.where == "path":
            return replace(self, path=self.path | {place.name: value})
        if place.where == "query":
            return replace(self, query=self.query | {place.name: value})
        return replace(self, body=put(self.body, place.steps, value))

    async def by(self, client: httpx.AsyncClient) -> httpx.Response:
        """Make it."""
        more: Doc = {} if self.body is None else {"json": self.body}
        url = self.operation.path.format(**self.path)
        answer = await client.request(self.operation.method, url, params=self.query, headers=self.headers, **more)
        client.cookies.clear()
        return answer


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """The status, and the problem's code if it is one."""
    return answer.status_code, str(answer.json()["code"]) if answer.status_code >= 400 else ""


def shape(answer: httpx.Response, *given: str) -> Shape:
    """An answer without what differs between any two: what was `given`, ids, instants, new secrets, limits' figures."""
    text = answer.text
    for value in (answer.headers["x-request-id"], *given):
        text = text.replace(value, "…")
    text = _INSTANT.sub("…", _ID.sub("…", _FRESH.sub("…", text)))
    headers = [(name, "…" if _BLANK.fullmatch(name) else value) for name, value in answer.headers.multi_items()]
    length = str(len(answer.content) - len(answer.text) + len(text))
    return answer.status_code, sorted((n, length if n == "content-length" else v) for n, v in headers), text
