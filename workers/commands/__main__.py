"""`python -m workers.commands`, which `./soundops` runs."""

import argparse
import os
import sys
from collections.abc import Sequence

from app import attestations
from workers.commands import backups, promises

READ_ENOUGH = 141
"""What a shell says of a command that was ended by a closed pipe."""
COMMANDS = (promises, backups)


def main(argv: Sequence[str]) -> int:
    """Run the command; its exit status."""
    if argv[:1] == ["attestations"]:
        return attestations.main(argv[1:])
    parser = argparse.ArgumentParser(prog="soundops", description="What an operator does with SoundOps.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    commands.add_parser("attestations", help="fetch and verify the daily attestations of the promises")
    args = parser.parse_args(argv)
    status: int = args.run(args)
    return status


if __name__ == "__main__":
    try:
        ended = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ended = READ_ENOUGH
    sys.exit(ended)
