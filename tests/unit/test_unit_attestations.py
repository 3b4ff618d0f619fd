"""Who has kept attestations can check them with nothing but this repository: `python -m app.attestations verify`."""

import json
from pathlib import Path

import pytest

from app import attestations, keys
from app.services.promises.attesting import NOTHING_BEFORE, hash_of
from app.services.tokens import load_signer

DAYS = ("2026-11-29", "2026-11-30", "2026-12-03")


@pytest.fixture
def chain(tmp_path: Path) -> list[str]:
    """Of three days, with their keys beside it."""
    keys.create(tmp_path)
    signer = load_signer(tmp_path / "jwt.pem", issuer="https://api.example.com")
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": signer.public_jwks}))
    made: list[str] = []
    for seq, day in enumerate(DAYS, 1):
        previous = hash_of(made[-1]) if made else NOTHING_BEFORE
        told = {"seq": seq, "day": day, "previous": previous, "key": signer.public_jwks[0], "promises": []}
        made.append(signer.sign_attestation(told))
    return made


def verify(folder: Path, chain: list[str], kept: list[str] | None = None) -> int:
    """The exit status."""
    (folder / "chain").write_text("\n".join(chain))
    asked = ["verify", str(folder / "chain"), "--jwks", str(folder / "jwks.json")]
    if kept is not None:
        (folder / "kept").write_text("\n".join(kept))
        asked += ["--kept", str(folder / "kept")]
    return attestations.main(asked)


def test_a_chain_is_checked(tmp_path: Path, chain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It says from when to when, and on which days nobody looked."""
    assert verify(tmp_path, chain, chain[:2]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Good, from 2026-11-29 to 2026-12-03. Attestations: 3;")
    assert said[1:] == ["None for 2 days after 2026-11-30."]


def test_what_is_not_the_chain_is_refused(tmp_path: Path, chain: list[str]) -> None:
    """One is missing, nothing is there, what was kept is another's, or nothing was kept."""
    assert verify(tmp_path, [chain[0], chain[2]]) == 1
    assert verify(tmp_path, []) == 1
    assert verify(tmp_path, chain, [chain[0][:-4] + "AAAA"]) == 1
    assert verify(tmp_path, chain, []) == 1
