"""`make run` as a person meets it: one table, something to see, an end to everything, and the data still there."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tools import embedded
from tools.child import OURS, ROOT
from tools.plan import PROVIDERS, api_env, make_plan, read_told, worker_env
from tools.run import addresses_of, make_services

READY_S = 60


def clean_env(home: Path, **settings: str) -> dict[str, str]:
    """This process's environment without what is ours, and these settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    ports = {name: str(embedded.free_port()) for name in ("SOUNDOPS_PORT", "SANDBOX_PORT", "POSTBOX_PORT")}
    return inherited | ports | {"SOUNDOPS_HOME": str(home), "PYTHONPATH": str(ROOT)} | settings


@contextmanager
def make_run(env: Mapping[str, str], folder: Path) -> Iterator[str]:
    """`make run`, from the moment it says that all is ready until it has ended by Ctrl-C; what it said."""
    said = folder / "said.txt"
    with said.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "tools.run"], cwd=folder, env=dict(env), stdout=out)
    try:
        deadline = time.monotonic() + READY_S
        while "Ctrl-C ends everything" not in said.read_text():
            assert process.poll() is None and time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        yield said.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "SoundOps has ended" in said.read_text()
    finally:
        process.kill()
        process.wait()


def demo_of(home: Path) -> dict[str, str]:
    """What `demo.env` says."""
    lines = (home / "demo.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@contextmanager
def logged_in(demo: Mapping[str, str]) -> Iterator[httpx.Client]:
    """The demo's person."""
    with httpx.Client(base_url=demo["API"], trust_env=False) as http:
        login = http.post("/v1/sessions", json={"email": demo["EMAIL"], "password": demo["PASSWORD"]}).json()
        http.headers["Authorization"] = f"Bearer {login['access_token']}"
        yield http


def features_of(demo: Mapping[str, str]) -> list[str]:
    """What the demo's account is connected for."""
    with logged_in(demo) as http:
        [connection] = http.get(f"/v1/labels/{demo['LABEL']}/connections").json()["data"]
        found: list[str] = connection["active_features"]
        return found


def texts_in_the_inbox(demo: Mapping[str, str]) -> set[str]:
    """What the demo's label sees of its fans, messages and comments."""
    with logged_in(demo) as http:
        label = f"/v1/labels/{demo['LABEL']}"
        found = http.get(f"{label}/comments").json()["data"]
        for conversation in http.get(f"{label}/conversations").json()["data"]:
            found += http.get(f"{label}/conversations/{conversation['id']}/messages").json()["data"]
        return {item["text"] for item in found}


def test_make_run_shows_something_and_keeps_it(tmp_path: Path) -> None:
    """Ready, with fans' words in the inbox; after Ctrl-C no child is left; at the next start all is still there."""
    home = tmp_path / "home"
    env = clean_env(home)
    with make_run(env, tmp_path) as said:
        demo = demo_of(home)
        deadline = time.monotonic() + 20
        while len(texts := texts_in_the_inbox(demo)) < 6 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert {"When is the vinyl back?", "This bass line!"} < texts and len(texts) == 6
        assert features_of(demo) == ["comments", "insights", "messages", "publishing"]  # what the tour uses
        assert demo["LABEL"] in said and demo["PASSWORD"] in said and "/docs" in said
        assert f"{demo['POSTBOX']}/" in said and "The postbox" in httpx.get(demo["POSTBOX"], trust_env=False).text
    assert all(embedded.port_trouble(embedded.HERE, int(env[name])) is None for name in env if name.endswith("_PORT"))
    assert oct((home / "secrets.env").stat().st_mode & 0o777) == "0o600"
    accounts = home / "keys" / "ring.accounts.json"
    accounts.unlink()  # as in a folder that an earlier version made
    keys = {path: path.read_bytes() for path in (home / "keys").iterdir()}
    with make_run(env, tmp_path):
        assert demo_of(home) == demo
        assert texts_in_the_inbox(demo) == texts
        assert oct(accounts.stat().st_mode & 0o777) == "0o600"
        assert {path: path.read_bytes() for path in keys} == keys


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SOUNDOPS_MONGODB_URL": "postgres://x"}, "SOUNDOPS_MONGODB_URL must begin with mongodb://"),
        ({"SOUNDOPS_SECRET_KEY": "short"}, "SOUNDOPS_SECRET_KEY must be 32 random characters or more."),
        ({"SOUNDOPS_ENVIRONMENT": "production"}, "SOUNDOPS_MONGODB_URL is missing."),
        ({"SANDBOX_PORT": "8477", "SOUNDOPS_PORT": "8477"}, "SANDBOX_PORT must be another port than SOUNDOPS_PORT."),
        ({"SANDBOX_PORT": "many"}, "SANDBOX_PORT must be a port from 1 to 65535."),
        ({"POSTBOX_PORT": "8478", "SANDBOX_PORT": "8478"}, "POSTBOX_PORT must be another port than SANDBOX_PORT."),
        ({"POSTBOX_PORT": "0"}, "POSTBOX_PORT must be a port from 1 to 65535."),
        ({"SOUNDOPS_SMTP_URL": "http://x"}, "SOUNDOPS_SMTP_URL must be an address like smtps://"),
    ],
)
def test_a_bad_setting_is_one_sentence(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    """Nothing is started, nothing is traced back, and no value is shown."""
    ended = subprocess.run(
        [sys.executable, "-m", "tools.run"],
        cwd=tmp_path,
        env=clean_env(tmp_path / "home", **settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sentence in ended.stderr and "Traceback" not in ended.stderr
    assert re.search(r"\bshort\b|postgres", ended.stderr) is None


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    """It names the port, the reason and the way out."""
    with socket.create_server((embedded.HERE, 0)) as server:
        port = server.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "tools.run"],
            cwd=tmp_path,
            env=clean_env(tmp_path / "home", SOUNDOPS_PORT=str(port)),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 2
    assert (
        f"Port {port} of 127.0.0.1 (SOUNDOPS_PORT) cannot be used: it is taken. Choose other places: SOUNDOPS_"
        in ended.stderr
    )


def test_only_what_is_not_configured_is_embedded(tmp_path: Path) -> None:
    """Part by part; an empty value counts as none, and the environment outdoes `.env`."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("SOUNDOPS_REDIS_URL=redis://from-dotenv\nSOUNDOPS_MONGODB_URL=\n")
    told = read_told({"SOUNDOPS_REDIS_URL": "redis://mine", "OTHER": "x"}, dotenv)
    plan = make_plan(told, tmp_path / "home")
    assert plan.env["SOUNDOPS_REDIS_URL"] == "redis://mine"
    assert plan.embeds == {"mongodb", "sandbox", "postbox", "keys"}
    assert "postbox" not in make_plan(told | {"SOUNDOPS_SMTP_URL": "smtp://mine"}, tmp_path / "home").embeds


def test_an_app_at_each_provider_whose_part_is_embedded(tmp_path: Path) -> None:
    """The sandbox is told of all of them, and where it may send people back to; who brings hosts brings the app."""
    plan = make_plan({}, tmp_path / "home")
    sandbox = make_services(plan)["sandbox"]
    for ours, theirs in {
        "META_APP_ID": "META_APP_ID",
        "META_APP_SECRET": "META_APP_SECRET",
        "SPOTIFY_CLIENT_SECRET": "SPOTIFY_CLIENT_SECRET",
        "STRIPE_SECRET_KEY": "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET": "STRIPE_WEBHOOK_SECRET",
    }.items():
        assert plan.env[f"SOUNDOPS_{ours}"] == plan.secrets[f"SOUNDOPS_{ours}"] == sandbox.env[f"SANDBOX_{theirs}"]
    back = "http://127.0.0.1:8000/v1/oauth/callback"
    uris = sandbox.env["SANDBOX_REDIRECT_URIS"].split(",")
    assert uris == [f"{back}/{provider}" for provider in ("instagram", "facebook", "spotify")]
    addresses = addresses_of({"sandbox": sandbox})
    assert addresses["SOUNDOPS_FACEBOOK_GRAPH_URL"] == f"{sandbox.url}/graph.facebook.com"
    assert addresses["SOUNDOPS_SPOTIFY_API_URL"] == f"{sandbox.url}/api.spotify.com/v1"
    assert addresses["SOUNDOPS_STRIPE_API_URL"] == f"{sandbox.url}/stripe"
    assert addresses["SOUNDOPS_GA_URL"] == f"{sandbox.url}/www.google-analytics.com"
    assert addresses.keys() == {name for hosts, _ in PROVIDERS for name in hosts}
    assert sandbox.env["SANDBOX_STRIPE_WEBHOOK_URL"] == "http://127.0.0.1:8000/v1/webhooks/stripe"
    foreign = make_plan(embedded.meta_urls("http://mine"), tmp_path / "home")
    assert "SOUNDOPS_META_APP_ID" not in foreign.secrets and foreign.has_foreign_instagram
    assert foreign.embeds >= {"sandbox"} and "SOUNDOPS_SPOTIFY_CLIENT_ID" in foreign.secrets


def test_each_process_is_given_its_own_secrets(tmp_path: Path) -> None:
    """The private ring and the mail server's password to workers alone, the accounts' ring to the API alone."""
    env = dict(make_plan({"SOUNDOPS_SMTP_URL": "smtp://me:secret@mine"}, tmp_path / "home").env)
    private, accounts = "SOUNDOPS_VAULT_PRIVATE_RING_FILE", "SOUNDOPS_VAULT_ACCOUNT_RING_FILE"
    of_workers = {f"SOUNDOPS_{name}" for name in ("SMTP_URL", "STRIPE_SECRET_KEY", "GA_API_SECRET")}
    assert set(env) - set(api_env(env)) == {private} | of_workers
    assert set(env) - set(worker_env(env)) == {accounts}
