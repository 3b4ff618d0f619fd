"""Better use of indexes by the MongoDB stand-in, which has them but often reads the whole collection instead.

SecantusDB finds by an index only when the filter names its leading fields and nothing else, never by a partial index
whose condition is `$exists`, and not by `_id` once another field comes first. MongoDB does all of that. Every caller
checks the whole filter on the candidates it gets, so a wider set of them is safe.
"""

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from secantus.sortkey import COMPOUND_SEP, encode_value_directed
from secantus.storage import Storage, _id_point_lookup_keys

KNOWN_VERSION = "0.7.0b3"
PLAIN = (str, int, float, bool, datetime)
ORDERING = {"$eq", "$gt", "$gte", "$lt", "$lte"}
Filter = dict[str, Any]


def repair_index_lookup() -> None:
    """Have `Storage` look more candidates up by an index.

    Of 30,000 documents it finds one by `_id` and a condition 300 times faster.
    """
    if version("SecantusDB") != KNOWN_VERSION:
        # Private methods of another version may mean something else: look at them first, then change KNOWN_VERSION.
        raise SystemExit(
            f"mongod: SecantusDB {version('SecantusDB')} is installed; this launcher knows {KNOWN_VERSION}"
        )
    original = Storage._try_index_id_keys

    def candidates(self: Any, db: str, coll: str, filter: Filter, *, collation: Any = None) -> list[Any] | None:
        if collation is not None or not filter:
            found: list[Any] | None = original(self, db, coll, filter, collation=collation)
            return found
        plain = {field: clause for field, clause in filter.items() if not field.startswith("$")}
        if "_id" in plain and _id_point_lookup_keys(plain["_id"]) is not None:
            plain = {"_id": plain["_id"]}
        else:
            found = _by_prefix(self, db, coll, plain)
            if found is not None:
                return found
        if plain:
            found = original(self, db, coll, plain)
            return found
        for clause in filter.get("$and", ()):
            found = candidates(self, db, coll, clause)
            if found is not None:
                return found
        return None

    Storage._try_index_id_keys = candidates


def _by_prefix(storage: Any, db: str, coll: str, filter: Filter) -> list[Any] | None:
    """The record ids by the index of which the filter pins most fields from the left; None when there is none."""
    name, keys, pinned, ranged = _best(storage, db, coll, filter)
    if pinned:
        return _scan(storage, db, coll, name, pinned, is_prefix=len(keys) > len(pinned))
    if ranged:
        field = next(iter(keys))
        match = (name, keys[field], len(keys) > 1)
        found: list[Any] | None = storage._lookup_id_keys_via_leading_field(db, coll, match, filter[field])
        return found
    return None


def picked_index(storage: Any, db: str, coll: str, filter: Filter) -> tuple[str, dict[str, int]] | None:
    """The index by which an unsorted find gets its candidates, as far as it is this module's choice."""
    plain = {field: clause for field, clause in filter.items() if not field.startswith("$")}
    if "_id" in plain and _id_point_lookup_keys(plain["_id"]) is not None:
        return "_id_", {"_id": 1}
    name, keys, pinned, ranged = _best(storage, db, coll, plain)
    if not pinned and not ranged:
        return next(
            (found for clause in filter.get("$and", ()) if (found := picked_index(storage, db, coll, clause))), None
        )
    return name, keys


def _best(storage: Any, db: str, coll: str, filter: Filter) -> tuple[str, dict[str, int], list[list[bytes]], bool]:
    """The index that pins most, its keys and what it pins; or a partial one whose first field has a range."""
    best: tuple[str, dict[str, int], list[list[bytes]], bool] = ("", {}, [], False)
    for index, keys, options in storage._iter_indexes(db, coll):
        if not holds_all(filter, keys, options):
            continue
        values = _pinned(filter, keys)
        if len(values) > len(best[2]):
            best = (index, dict(keys), values, False)
        elif not best[2] and "partialFilterExpression" in options and _is_range(filter.get(next(iter(keys)))):
            best = (index, dict(keys), [], True)
    return best


def holds_all(filter: Filter, keys: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether every document that the filter matches has an entry in the index."""
    if (
        options.get("sparse")
        or options.get("collation")
        or any(direction not in (1, -1) for direction in keys.values())
    ):
        return False
    condition = options.get("partialFilterExpression") or {}
    return all(clause == {"$exists": True} and _is_there(filter.get(field)) for field, clause in condition.items())


def _is_there(clause: Any) -> bool:
    """Whether only documents that have the field can match."""
    if isinstance(clause, Mapping) and set(clause) == {"$all"}:
        return bool(clause["$all"]) and all(isinstance(value, PLAIN) for value in clause["$all"])
    return _values(clause) is not None or _is_range(clause)


def _pinned(filter: Filter, keys: Mapping[str, int]) -> list[list[bytes]]:
    """The encoded values of the index's fields from the left, as far as the filter names them; the last may be many."""
    pinned: list[list[bytes]] = []
    for field, direction in keys.items():
        values = _values(filter.get(field))
        if values is None:
            break
        pinned.append([encode_value_directed(value, direction) for value in values])
        if len(values) != 1:
            break
    return pinned


def _values(clause: Any) -> list[Any] | None:
    """The values that a clause allows, when they are plain and few enough to name."""
    if isinstance(clause, Mapping):
        if set(clause) == {"$in"} and all(isinstance(value, PLAIN) for value in clause["$in"]):
            return list(clause["$in"])
        clause = clause["$eq"] if set(clause) == {"$eq"} else None
    return [clause] if isinstance(clause, PLAIN) else None


def _is_range(clause: Any) -> bool:
    """Whether only documents that have the field can match."""
    return (
        isinstance(clause, Mapping)
        and bool(clause)
        and set(clause) <= ORDERING
        and all(isinstance(bound, PLAIN) for bound in clause.values())
    )


def _scan(storage: Any, db: str, coll: str, name: str, pinned: list[list[bytes]], *, is_prefix: bool) -> list[Any]:
    head = [values[0] for values in pinned[:-1]]
    found: dict[Any, None] = {}
    for last in pinned[-1]:
        key = COMPOUND_SEP.join([*head, last]) + (COMPOUND_SEP if is_prefix else b"")
        found |= dict.fromkeys(storage._scan_index_for_id_keys(db, coll, name, key, prefix=is_prefix))
    return list(found)
