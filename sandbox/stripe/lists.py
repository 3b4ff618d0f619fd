"""List calls: newest first, page by page, filtered by what each kind can be filtered by."""

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.stripe.errors import bad, missing
from sandbox.stripe.render import show
from sandbox.stripe.store import Obj, Tx

Keep = Callable[[Obj], bool]


def page(tx: Tx, url: str, found: Iterable[Obj], params: dict[str, Any]) -> Obj:
    """One page of what was found, which is oldest first."""
    newest_first = list(found)[::-1]
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        bound = "greater than or equal to 1" if limit < 1 else "less than or equal to 100"
        bad(f"This value must be {bound}.", "limit")
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        bad("You may only specify one of these parameters: starting_after, ending_before.")
    if after:
        newest_first = newest_first[_place(tx, newest_first, after, "starting_after", itself=1) :]
    if before:
        newer = newest_first[: _place(tx, newest_first, before, "ending_before", itself=0)]
        data, has_more = newer[-limit:], len(newer) > limit
    else:
        data, has_more = newest_first[:limit], len(newest_first) > limit
    expand = params.get("expand", [])
    if any(not one.startswith("data.") for one in expand):
        bad("This property cannot be expanded. You may want to try expanding 'data.…'.", "expand")
    inner = [one.removeprefix("data.") for one in expand]
    return {"object": "list", "data": [show(tx, one, inner) for one in data], "has_more": has_more, "url": url}


def _place(tx: Tx, newest_first: list[Obj], key: str, param: str, *, itself: int) -> int:
    """Where a cursor stands. It may be of something that the filters leave out: then between its neighbours."""
    for n, one in enumerate(newest_first):
        if one["id"] == key:
            return n + itself
    cursor = tx.store.objects.get(key)
    if cursor is None or (newest_first and cursor["object"] != newest_first[0]["object"]):
        missing("object", key, param)
    older = set()
    for other in tx.store.kinds[cursor["object"]]:
        if other == key:
            break
        older.add(other)
    return sum(one["id"] not in older for one in newest_first)


def matching(found: Iterable[Obj], params: dict[str, Any], *names: str) -> list[Obj]:
    """Those whose fields equal the parameters of these names; `created` may be a range."""
    asked = {name: params[name] for name in names if name in params}
    spans = {name: asked.pop(name) for name in ("created",) if name in asked}
    return [
        one
        for one in found
        if all(one.get(name) == value for name, value in asked.items())
        and all(within(one[name], span) for name, span in spans.items())
    ]


def within(at: int, span: Any) -> bool:
    """Whether an instant is in `{gt, gte, lt, lte}`, or is the one given."""
    if isinstance(span, int):
        return at == span
    return bool(
        at > span.get("gt", -1)
        and at >= span.get("gte", 0)
        and at < span.get("lt", 1 << 62)
        and at <= span.get("lte", 1 << 62)
    )
