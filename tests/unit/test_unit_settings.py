"""Settings: what is missing, weak or contradictory is refused by its name, in one sentence, and never shown."""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import pytest

from app.keys import create as create_keys
from app.libraries import FLOORS, too_old
from app.settings import ApiSettings, S, Settings, WorkerSettings, load
from tests.house import settings_env

ROOT = Path(__file__).parents[2]
FOLDER = Path("/nowhere")
GOOD = settings_env(FOLDER, mongodb_url="mongodb://127.0.0.1:9/soundops", redis_url="redis://127.0.0.1:9")
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://api.label.example",
    "APP_ORIGINS": "https://app.label.example",
    "INSTAGRAM_WWW_URL": "https://www.instagram.com",
    "INSTAGRAM_API_URL": "https://api.instagram.com",
    "INSTAGRAM_GRAPH_URL": "https://graph.instagram.com",
    "FACEBOOK_WWW_URL": "https://www.facebook.com",
    "FACEBOOK_GRAPH_URL": "https://graph.facebook.com",
    "META_APP_ID": "1000000000000001",
    "META_APP_SECRET": "the-meta-app-secret-0123456789",
    "MONGODB_URL": "mongodb://db.label.example/soundops?tls=true",
    "REDIS_URL": "rediss://redis.label.example",
    "MAIL_FROM": "Label <no-reply@label.example>",
    "STORAGE_FOLDER": "",
    "S3_BUCKET": "label-files",
    "S3_REGION": "eu-central-1",
    "S3_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "S3_SECRET_ACCESS_KEY": "the-key-of-the-storage",
}
NEEDED_BY_BOTH = [
    "PUBLIC_URL",
    "MONGODB_URL",
    "REDIS_URL",
    "INSTAGRAM_APP_ID",
    "INSTAGRAM_APP_SECRET",
    "META_VERIFY_TOKEN",
    "SECRET_KEY",
    "JWT_KEY_FILE",
    "VAULT_PUBLIC_RING_FILE",
]
NEEDED: dict[type[Settings], list[str]] = {
    ApiSettings: [*NEEDED_BY_BOTH, "VAULT_ACCOUNT_RING_FILE"],
    WorkerSettings: [*NEEDED_BY_BOTH, "VAULT_PRIVATE_RING_FILE", "SMTP_URL"],
}
NOT_AN_ADDRESS = [
    "api.example.com",
    "ftp://host.example",
    "https://",
    "https://canary:pw@host.example",
    "https://host.example?canary",
    "https://host.example/#canary",
    "https://host.example:99999",
    "https://host.example:0",
    "https://[canary",
    "https://ex\u2100mple.com",
    "https://host.example/a b",
]
BAD = [
    *(("PUBLIC_URL", address) for address in NOT_AN_ADDRESS),
    ("INSTAGRAM_WWW_URL", "www.instagram.com"),
    ("INSTAGRAM_API_URL", "graph.instagram.com/canary"),
    ("INSTAGRAM_GRAPH_URL", "//graph.instagram.com"),
    ("MONGODB_URL", "postgres://user:canary@host.example/db"),
    ("MONGODB_URL", "mongodb://host.example:canary/db"),
    ("MONGODB_URL", "mongodb://host.example/db?w=1"),
    ("MONGODB_URL", "mongodb://host.example/db?tls=true&w=0&appname=canary"),
    ("MONGODB_URL", "mongodb+srv://host.example/db?w=majority&journal=false&appname=canary"),
    ("REDIS_URL", "http://user:canary@host.example"),
    ("REDIS_URL", "redis://host.example:canary"),
    ("ENVIRONMENT", "canary-stage"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "canary"),
    ("METRICS_PORT", "-1"),
    ("LOG_LEVEL", "canary"),
    ("APP_ORIGINS", "*"),
    ("APP_ORIGINS", "null"),
    ("APP_ORIGINS", "https://app.example.com/canary"),
    ("APP_ORIGINS", "https://app.example.com/"),
    ("APP_ORIGINS", "https://app.example.com, canary"),
    ("GRAPH_VERSION", "canary"),
    ("GRAPH_VERSION", "v26"),
    ("GRAPH_TIMEOUT_S", "0"),
    ("GRAPH_TIMEOUT_S", "61"),
    ("GRAPH_TIMEOUT_S", "nan"),
    ("INSTAGRAM_APP_SECRET", "canary-short"),
    ("INSTAGRAM_APP_SECRET", "canary-0123456789-long,canary-short"),
    ("INSTAGRAM_APP_SECRET", "canary-0123456789-long,"),
    ("INSTAGRAM_APP_SECRET", " " * 20),
    ("META_APP_SECRET", "canary-short"),
    ("SECRET_KEY", "canary-0123456789-too-short"),
    ("SECRET_KEY", "canary" * 8),
    ("LEASE_S", "1"),
    ("LEASE_S", "601"),
    ("LEASE_S", "15"),
    ("SWEEP_S", "0.1"),
    ("KILL_AT", "canary"),
    ("KILL_AFTER", "0"),
    ("SMTP_URL", "mail.example.com"),
    ("SMTP_URL", "http://user:canary@mail.example.com"),
    ("SMTP_URL", "smtps://user:canary@:465"),
    ("SMTP_URL", "smtps://user:canary@mail.example.com:0"),
    ("SMTP_URL", "smtps://user:canary@mail.example.com:99999"),
    ("VAULT_RING", "canary"),
    ("KMS_KEY_IDS", "alias/canary"),
    ("KMS_KEY_IDS", "arn:aws:kms:eu-central-1:1234:key/a,canary"),
    ("KMS_ENDPOINT_URL", "ftp://canary"),
    ("MAIL_FROM", "canary"),
    ("MAIL_FROM", "SoundOps <canary>"),
    ("MAIL_FROM", "canary@example.com\r\nBcc: canary@example.org"),
]
BAD_FOR_THE_API = [
    ("TRUSTED_HOPS", "-1"),
    ("TRUSTED_HOPS", "11"),
    ("TRUSTED_HOPS", "canary"),
    ("TRUSTED_HOPS", "*"),
    ("LIMITS", "canary"),
    ("LIMITS", "account=0/60"),
    ("LIMITS", "account=10/0"),
    ("LIMITS", "account=10"),
    ("LIMITS", "account=-1/60"),
    ("LIMITS", "account=10/60;label=10/60"),
    ("LIMITS", "ACCOUNT=10/60"),
    ("DOCS", "canary"),
]
BAD_IN_PRODUCTION = [
    ("PUBLIC_URL", "http://api.label.example"),
    ("INSTAGRAM_WWW_URL", "http://www.instagram.com"),
    ("INSTAGRAM_API_URL", "http://api.instagram.com"),
    ("INSTAGRAM_GRAPH_URL", "http://graph.instagram.com"),
    ("APP_ORIGINS", ""),
    ("APP_ORIGINS", " , "),
    ("APP_ORIGINS", "https://app.label.example,http://app.label.example"),
    ("META_VERIFY_TOKEN", "canary"),
    ("KILL_AT", "during_call"),
    ("LOG_LEVEL", "DEBUG"),
    ("MAIL_FROM", ""),
    ("KMS_ENDPOINT_URL", "http://kms.label.example"),
    ("MONGODB_URL", "mongodb://user:canary@db.label.example/soundops"),
    ("MONGODB_URL", "mongodb://user:canary@db.label.example/soundops?tls=false"),
    ("MONGODB_URL", "mongodb+srv://user:canary@db.label.example/soundops?tls=false"),
    ("MONGODB_URL", "mongodb://user:canary@db.label.example/soundops?tls=true&tlsInsecure=true"),
    ("MONGODB_URL", "mongodb://user:canary@db.label.example/soundops?tls=true&tlsAllowInvalidCertificates=true"),
    ("REDIS_URL", "redis://:canary@redis.label.example"),
    ("REDIS_URL", "redis://:canary@redis.label.example?tls=true"),
    ("REDIS_URL", "rediss://:canary@redis.label.example?ssl_cert_reqs=none"),
]


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


@pytest.mark.parametrize(("program", "kind"), [("app", ApiSettings), ("workers", WorkerSettings)])
def test_a_process_says_what_is_missing_and_ends(tmp_path: Path, program: str, kind: type[Settings]) -> None:
    """A sentence for each, status 2, no traceback."""
    ended = start(program, tmp_path, {})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sorted(ended.stderr.splitlines()) == sorted(f"SOUNDOPS_{name} is missing." for name in NEEDED[kind])


def test_bad_configurations_end_the_process(tmp_path: Path) -> None:
    """The real programs, as soon as they end without any settings, with status 2, and one sentence that names it.

    A few of each kind: starting a program takes a second, and the tests above try each of 80 and more.
    """
    worker = [("workers", *bad) for bad in (*BAD[::20], *BAD_IN_PRODUCTION[::5])]
    api = [("app", *bad) for bad in (*BAD_FOR_THE_API[::5], ("LIMITS", "canary=1/60"))]
    missing = [("app" if kind is ApiSettings else "workers", NEEDED[kind][-1], "") for kind in NEEDED]
    assert len(BAD) + len(BAD_IN_PRODUCTION) + len(BAD_FOR_THE_API) > 80 and len([*worker, *api, *missing]) >= 10
    create_keys(tmp_path / "keys")
    good = GOOD | {name: str(tmp_path / "keys" / Path(value).name) for name, value in GOOD.items() if "_FILE" in name}
    production = {f"SOUNDOPS_{name}": value for name, value in PRODUCTION.items()}

    def how_long(program: str) -> float:
        """Seconds until it ends that has no settings."""
        began = perf_counter()
        start(program, tmp_path, {})
        return perf_counter() - began

    def refused(program: str, name: str, value: str) -> str | None:
        """What is wrong with how this one ends; None when nothing is."""
        env = good | (production if (name, value) in BAD_IN_PRODUCTION else {}) | {f"SOUNDOPS_{name}": value}
        began = perf_counter()
        ended = start(program, tmp_path, env)
        took_s, said = perf_counter() - began, ended.stderr.splitlines()
        told = len(said) == 1 and said[0].startswith(f"SOUNDOPS_{name}") and "canary" not in said[0]
        as_soon = took_s < 4 * empty_s
        return None if (ended.returncode, told, as_soon) == (2, True, True) else f"{name} {took_s:.1f} s {said}"

    with ThreadPoolExecutor(2) as pool:
        empty_s = max(pool.map(how_long, ["app", "workers"]))
        found = list(pool.map(lambda one: refused(*one), [*worker, *api, *missing]))
    assert [trouble for trouble in found if trouble] == []


def test_a_library_below_its_floor_is_named() -> None:
    """Releases are compared by their numbers; what is not installed is not missed."""
    assert too_old(FLOORS) == too_old({}) == too_old({"starlette": "1.10.0", "pymongo": "4.20", "other": "0"}) == []
    found = too_old({"starlette": "1.5", "python-multipart": "0.0.26.post1", "pymongo": "4.8.9"})
    assert found == [
        "The library starlette must be 1.5.1 or later.",
        "The library python-multipart must be 0.0.27 or later.",
        "The library pymongo must be 4.9 or later.",
    ]


@pytest.mark.parametrize("program", ["app", "workers"])
def test_a_process_does_not_start_with_an_old_library(tmp_path: Path, program: str) -> None:
    """Whatever else is wrong with it: a sentence, and status 2."""
    (tmp_path / "starlette-1.5.0.dist-info").mkdir()
    (tmp_path / "starlette-1.5.0.dist-info" / "METADATA").write_text("Name: starlette\nVersion: 1.5.0\n")
    ended = start(program, tmp_path, {})
    assert (ended.returncode, ended.stderr) == (2, "The library starlette must be 1.5.1 or later.\n")


def start(program: str, folder: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Start one of our programs with these settings alone, in this folder, and wait for its end."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **settings}
    command = [sys.executable, "-m", program]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
