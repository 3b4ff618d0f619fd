"""The MongoDB stand-in as a program: `python -m tools.mongod --port 27117 --data .soundops/mongo`.

SecantusDB's own command cannot set the TTL monitor's interval, and makes little use of indexes.
"""

import argparse
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from secantus.server import SecantusDBServer

from tools.secantus_indexes import KNOWN_VERSION, repair_index_lookup
from tools.secantus_walks import repair_sorted_finds

LAST_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    repair_index_lookup()
    repair_sorted_finds()
    signal.pthread_sigmask(signal.SIG_BLOCK, LAST_SIGNALS)  # before any thread starts, so that `sigwait` gets them
    args.data.mkdir(parents=True, exist_ok=True)
    try:
        server = SecantusDBServer(
            args.host,
            args.port,
            str(args.data),
            ttl_sweep_seconds=args.ttl_sweep_s,
            sync_on_commit=True,  # w=majority on Atlas is journaled; without this, kill -9 loses acknowledged writes
            enable_test_commands=False,
        )
        server.transactions._lifetime = args.transaction_s  # the server takes no such argument
        server.start()
    except Exception as exc:
        print(f"mongod: cannot serve {args.data} on {args.host}:{args.port}: {exc}", file=sys.stderr)
        return 1
    threading.Thread(target=_end_left_transactions, args=(server,), daemon=True).start()
    print(f"MongoDB (SecantusDB {KNOWN_VERSION}) is ready at {server.uri}", flush=True)
    signal.sigwait(LAST_SIGNALS)
    server._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread in `accept`, which `stop` would wait 2 s for
    server.stop()
    return 0


def _end_left_transactions(server: SecantusDBServer) -> None:
    """End what a dead client left open, as MongoDB does; SecantusDB looks only when another begins."""
    while True:
        time.sleep(1)
        server.transactions.prune_expired()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.mongod", description=__doc__.partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=27117)
    parser.add_argument("--data", type=Path, required=True, help="the folder that keeps the data")
    parser.add_argument("--ttl-sweep-s", type=float, default=60, help="seconds between deletions of what has expired")
    help_ = "seconds until what a dead client left open is ended (mongod's transactionLifetimeLimitSeconds)"
    parser.add_argument("--transaction-s", type=float, default=60, help=help_)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
