"""The spam score explains itself, and ordinary fans are not spammers."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.rule_runs import SpamReason
from app.services.rules import spam, texts
from tests.unit.rules_makers import facts


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        ("listen at nightjar.bandcamp.com", {}, "link"),
        ("http://a.example http://b.example", {}, "many_links"),
        ("see bit.ly/2x", {}, "shortener"),
        ("soooooooo good", {}, "repeated_characters"),
        ("THIS IS THE BEST SONG", {}, "all_capitals"),
        ("@a @b @c @d look", {}, "many_mentions"),
        ("#a #b #c #d #e #f", {}, "many_hashtags"),
        ("Get FREE followers now", {}, "bait"),
        ("Gana dinero desde casa", {}, "bait"),
        ("Frее followers", {}, "bait"),
        ("f\u200bree fol\u200blowers", {}, "bait"),
        ("nice", {"same_text": True}, "same_text"),
        ("nice", {"first_contact": True}, "new_author"),
        ("ni\u200bce", {}, "hidden_characters"),
        ("аррle", {}, "lookalike_letters"),
        ("𝐍𝐢𝐜𝐞", {}, "lookalike_letters"),
    ],
)
def test_each_reason(text: str, more: dict[str, Any], reason: SpamReason) -> None:
    """Is given for what it is about, and not for an ordinary comment."""
    assert reason in facts(text, **more).spam.reasons
    assert reason not in facts("When does the vinyl come out?").spam.reasons


def test_every_reason_has_its_points() -> None:
    """And is in the documents with them; a text with all of them is at the top."""
    rows = {f"| `{reason}` | {points} |" for reason, points in spam.POINTS.items()}
    told = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    assert {row for row in rows if row not in told} == set()
    assert set(spam.POINTS) == set(get_args(SpamReason))
    assert sum(spam.POINTS.values()) > spam.MOST
    assert [reason for reason, points in spam.POINTS.items() if points >= 40] == ["shortener"]


@pytest.mark.parametrize(
    "text",
    [
        "Love it",
        "🔥🔥🔥👩‍👩‍👧",
        "When do you play in Oslo? I would be there",
        "Очень красивая песня, спасибо",
        "Πολύ ωραίο τραγούδι",
        "この曲大好き",
        "שיר יפה מאוד",
        "می‌خواهم",
        "WOW",
        "@nightjar is this you? #vinyl",
        "I gave it 9.5/10...really good.Thanks",
    ],
)
def test_fans_are_no_spammers(text: str) -> None:
    """Ordinary words in several scripts have no reason at all."""
    assert facts(text).spam == spam.Spam(0, ())


@given(st.text(max_size=200), st.booleans(), st.booleans())
def test_the_score_is_the_sum_of_its_reasons(text: str, first: bool, again: bool) -> None:
    """For any text, the same twice, between 0 and 100."""
    found = facts(text, first_contact=first, same_text=again).spam
    assert found == facts(text, first_contact=first, same_text=again).spam
    assert 0 <= found.score == min(100, sum(points for _, points in found.points())) <= 100
    assert len(set(found.reasons)) == len(found.reasons)


def test_the_same_text_in_disguise_is_the_same() -> None:
    """Case, signs, hidden letters and lookalikes make no other text; another label's has nothing in common."""
    key = texts.same_text_key("lbl_1", "Get free followers here")
    for text in ("GET  FREE followers, here!!!", "Get fr\u200bee followers here", "Get frее followers here"):
        assert texts.same_text_key("lbl_1", text) == key
    assert key and texts.same_text_key("lbl_2", "Get free followers here") != key
    assert texts.same_text_key("lbl_1", "Get free followers there") != key
    assert texts.same_text_key("lbl_1", "so nice") is None


@given(st.text(alphabet="a.-@/:w ht#", max_size=3000))
def test_links_are_found_in_no_time(text: str) -> None:
    """Hypothesis has a deadline of 200 ms for each."""
    texts.hosts_in(text)
