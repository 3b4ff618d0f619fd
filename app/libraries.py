"""The versions of libraries below which we do not start: older ones have holes that a request reaches."""

import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

FLOORS = {"starlette": "1.5.1", "python-multipart": "0.0.27", "pymongo": "4.9"}
"""Ranges without end; headers of a form's parts without end (reliability-security.md, section 1)."""


def check_libraries() -> None:
    """End the process with one sentence for each library that is too old."""
    found = too_old({name: installed for name in FLOORS if (installed := _installed(name))})
    if found:
        print(*found, sep="\n", file=sys.stderr)
        sys.exit(2)


def too_old(installed: Mapping[str, str]) -> list[str]:
    """A sentence for each of these libraries that is older than its floor."""
    return [
        f"The library {name} must be {floor} or later."
        for name, floor in FLOORS.items()
        if name in installed and _numbers(installed[name]) < _numbers(floor)
    ]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> list[int]:
    """The numbers before any letter: what comes before a release counts as the release."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return [int(part) for part in found[0].split(".")] if found else []
