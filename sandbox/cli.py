"""The command line: run the sandbox, or drive one that runs."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from sandbox.app import serve
from sandbox.settings import from_environment

DESCRIPTION = """A stand-in for Meta: Instagram's login, messages, comments and webhooks, with no Meta account.

Without a command, or with `serve`, it runs, set up by the environment: SANDBOX_HOST, SANDBOX_PORT, SANDBOX_DATA,
SANDBOX_WEBHOOK_URL, SANDBOX_INSTAGRAM_APP_ID, SANDBOX_INSTAGRAM_APP_SECRET, SANDBOX_META_APP_ID,
SANDBOX_META_APP_SECRET, SANDBOX_VERIFY_TOKEN, SANDBOX_REDIRECT_URIS, SANDBOX_SPOTIFY_CLIENT_ID,
SANDBOX_SPOTIFY_CLIENT_SECRET, SANDBOX_STRIPE_SECRET_KEY, SANDBOX_STRIPE_WEBHOOK_URL, SANDBOX_STRIPE_WEBHOOK_SECRET.
The other commands talk to one that runs."""
EXAMPLES = """examples:
  python -m sandbox
  python -m sandbox write --fan mara --account nightjar.records "When is the vinyl back?"
  python -m sandbox comment --fan jonas --account nightjar.records "Love it"
  python -m sandbox storm --messages 5000 --fans 300 --rate 200
  python -m sandbox fault lost --path /messages
  python -m sandbox fault error --code 190 --subcode 460 --account nightjar.records
  python -m sandbox ledger --kind message_sent"""

Send = Callable[..., Any]


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit status."""
    args = parser().parse_args(argv or ["serve"])
    if args.command == "serve":
        return _serve()
    try:
        with httpx.Client(base_url=args.url, timeout=30, trust_env=False) as http:
            args.run(args, _sender(http))
    except httpx.HTTPStatusError as exc:
        print(f"sandbox: {_reason(exc.response)}", file=sys.stderr)
        return 1
    except httpx.HTTPError as exc:
        print(f"sandbox: no answer from {args.url} ({type(exc).__name__}); is it running?", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m sandbox",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="command", required=True)
    commands.add_parser("serve", help="run the sandbox (the default)")
    _add_fan_commands(commands)
    _add_fault_command(commands)
    ledger = _command(commands, "ledger", _ledger, "show what the product did")
    ledger.add_argument("--kind", help="only this kind, as message_sent")
    ledger.add_argument("--since", type=int, default=0, help="only rows after this seq")
    _command(commands, "state", _state, "show accounts and fans")
    _command(commands, "deliveries", _deliveries, "show how webhook deliveries stand")
    _command(commands, "handshake", _handshake, "check the webhook's verification handshake")
    clock = _command(commands, "clock", _clock, "move the sandbox's time")
    clock.add_argument("offset_s", type=float, help="seconds ahead of the real time")
    _command(commands, "reset", _reset, "forget everything but the seed")
    return top


def _add_fan_commands(commands: Any) -> None:
    write = _command(commands, "write", _write, "write to an account as a fan")
    write.add_argument("--reply-to", metavar="MID", help="the message answered to")
    comment = _command(commands, "comment", _comment, "comment as a fan")
    comment.add_argument("--media", help="the media; the account's first when left out")
    comment.add_argument("--parent", help="the comment answered to")
    for one in (write, comment):
        one.add_argument("--fan", required=True, help="as mara, or fan137")
        one.add_argument("--account", required=True, help="as nightjar.records")
        one.add_argument("text")
    storm = _command(commands, "storm", _storm, "let many fans write")
    storm.add_argument("--messages", type=int, default=1000)
    storm.add_argument("--fans", type=int, default=12)
    storm.add_argument("--account", help="all that subscribed when left out")
    storm.add_argument("--rate", type=float, default=0, help="a second; 0 is as fast as possible")
    storm.add_argument("--seed", type=int, default=1)


def _add_fault_command(commands: Any) -> None:
    fault = _command(commands, "fault", _fault, "queue a fault, list them, or clear them")
    kinds = ["error", "http", "html", "empty", "slow", "lost", "500-executed", "list", "clear"]
    fault.add_argument("fault", choices=kinds)
    fault.add_argument("--path", default="", help="a regular expression searched in the path")
    fault.add_argument("--method", help="as POST")
    fault.add_argument("--account", help="whose token makes the call")
    fault.add_argument("--code", type=int, help="Graph error code, or HTTP status for http")
    fault.add_argument("--subcode", type=int)
    fault.add_argument("--seconds", type=float, default=0, help="the delay of slow")
    fault.add_argument("--times", type=int, default=1, help="how many calls; 0 is every call")


def _command(commands: Any, name: str, run: Callable[..., None], about: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about.capitalize() + ".")
    command.add_argument("--url", default="http://127.0.0.1:8100", help="where the sandbox is (%(default)s)")
    command.set_defaults(run=run)
    return command


def _serve() -> int:
    try:
        settings = from_environment(os.environ)
    except ValueError as exc:
        print(f"sandbox: {exc}", file=sys.stderr)
        return 1
    return serve(settings)


def _sender(http: httpx.Client) -> Send:
    def send(method: str, path: str, **kwargs: Any) -> Any:
        answer = http.request(method, f"/_sandbox{path}", **kwargs)
        answer.raise_for_status()
        return answer.json()

    return send


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


def _write(args: argparse.Namespace, send: Send) -> None:
    order = {"fan": args.fan, "account": args.account, "text": args.text, "reply_to": args.reply_to}
    made = send("POST", "/fans/write", json=order)
    print(f"{args.fan} wrote to {args.account}{_told(made)}\n  mid    {made['mid']}")
    print(f"  psid   {made['psid']}" if "psid" in made else f"  igsid  {made['igsid']}")


def _comment(args: argparse.Namespace, send: Send) -> None:
    order = {"fan": args.fan, "account": args.account, "text": args.text, "media": args.media, "parent": args.parent}
    made = send("POST", "/fans/comment", json=order)
    print(f"{args.fan} commented at {args.account}{_told(made)}")
    print(f"  comment  {made['comment_id']}\n  under    {made.get('media_id') or made['post_id']}")


def _told(made: dict[str, Any]) -> str:
    return "" if made["webhook"] else " (no webhook: the account has not subscribed to it)"


def _storm(args: argparse.Namespace, send: Send) -> None:
    order = {"messages": args.messages, "fans": args.fans, "account": args.account, "seed": args.seed}
    send("POST", "/storm", json=order | {"rate_per_s": args.rate})
    print(f"{args.messages} messages of {args.fans} fans are under way; `deliveries` tells how they arrive")


def _fault(args: argparse.Namespace, send: Send) -> None:
    if args.fault in ("list", "clear"):
        found = send("GET" if args.fault == "list" else "DELETE", "/faults")["faults"]
        print("\n".join(json.dumps(one) for one in found) or "no faults wait")
        return
    match = {"path": args.path, "method": args.method, "account": args.account}
    order = {"match": match, "fault": args.fault, "code": args.code, "subcode": args.subcode, "seconds": args.seconds}
    made = send("POST", "/faults", json=order | {"times": args.times or None})
    print(f"fault {made['id']} waits: {made['fault']}, {made['times'] or 'every'} call(s)")


def _ledger(args: argparse.Namespace, send: Send) -> None:
    params = {"since": args.since} | ({"kind": args.kind} if args.kind else {})
    found = send("GET", "/ledger", params=params)
    for row in found["rows"]:
        details = {k: v for k, v in row.items() if k not in ("seq", "at", "kind", "body") and v not in (None, [])}
        print(f"{row['seq']:>7}  {row['kind']:<20} {json.dumps(details, ensure_ascii=False)}")
    print(f"{found['count']} rows")


def _state(args: argparse.Namespace, send: Send) -> None:
    found = send("GET", "/state")
    for account in found["accounts"]:
        fields = ", ".join(account["subscribed_fields"]) or "not subscribed"
        print(f"{account['username']:<18} user_id {account['user_id']}  id {account['id']}  {fields}")
    for page in found["pages"]:
        fields = ", ".join(page["subscribed_fields"]) or "not subscribed"
        print(f"{page['name']:<18} Page {page['id']}  of {', '.join(page['people'])}  {fields}")
    for person in found["people"]:
        print(f"{person['person']:<18} {person['name']}  id {person['id']}")
    for fan in found["fans"]:
        print(f"{fan['fan']:<18} " + "  ".join(fan["igsids"].values()))


def _deliveries(args: argparse.Namespace, send: Send) -> None:
    for name, value in send("GET", "/delivery").items():
        print(f"{name:<16} {value}")


def _handshake(args: argparse.Namespace, send: Send) -> None:
    found = send("POST", "/handshake")
    print(
        "the handshake is good"
        if found["ok"]
        else f"the handshake failed: HTTP {found['status']}, {found['answered']!r}"
    )


def _clock(args: argparse.Namespace, send: Send) -> None:
    send("PUT", "/clock", json={"offset_s": args.offset_s})
    print(f"the sandbox is {args.offset_s:g} seconds ahead")


def _reset(args: argparse.Namespace, send: Send) -> None:
    send("POST", "/reset")
    print("everything but the seed is forgotten")
