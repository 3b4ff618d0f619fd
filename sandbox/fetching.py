"""Fetching what a call names by its address, as Meta does: only http and https, no redirects, and only media.

Source: meta-platform.md, sections 5.2, 5.3 and 5.7.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.errors import GraphError

MEGABYTE = 1_000_000
MOST_BYTES = 1000 * MEGABYTE
KEPT_BYTES = 1 * MEGABYTE
FETCH_S = 10.0
GIVEN = {
    "image_url": "image",
    "video_url": "video",
    "cover_url": "image",
    "url": "image",
    "file_url": "video",
}
"""Which parameters name a file, and of which kind it must be."""


@dataclass(frozen=True)
class Fetched:
    """A file as it was when it was fetched."""

    size: int
    sha256: str
    head: bytes

    @property
    def is_jpeg(self) -> bool:
        """Whether it begins as a JPEG does."""
        return self.head.startswith(b"\xff\xd8\xff")

    @property
    def is_video(self) -> bool:
        """Whether it begins as an MP4 or MOV does."""
        return self.head[4:8] in (b"ftyp", b"moov", b"wide", b"mdat")

    def ratio(self) -> float | None:
        """Width by height of a JPEG; none when its head does not tell."""
        at = 2
        while at + 9 <= len(self.head):
            mark, length = self.head[at + 1], struct.unpack(">H", self.head[at + 2 : at + 4])[0]
            if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack(">HH", self.head[at + 5 : at + 9])
                return float(width / height) if height else None
            at += 2 + length
        return None


async def fetch_named(http: httpx.AsyncClient, params: dict[str, Any]) -> dict[str, Fetched]:
    """Every file that the call names, by its parameter. Raises 9004/2207052."""
    named = {name: str(params[name]) for name in GIVEN if params.get(name)}
    return {name: await _fetch(http, url) for name, url in named.items()}


async def _fetch(http: httpx.AsyncClient, url: str) -> Fetched:
    refused = GraphError(9004, "The media could not be fetched from this URI", 2207052)
    if not url.isascii() or not url.startswith(("http://", "https://")):
        raise refused
    digest, size, head = hashlib.sha256(), 0, bytearray()
    try:
        async with http.stream("GET", url, follow_redirects=False, timeout=FETCH_S) as answer:
            if answer.status_code != 200:
                raise refused
            async for chunk in answer.aiter_bytes():
                digest.update(chunk)
                size += len(chunk)
                head += chunk[: max(0, KEPT_BYTES - len(head))]
                if size > MOST_BYTES:
                    raise refused
    except (httpx.HTTPError, httpx.InvalidURL):
        raise refused from None
    return Fetched(size, digest.hexdigest(), bytes(head))


def check_image(file: Fetched, *, most_bytes: int, any_ratio: bool) -> None:
    """Raise 36000, 36001 or 36003 for an image that is not taken."""
    if file.size > most_bytes:
        raise GraphError(36000, "The image is too large", 2207004)
    if not file.is_jpeg:
        raise GraphError(36001, "The image format is not supported", 2207005)
    ratio = file.ratio()
    if not any_ratio and ratio is not None and not 0.79 <= ratio <= 1.92:
        raise GraphError(36003, "The aspect ratio is not supported", 2207009)


def check_video(file: Fetched) -> None:
    """Raise 352 for a video that is not taken."""
    if not file.is_video:
        raise GraphError(352, "The video format is not supported", 2207026)
