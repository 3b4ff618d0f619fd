"""A child process with a port and a log file, that surely ends: when told, and when this process ends in any way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
TETHER = str(ROOT / "tools" / "tether.py")
OURS = ("SOUNDOPS_", "SANDBOX_", "POSTBOX_")
READY_S = 60.0
END_S = 15.0

SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="spawner")
"""The kernel ends a tethered child with the *thread* that started it, so one that lasts as long as the process does."""


class ChildFailed(Exception):
    """A child did not start, did not get ready or ended by itself. The message names its log and shows its end."""


@dataclass
class Child:
    """A program to run, and, once started, its process. `url` is where others reach it."""

    name: str
    command: list[str]
    log: Path
    port: int = 0
    url: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables it is given besides our own; of ours, none of `OURS` is passed on."""
    answers: Callable[[], bool] = lambda: True
    """Whether it does its work already."""
    _spawned: Future[subprocess.Popen[bytes]] | None = field(default=None, repr=False)
    _log_begins: int = 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The latest process. Raises `ChildFailed` if there was none."""
        if self._spawned is None:
            raise ChildFailed(f"{self.name} has not been started")
        return self._spawned.result()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._spawned is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it; `wait_ready` tells when it answers."""
        if self.alive:
            raise ChildFailed(f"{self.name} is running already")
        self._spawned = SPAWNER.submit(self._spawn)
        self._spawned.result()

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Return once it answers. Raises `ChildFailed` if it ends or the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.alive:
                raise ChildFailed(f"{self.name} ended with status {self.process.returncode}; {self.last_words()}")
            if self.answers():
                return
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} was not ready within {timeout_s:g} s; {self.last_words()}")
            time.sleep(0.02)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send this signal and wait for the end; the exit status. For a signal that ends it."""
        self.process.send_signal(how)
        return self.process.wait(END_S)

    def end(self, timeout_s: float = END_S) -> int | None:
        """Ask it to end, and make it end when it does not in time. The exit status, `None` if it never started."""
        if self._spawned is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def restart(self) -> None:
        """End it if it runs, start it again on the same port and data, and wait until it is ready."""
        self.end()
        self.start()
        self.wait_ready()

    def last_words(self, lines: int = 15) -> str:
        """Where its log is, and the end of it."""
        written = self.log.read_bytes()[self._log_begins :] if self.log.exists() else b""
        tail = written.decode(errors="replace").splitlines()[-lines:]
        return f"the log {self.log} " + (
            "ends with:\n" + "\n".join(f"  {line}" for line in tail) if tail else "is empty"
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            return subprocess.Popen(  # noqa: S603 (our own programs)
                [sys.executable, "-IS", TETHER, str(os.getpid()), *self.command],
                cwd=self.log.parent,  # not where a developer's .env lies: the environment alone configures it
                env=inherited | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for the parent, which ends its children in order
            )


@contextmanager
def running(*children: Child) -> Iterator[None]:
    """Start all at once, wait until each is ready; in the end, end them in reverse order."""
    with ExitStack() as stack:
        for child in children:
            stack.callback(child.end)
            child.start()
        for child in children:
            child.wait_ready()
        yield
