"""Amounts of money: whole numbers of a currency's smallest unit, and never a float."""

WITHOUT_DIGITS = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())  # noqa: SIM905
"""Stripe's zero-decimal currencies. ISK and UGX have no smaller unit either, but Stripe writes them with two digits, as
it did before they lost them (Stripe, Supported currencies, 2026)."""
WITH_THREE_DIGITS = frozenset("BHD JOD KWD OMR TND".split())  # noqa: SIM905


def digits_of(currency: str) -> int:
    """How many digits of an amount stand behind the point, as Stripe writes amounts of this currency."""
    code = currency.upper()
    return 0 if code in WITHOUT_DIGITS else 3 if code in WITH_THREE_DIGITS else 2


def in_words(amount: int, currency: str) -> str:
    """An amount for people: `19.00 EUR`, `3000 JPY`, `-1.234 KWD`."""
    digits = digits_of(currency)
    sign, text = "-" if amount < 0 else "", str(abs(amount)).rjust(digits + 1, "0")
    shown = f"{text[:-digits]}.{text[-digits:]}" if digits else text
    return f"{sign}{shown} {currency.upper()}"
