"""The words by which people are asked for a consent: data, a version each, never changed once they were shown.

A consent's row in the ledger names the version and the SHA-256 of the words, so that what somebody agreed to can be
shown years later. New words are a new version here; the old ones stay.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

Purpose = Literal["analytics", "marketing_mail"]
"""What somebody may consent to. Each is asked for alone, and apart from the terms."""
Language = Literal["en"]


@dataclass(frozen=True)
class ConsentText:
    """The words of one question."""

    purpose: Purpose
    version: str
    """The day from which they are shown."""
    language: Language
    words: str

    @property
    def sha256(self) -> str:
        """Of exactly these words, in UTF-8."""
        return hashlib.sha256(self.words.encode()).hexdigest()


TEXTS = (
    ConsentText(
        purpose="analytics",
        version="2026-11-29",
        language="en",
        words=(
            "May we count which pages and features of SoundOps you use, to see what to improve? We note the name of "
            "the page or feature, when, and the kind of browser and system; never what you write, whole addresses or "
            "your network address. We also send this to Google Analytics, under a number that only stands for you "
            "there. After 24 months only monthly sums are left, without you in them. It works the same if you say no, "
            "and you can change your mind at any time; what was noted is then deleted."
        ),
    ),
    ConsentText(
        purpose="analytics",
        version="2026-11-30",
        language="en",
        words=(
            "May we count which pages and features of SoundOps you use, to see what to improve? We note the name of "
            "the page or feature, when, and the kind of browser and system; never what you write, whole addresses or "
            "your network address. Where we use Google Analytics, we send it there, too, under a number that only "
            "stands for you there. After 24 months only monthly sums are left, without you in them. It works the same "
            "if you say no, and you can change your mind at any time; what we have noted is then deleted here, and "
            "nothing more is sent."
        ),
    ),
    ConsentText(
        purpose="marketing_mail",
        version="2026-11-29",
        language="en",
        words=(
            "May we send you mails about new features of SoundOps and offers of ours? A few a year, to the address of "
            "your account. It works the same if you say no, and every such mail has a link that ends them at once."
        ),
    ),
)
"""All that were ever shown, the oldest of each purpose first."""


def text_of(purpose: Purpose, version: str) -> ConsentText | None:
    """These words, or none: they were never shown."""
    return next((text for text in TEXTS if (text.purpose, text.version) == (purpose, version)), None)


def current(purpose: Purpose) -> ConsentText:
    """What is shown now."""
    return [text for text in TEXTS if text.purpose == purpose][-1]
