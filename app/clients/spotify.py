"""Spotify: log-in and Web API."""

from dataclasses import dataclass, field

import httpx


@dataclass(kw_only=True)
class Spotify:
    """Spotify's hosts as our app calls them. One a process."""

    http: httpx.AsyncClient
    accounts_url: str
    api_url: str
    client_id: str
    client_secret: str = field(repr=False)
    timeout_s: float = 15
