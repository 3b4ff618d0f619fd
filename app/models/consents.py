"""Consents, as the API shows and takes them."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.consent_texts import ConsentText, Language, Purpose
from app.models.cookies import CookieKind

TextVersion = Annotated[str, Field(min_length=1, max_length=40, examples=["2026-11-29"])]
Hash = Annotated[str, Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])]
Decision = Literal["given", "withdrawn", "refused"]
How = Literal["register", "banner", "settings", "mail_link", "gpc", "joined", "before_ledger", "restored"]
"""`joined`: a visitor's decision that its person took over into their account, and its end with the visitor.
`before_ledger`: an older release noted it, without the words that were shown. `restored`: a withdrawal that a restored
backup did not know of."""


class ConsentTextOut(ApiModel):
    """The words of a question, to be shown as they are."""

    purpose: Purpose
    version: TextVersion
    language: Language
    sha256: Hash
    """Of the words, in UTF-8: what the ledger holds."""
    words: str

    @classmethod
    def of(cls, text: ConsentText) -> "ConsentTextOut":
        """These words."""
        return cls(
            purpose=text.purpose,
            version=text.version,
            language=text.language,
            sha256=text.sha256,
            words=text.words,
        )


class ConsentOut(ApiModel):
    """One decision: a row of the ledger. It is never changed."""

    id: Annotated[str, Field(examples=["cst_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    purpose: Purpose
    decision: Decision
    text_version: str | None
    """Of the words that were shown; null where none were: by a link, by a signal, or noted by an older release."""
    text_sha256: str | None
    language: Language | None
    how: How
    gpc: bool
    """Whether the browser said `Sec-GPC: 1` with it."""
    at: Instant

    @classmethod
    def of(cls, row: Doc) -> "ConsentOut":
        """The decision of this row."""
        return cls(
            id=row["_id"],
            purpose=row["purpose"],
            decision=row["decision"],
            text_version=row["text_version"],
            text_sha256=row["text_digest"],
            language=row["language"],
            how=row["how"],
            gpc=row["gpc"],
            at=row["at"],
        )


class ConsentPage(Page[ConsentOut]):
    """What a person has decided, the newest first."""


class ConsentsOut(ApiModel):
    """What a person consents to now."""

    analytics: bool
    marketing_mail: bool
    suspended: list[Purpose]
    """What was given and does not count now: the person has restricted the use of their data, or objects to it."""
    gpc: bool
    """Whether this request said `Sec-GPC: 1`: then what was given without it is off until it is given again."""
    decisions: list[ConsentOut]
    """The newest decision for each purpose that was decided on."""
    texts: list[ConsentTextOut]
    """The words that are shown now."""


class TextsShown(ApiModel):
    """Which words were shown. What is left out is taken to be the present ones. A yes to others is refused."""

    analytics: TextVersion = Field(default_factory=left_out)
    marketing_mail: TextVersion = Field(default_factory=left_out)


class ConsentsChange(ApiModel):
    """What the person decides; what is left out stays."""

    analytics: StrictBool = Field(default_factory=left_out)
    marketing_mail: StrictBool = Field(default_factory=left_out)
    text_versions: TextsShown = Field(default_factory=TextsShown)


class VisitorChoice(ApiModel):
    """What somebody who is not logged in decides at the banner."""

    analytics: Annotated[StrictBool, Field(examples=[True])]
    text_versions: TextsShown = Field(default_factory=TextsShown)


class VisitorConsents(ApiModel):
    """What this browser's visitor has decided."""

    analytics: bool
    ask: bool
    """Whether the banner is due: nothing was decided, or six months have gone by."""
    asks_again_at: Instant | None
    """When a consent ends; null where there is none."""
    gpc: bool
    """Whether this request said `Sec-GPC: 1`: then there is no need to ask, the answer is no."""
    texts: list[ConsentTextOut]


class Unsubscribed(ApiModel):
    """What became of a link in a marketing mail."""

    unsubscribed: bool
    """Whether it was this request that ended the mails, or one like it; false of a mere look."""


class CookieOut(ApiModel):
    """A cookie that we may set."""

    name: str
    purpose: str
    needs_consent: bool
    """Whether it is set only after a consent. Otherwise it is essential."""
    longest_s: int
    """The longest that a browser keeps it, in seconds."""
    holds: str

    @classmethod
    def of(cls, kind: CookieKind) -> "CookieOut":
        """This one."""
        return cls(
            name=kind.name,
            purpose=kind.purpose,
            needs_consent=kind.needs_consent,
            longest_s=kind.longest_s,
            holds=kind.holds,
        )


class CookiesOut(ApiModel):
    """Every cookie that we may set."""

    data: list[CookieOut]
