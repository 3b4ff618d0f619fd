"""One sandbox and one receiver for this folder's tests."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sandbox.sandbox_harness import Receiver, Sandbox
from tests.sandbox.stripe_harness import Stripe, stripe_at


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Receiver]]:
    """One sandbox and one receiver for all tests that do not end theirs."""
    receiver = Receiver()
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), receiver.url).start()
    yield sandbox, receiver
    assert sandbox.stop() == 0


@pytest.fixture
def receiver(running: tuple[Sandbox, Receiver]) -> Receiver:
    """The receiver, empty and willing."""
    sandbox, receiver = running
    sandbox.control("POST", "/reset")
    sandbox.settle()
    receiver.status = 200
    receiver.posts.clear()
    return receiver


@pytest.fixture
def sandbox(running: tuple[Sandbox, Receiver], receiver: Receiver) -> Sandbox:
    """The sandbox, with nothing but its seed."""
    return running[0]


@pytest.fixture
def own_sandbox(receiver: Receiver, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that the test may kill; delivers to the same receiver."""
    own = Sandbox(tmp_path / "data", receiver.url).start()
    yield own
    if own.process is not None and own.process.poll() is None:
        own.stop(signal.SIGKILL)


@pytest.fixture
async def box(sandbox: Sandbox) -> AsyncIterator[Stripe]:
    """The sandbox's Stripe, with nothing in it."""
    async with stripe_at(sandbox) as found:
        found.control("POST", "/reset")
        yield found
