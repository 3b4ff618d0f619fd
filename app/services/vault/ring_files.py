"""Changing the files of a local ring: whole or not at all, one operator at a time, readable as before."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.services.vault.ring import BadRing, new_key_pair, read_ring_file


class RingInUse(Exception):
    """Another command is changing the ring."""


@dataclass(frozen=True)
class RingFiles:
    """Where both halves are."""

    public: Path
    private: Path


@contextmanager
def locked(files: RingFiles) -> Iterator[None]:
    """Be the only one who changes them. The kernel forgets the lock when we end. Raises `RingInUse`, `OSError`."""
    with files.private.with_name(f"{files.private.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RingInUse from None
        yield


def add_key(files: RingFiles, *, known: Iterable[str]) -> str:
    """Add a fresh key, which opens and does not seal yet; its id, which no key ever had. Raises `BadRing`, `OSError`.

    The private half comes first: nobody can seal what nobody could open.
    """
    public, private = _keys_of(files.public), _keys_of(files.private)
    taken = {*known, *public["keys"], *private["keys"]}
    number = 1 + max((int(one[1:]) for one in taken if one[:1] == "k" and one[1:].isdecimal()), default=0)
    key_id = f"k{number}"
    public_key, private_key = new_key_pair()
    _write(files.private, private | {"keys": private["keys"] | {key_id: private_key}})
    _write(files.public, public | {"keys": public["keys"] | {key_id: public_key}})
    return key_id


def promote(files: RingFiles, key_id: str) -> None:
    """Have this key seal from now on. Raises `BadRing`, `OSError`."""
    public = _keys_of(files.public)
    if key_id not in public["keys"] or key_id not in _keys_of(files.private)["keys"]:
        raise BadRing(f"{key_id} is not in both halves of the ring")
    _write(files.public, public | {"current": key_id})


def drop_public(files: RingFiles, key_id: str) -> None:
    """Take a key that does not seal any more out of the public half. Raises `BadRing`, `OSError`."""
    public = _keys_of(files.public)
    if public.get("current") == key_id:
        raise BadRing(f"{key_id} is the current key: promote another one first")
    _write(files.public, public | {"keys": _without(public["keys"], key_id)})


def drop_private(files: RingFiles, key_id: str) -> None:
    """Destroy a private key: what it alone could open is lost. Raises `BadRing`, `OSError`."""
    private = _keys_of(files.private)
    _write(files.private, private | {"keys": _without(private["keys"], key_id)})


def _keys_of(path: Path) -> dict[str, Any]:
    ring: dict[str, Any] = read_ring_file(path)
    if not isinstance(ring.get("keys"), dict):
        raise BadRing(f"{path} is not a key ring")
    return ring


def _without(keys: dict[str, str], key_id: str) -> dict[str, str]:
    return {name: value for name, value in keys.items() if name != key_id}


def _write(path: Path, ring: dict[str, Any]) -> None:
    """The new file has the old one's mode and owner: the API may run as somebody else."""
    old, new = path.stat(), path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(ring, file)
        file.flush()
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, old.st_mode & 0o777)
        os.fsync(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
