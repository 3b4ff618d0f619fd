"""Every cookie that we set: a closed list. A test calls every route and fails on any other (privacy policy, section 9).

All of them are HttpOnly, Secure, SameSite=Lax and bound to one host (`__Host-`).
"""

from dataclasses import dataclass

REFRESH_COOKIE = "__Host-soundops_refresh"
DEVICE_COOKIE = "__Host-soundops_device"
AGE_COOKIE = "__Host-soundops_age"
CHOICE_COOKIE = "__Host-soundops_choice"
VISITOR_COOKIE = "__Host-soundops_visitor"
DAY_S = 24 * 3600


@dataclass(frozen=True)
class CookieKind:
    """One cookie."""

    name: str
    purpose: str
    needs_consent: bool
    """Otherwise it is essential: something that its person asked for does not work without it."""
    longest_s: int
    """The longest that a browser may keep it."""
    holds: str


COOKIES = (
    CookieKind(
        REFRESH_COOKIE, "To stay logged in.", needs_consent=False, longest_s=30 * DAY_S, holds="a token of the session"
    ),
    CookieKind(
        DEVICE_COOKIE,
        "So that nobody's guessing of passwords locks a browser out that has logged in before.",
        needs_consent=False,
        longest_s=400 * DAY_S,
        holds="a random number and its seal",
    ),
    CookieKind(
        AGE_COOKIE,
        "So that somebody who is too young is not asked for another birth date at once.",
        needs_consent=False,
        longest_s=DAY_S,
        holds="1, the same for everybody",
    ),
    CookieKind(
        CHOICE_COOKIE,
        "To remember that analytics was refused, so that nobody is asked again and again.",
        needs_consent=False,
        longest_s=180 * DAY_S,
        holds="refused, the same for everybody",
    ),
    CookieKind(
        VISITOR_COOKIE,
        "To count a visitor's pages and features: set after a consent, and taken away when it is withdrawn.",
        needs_consent=True,
        longest_s=180 * DAY_S,
        holds="a random number and its seal",
    ),
)
"""By their names, nothing else is ever set."""
