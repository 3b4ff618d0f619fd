"""The documents name what is there, and only that."""

import re
from pathlib import Path

from app.limiter import DEFAULTS
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
