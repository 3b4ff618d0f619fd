"""Saved replies: which texts may be kept, and what comes of their variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.models.saved_replies import VARIABLES, SavedReplyCreate
from app.services.inbox.rendering import render

VALUES = {"fan.name": "Mara", "fan.username": None, "account.name": "{{fan.name}}", "agent.name": ""}


@pytest.mark.parametrize(
    ("text", "expected", "missing"),
    [
        ("Hi {{fan.name}}!", "Hi Mara!", []),
        ("Hi {{ fan.name | there }}!", "Hi Mara!", []),
        ("Hi {{fan.username|there}}!", "Hi there!", []),
        ("Hi {{ fan.username | dear fan }}!", "Hi dear fan!", []),
        ("Hi {{fan.username}}{{fan.username}}!", "Hi !", ["fan.username"]),
        ("Hi {{fan.username|}}!", "Hi !", []),
        ("{{account.name}}, {{agent.name|us}}", "{{fan.name}}, us", []),
        ("No variables, {one} brace", "No variables, {one} brace", []),
    ],
)
def test_variables(text: str, expected: str, missing: list[str]) -> None:
    """A value, else the fallback, else nothing, which is told; a value is never read as a variable."""
    kept = SavedReplyCreate(name="x", text=text)
    rendered = render(kept.text, VALUES)
    assert (rendered.text, rendered.missing) == (expected, missing)


@pytest.mark.parametrize("text", ["Hi {{name}}", "{{fan.email|x}}", "{{}}", "Hi {{fan.name", "fan.name}}", "  "])
def test_refused(text: str) -> None:
    """An unknown variable, braces that are left open, and nothing at all."""
    with pytest.raises(ValidationError):
        SavedReplyCreate(name="x", text=text)


@given(st.text(alphabet="a{}|. fn", max_size=40), st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text()))
def test_whatever_is_kept_can_be_rendered(text: str, values: dict[str, str]) -> None:
    """Rendering never fails, and leaves no braces of the text's own."""
    try:
        kept = SavedReplyCreate(name="x", text=text)
    except ValidationError:
        return
    assert "{{" not in render(kept.text, dict.fromkeys(VARIABLES, "x")).text
    render(kept.text, values)
