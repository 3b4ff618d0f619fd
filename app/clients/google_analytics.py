"""Google Analytics 4, Measurement Protocol: one call, which passes usage on.

AnalyticsError
├── Unavailable      it did not happen: try again
├── Refused          it will never be taken
└── OutcomeUnknown   it may have happened, and cannot be asked about

Source: developers.google.com/analytics/devguides/collection/protocol/ga4/reference. The answer is `204` to whatever is
well-formed; at most 25 events a call, at most 72 hours old. Nothing about the person goes with it: no address, no
browser, no id of ours, and no use for advertising.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

MOST_EVENTS = 25
PATH = "/mp/collect"
DENIED = {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}


class AnalyticsError(Exception):
    """What Google did not surely take. Holds a status at most."""


class Unavailable(AnalyticsError):
    """It did not happen: try again."""


class Refused(AnalyticsError):
    """The same call will be refused again."""


class OutcomeUnknown(AnalyticsError):
    """The connection was lost before the answer."""


@dataclass(frozen=True)
class Analytics:
    """The way to one property."""

    http: httpx.AsyncClient
    url: str
    measurement_id: str
    api_secret: str = field(repr=False)
    timeout_s: float


@dataclass(frozen=True)
class Used:
    """A page that was seen or a feature that was used."""

    kind: str
    name: str
    at: datetime


async def collect(analytics: Analytics, *, client_id: str, used: Sequence[Used]) -> None:
    """Pass on at most `MOST_EVENTS` of somebody, who is `client_id` there. Sending twice counts twice.

    Raises any `AnalyticsError`.
    """
    body = {"client_id": client_id, "consent": DENIED, "events": [_event(one) for one in used]}
    query = {"measurement_id": analytics.measurement_id, "api_secret": analytics.api_secret}
    try:
        answer = await analytics.http.post(
            f"{analytics.url}{PATH}", params=query, json=body, timeout=analytics.timeout_s
        )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise Unavailable from exc
    except httpx.TransportError as exc:
        raise OutcomeUnknown from exc
    if answer.status_code == 429 or answer.status_code == 503:
        raise Unavailable(str(answer.status_code))
    if answer.is_server_error:
        raise OutcomeUnknown(str(answer.status_code))
    if not answer.is_success:
        raise Refused(str(answer.status_code))


def _event(used: Used) -> dict[str, Any]:
    name, parameter = ("page_view", "page_title") if used.kind == "page" else ("feature_used", "feature")
    micros = int(used.at.timestamp() * 1000) * 1000
    return {"name": name, "timestamp_micros": micros, "params": {parameter: used.name}}
