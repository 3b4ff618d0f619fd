"""What really exists after the product has run: collections, Redis's keys, objects of the storage, a log's fields."""

import json
from collections.abc import Iterator
from pathlib import Path

import redis

from app.models.data_map import DATA_MAP
from app.models.stores import undeclared_field, undeclared_file, undeclared_key
from tests.faults.plant import Plant

NO_KEY = {b"SELECT", b"MULTI", b"EXEC", b"FUNCTION", b"SCRIPT"}
EVERY_KEY = {b"DEL", b"UNLINK"}
OWN_FILES = ("incoming",)
"""The folder's own, beside `objects`: what is being uploaded."""


def undeclared(plant: Plant) -> list[str]:
    """Everything that is there and nowhere declared."""
    found = [f"collection {name}" for name in _collections(plant) if name not in DATA_MAP]
    found += [f"key {key}" for key in sorted(_keys(plant)) if undeclared_key(key)]
    found += [f"file {key}" for key in sorted(_files(plant)) if undeclared_file(key)]
    found += [f"field {name}" for name in sorted(_fields(plant)) if undeclared_field(name)]
    return found


def counts(plant: Plant) -> dict[str, int]:
    """How many of each were looked at."""
    stores = (("collections", _collections), ("keys", _keys), ("files", _files), ("fields", _fields))
    return {name: len(set(look(plant))) for name, look in stores}


def _collections(plant: Plant) -> list[str]:
    with plant.store() as db:
        return [name for name in db.list_collection_names() if not name.startswith("system.")]


def _keys(plant: Plant) -> set[str]:
    """Every key that there is, or was since Redis began: its log has every write."""
    with redis.Redis.from_url(plant.redis.url) as client:
        client.set("soundops:limit:flush:" + "0" * 32, 1)
        assert client.execute_command("WAITAOF", 1, 0, 10_000)[0] == 1
        there = {key.decode() for key in client.scan_iter()}
    for file in (plant.folder / "valkey").rglob("*.incr.aof"):
        there |= {key.decode() for key in _written(file.read_bytes())}
    return there


def _written(log: bytes) -> Iterator[bytes]:
    """The keys of the commands of an append-only file (RESP)."""
    place = 0
    while place < len(log):
        head, place = _line(log, place)
        if head[:1] != b"*":  # a comment of the log's own
            continue
        words = []
        for _ in range(int(head[1:])):
            size, place = _line(log, place)
            end = place + int(size[1:])
            words.append(log[place:end])
            place = end + 2
        command = words[0].upper()
        if command not in NO_KEY:
            yield from words[1:] if command in EVERY_KEY else words[1:2]


def _line(log: bytes, place: int) -> tuple[bytes, int]:
    end = log.index(b"\r\n", place)
    return log[place:end], end + 2


def _files(plant: Plant) -> set[str]:
    root = Path(plant.env["SOUNDOPS_STORAGE_FOLDER"])
    paths = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    keys = [path.relative_to("objects") if path.parts[0] == "objects" else path for path in paths]
    return {str(key) for key in keys if key.parts[0] not in OWN_FILES and not key.name.startswith(".")}


def _fields(plant: Plant) -> set[str]:
    found: set[str] = set()
    for log in (plant.api.log, plant.worker.log):
        for line in log.read_text().splitlines():
            if line.startswith("{"):
                found |= json.loads(line).keys()
    return found
