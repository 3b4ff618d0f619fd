"""Answers that are drawings: who wants one, and what keeps it from being more than a picture."""

from fastapi import Request

from app.accepting import wishes

LIKE_AN_IMAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
KIND = "image/svg+xml"


def wants_svg(request: Request) -> bool:
    """Whether the `Accept` header names SVG, and JSON not before it."""
    wanted = wishes(request.headers.get("accept", ""), KIND, "application/json")
    return wanted[KIND] > 0 and wanted[KIND] >= wanted["application/json"]
