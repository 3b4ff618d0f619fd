"""`python -m app.receipts verify FILE --jwks FILE-OR-ADDRESS`: check a receipt of a disconnect or an erasure.

FILE is a receipt as it was downloaded, or its `jws` alone. The keys are the service's `/.well-known/jwks.json`: with a
copy of it nothing is asked over the network. The exit status is 0 only for a good receipt.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from app.services.tokens import BadToken, read_receipt

PATIENCE_S = 10.0


class NotGood(Exception):
    """The receipt is not one of the service's, or not as it was signed. The message says which."""


def verify(text: str, jwks: dict[str, Any]) -> dict[str, Any]:
    """What a receipt's signature covers. Raises `NotGood`."""
    try:
        shown: dict[str, Any] = json.loads(text) if text.lstrip().startswith("{") else {"jws": text.strip()}
        shown = shown if "jws" in shown else shown["receipt"]  # a request, with its receipt in it
        signed = read_receipt(str(shown.pop("jws")), jwks)
        shown = shown.get("receipt", shown)
    except (ValueError, KeyError, TypeError) as exc:
        raise NotGood("This is not a receipt.") from exc
    except BadToken as exc:
        raise NotGood("No key of this service has signed this receipt as it is.") from exc
    if shown and shown != signed:
        raise NotGood("The receipt was changed: what it shows is not what was signed.")
    return signed


def _read_jwks(place: str) -> dict[str, Any]:
    if place.startswith(("http://", "https://")):
        text = httpx.get(place, timeout=PATIENCE_S).raise_for_status().text
    else:
        text = Path(place).read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def main(argv: Sequence[str]) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.receipts", description="Check a signed receipt.")
    check = parser.add_subparsers(required=True).add_parser("verify", help="check a receipt's signature")
    check.add_argument("file", type=Path, help="the receipt, or its `jws` alone")
    check.add_argument("--jwks", required=True, help="the service's keys: a file, or an address")
    args = parser.parse_args(argv)
    try:
        receipt = verify(args.file.read_text(), _read_jwks(args.jwks))
    except NotGood as exc:
        print(exc, file=sys.stderr)
        return 1
    except (OSError, ValueError, httpx.HTTPError) as exc:
        print(f"The receipt or the keys cannot be read: {type(exc).__name__}.", file=sys.stderr)
        return 2
    for line in _lines(receipt):
        print(line)
    return 0


def _lines(receipt: dict[str, Any]) -> list[str]:
    """A receipt, for people."""
    if "connection_id" in receipt:
        head = f"Good: {receipt['connection_id']} ({receipt['provider']}), ended {receipt['completed_at']}."
        steps = [f"  {s['at']}  {s['name']:<15} {s['result']:<18} {s['detail']}" for s in receipt["steps"]]
        return [head, *steps, *(f"  {advice}" for advice in receipt["advice"])]
    head = f"Good: {receipt['request_id']} ({receipt['kind']}), completed {receipt['completed_at']}."
    gone = [f"  {one['action']:<9} {one['documents']:>6}  {one['what']}" for one in receipt["erased"]]
    return [head, *gone, *(f"  kept     {one['what']}: {one['why']}" for one in receipt["kept"])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
