"""`python -m app.keys create DIR`: make the keys a deployment needs. Existing files are never overwritten.

`python -m app.keys create-backup-keys DIR` makes `backup.public.json`, by which backups are made, and
`backup.private.json`, without which none can be restored: keep it elsewhere, and twice.

`python -m app.keys create-account-ring DIR` makes `ring.accounts.json` alone, for a deployment that has the others.
"""

import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.services.vault.account_ring import new_account_ring
from app.services.vault.ring import new_ring


def create(folder: Path) -> None:
    """Write `jwt.pem`, `ring.public.json`, `ring.private.json` and `ring.accounts.json`, for their owner's eyes alone.

    The private ring is for workers only: do not give it to the API. The accounts' ring is for the API only. Raises
    `FileExistsError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    public, private = new_ring()
    _write(folder / "jwt.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(folder / "ring.public.json", json.dumps(public).encode())
    _write(folder / "ring.private.json", json.dumps(private).encode())
    create_account_ring(folder)


def create_account_ring(folder: Path) -> None:
    """Write `ring.accounts.json` alone, for a deployment that has the others. Raises `FileExistsError`."""
    _write(folder / "ring.accounts.json", json.dumps(new_account_ring()).encode())


def create_backup_keys(folder: Path) -> None:
    """Write `backup.public.json` and `backup.private.json`. Raises `FileExistsError`."""
    folder.mkdir(parents=True, exist_ok=True)
    public, private = new_ring()
    _write(folder / "backup.public.json", json.dumps(public).encode())
    _write(folder / "backup.private.json", json.dumps(private).encode())


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    commands = {
        "create": create,
        "create-account-ring": create_account_ring,
        "create-backup-keys": create_backup_keys,
    }
    if len(arguments) != 2 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        commands[arguments[0]](Path(arguments[1]))
    except FileExistsError as exc:
        print(f"{exc.filename} is already there: keys are never overwritten.", file=sys.stderr)
        return 1
    print(f"The keys are in {arguments[1]}.")
    if arguments[0] == "create-backup-keys":
        print("Keep backup.private.json elsewhere, and twice: without it no backup can be restored.")
        return 0
    print("Give ring.private.json to workers only, and ring.accounts.json to the API only.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
