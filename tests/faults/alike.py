"""Whether somebody outside can tell a known address from an unknown one: by an answer, or by how long it takes.

    python -m tests.faults.alike --pairs 500

Registering, logging in and asking for a new password, each in pairs of a known and an unknown address, in random order,
on a real API process. The exit status is 0 only when status, body and headers are the same, and the median of the
differences in time is at most 5 ms, or nothing by its 95 % interval (R-15).
"""

import argparse
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.faults.api_plant import PERSON, api_plant, register
from tests.house import PASSWORD

BAR_MS = 5.0
CHANGES = {"id", "email", "name", "created_at", "request_id"}
"""Of a body: what is the caller's own, or another in each answer."""
PASSING = {"date", "x-request-id", "etag", "location"}
ASKED: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "register": ("/v1/users", lambda email: PERSON | {"email": email, "password": PASSWORD, "marketing_opt_in": True}),
    "log in": ("/v1/sessions", lambda email: {"email": email, "password": "not the right password"}),
    "reset": ("/v1/password-resets", lambda email: {"email": email}),
}


@dataclass(frozen=True)
class Compared:
    """What one kind of request gave away."""

    kind: str
    pairs: int
    shapes: int
    """How many different answers there were; 1 when known and unknown look alike."""
    median_ms: float
    """Of known less unknown."""
    low_ms: float
    high_ms: float
    """The 95 % interval of that median."""
    usual_ms: float

    @property
    def good(self) -> bool:
        """Whether nobody can tell."""
        return self.shapes == 1 and (abs(self.median_ms) <= BAR_MS or self.low_ms <= 0 <= self.high_ms)


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a median, by the ranks of a binomial distribution (normal approximation)."""
    ordered, count = sorted(differences), len(differences)
    margin = 1.96 * math.sqrt(count) / 2
    low, high = math.floor(count / 2 - margin), math.ceil(count / 2 + margin)
    return ordered[max(low, 0)], ordered[min(high, count - 1)]


def shape_of(answer: httpx.Response) -> str:
    """An answer without what differs in every answer."""
    body = {name: value for name, value in answer.json().items() if name not in CHANGES}
    headers = {name: value for name, value in answer.headers.items() if name not in PASSING}
    if "created_at" in answer.json():  # an instant without milliseconds is written shorter, one in a thousand
        headers["content-length"] = str(len(answer.content) - len(answer.json()["created_at"]))
    headers["ratelimit"] = ",".join(part.split(";")[0] for part in headers.get("ratelimit", "").split(","))
    return f"{answer.status_code} {sorted(body.items())} {sorted(headers.items())}"


def compare(http: httpx.Client, kind: str, known: Sequence[str], seed: int) -> Compared:
    """Ask for each known address and a fresh one, in random order."""
    path, body_of = ASKED[kind]
    order, shapes, differences, took = random.Random(seed), set(), [], []
    for number, email in enumerate(known):
        pair = [(email, 1), (f"no{kind[:3].replace(' ', '_')}{number:04}@example.com", -1)]
        order.shuffle(pair)
        difference = 0.0
        for address, sign in pair:
            begun = time.perf_counter()
            answer = http.post(path, json=body_of(address))
            ms = (time.perf_counter() - begun) * 1000
            difference += sign * ms
            took.append(ms)
            shapes.add(shape_of(answer))
        differences.append(difference)
    low, high = interval(differences)
    return Compared(kind, len(known), len(shapes), statistics.median(differences), low, high, statistics.median(took))


def alike(folder: Path, *, pairs: int, seed: int = 7) -> list[Compared]:
    """Compare all three, after registering as many people."""
    with api_plant(folder) as [api], httpx.Client(base_url=api.url, timeout=30, trust_env=False) as http:
        known = [f"known{number:04}@example.com" for number in range(pairs)]
        for email in known:
            register(http, email)
        return [compare(http, kind, known, seed) for kind in ASKED]


def table(found: Sequence[Compared]) -> str:
    """For people."""
    rows = [
        f"{one.kind:<9} {one.pairs} pairs, {one.shapes} shape(s), known less unknown {one.median_ms:+.2f} ms "
        f"[{one.low_ms:+.2f}, {one.high_ms:+.2f}] of {one.usual_ms:.1f} ms: {'GOOD' if one.good else 'BAD'}"
        for one in found
    ]
    return "\n".join(rows)


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = alike(Path(folder), pairs=told.pairs, seed=told.seed)
    print(table(found))
    return 0 if all(one.good for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
