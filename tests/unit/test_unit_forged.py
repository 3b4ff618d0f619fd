"""The forged set: of all that a forger could send, nothing is taken. `tests/api/test_api_forged.py` sends it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.services.tokens import BadToken, ClientClaims, load_signer
from tests.forgeries import Forger, Kind
from tests.house import make_keys

ISSUER = "https://api.label.example"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
OWN: dict[Kind, dict[str, str]] = {
    "person": {"sub": "usr_1", "sid": "ses_1"},
    "client": {"sub": "cli_1", "label": "lbl_1", "key": "key_1", "scope": "inbox:read label:read"},
}
CLIENT = ClientClaims(
    client_id="cli_1",
    label_id="lbl_1",
    key_id="key_1",
    scopes=frozenset(("inbox:read", "label:read")),
    token_id="01k9zv3t5wxq8m2c4d6f7g9h1j",
    expires_at=NOW + timedelta(minutes=15),
)
HOW_MANY: dict[Kind, int] = {"person": 226, "client": 243}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders with a signing key each."""
    found = tmp_path_factory.mktemp("forged")
    for name in ("old", "new"):
        (found / name).mkdir()
        make_keys(found / name)
    return found


def forger(folder: Path, kind: Kind) -> Forger:
    """With our own key."""
    return Forger(folder / "old" / "jwt.pem", kind, issuer=ISSUER, at=AT, own=OWN[kind])


@pytest.mark.parametrize("kind", ["person", "client"])
def test_no_forgery_is_taken(folder: Path, kind: Kind) -> None:
    """None of so many; and the one that they all are made from is."""
    made_by = forger(folder, kind)
    made_by.signer.verify(made_by.good(), now=NOW)
    forgeries = dict(made_by.all())
    taken = []
    for name, token in forgeries.items():
        assert token != made_by.good(), name
        try:
            made_by.signer.verify(token, now=NOW)
        except BadToken:
            continue
        taken.append(name)
    assert taken == []
    assert len(forgeries) == HOW_MANY[kind]


def test_a_clients_token_says_what_it_was_issued_for(folder: Path) -> None:
    """Until its end, and it is never a person's."""
    signer = load_signer(folder / "old" / "jwt.pem", issuer=ISSUER)
    token = signer.issue_for_client(CLIENT, now=NOW)
    for offset in (timedelta(), timedelta(minutes=14, seconds=59)):
        assert signer.verify(token, now=NOW + offset) == CLIENT
    with pytest.raises(BadToken):
        signer.verify(token, now=NOW + timedelta(minutes=15, seconds=10))


@pytest.mark.parametrize("scope", ["label:read inbox:read", "inbox:read  label:read", "inbox:read inbox:read", " "])
def test_scopes_in_another_writing(folder: Path, scope: str) -> None:
    """Each once, in order, with one space between: as we write them."""
    made_by = forger(folder, "client")
    with pytest.raises(BadToken):
        made_by.signer.verify(made_by.signed(made_by.header, made_by.claims | {"scope": scope}), now=NOW)


def test_the_signing_key_is_exchanged_without_a_refusal(folder: Path) -> None:
    """First all take both keys, then the new one signs, then the old one goes."""
    old, new = (folder / name / "jwt.pem" for name in ("old", "new"))
    before = load_signer(old, issuer=ISSUER)
    prepared = load_signer(old, issuer=ISSUER, other=new)
    changed = load_signer(new, issuer=ISSUER, other=old)
    after = load_signer(new, issuer=ISSUER)
    for issuing, taking in ((before, prepared), (prepared, changed), (changed, prepared), (changed, after)):
        assert taking.verify(issuing.issue_for_client(CLIENT, now=NOW), now=NOW) == CLIENT
    assert [found["kid"] for found in changed.public_jwks] == [after.key_id, before.key_id]
    with pytest.raises(BadToken):
        after.verify(before.issue_for_client(CLIENT, now=NOW), now=NOW)
