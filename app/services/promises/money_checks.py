"""Checks of money: cards are Stripe's, and records go when no law asks for them any more."""

import re
from datetime import date, timedelta

from app.db import Doc
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, count_odd, names, strings, without

DIGITS = re.compile(r"(?<![^\W_])\d{1,19}(?:[ -]\d{1,19})*(?![^\W_])")
"""Groups of digits, with a space or a dash between."""
LEAST_DIGITS, MOST_DIGITS = 13, 19
CARD_FIELDS = frozenset(("number", "cvc", "cvv", "card_number", "pan", "iban", "account_number"))
TAX_IDS = ("tax_ids",)
"""Some end as cards' numbers do: a French one always (`fr_siret`)."""
OF_MONEY = ("billing_accounts", "billing_orders", "money_records", "money_parties", "stripe_events")
SHORTEST = timedelta(days=5 * 365)
"""No law of the table asks for less than five years: `app/models/keeping_law.py`."""
HOUR = timedelta(hours=1)


async def no_cards(look: Look) -> Measured:
    """Records with the number of a card in them."""
    return await count_odd(look, OF_MONEY, _has_card)


def _has_card(one: Doc) -> bool:
    method = one.get("payment_method") or {}
    if not CARD_FIELDS.isdisjoint(names(method)):
        return True
    texts = strings(without(one, TAX_IDS))
    return any(_holds_card(found[0]) for text in texts for found in DIGITS.finditer(text))


def _holds_card(text: str) -> bool:
    """Whether some of these groups are a card's number: what is written beside it may be digits, too."""
    groups = re.split("[ -]", text)
    spans = (groups[first:last] for first in range(len(groups)) for last in range(first + 1, len(groups) + 1))
    return any(_is_card("".join(some)) for some in spans if len(some) <= MOST_DIGITS)


def _is_card(text: str) -> bool:
    """Whether these digits are a card's: of an industry that issues cards, and the last one that of Luhn's sum.

    ISO/IEC 7812-1, 4.2 and annex B.
    """
    if not LEAST_DIGITS <= len(text) <= MOST_DIGITS or text[0] not in "23456":
        return False
    digits = [int(letter) for letter in text[::-1]]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return sum(digits[::2]) % 10 == -sum(doubled) % 10 and len(set(digits)) > 1


async def kept_as_law_says(look: Look) -> Measured:
    """Records of money without a last day, without the law that sets it, or with a day that no law would allow."""

    def is_undated(one: Doc) -> bool:
        try:
            last = date.fromisoformat(one["keep_until"])
        except (KeyError, TypeError, ValueError):
            return True
        return not one.get("law") or last < (one["at"] + SHORTEST).date()

    return await count_odd(look, ["money_records"], is_undated)


async def purged(look: Look) -> Measured:
    """For how long the record that is overdue the longest has been."""
    query = {"purge_at": {"$lte": look.now}}
    due = await look.db.open("money_records").find_one(query, {"purge_at": 1}, sort=[("purge_at", 1)], comment=WHY)
    return Measured(round((look.now - due["purge_at"]) / HOUR, 2) if due else 0, 24)


async def holds_have_reasons(look: Look) -> Measured:
    """Legal holds without the code of the file that asks for them."""
    return await count_odd(look, ["legal_holds"], lambda one: not one.get("reason"))
