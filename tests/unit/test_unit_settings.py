"""Settings: what is missing, weak or contradictory is refused by its name, in one sentence, and never shown."""

import os
from pathlib import Path

import pytest

from app.settings import ApiSettings, S, Settings, WorkerSettings, load
from tests.unit.settings_values import BAD, BAD_FOR_THE_API, BAD_IN_PRODUCTION, GOOD, NEEDED, PRODUCTION


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Good settings, and no others; a test changes some."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SOUNDOPS_")]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def put(environment: pytest.MonkeyPatch, **values: str) -> None:
    """Set these settings, named without their prefix."""
    for name, value in values.items():
        environment.setenv(f"SOUNDOPS_{name}", value)


def refusal(capsys: pytest.CaptureFixture[str], kind: type[S]) -> list[str]:
    """What a process says when it refuses to start, line by line."""
    with pytest.raises(SystemExit) as ended:
        load(kind)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def check_refused(lines: list[str], name: str, value: str) -> None:
    """One sentence that begins with the setting's name, and does not show its value."""
    assert len(lines) == 1, lines
    sentence = lines[0]
    assert sentence.startswith((f"SOUNDOPS_{name} must ", f"SOUNDOPS_{name}: ")), sentence
    assert sentence.endswith(".") and "Value error" not in sentence
    assert "canary" not in sentence
    assert len(value.strip()) < 6 or value not in sentence


def test_good_settings_are_taken(environment: pytest.MonkeyPatch) -> None:
    """The settings that every other test here spoils are good."""
    settings = load(WorkerSettings)
    assert (settings.environment, settings.port, settings.origins) == ("development", 8000, [])


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NEEDED.items() for name in names])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_what_is_missing_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Settings], name: str, how: str
) -> None:
    """An empty setting is a missing one."""
    if how == "absent":
        environment.delenv(f"SOUNDOPS_{name}")
    else:
        put(environment, **{name: ""})
    assert refusal(capsys, kind) == [f"SOUNDOPS_{name} is missing."]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [*((WorkerSettings, *bad) for bad in BAD), *((ApiSettings, *bad) for bad in BAD_FOR_THE_API)],
)
def test_what_is_bad_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Settings], name: str, value: str
) -> None:
    """Whatever the value, the sentence names the setting and not the value."""
    put(environment, **{name: value})
    check_refused(refusal(capsys, kind), name, value)


@pytest.mark.parametrize(("name", "value"), BAD_IN_PRODUCTION)
def test_production_refuses_what_is_good_enough_for_a_laptop(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """Each alone, while all the rest is good."""
    put(environment, **(PRODUCTION | {name: value}))
    check_refused(refusal(capsys, WorkerSettings), name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((f"S3_{name}", "") for name in ("BUCKET", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")),
        ("S3_BUCKET", "Canary_Bucket"),
        ("S3_ENDPOINT_URL", "http://canary.label.example"),
        ("STORAGE_FOLDER", "/canary"),
    ],
)
def test_production_needs_a_whole_storage(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """A bucket with all that it takes, and no folder."""
    put(environment, **(PRODUCTION | {name: value}))
    check_refused(refusal(capsys, WorkerSettings), name, value)


@pytest.mark.parametrize("kind", [ApiSettings, WorkerSettings])
def test_production_needs_billing(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Settings]
) -> None:
    """The secret of webhooks in every process; our key, which only workers use, in theirs."""
    put(environment, **(PRODUCTION | {"STRIPE_WEBHOOK_SECRET": ""}))
    assert refusal(capsys, kind) == ["SOUNDOPS_STRIPE_WEBHOOK_SECRET must be set in production."]
    put(environment, **(PRODUCTION | {"STRIPE_SECRET_KEY": ""}))
    if kind is ApiSettings:
        assert load(kind).billing_on
    else:
        told = "SOUNDOPS_STRIPE_SECRET_KEY must be set together with stripe_webhook_secret."
        assert refusal(capsys, kind) == [told]


@pytest.mark.parametrize("kind", [ApiSettings, WorkerSettings])
@pytest.mark.parametrize("key", ["sk_live_canary0123456789", "rk_live_canary0123456789"])
def test_a_live_key_outside_production_ends_the_start(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Settings], key: str
) -> None:
    """Whichever process it was given to."""
    put(environment, STRIPE_WEBHOOK_SECRET="whsec_0123456789abcdefghij", STRIPE_SECRET_KEY=key)
    check_refused(refusal(capsys, kind), "STRIPE_SECRET_KEY", key)


def test_billing_is_off_until_it_is_set(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Both or none. Several secrets of webhooks are good, the newest first."""
    assert not load(WorkerSettings).billing_on
    put(environment, STRIPE_SECRET_KEY="rk_test_0123456789")
    told = "SOUNDOPS_STRIPE_WEBHOOK_SECRET must be set together with stripe_secret_key."
    assert refusal(capsys, WorkerSettings) == [told]
    put(environment, STRIPE_WEBHOOK_SECRET="whsec_newest0123456789, whsec_older00123456789")
    assert load(WorkerSettings).stripe_secrets == ["whsec_newest0123456789", "whsec_older00123456789"]


def test_usage_is_passed_on_to_nobody_until_it_is_set(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker needs both or none; the API needs no secret."""
    assert not load(ApiSettings).forwards_usage
    put(environment, GA_MEASUREMENT_ID="G-ABC1234567")
    assert load(ApiSettings).forwards_usage
    assert refusal(capsys, WorkerSettings) == ["SOUNDOPS_GA_API_SECRET must be set together with ga_measurement_id."]
    put(environment, GA_MEASUREMENT_ID="", GA_API_SECRET="a-secret")
    assert refusal(capsys, WorkerSettings) == ["SOUNDOPS_GA_MEASUREMENT_ID must be set together with ga_api_secret."]


def test_a_laptop_has_one_storage(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder or a bucket, not none and not both; half a bucket is none. An S3 of one's own is addressed by path."""
    put(environment, STORAGE_FOLDER="")
    assert refusal(capsys, WorkerSettings) == ["SOUNDOPS_STORAGE_FOLDER must be set, or s3_bucket."]
    put(environment, S3_BUCKET="label-files")
    assert refusal(capsys, WorkerSettings) == ["SOUNDOPS_S3_REGION must be set."]
    put(environment, S3_REGION="eu-central-1", S3_ACCESS_KEY_ID="AKIAEXAMPLE", S3_SECRET_ACCESS_KEY="a-key")
    assert load(WorkerSettings).s3_style == "virtual"
    put(environment, S3_ENDPOINT_URL="http://127.0.0.1:9000")
    assert load(WorkerSettings).s3_style == "path"
    put(environment, S3_ADDRESSING="virtual")
    assert load(WorkerSettings).s3_style == "virtual"
    put(environment, STORAGE_FOLDER="/somewhere")
    assert refusal(capsys, WorkerSettings) == ["SOUNDOPS_STORAGE_FOLDER must not be set beside s3_bucket."]


def test_a_ring_of_aws_needs_its_keys_and_no_files(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first key's region is where KMS is, unless the settings say otherwise."""
    for name in ("VAULT_PUBLIC_RING_FILE", "VAULT_PRIVATE_RING_FILE"):
        environment.delenv(f"SOUNDOPS_{name}")
    put(environment, VAULT_RING="aws-kms")
    assert refusal(capsys, WorkerSettings) == ["SOUNDOPS_KMS_KEY_IDS is missing."]
    keys = [f"arn:aws:kms:eu-central-1:123456789012:key/{name}" for name in ("new", "old")]
    put(environment, KMS_KEY_IDS=", ".join(keys))
    settings = load(WorkerSettings)
    assert (settings.kms_keys, settings.kms_in) == (keys, "eu-central-1")
    put(environment, KMS_REGION="eu-west-1")
    assert load(WorkerSettings).kms_in == "eu-west-1"


def test_production_takes_good_settings(environment: pytest.MonkeyPatch) -> None:
    """What the test above spoils is good, and a laptop takes what production refuses."""
    put(environment, **PRODUCTION)
    assert load(WorkerSettings).environment == "production"
    assert load(ApiSettings).shows_docs is False
    put(environment, ENVIRONMENT="development", **dict(BAD_IN_PRODUCTION))
    assert load(WorkerSettings).kill_at == "during_call"
    assert load(ApiSettings).shows_docs is True


@pytest.mark.parametrize("twin", ["SECRET_KEY", "META_VERIFY_TOKEN", "META_APP_SECRET"])
def test_one_secret_for_two_purposes_is_refused(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], twin: str
) -> None:
    """A secret that leaks in one place must not open another. Spaces beside it do not make it another."""
    shared = "canary-0123456789-abcdefghijklmnopqrstuvwxyz"
    put(environment, **{"INSTAGRAM_APP_SECRET": f"another-0123456789-secret, {shared}", twin: shared})
    check_refused(refusal(capsys, WorkerSettings), "SECRET_KEY", shared)


def test_several_secrets_during_a_rotation(environment: pytest.MonkeyPatch) -> None:
    """The newest signs; a webhook may be signed with any of them."""
    put(environment, INSTAGRAM_APP_SECRET="newest-0123456789-secret, older-0123456789-secret")
    put(environment, META_APP_SECRET="facebook-0123456789-new,facebook-0123456789-old")
    settings = WorkerSettings(_env_file=None)
    assert settings.instagram_signing_secret == "newest-0123456789-secret"
    assert settings.webhook_secrets == [
        "newest-0123456789-secret",
        "older-0123456789-secret",
        "facebook-0123456789-new",
        "facebook-0123456789-old",
    ]


def test_addresses_may_carry_a_path(environment: pytest.MonkeyPatch) -> None:
    """A slash at the end makes no difference, and the redirect URI is exact."""
    put(environment, PUBLIC_URL="https://label.example:8443/api/", APP_ORIGINS="https://a.example, http://[::1]:3000")
    settings = Settings(_env_file=None)
    assert settings.redirect_uri("instagram") == "https://label.example:8443/api/v1/oauth/callback/instagram"
    assert settings.origins == ["https://a.example", "http://[::1]:3000"]


def test_settings_do_not_show_secrets(environment: pytest.MonkeyPatch) -> None:
    """Printed whole, they show no secret and no address with a password in it; and nothing can be changed."""
    put(environment, MONGODB_URL="mongodb://user:canary@host/db", REDIS_URL="redis://:canary@host")
    put(environment, SECRET_KEY="canary-0123456789-abcdefghijklmnopqrstuvwxyz", META_VERIFY_TOKEN="canary-token")
    put(environment, INSTAGRAM_APP_SECRET="canary-0123456789-a", META_APP_SECRET="canary-0123456789-b")
    settings = WorkerSettings(_env_file=None)
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_the_environment_wins_over_the_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`.env` gives what the environment does not."""
    (tmp_path / ".env").write_text("SOUNDOPS_PORT=8001\nSOUNDOPS_METRICS_PORT=8002\nSOUNDOPS_SOMETHING_ELSE=1\n")
    put(environment, PORT="8003")
    settings = load(Settings)
    assert (settings.port, settings.metrics_port) == (8003, 8002)
