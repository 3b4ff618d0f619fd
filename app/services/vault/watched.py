"""A file that may change while we run: an operator exchanges a key ring, and no process is restarted for it."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

from app.logs import get_logger
from app.services.vault.ring_errors import BadRing

log = get_logger(__name__)
LOOK_EVERY_S = 1.0
T = TypeVar("T")


class Watched(Generic[T]):
    """What a file holds, read anew when it has changed. A change that cannot be read leaves us with what we held."""

    def __init__(self, path: Path, load: Callable[[Path], T]) -> None:
        """Read it for the first time. Raises what `load` does."""
        self._path, self._load = path, load
        self._state = _state_of(path)  # before reading: a change meanwhile is noticed later
        self._held = load(path)
        self._looked_at = monotonic()

    def held(self) -> T:
        """What the file holds; it is looked at once a second at most."""
        return self._held if monotonic() - self._looked_at < LOOK_EVERY_S else self.fresh()

    def fresh(self) -> T:
        """What the file holds at this moment."""
        self._looked_at = monotonic()
        state = _state_of(self._path)
        if state is None or state == self._state:
            return self._held
        self._state = state
        try:
            self._held = self._load(self._path)
            log.info("the key ring has changed", file=self._path.name)
        except (BadRing, OSError) as exc:
            log.error("the key ring has changed and cannot be read; the one before stays", reason=type(exc).__name__)
        return self._held


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
