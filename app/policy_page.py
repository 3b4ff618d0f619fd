"""The privacy policy as a page: its own lines, as headings, lists and paragraphs."""

import re
from itertools import groupby

from app.models.policies import Policy
from app.pages import HEADERS as HEADERS
from app.pages import render


def page_of(policy: Policy) -> str:
    """The page."""
    title, *lines = policy.text.splitlines()
    parts = [(tag, [line.removeprefix("- ") for line in found]) for tag, found in groupby(lines, _tag)]
    return render("policy.html", title=title, parts=parts)


def _tag(line: str) -> str:
    """What a line is: an item of a list, a section, a part of one, or a paragraph."""
    if line.startswith("- "):
        return "li"
    numbered = re.match(r"\d+\.(\d+)? ", line)
    return ("h3" if numbered[1] else "h2") if numbered else "p"
