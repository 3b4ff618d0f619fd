"""`python -m app.keys create DIR`: make the keys a deployment needs. Existing files are never overwritten."""

import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.services.vault.ring import new_ring


def create(folder: Path) -> None:
    """Write `jwt.pem`, `ring.public.json` and `ring.private.json`, each readable by its owner alone.

    The private ring is for workers only: do not give it to the API. Raises `FileExistsError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    public, private = new_ring()
    _write(folder / "jwt.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(folder / "ring.public.json", json.dumps(public).encode())
    _write(folder / "ring.private.json", json.dumps(private).encode())


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    if len(arguments) != 2 or arguments[0] != "create":
        print(__doc__, file=sys.stderr)
        return 2
    try:
        create(Path(arguments[1]))
    except FileExistsError as exc:
        print(f"{exc.filename} is already there: keys are never overwritten.", file=sys.stderr)
        return 1
    print(f"The keys are in {arguments[1]}. Give ring.private.json to workers only.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
