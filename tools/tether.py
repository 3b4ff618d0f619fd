"""Become another program, and end when the parent does: `tether.py PARENT_PID COMMAND…`.

A stop-gap against `kill -9` of the parent, which can then end nothing itself. Linux only: elsewhere it just runs the
command. A script of its own and no `preexec_fn`, which may deadlock in a parent with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call above
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 (no shell is what we want)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
