"""What lies outside MongoDB is declared, and nothing is declared that is not there; what is made of it is fresh."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from app.limiter import KEY_PREFIX
from app.models.data_map import DATA_MAP
from app.models.processing import ACTIVITIES, HOSTS
from app.models.stores import LOG_FIELDS, RECIPIENTS, recipient_of, undeclared_field, undeclared_file, undeclared_key
from app.services.assets.keys import of_label, quarantine
from app.services.processing.diagram import page
from app.services.processing.record import record, retention, sheet
from tools import promise_list

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception"}


def logged_fields() -> set[str]:
    """The fields of every call of a logger in the product."""
    found: set[str] = set()
    for path in (*(ROOT / "app").rglob("*.py"), *(ROOT / "workers").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value
                if isinstance(of, ast.Name) and of.id == "log" and node.func.attr in LEVELS:
                    found |= {word.arg for word in node.keywords if word.arg}
    return found


def test_every_field_of_the_log_is_declared() -> None:
    """Those that calls name; and each once."""
    assert sorted(name for name in logged_fields() if undeclared_field(name)) == []
    assert [name for name, count in Counter(one.name for one in LOG_FIELDS).items() if count > 1] == []


def test_keys_and_files_of_ours_are_declared() -> None:
    """The forms that the code makes, and no other."""
    assert not undeclared_key(f"{KEY_PREFIX}login_account:{'0f' * 16}")
    assert not undeclared_key("arq:job:5f0c") and not undeclared_key("soundops:jobs")
    assert undeclared_key("cache:mara") and undeclared_key(f"{KEY_PREFIX}login_account:mara@example.com")
    keys = (quarantine("lbl_1", "ast_1"), *of_label("lbl_1"))
    assert not any(undeclared_file(key) for key in keys) and undeclared_file("tmp/people.csv")


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("cluster0.ab1cd.mongodb.net", "mongodb_atlas"),
        ("s3.eu-central-1.amazonaws.com", "aws"),
        ("api.stripe.com", "stripe"),
        ("graph.instagram.com", "meta"),
        ("evil-amazonaws.com", None),
        ("amazonaws.com.evil.example", None),
        ("facebook.com", "meta"),
    ],
)
def test_whose_a_machine_is(host: str, who: str | None) -> None:
    """By the end of its name, with the dot before it."""
    found = recipient_of(host)
    assert (found.id if found else None) == who


def test_every_collection_is_of_one_activity() -> None:
    """And every activity names recipients that are declared."""
    kept = Counter(collection.name for one in ACTIVITIES for collection in one.collections)
    assert kept == Counter(DATA_MAP.keys())
    known = {one.id for one in RECIPIENTS}
    assert {name for one in ACTIVITIES for name in one.recipients} | set(HOSTS) <= known
    assert all(one.country and one.safeguard and one.retention for one in RECIPIENTS)


def test_the_record_says_all() -> None:
    """No row is without a purpose, a time and a ground; as a sheet, no cell computes."""
    rows = retention().data
    assert all(row.purpose and row.retention and row.ground and row.on_erasure for row in rows)
    found = record()
    assert all(one.purposes and one.ground and one.retention and one.measures for one in found.activities)
    assert len(sheet(found.activities).splitlines()) == len(found.activities) + 1
    assert not any(cell.startswith(("=", "+", "@")) for cell in sheet(rows).split(","))


def test_the_diagram_is_fresh() -> None:
    """`docs/data-flow.md` is what the map says: python -m tools.data_flow > docs/data-flow.md."""
    assert (ROOT / "docs" / "data-flow.md").read_text() == page()


def test_the_list_of_promises_is_fresh() -> None:
    """`docs/promises.md` is what the list says: python -m tools.promise_list > docs/promises.md."""
    assert (ROOT / "docs" / "promises.md").read_text() == promise_list.page()
