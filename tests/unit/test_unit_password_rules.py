"""Which passwords are refused, and that the usual good ones are not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.services.people.password_rules import PasswordRules

RULES = PasswordRules.load(None)
OWN = ("Mara Lind", "mara.lind@example.com")
REFUSED = [
    "123456789987654321",
    "PasswordPassword",
    "password1234567",
    "!!!!Password2026",
    "princesssunshine",
    "iloveyou!!!!!!!!",
    "letmeinletmein!1",
    "123456789012345",
    "543210987654321",
    "abcdefghijklmnop",
    "zyxwvutsrqponmlk",
    "qwertyuiopasdfgh",
    "aaaaaaaaaaaaaaaa",
    "abcabcabcabcabca",
    "soundopssoundops",
    "Mara Lind 1990!!",
    "mara.lind.mara.lind",
    "example.com-mara",
]
TAKEN = [
    "a long sentence only I know",
    "correct horse battery staple",
    "Tr0ub4dor&3-zebra",
    "Mara Lind sings at the harbour",
    "ünïcödé pässwörter sind lang",
    "  spaces at both ends count  ",
    "🎵🎷🎺🎸🎻🥁🪕🪗🎹🎤🎧📻🎼🎙🎚",
]


def refuses(password: str, rules: PasswordRules = RULES) -> bool:
    """Whether this is refused; then at its place, and without being repeated."""
    try:
        rules.check(password, OWN)
    except InvalidInput as problem:
        refused = problem
    else:
        return False
    assert [error.pointer for error in refused.errors] == ["/password"]
    assert password not in refused.errors[0].detail
    return True


@pytest.mark.parametrize("password", REFUSED)
def test_what_is_easy_to_guess_is_refused(password: str) -> None:
    """Common ones, and what people make of them."""
    assert refuses(password)


@pytest.mark.parametrize("password", TAKEN)
def test_a_sentence_is_taken(password: str) -> None:
    """No rules about kinds of characters."""
    assert not refuses(password)


def test_the_list_is_long_enough() -> None:
    """R-13 wants 3,000 words and our own."""
    assert len(RULES.refused) > 30_000 and "soundops" in RULES.refused


def test_an_operators_list_counts_too(tmp_path: Path) -> None:
    """One a line, in any case."""
    leaked = tmp_path / "leaked.txt"
    leaked.write_text("A long sentence only I know\n\nanother one entirely\n")
    rules = PasswordRules.load(leaked)
    assert refuses("a long sentence only I know", rules) and not refuses("correct horse battery staple", rules)


@given(st.sampled_from(sorted(RULES.refused)), st.sampled_from(["", "1", "!", "2026", "12345678"]))
def test_every_common_password_is_refused_in_any_case_and_with_a_tail(common: str, tail: str) -> None:
    """However it is stretched."""
    if common[-1:].isalpha() or not tail:
        assert refuses(common.upper() + tail)


@given(st.text(min_size=15, max_size=128))
def test_any_text_gets_an_answer(password: str) -> None:
    """Quickly, and never an error of another kind."""
    assert refuses(password) in (True, False)
