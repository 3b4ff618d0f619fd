"""Answers that are drawings: who wants one, and what keeps it from being more than a picture."""

from fastapi import Request

LIKE_AN_IMAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
KIND = "image/svg+xml"


def wants_svg(request: Request) -> bool:
    """Whether the `Accept` header names SVG, and JSON not before it."""
    asked = {"application/json": 0.0, KIND: 0.0}
    for part in request.headers.get("accept", "").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind in asked:
            asked[kind] = max(asked[kind], _quality(parameters))
    return asked[KIND] > 0 and asked[KIND] >= asked["application/json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
