"""`make run`: SoundOps on this machine, with a stand-in for each service that is not configured.

Ctrl-C or SIGTERM ends everything. The data stay in `.soundops/`, or where SOUNDOPS_HOME says.
"""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tools import demo, embedded, table
from tools.child import OURS, ROOT, Child, ChildFailed
from tools.plan import (
    ACCOUNT_RING,
    KEY_FILES,
    PROVIDERS,
    SMTP_URL,
    STRIPE_KEY,
    Plan,
    api_env,
    make_plan,
    read_secrets,
    read_told,
    worker_env,
    write_private,
    write_secrets,
)

LAST_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PORT_FREED_S = 2.0
OTHER_PLACES = "SOUNDOPS_PORT=8001 SANDBOX_PORT=8101 POSTBOX_PORT=8126 SOUNDOPS_HOME=.soundops2 make run"
CHECK = "from app.settings import ApiSettings, WorkerSettings, load; load(ApiSettings); load(WorkerSettings)"


class Refused(Exception):
    """It cannot start like this. The message says what to change."""


class Stopped(BaseException):
    """Somebody told us to end."""


def main() -> int:
    """Run until told to end; the exit status."""
    for number in LAST_SIGNALS:
        signal.signal(number, _stop)
    told = read_told(os.environ, Path(".env"))
    home = Path(told.get("SOUNDOPS_HOME", ".soundops")).absolute()
    try:
        with locked(home):
            run(make_plan(told, home))
    except Refused as exc:
        print(exc, file=sys.stderr)
        return 2
    except ChildFailed as exc:
        print(f"\n{exc}\nEverything has been ended.", file=sys.stderr)
        return 1
    except Stopped:
        print(f"\nSoundOps has ended. Its data are in {home}.", flush=True)
        return 0


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    _ignore_signals()  # or a second Ctrl-C would break off the ending
    raise Stopped


def _ignore_signals() -> None:
    for number in LAST_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Be the only one to run on this folder. The kernel forgets the lock when we end, in whatever way."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with (home / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"Another `make run` uses {home}. End it, or choose other places: {OTHER_PLACES}") from None
        yield


def run(plan: Plan) -> NoReturn:
    """Start everything, show where it is, and watch it. Raises `Refused`, `ChildFailed` or `Stopped`, all ended."""
    services = make_services(plan)
    env = addresses_of(services) | dict(plan.env)
    check_settings(env, plan.home)
    check_ports(env, services)
    if plan.secrets != read_secrets(plan.home):
        write_secrets(plan.home, plan.secrets)
    if "keys" in plan.embeds:
        make_keys(plan.home)
    logs = plan.home / "logs"
    api = embedded.api_child(api_env(env), log=logs / "api.log")
    worker = embedded.worker_child(worker_env(env), log=logs / "worker.log")
    in_order = [*services.values(), worker, api]
    begun = time.monotonic()
    try:
        start_all(*services.values())
        start_all(worker, api)
        ready_s = time.monotonic() - begun
        sandbox_url, postbox_url = (services[name].url if name in services else None for name in ("sandbox", "postbox"))
        of_demo = None if plan.has_foreign_instagram else sandbox_url
        shown = demo.try_out(api.url, env["SOUNDOPS_PUBLIC_URL"].rstrip("/"), of_demo, plan.secrets)
        for name, child in (("operator.env", api), ("worker.env", worker)):
            write_private(plan.home / name, {key: shlex.quote(value) for key, value in child.env.items()})
        write_private(plan.home / "demo.env", table.for_the_shell(api.url, sandbox_url, postbox_url, shown))
        pages = {"sandbox_url": sandbox_url, "postbox_url": postbox_url}
        print(table.of_run(plan.home, env, in_order, shown, **pages, ready_s=ready_s), flush=True)
        watch(in_order)
    finally:
        _ignore_signals()
        for child in reversed(in_order):
            child.end()


def make_services(plan: Plan) -> dict[str, Child]:
    """The stand-ins that are needed, in the order to start them. None is started."""
    home, logs = plan.home, plan.home / "logs"
    services: dict[str, Child] = {}
    if "mongodb" in plan.embeds:
        services["mongodb"] = embedded.mongodb_child(home / "mongo", log=logs / "mongod.log")
    if "valkey" in plan.embeds:
        services["valkey"] = embedded.valkey_child(home / "valkey", log=logs / "valkey.log")
    if "sandbox" in plan.embeds:
        services["sandbox"] = embedded.sandbox_child(
            home / "sandbox",
            f"http://127.0.0.1:{plan.env['SOUNDOPS_PORT']}/v1/webhooks/meta",
            app_id=plan.env.get("SOUNDOPS_INSTAGRAM_APP_ID", ""),
            app_secret=plan.env.get("SOUNDOPS_INSTAGRAM_APP_SECRET", ""),
            meta_app_id=plan.env.get("SOUNDOPS_META_APP_ID", ""),
            meta_app_secret=plan.env.get("SOUNDOPS_META_APP_SECRET", ""),
            verify_token=plan.env.get("SOUNDOPS_META_VERIFY_TOKEN", ""),
            port=_port("SANDBOX_PORT", plan.sandbox_env.get("SANDBOX_PORT", "8100")),
            redirect_uris=",".join(redirect_uris(plan)),
            spotify_client_id=plan.env.get("SOUNDOPS_SPOTIFY_CLIENT_ID", ""),
            spotify_client_secret=plan.env.get("SOUNDOPS_SPOTIFY_CLIENT_SECRET", ""),
            stripe_webhook_url=f"http://127.0.0.1:{plan.env['SOUNDOPS_PORT']}/v1/webhooks/stripe",
            stripe_secret_key=plan.env.get(STRIPE_KEY, ""),
            stripe_webhook_secret=plan.env.get("SOUNDOPS_STRIPE_WEBHOOK_SECRET", ""),
            env=plan.sandbox_env,
            log=logs / "sandbox.log",
        )
    if "postbox" in plan.embeds:
        port = _port("POSTBOX_PORT", plan.postbox_port)
        services["postbox"] = embedded.postbox_child(home / "postbox", port, log=logs / "postbox.log")
    return services


def redirect_uris(plan: Plan) -> list[str]:
    """Where the sandbox may send people back to."""
    base = plan.env["SOUNDOPS_PUBLIC_URL"].rstrip("/")
    return [f"{base}/v1/oauth/callback/{provider}" for provider in ("instagram", "facebook", "spotify")]


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise Refused(f"{name} must be a port from 1 to 65535.")
    return int(text)


def addresses_of(services: Mapping[str, Child]) -> dict[str, str]:
    """The settings that lead to these stand-ins."""
    addresses: dict[str, str] = {}
    if "mongodb" in services:
        addresses["SOUNDOPS_MONGODB_URL"] = services["mongodb"].url
    if "valkey" in services:
        addresses["SOUNDOPS_REDIS_URL"] = services["valkey"].url
    if "sandbox" in services:
        url = services["sandbox"].url
        addresses |= {name: f"{url}/{host}" for hosts, _ in PROVIDERS for name, host in hosts.items()}
    if "postbox" in services:
        addresses[SMTP_URL] = embedded.smtp_url(services["postbox"])
    return addresses


def check_settings(env: Mapping[str, str], home: Path) -> None:
    """Let the settings judge themselves, in a process that is given what ours will be given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    judged = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", CHECK],
        cwd=home,
        env={**inherited, **env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if judged.returncode != 0:
        raise Refused(judged.stderr.strip())


def check_ports(env: Mapping[str, str], services: Mapping[str, Child]) -> None:
    """Raise `Refused` when a port is taken. One may need a moment: a run that was killed has just let go of it."""
    wanted = {"SOUNDOPS_PORT": (env["SOUNDOPS_HOST"], int(env["SOUNDOPS_PORT"]))}
    for name, setting in {"sandbox": "SANDBOX_PORT", "postbox": "POSTBOX_PORT"}.items():
        if name not in services:
            continue
        if same := next((other for other, (_, port) in wanted.items() if port == services[name].port), None):
            raise Refused(f"{setting} must be another port than {same}.")
        wanted[setting] = (embedded.HERE, services[name].port)
    for setting, (host, port) in wanted.items():
        deadline = time.monotonic() + PORT_FREED_S
        while (trouble := embedded.port_trouble(host, port)) is not None:
            if time.monotonic() > deadline:
                raise Refused(
                    f"Port {port} of {host} ({setting}) cannot be used: {trouble}. Choose other places: {OTHER_PLACES}"
                )
            time.sleep(0.05)


def make_keys(home: Path) -> None:
    """Make the keys once, all or none; a folder that an earlier version made lacks the accounts' ring."""
    if not (home / "keys").exists():
        new = home / "keys.new"
        shutil.rmtree(new, ignore_errors=True)
        _make_keys("create", new)
        new.rename(home / "keys")
    elif not (home / "keys" / KEY_FILES[ACCOUNT_RING]).exists():
        _make_keys("create-account-ring", home / "keys")


def _make_keys(command: str, folder: Path) -> None:
    made = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-m", "app.keys", command, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise Refused(f"The keys could not be made: {made.stderr.strip()}")


def start_all(*children: Child) -> None:
    """Start these at once, and wait until each is ready."""
    for child in children:
        child.start()
    for child in children:
        child.wait_ready()


def watch(children: Sequence[Child]) -> NoReturn:
    """Raise `ChildFailed` when one ends by itself."""
    while True:
        for child in children:
            if not child.alive:
                raise ChildFailed(f"{child.name} ended by itself; {child.last_words()}")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
