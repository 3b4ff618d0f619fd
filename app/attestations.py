"""Attestations of the promises, for anybody who wants to check them.

`python -m app.attestations fetch ADDRESS > kept.txt` has all of them, a line each, the oldest first. `python -m
app.attestations verify FILE-OR-ADDRESS` checks that each is signed, and follows the one before; the keys are those of
ADDRESS's `/.well-known/jwks.json`, or of `--jwks`. With `--kept FILE`, what was fetched earlier must be a part of the
chain: so nobody can write it anew. The exit status is 0 only for a good chain.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from app.services.promises.attesting import BrokenChain, verify

PATIENCE_S = 10.0
PAGE = 100


def fetch(address: str) -> list[str]:
    """All attestations of a service, the oldest first. Raises `httpx.HTTPError`, `ValueError`."""
    found: list[str] = []
    cursor: str | None = None
    with httpx.Client(base_url=address.rstrip("/"), timeout=PATIENCE_S) as http:
        while True:
            asked = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            page = http.get("/v1/privacy/attestations", params=asked).raise_for_status().json()
            found += [one["jws"] for one in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found[::-1]


def check(chain: Sequence[str], jwks: dict[str, Any], kept: Sequence[str]) -> list[dict[str, Any]]:
    """What the chain says. Raises `BrokenChain`, also when what was kept is not in it."""
    if not chain:
        raise BrokenChain("There is no attestation")
    known = set(chain)
    missing = [number for number, one in enumerate(kept, 1) if one not in known]
    if missing:
        raise BrokenChain(f"Line {missing[0]} of what was kept is not in it: the chain was written anew")
    return verify(chain, jwks)


def _gaps(days: Sequence[date]) -> Iterator[str]:
    """The days between these on which nothing was attested: then nobody looked."""
    for day, following in pairwise(days):
        if (missing := (following - day).days - 1) > 0:
            yield f"None for {missing} days after {day}."


def _is_address(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _chain_of(source: str) -> list[str]:
    return fetch(source) if _is_address(source) else Path(source).read_text().split()


def _jwks_of(args: argparse.Namespace) -> dict[str, Any]:
    place = args.jwks or f"{args.source.rstrip('/')}/.well-known/jwks.json"
    there = _is_address(place)
    text = httpx.get(place, timeout=PATIENCE_S).raise_for_status().text if there else Path(place).read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def main(argv: Sequence[str]) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="attestations", description="Check attestations of the promises.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="print all of a service, a line each, the oldest first")
    checking = commands.add_parser("verify", help="check signatures and the chain")
    for one in (fetching, checking):
        one.add_argument("source", help="the service's address" + (", or a file" if one is checking else ""))
    checking.add_argument("--jwks", help="the service's keys: a file or an address")
    checking.add_argument("--kept", type=Path, help="attestations that were fetched earlier")
    args = parser.parse_args(argv)
    try:
        chain = _chain_of(args.source)
        if args.command == "fetch":
            print("\n".join(chain))
            return 0
        if not args.jwks and not _is_address(args.source):
            parser.error("--jwks is needed for a file")
        kept = args.kept.read_text().split() if args.kept else ()
        if args.kept and not kept:
            raise BrokenChain("There is nothing in the file that was kept")
        told = check(chain, _jwks_of(args), kept)
    except BrokenChain as broken:
        print(f"Not good: {broken}.", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, httpx.HTTPError) as exc:
        print(f"The attestations or the keys cannot be read: {type(exc).__name__}.", file=sys.stderr)
        return 2
    held = sum(all(one["holding"] for one in day["promises"]) for day in told)
    print(f"Good, from {told[0]['day']} to {told[-1]['day']}. Attestations: {len(told)}; all promises held on {held}.")
    for gap in _gaps(sorted(date.fromisoformat(one["day"]) for one in told)):
        print(gap)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
