"""The documents name what is there, and only that."""

import re
from pathlib import Path
from typing import get_args

from app import billing_errors
from app.errors import Problem
from app.limiter import DEFAULTS
from app.models.access import PERMISSIONS, Scope
from app.services.events import Type
from app.services.stream.items import READ_WITH
from app.settings import ApiSettings, WorkerSettings

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def test_every_setting_is_documented() -> None:
    """A setting that operators cannot look up is not there for them."""
    text = (ROOT / "docs" / "operations.md").read_text()
    fields = ApiSettings.model_fields | WorkerSettings.model_fields
    names = {f"SOUNDOPS_{name.upper()}" for name in fields}
    shortened = {"SOUNDOPS_INSTAGRAM_API_URL", "SOUNDOPS_INSTAGRAM_GRAPH_URL"}
    assert {name for name in names - shortened if f"`{name}`" not in text} == set()
    assert set(re.findall(r"`(SOUNDOPS_[A-Z_]+)`", text)) <= names


def test_every_limit_is_documented() -> None:
    """With the default that it has."""
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = {f"| `{name}` | {limit.quota}/{limit.window_s} |" for name, limit in DEFAULTS.items()}
    assert {row for row in rows if row not in text} == set()


def test_links_lead_somewhere() -> None:
    """Every relative link of every document."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert len(pages) > 10
    broken = [
        (page.name, link)
        for page in pages
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_kind_of_event_is_documented() -> None:
    """With what one needs to hear of it; and the contract lists the types."""
    text = (ROOT / "docs" / "stream.md").read_text()
    rows = {word: [line for line in text.splitlines() if f"`{word}.…`" in line] for word in READ_WITH}
    assert {word for word, found in rows.items() if not found or f"`{READ_WITH[word]}`" not in found[0]} == set()
    contract = (ROOT / "openapi.json").read_text()
    assert {one for one in get_args(Type) if one not in contract} == set()


def test_every_scope_of_partners_is_documented() -> None:
    """By its name, beside what needs the owner's decision or not."""
    rows = (ROOT / "docs" / "partners.md").read_text().splitlines()
    told = {start: next(row for row in rows if row.startswith(start)) for start in ("| the label's own", "| data from")}
    wrong = {
        scope
        for scope in get_args(Scope)
        if f"`{scope}`" not in told["| data from" if PERMISSIONS[scope].meta else "| the label's own"]
    }
    assert wrong == set()


def test_every_refusal_of_billing_is_documented() -> None:
    """By its code."""
    text = (ROOT / "docs" / "billing.md").read_text()
    refusals = [one for one in vars(billing_errors).values() if isinstance(one, type) and issubclass(one, Problem)]
    assert {one.code for one in refusals if one is not Problem and f"{one.code}`" not in text} == set()
