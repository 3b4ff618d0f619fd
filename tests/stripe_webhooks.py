"""Deliveries of Stripe's: an event as it is sent, its signature, and every forgery of both that we know of."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.house import STRIPE_WEBHOOK_SECRET

Doc = dict[str, Any]
PATH = "/v1/webhooks/stripe"
OTHER_SECRET = "whsec_another0123456789abcdef"
WINDOW_S = 300


def event(event_id: str = "evt_1", kind: str = "invoice.paid", *, customer: str = "cus_1", **more: Any) -> Doc:
    """An event as Stripe tells it, shortened to what we read and a name that we must not keep."""
    shown = {"id": "in_1", "object": "invoice", "customer": customer, "customer_name": "Mara Nightjar", "total": 1900}
    told = {"id": event_id, "object": "event", "type": kind, "livemode": False, "account": None}
    told |= {"created": 1_795_420_800, "api_version": "2026-10-28.endive", "data": {"object": shown}}
    return {name: value for name, value in (told | more).items() if name != "account" or value}


def raw(told: Any) -> bytes:
    """The body, with spaces where Stripe has them."""
    return json.dumps(told, indent=2).encode()


def signed(body: bytes, at: int, *secrets: str) -> str:
    """The header of a delivery: one `v1` by each secret."""
    stamped = str(at).encode() + b"." + body
    made = [hmac.new(one.encode(), stamped, hashlib.sha256).hexdigest() for one in secrets or (STRIPE_WEBHOOK_SECRET,)]
    return ",".join([f"t={at}", *(f"v1={one}" for one in made)])


async def deliver(http: httpx.AsyncClient, body: bytes, header: str) -> httpx.Response:
    """POST it as Stripe would."""
    headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
    return await http.post(PATH, content=body, headers=headers)


@dataclass(frozen=True)
class Forgery:
    """A delivery that must not be taken."""

    name: str
    body: bytes
    signatures: tuple[str, ...]
    """What each `Stripe-Signature` header says."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As they go over the wire."""
        return [(b"stripe-signature", text.encode()) for text in self.signatures]


def forgeries(now: int) -> Iterator[Forgery]:
    """Every one, at the present `now`."""
    good = raw(event())
    yield from _stamps(good, now)
    yield from _signatures(good, now)
    yield from _bodies(good, now)


def _with(name: str, body: bytes, header: str) -> Forgery:
    return Forgery(name, body, (header,))


def _stamps(good: bytes, now: int) -> Iterator[Forgery]:
    for name, at in (("past", now - WINDOW_S - 2), ("future", now + WINDOW_S + 2), ("zero", 0), ("1970", 1)):
        yield _with(f"stamp {name}", good, signed(good, at))
    yield _with("stamp a day ahead", good, signed(good, now + 86_400))
    yield _with("stamp in milliseconds", good, signed(good, now * 1000))
    yield _with("stamp beyond every clock", good, signed(good, 10**40))
    yield _with("stamp negative", good, signed(good, -now))
    late = signed(good, now - 3600)
    yield _with("old signature, fresh stamp", good, late.replace(f"t={now - 3600}", f"t={now}"))
    fresh = signed(good, now)
    for name, text in (
        ("no stamp", fresh.partition(",")[2]),
        ("two stamps", f"t={now},{fresh}"),
        ("stamp with a sign", fresh.replace("t=", "t=+")),
        ("stamp with a space", fresh.replace("t=", "t= ")),
        ("stamp as a fraction", fresh.replace(f"t={now}", f"t={now}.0")),
        ("stamp in other digits", fresh.replace(f"t={now}", "t=١٧٩٥٤٢٠٨٠٠")),
        ("stamp empty", fresh.replace(f"t={now}", "t=")),
    ):
        yield _with(name, good, text)


def _signatures(good: bytes, now: int) -> Iterator[Forgery]:
    fresh = signed(good, now)
    digest = fresh.partition("v1=")[2]
    yield Forgery("no header", good, ())
    yield Forgery("two headers", good, (fresh, fresh))
    for name, text in (
        ("empty", ""),
        ("only a comma", ","),
        ("another secret", signed(good, now, OTHER_SECRET)),
        ("an empty secret", signed(good, now, "")),
        ("the secret without its prefix", signed(good, now, STRIPE_WEBHOOK_SECRET.removeprefix("whsec_"))),
        ("scheme v0", fresh.replace("v1=", "v0=")),
        ("scheme V1", fresh.replace("v1=", "V1=")),
        ("space after the comma", fresh.replace(",", ", ")),
        ("capitals", f"t={now},v1={digest.upper()}"),
        ("cut", fresh[:-1]),
        ("longer", f"{fresh}0"),
        ("no signature", f"t={now}"),
        ("signature empty", f"t={now},v1="),
        ("sha1", f"t={now},v1=" + hmac.new(STRIPE_WEBHOOK_SECRET.encode(), good, "sha1").hexdigest()),
        ("body without stamp", f"t={now},v1=" + hmac.new(STRIPE_WEBHOOK_SECRET.encode(), good, "sha256").hexdigest()),
        ("very many", f"t={now}," + ",".join(["v1=" + "0" * 64] * 50)),
        ("Meta's form", "sha256=" + digest),
    ):
        yield _with(f"signature: {name}", good, text)


def _bodies(good: bytes, now: int) -> Iterator[Forgery]:
    fresh = signed(good, now)
    again = json.dumps(json.loads(good)).encode()
    yield _with("re-serialised body", again, fresh)
    yield _with("changed amount", good.replace(b"1900", b"0001"), fresh)
    yield _with("other customer", good.replace(b"cus_1", b"cus_2"), fresh)
    yield _with("a byte more", good + b"\n", fresh)
    yield _with("nothing", b"", fresh)
    for name, body in (
        ("live event in test mode", raw(event(livemode=True))),
        ("no mode", raw({name: value for name, value in event().items() if name != "livemode"})),
        ("mode as text", raw(event(livemode="false"))),
        ("empty", b""),
        ("no JSON", b"{"),
        ("not UTF-8", b'{"id": "\xff"}'),
        ("half a surrogate pair", b'{"id": "\\ud800"}'),
        ("a list", b"[1]"),
        ("null", b"null"),
        ("a number", b"1"),
        ("too deep", b"[" * 100_000),
        ("not a number", b'{"id": NaN}'),
        ("no event", raw({"id": "in_1", "object": "invoice"})),
        ("a thin event", raw({"id": "evt_1", "object": "v2.core.event", "type": "v1.invoice.paid", "livemode": False})),
        ("no id", raw(event(id=None))),
        ("id as a number", raw(event(id=7))),
        ("endless id", raw(event("evt_" + "x" * 300))),
        ("no type", raw(event(type=None))),
        ("created as text", raw(event(created="now"))),
        ("created as a fraction", raw(event(created=1.5))),
        ("created beyond every calendar", raw(event(created=10**18))),
        ("created is true", raw(event(created=True))),
        ("no data", raw(event(data=None))),
        ("data without an object", raw(event(data={"object": []}))),
    ):
        yield _with(f"well signed: {name}", body, signed(body, now))
