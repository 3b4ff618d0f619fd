"""Whether a marketing mail may go, asked when it is queued and once more just before it goes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.db import Database, Doc
from app.derived_keys import derive
from app.services.consents import ledger, suppression
from app.services.marketing import links
from app.services.operations import GiveUp
from app.services.people.accounts import is_shut
from app.settings import Settings


@dataclass(frozen=True)
class Campaigning:
    """What marketing mail needs of our settings."""

    public_url: str
    suppression_key: bytes = field(repr=False)
    link_key: bytes = field(repr=False)


@dataclass(frozen=True)
class Permit:
    """What goes into a mail that may go."""

    title: str
    paragraphs: Sequence[str]
    unsubscribe_url: str
    consented_on: str
    consent_id: str

    @property
    def facts(self) -> dict[str, str]:
        """What the template shows."""
        return {"title": self.title, "consented_on": self.consented_on, "consent_id": self.consent_id}

    def body_of(self, paragraph: str) -> Sequence[str]:
        """The campaign's own paragraphs, where the template has its mark for them."""
        return self.paragraphs if paragraph == "[body]" else [paragraph]


def campaigning(settings: Settings) -> Campaigning:
    """What marketing mail needs, of these settings."""
    keys = {"suppression_key": derive(settings, suppression.PURPOSE), "link_key": derive(settings, links.PURPOSE)}
    return Campaigning(settings.public_url, **keys)


async def consent_of(db: Database, how: Campaigning, user: Doc | None, *, now: datetime) -> Doc | None:
    """The row of the ledger by which this person may be mailed now, or none.

    None, too, for an address that nobody has confirmed, an account that is disabled or going to be erased, and an
    address on the list of suppressed ones, unless the consent is newer than that.
    """
    if user is None or is_shut(user) or not user["email_verified_at"]:
        return None
    row = await ledger.may(db, user["_id"], "marketing_mail", now=now)
    if row is None or await suppression.suppressed(db, how.suppression_key, user["email"], consented_at=row["at"]):
        return None
    return row


async def permit_for(db: Database, how: Campaigning, mail: Doc, *, now: datetime) -> Permit:
    """What this queued mail says and cites. Raises `GiveUp` when the consent that it cites does not stand any more."""
    user = await db.open("users").find_one({"_id": mail["user_id"]})
    row = await consent_of(db, how, user, now=now)
    campaign = await db.open("campaigns").find_one({"_id": mail["campaign_id"]})
    if user is None or row is None or row["_id"] != mail["consent_id"]:
        raise GiveUp("consent_withdrawn", "The person does not consent to this mail any more; it is not sent.")
    if campaign is None or campaign["state"] == "stopped":
        raise GiveUp("campaign_stopped", "The campaign was stopped; the mail is not sent.")
    recipient = links.Recipient(user["_id"], suppression.mark_of(how.suppression_key, user["email"]))
    return Permit(
        title=campaign["title"],
        paragraphs=campaign["paragraphs"],
        unsubscribe_url=f"{how.public_url}/v1/unsubscribe/{links.token_of(how.link_key, recipient)}",
        consented_on=f"{row['at']:%Y-%m-%d}",
        consent_id=row["_id"],
    )
