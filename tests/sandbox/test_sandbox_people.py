"""The front page and the command line."""

import subprocess
import sys

from tests.sandbox.sandbox_harness import ROOT, Sandbox


def cli(sandbox: Sandbox, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one command against the running sandbox."""
    command = [sys.executable, "-m", "sandbox", words[0], "--url", sandbox.url, *words[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_the_front_page_writes_as_a_fan_and_escapes_it(sandbox: Sandbox) -> None:
    sandbox.login()
    form = {"fan": "mara", "account": "17841400000000001", "text": "<b>Hi</b>", "kind": "comment"}
    assert sandbox.http.post("/", data=form | {"media": "18000000000000001"}).status_code == 303
    assert sandbox.http.post("/", data=form | {"kind": "message"}).status_code == 303
    assert sandbox.http.post("/", data=form | {"kind": "message", "fan": "<i>"}).status_code == 404
    assert sandbox.control("GET", "/state")["counts"] == {"messages": 1, "comments": 1, "threads": 1}
    graph_text = "<script>x</script>"
    sandbox.login().send("900000000000011", graph_text)
    page = sandbox.http.get("/").text
    assert "nightjar.records" in page and "message_sent" in page
    assert graph_text not in page and "&lt;script&gt;" in page


def test_bad_orders_get_a_sentence(sandbox: Sandbox) -> None:
    nobody = {"fan": "x", "account": "nightjar.records", "text": "z"}
    assert "no fan" in sandbox.control("POST", "/fans/write", nobody, 404)["error"]
    assert "account" in sandbox.control("POST", "/fans/write", {"fan": "mara", "text": "z"}, 422)["error"]
    assert (
        "needs text"
        in sandbox.control("POST", "/fans/write", {"fan": "mara", "account": "oldmill.sound"}, 400)["error"]
    )
    assert "rebatch" in sandbox.control("PUT", "/delivery", {"rebatch": [5, 2]}, 422)["error"]


def test_the_command_line_drives_a_running_sandbox(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    wrote = cli(sandbox, "write", "--fan", "mara", "--account", "nightjar.records", "Hello")
    assert wrote.returncode == 0 and "mara wrote to nightjar.records" in wrote.stdout
    graph.send("900000000000011", "Hi Mara")
    assert "Hi Mara" in cli(sandbox, "ledger", "--kind", "message_sent").stdout
    assert "waits" in cli(sandbox, "fault", "error", "--code", "190", "--path", "/me$").stdout
    assert graph.get("/me").status_code == 401
    unknown = cli(sandbox, "write", "--fan", "nobody", "--account", "nightjar.records", "Hello")
    assert (unknown.returncode, unknown.stderr) == (1, "sandbox: There is no fan 'nobody'.\n")
