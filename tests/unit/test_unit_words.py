"""The words of a text: what is kept for the index, and what a search asks of it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.inbox.words import MOST_ASKED, MOST_CHARACTERS, MOST_WORDS, query, tokens


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("When does the NEW album drop?", "new ALBUM"),
        ("Straße", "STRASSE"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("Café", "cafe\u0301"),
        ("新曲はいつ出ますか", "新曲"),
        ("新曲はいつ出ますか", "曲"),
        ("앨범을 샀어요", "앨범"),
        ("อัลบั้มใหม่", "อัลบั้ม"),
        ("नया गाना कब आएगा", "गाना"),
        ("so good ❤️🔥🔥", "❤"),
        ("so good 👍🏽", "👍🏿"),
        ("from 🇩🇪🇫🇷", "🇫🇷"),
        ("she sings 👩‍🎤!", "👩‍🎤"),
        ("hear #NewAlbum now", "newalbum"),
        ("hear #NewAlbum now", "#newalbum"),
        ("thanks @dj_shadow.x.", "@DJ_Shadow.x"),
        ("thanks @dj_shadow.x.", "shadow"),
        ("the #vinyl.Great", "#vinyl great"),
        ("buy https://www.shop.example.com/item?id=1", "shop.example.com"),
        ("buy https://www.shop.example.com/item?id=1", "https://shop.example.com"),
        ("می‌خواهم", "میخواهم"),
        ("sp\u00adam", "spam"),
    ],
)
def test_found(text: str, asked: str) -> None:
    """A text is found by its words, however they are written."""
    assert query(asked)
    assert set(query(asked)) <= set(tokens(text))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("the newalbum", "#newalbum"),
        ("album", "alb"),
        ("Cafe", "café"),
        ("write to bob@example.com", "@example.com"),
        ("see https://example.com/secret", "secret"),
        ("from 🇩🇪", "🇫🇷"),
        ("曲新", "新曲"),
    ],
)
def test_not_found(text: str, asked: str) -> None:
    """Another word is another word."""
    assert not set(query(asked)) <= set(tokens(text))


@pytest.mark.parametrize("text", ["", " ", "?!…", "\u200d", "\u200d\u200d", "\ufe0f"])
def test_nothing(text: str) -> None:
    """What has no word has none."""
    assert (tokens(text), query(text)) == ([], [])


@given(st.text(max_size=3000))
def test_bounds(text: str) -> None:
    """Whatever comes, the words are few, short, each once, none empty, and the same the next time."""
    found = tokens(text)
    assert len(found) == len(set(found)) <= MOST_WORDS
    assert all(0 < len(word) <= MOST_CHARACTERS for word in found)
    assert len(query(text)) <= MOST_ASKED
    assert tokens(text) == found == tokens(unicodedata.normalize("NFD", text))


@given(st.lists(st.text(max_size=10), max_size=6))
def test_every_part_is_found(parts: list[str]) -> None:
    """A text is found by the words of each of its parts, and by all of them."""
    kept = set(tokens("\n".join(parts)))
    for part in [*parts, "\n".join(parts)]:
        assert set(query(part)) <= kept
