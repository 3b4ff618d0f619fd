"""Who and what is on the sandbox's Spotify: users, two artists, four albums and their tracks. Fixed."""

import hashlib
import string
from dataclasses import dataclass

_BASE62 = string.digits + string.ascii_letters
PAGE = "https://open.spotify.com"


@dataclass(frozen=True)
class SpotifyUser:
    """A listener's account. `account_id` never changes; `id` may, and is not of the 22 characters entities have."""

    handle: str
    id: str
    account_id: str
    name: str

    @property
    def picture_url(self) -> str:
        """Where their picture would be."""
        return f"https://i.scdn.co/image/sandbox-{self.handle}"


@dataclass(frozen=True)
class Artist:
    """An artist."""

    id: str
    name: str


@dataclass(frozen=True)
class Track:
    """A recording on one album."""

    id: str
    name: str
    isrc: str
    number: int
    duration_ms: int


@dataclass(frozen=True)
class Album:
    """A release by one artist."""

    id: str
    name: str
    artist: Artist
    kind: str
    upc: str
    released_on: str
    precision: str
    tracks: tuple[Track, ...]


def entity_id(text: str) -> str:
    """The 22 base-62 characters that always stand for this text."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = []
    for _ in range(22):
        number, rest = divmod(number, 62)
        letters.append(_BASE62[rest])
    return "".join(letters)


def find_user(name: str) -> SpotifyUser | None:
    """The user of this handle or id. Beyond the two named ones, any `user1` to `user999` exists."""
    number = name.removeprefix("user").removesuffix(".listens")
    if number.isascii() and number.isdecimal() and number == str(int(number)) and 1 <= int(number) <= 999:
        return _user(f"user{number}", f"User {number}")
    return next((user for user in USERS if name in (user.handle, user.id)), None)


def _user(handle: str, name: str) -> SpotifyUser:
    return SpotifyUser(handle, f"{handle}.listens", entity_id(f"account {handle}"), name)


def _tracks(album: str, first_isrc: int, *names: str) -> tuple[Track, ...]:
    return tuple(
        Track(entity_id(f"track {album} {name}"), name, f"DESND26{first_isrc + n:05}", n + 1, 180_000 + 7_000 * n)
        for n, name in enumerate(names)
    )


USERS = (_user("nightjar", "Nightjar Records"), _user("lowtide", "Low Tide Tapes"))

MARA, HOLLOW = (Artist(entity_id(f"artist {name}"), name) for name in ("Mara Lindqvist", "Hollow Pier"))

ALBUMS = tuple(
    Album(entity_id(f"album {name}"), name, artist, kind, upc, released_on, precision, tracks)
    for name, artist, kind, upc, released_on, precision, tracks in (
        (
            *("Night Bus", MARA, "album", "4006180000010", "2026-03-06", "day"),
            _tracks("Night Bus", 1, "Depot", "Night Bus", "Last Stop", "Windows"),
        ),
        (
            *("Windows (Single)", MARA, "single", "4006180000027", "2026-01", "month"),
            _tracks("Windows (Single)", 4, "Windows"),
        ),
        (
            *("Low Water", HOLLOW, "album", "036000291452", "2025-10-10", "day"),
            _tracks("Low Water", 11, *(f"Tide {n}" for n in range(1, 13))),
        ),
        (*("Pier Songs", HOLLOW, "album", "4006180000041", "1998", "year"), _tracks("Pier Songs", 31, "Rope", "Salt")),
    )
)
ARTISTS = (MARA, HOLLOW)


def albums_of(artist: Artist) -> list[Album]:
    """What this artist has released, newest first."""
    return sorted((a for a in ALBUMS if a.artist == artist), key=lambda a: a.released_on, reverse=True)


def same_code(one: str, other: str) -> bool:
    """Whether two UPC or EAN numbers are the same: a UPC of 12 digits is an EAN of 13 with a leading zero."""
    return one.lstrip("0") == other.lstrip("0")
