"""How a call to Spotify can fail. Decided by the status and the `error` member, never by text (spotify.md, section 4).

SpotifyError
├── Unavailable      it did not happen, or may simply be asked again: try again
├── RateLimited      it did not happen, and will not before `wait` is over
├── OutcomeUnknown   a code or a refresh token may have been used up: its answer was lost
├── GrantInvalid     Spotify says that this code or refresh token is not good
├── TokenExpired     the access token is no longer good: refresh it
├── NotAllowed       the user is not on the allow-list, or the app may not do this
└── Refused          the same call will fail again; `code` is Spotify's word for it, where it has one
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

BURST = timedelta(seconds=30)
"""Spotify's rate window: the wait after a 429 that names none."""
QUOTA = timedelta(hours=1)
"""The least wait once the developer account's quota is used up; asking sooner is abuse."""
LONGEST_WAIT = timedelta(hours=24)
_WORD = re.compile(r"[A-Za-z_]{1,40}")


class SpotifyError(Exception):
    """A call that gave no result. Holds the status and one word of Spotify's, never the answer's text."""

    def __init__(self, code: str = "", *, http_status: int = 0) -> None:
        self.code, self.http_status = code, http_status
        super().__init__(f"Spotify {code or '-'}, HTTP {http_status}")


class Unavailable(SpotifyError):
    """It did not happen, or may simply be asked again."""


class RateLimited(SpotifyError):
    """It did not happen, and will not before `wait` is over."""

    def __init__(self, wait: timedelta, code: str = "", *, http_status: int = 0) -> None:
        super().__init__(code, http_status=http_status)
        self.wait = wait


class OutcomeUnknown(SpotifyError):
    """A code or a refresh token may have been used up: its answer was lost."""


class GrantInvalid(SpotifyError):
    """Spotify says that this code or refresh token is not good. During outages it was seen to say so falsely."""


class TokenExpired(SpotifyError):
    """The access token is no longer good: refresh it, once."""


class NotAllowed(SpotifyError):
    """The user is not on the app's allow-list, or the app may not make this call."""


class Refused(SpotifyError):
    """The same call will fail again."""


def token_error(body: Any, status: int, headers: Mapping[str, str], *, repeatable: bool) -> SpotifyError:
    """What a refusal by the accounts service means. With `repeatable=False` a failure there is `OutcomeUnknown`."""
    code = _word(body.get("error")) if isinstance(body, dict) else ""
    if status == 429:
        return RateLimited(_wait(headers, code), code, http_status=status)
    if status < 400 or status >= 500:
        return (Unavailable if repeatable else OutcomeUnknown)(code, http_status=status)
    return (GrantInvalid if code == "invalid_grant" else Refused)(code, http_status=status)


def api_error(body: Any, status: int, headers: Mapping[str, str]) -> SpotifyError:
    """What a refusal by the Web API means."""
    error = body.get("error") if isinstance(body, dict) else None
    reason = _word(error.get("reason")) if isinstance(error, dict) else ""
    if status == 429:
        return RateLimited(_wait(headers, reason), reason, http_status=status)
    if status < 400 or status >= 500:
        return Unavailable(reason, http_status=status)
    kinds: dict[int, type[SpotifyError]] = {401: TokenExpired, 403: NotAllowed}
    return kinds.get(status, Refused)(reason, http_status=status)


def _wait(headers: Mapping[str, str], reason: str) -> timedelta:
    text = headers.get("retry-after", "").strip()
    told = timedelta(seconds=int(text)) if re.fullmatch(r"[0-9]{1,6}", text) else BURST
    return min(LONGEST_WAIT, max(told, QUOTA) if reason == "QUOTA_EXCEEDED" else told)


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
