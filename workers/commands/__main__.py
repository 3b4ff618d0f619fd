"""`python -m workers.commands`, which `./soundops` runs."""

import argparse
import sys
from collections.abc import Sequence

from app import attestations
from workers.commands import backups, promises

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
    sys.exit(main(sys.argv[1:]))
