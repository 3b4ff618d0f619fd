"""Fifty log-ins at once, while somebody else just reads: hashing must not hold the event loop.

    python -m tests.faults.login_storm --logins 50

Prints how long an unrelated GET takes beside the storm (p50, p99), how long without, and the memory that the process
gained. The exit status is 0 when the p99 is at most 100 ms and every log-in was answered 200 (R-14).
"""

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.faults.api_plant import api_plant, log_in, register
from tests.house import PASSWORD

BAR_MS = 100.0
READS_ALONE = 200


@dataclass(frozen=True)
class Storm:
    """What happened."""

    logins: int
    statuses: set[int]
    storm_ms: float
    alone_ms: list[float]
    beside_ms: list[float]
    gained_mib: float

    @property
    def p99_ms(self) -> float:
        """Of a read beside the storm."""
        return p99(self.beside_ms)

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.p99_ms <= BAR_MS and self.statuses == {200}


def p99(took: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]


def resident_mib(pid: int) -> float:
    """The highest memory that a process has had (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


async def read(http: httpx.AsyncClient, bearer: dict[str, str]) -> float:
    """How long an unrelated GET takes, in milliseconds."""
    begun = time.perf_counter()
    (await http.get("/v1/me", headers=bearer)).raise_for_status()
    return (time.perf_counter() - begun) * 1000


async def storm(url: str, pid: int, emails: Sequence[str], bearer: dict[str, str]) -> Storm:
    """All log in at once; one reads on and on."""
    limits = httpx.Limits(max_connections=len(emails) + 5)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as http:
        alone = [await read(http, bearer) for _ in range(READS_ALONE)]
        before, begun = resident_mib(pid), time.perf_counter()
        bodies = [{"email": email, "password": PASSWORD} for email in emails]
        logins = asyncio.gather(*(http.post("/v1/sessions", json=body) for body in bodies))
        beside = []
        while not logins.done():
            beside.append(await read(http, bearer))
        answers = await logins
        took = (time.perf_counter() - begun) * 1000
        gained = resident_mib(pid) - before
    return Storm(len(emails), {answer.status_code for answer in answers}, took, alone, beside, gained)


def login_storm(folder: Path, *, logins: int) -> Storm:
    """Register everybody, and let them in at once."""
    with api_plant(folder) as [api]:
        emails = [f"person{number}@example.com" for number in range(logins)]
        with httpx.Client(base_url=api.url, timeout=30, trust_env=False) as http:
            for email in (*emails, "reader@example.com"):
                register(http, email)
            bearer = log_in(http, "reader@example.com")
        return asyncio.run(storm(api.url, api.process.pid, emails, bearer))


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=50)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = login_storm(Path(folder), logins=told.logins)
    print(
        f"{found.logins} log-ins in {found.storm_ms:.0f} ms, answered {found.statuses}; an unrelated GET: alone "
        f"p50 {statistics.median(found.alone_ms):.1f} p99 {p99(found.alone_ms):.1f} ms, beside them "
        f"p50 {statistics.median(found.beside_ms):.1f} p99 {found.p99_ms:.1f} ms ({len(found.beside_ms)} reads); "
        f"memory +{found.gained_mib:.0f} MiB: {'GOOD' if found.good else 'BAD'}"
    )
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
