"""Receipts: what was signed verifies, whatever was changed does not, and none is taken for an access token."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.clock import utc_now
from app.receipts import NotGood, main, verify
from app.services.tokens import BadToken, Claims, Signer, load_signer, read_receipt

ISSUER = "http://127.0.0.1:8000"
STEP = {"name": "revoke", "result": "done", "at": "2026-11-25T08:00:00Z", "detail": "Gone – für immer."}
BODY: dict[str, Any] = {
    "connection_id": "con_1",
    "provider": "facebook",
    "provider_id": "100000000000001",
    "completed_at": "2026-11-25T08:01:00Z",
    "steps": [STEP],
    "advice": ["Nothing to do."],
}


@pytest.fixture
def signer(key_folder: Path) -> Signer:
    """The service's."""
    return load_signer(key_folder / "jwt.pem", issuer=ISSUER)


def receipt(signer: Signer) -> dict[str, Any]:
    """A receipt as it is downloaded."""
    return BODY | {"jws": signer.sign_receipt(BODY)}


def test_what_was_signed_is_read(signer: Signer) -> None:
    """From the whole receipt, and from the signature alone."""
    jwks = {"keys": signer.public_jwks}
    shown = receipt(signer)
    assert verify(json.dumps(shown), jwks) == BODY
    assert verify(shown["jws"], jwks) == BODY


@pytest.mark.parametrize("field", sorted(BODY))
def test_a_changed_receipt_is_told(signer: Signer, field: str) -> None:
    """Whichever field shows something else, or is missing."""
    jwks = {"keys": signer.public_jwks}
    for shown in ({**receipt(signer), field: "other"}, {n: v for n, v in receipt(signer).items() if n != field}):
        with pytest.raises(NotGood, match="was changed"):
            verify(json.dumps(shown), jwks)


def test_a_changed_signature_is_told(signer: Signer) -> None:
    """Any character of it; and a key that is not the service's."""
    jws, jwks = signer.sign_receipt(BODY), {"keys": signer.public_jwks}
    for place in range(0, len(jws), 7):
        other = "B" if jws[place] != "B" else "C"
        with pytest.raises(BadToken):
            read_receipt(jws[:place] + other + jws[place + 1 :], jwks)
    for keys in ([], [{**signer.public_jwks[0], "kid": "another"}], [{"kid": signer.key_id, "kty": "oct", "k": "AA"}]):
        with pytest.raises(BadToken):
            read_receipt(jws, {"keys": keys})


def test_neither_is_taken_for_the_other(signer: Signer) -> None:
    """A receipt of a token's very claims is no token; a token is no receipt."""
    now = utc_now()
    token = signer.issue(Claims("usr_1", "ses_1"), now=now)
    with pytest.raises(BadToken):
        read_receipt(token, {"keys": signer.public_jwks})
    times = {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 60}
    claims = {"iss": ISSUER, "aud": "soundops-api", "sub": "usr_1", "sid": "ses_1", "jti": "1"} | times
    with pytest.raises(BadToken):
        signer.verify(signer.sign_receipt(claims), now=now)


def test_the_command(signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no network: 0 and the steps for a good receipt, 1 for another, 2 for what cannot be read."""
    file, keys = tmp_path / "receipt.json", tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": signer.public_jwks}))
    file.write_text(json.dumps(receipt(signer)))
    order = ["verify", str(file), "--jwks", str(keys)]
    assert main(order) == 0 and "con_1" in capsys.readouterr().out
    file.write_text(json.dumps(receipt(signer) | {"provider": "spotify"}))
    assert main(order) == 1 and "was changed" in capsys.readouterr().err
    file.write_text("{}")
    assert main(order) == 1 and "not a receipt" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "none"), "--jwks", str(keys)]) == 2
