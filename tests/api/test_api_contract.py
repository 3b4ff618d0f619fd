"""The contract: what the file says, what the app serves and what the code does are the same thing."""

import asyncio
import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Annotated, Any, TypeVar

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app import routers
from app.errors import Problem
from app.meta_webhook import PATH as META_WEBHOOK
from app.models.base import ApiModel, Doc
from app.problems import MEDIA_TYPE, ProblemOut
from app.stripe_webhook import PATH as STRIPE_WEBHOOK
from tests.api.matrix_contract import NOT_OURS
from tests.house import House
from tools.child import ROOT

T = TypeVar("T")
NOT_IN_IT = {"/openapi.json", "/docs", "/docs/{name}"}
"""The contract itself, and its manual."""
NOTHING_TO_WAIT_FOR = {"createPasswordReset", "changeEmail", "deleteLabel", "actOnComments", "retryPublication"}
NOTHING_TO_WAIT_FOR |= {"beginErasure", "eraseFan", "acceptFanRequest"}
"""Their answer tells nothing of a mail, the work begins or ends later, or there are many works at once."""
SHOWN = {("SessionOut", "access_token"), ("TokenOut", "access_token")}
SHOWN |= {("ClientMade", "client_secret"), ("SecretMade", "client_secret")}
"""Each in the one answer that makes it: `MAKERS`."""
MAKERS = {
    "TokenOut": {"createOauthToken"},
    "ClientMade": {"createApiClient"},
    "SecretMade": {"createApiClientSecret"},
}
ABOUT = {("ClientOut", "secrets"), ("ClientMade", "secrets"), ("ClientShown", "secrets")}
"""Lists of what there is to know about secrets, without them."""
TIMES = {("ConnectionOut", "token_expires_at"), ("ConnectionStarted", "token_expires_at")}
FIXED = {("SessionOut", "token_type"): ["Bearer"], ("Readiness", "key_ring"): ["ok", "missing"]}
FIXED |= {("TokenOut", "token_type"): ["Bearer"]}
FOR_ANYBODY = {"getHealth", "getReadiness", "getJwks", "getSecurityTxt", "createUser", "createSession"}
FOR_ANYBODY |= {"listPlans", "receiveStripeWebhook", "verifyMetaWebhook", "receiveMetaWebhook", "createPasswordReset"}
FOR_ANYBODY |= {"receiveMetaDeauthorization", "receiveMetaDataDeletion", "getDataDeletion"}
FOR_ANYBODY |= {"lookUpInvitation", "verifyEmail", "confirmPasswordReset", "confirmEmailChange", "undoEmailChange"}
FOR_ANYBODY |= {"getExportFile"}
FOR_ANYBODY |= {"getVisitorConsents", "decideVisitorConsents", "listCookies", "listPolicies", "getPolicy"}
FOR_ANYBODY |= {"listPromises", "getPromise", "listAttestations", "getPromisesPage"}
FOR_ANYBODY |= {"getRetention", "getRecordOfProcessing", "getRetentionPage", "getPolicyPage"}
FOR_ANYBODY |= {"getErasure", "cancelErasure"}
FOR_ANYBODY |= {"getUnsubscribePage", "unsubscribe"}
"""They need no session; some need the token of a mail."""
SECRETIVE = re.compile("token|secret|password|credential|cipher|sealed|private|hash(?!tag)|(?<!_)key(?!s$)")


@pytest.fixture
def contract() -> Doc:
    """The repository's `openapi.json`."""
    found: Doc = json.loads((ROOT / "openapi.json").read_bytes())
    return found


def operations(contract: Doc) -> Iterator[tuple[str, str, Doc]]:
    """Each operation, with its path and method."""
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def subclasses(kind: type[T]) -> set[type[T]]:
    """All below it."""
    return {found for child in kind.__subclasses__() for found in (child, *subclasses(child))}


def named_in(part: Any) -> set[str]:
    """The schemas that this part of the contract refers to."""
    if isinstance(part, dict):
        at = part.get("$ref")
        own = {at.rpartition("/")[2]} if isinstance(at, str) and "/schemas/" in at else set()
        return own | named_in(list(part.values()))
    return {name for item in part for name in named_in(item)} if isinstance(part, list) else set()


def reachable(contract: Doc, part: Any) -> set[str]:
    """The schemas that this part can lead to."""
    found: set[str] = set()
    more = named_in(part)
    while more - found:
        found |= more
        more = named_in([contract["components"]["schemas"][name] for name in found])
    return found


async def test_the_file_the_command_and_the_app_say_the_same(house: House) -> None:
    """Byte for byte."""
    file = (ROOT / "openapi.json").read_bytes()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.openapi", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    written, _ = await command.communicate()
    assert written == file, "make openapi"
    answer = await house.http.get("/openapi.json")
    assert (answer.content, answer.headers["content-type"]) == (file, "application/json")


def test_every_route_is_in_it(contract: Doc) -> None:
    """Of each module of the routers; and nothing else is in it but the routes in front of them."""
    found = set()
    for module in pkgutil.iter_modules(routers.__path__, f"{routers.__name__}."):
        for route in importlib.import_module(module.name).router.routes:
            assert isinstance(route, APIRoute)
            assert route.include_in_schema is (route.path not in NOT_IN_IT), route.path
            found |= {(route.path, method.lower()) for method in route.methods or () if route.include_in_schema}
    in_front = {(META_WEBHOOK, "post"), (STRIPE_WEBHOOK, "post")}
    assert found | in_front == {(path, method) for path, method, _ in operations(contract)}
    assert len(found) > 20


def test_every_operation_is_described(contract: Doc) -> None:
    """A name of its own for generated clients, a summary, a sentence; and a known tag."""
    tags = {tag["name"] for tag in contract["tags"]}
    names = [operation["operationId"] for _, _, operation in operations(contract)]
    assert len(set(names)) == len(names) and all(re.fullmatch("[a-z]+[A-Za-z]+", name) for name in names)
    for path, method, operation in operations(contract):
        assert operation["summary"] and operation["description"].endswith("."), (method, path)
        assert set(operation["tags"]) <= tags and operation["tags"]
        in_path = {found["name"] for found in operation.get("parameters", []) if found["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        in_query = [found for found in operation.get("parameters", []) if found["in"] == "query"]
        assert all(found.get("description") for found in in_query), (method, path)


def test_what_else_a_reader_needs_is_told(contract: Doc) -> None:
    """Every problem in one table, each word of `x-access`, and how long a password is."""
    told = contract["info"]["description"]
    kinds: set[type[Problem]] = {Problem, *subclasses(Problem)}
    for kind in kinds:
        assert f"| {kind.status} | `{kind.code}` | {kind.title} |" in told
    assert all(f"`{word}`" in told for word in ("person", "signed", "anybody"))
    for name in ("UserCreate", "PasswordChange"):
        password = contract["components"]["schemas"][name]["properties"]["password"]
        assert (password["minLength"], password["maxLength"]) == (15, 128)


def test_every_refusal_is_a_problem(contract: Doc) -> None:
    """With examples that are problems of ours, each under its own status."""
    kinds: set[type[Problem]] = {Problem, *subclasses(Problem)}
    known = {kind.code: kind.status for kind in kinds}
    shown = set()
    for path, method, operation in operations(contract):
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert set(refusals) >= {"414", "431", "500", "503"}, (method, path)
        for status, answer in refusals.items():
            body = answer["content"][MEDIA_TYPE]
            assert body["schema"] == {"$ref": "#/components/schemas/ProblemOut"}
            for code, example in body["examples"].items():
                assert example == {"$ref": f"#/components/examples/{code}"}
                problem = ProblemOut.model_validate(contract["components"]["examples"][code]["value"])
                assert (problem.code, problem.status, known[code]) == (code, int(status), int(status))
                shown.add(code)
    of_storage = {"invalid_upload", "link_refused", "upload_refused", "upload_size_refused"}
    assert shown == set(known) - {"method_not_allowed", "not_http"} - of_storage  # of what is not in the contract


def test_a_schema_has_a_name_of_its_own(contract: Doc) -> None:
    """Of two models of one name, generated clients would be given the modules' names."""
    assert [name for name in contract["components"]["schemas"] if "__" in name] == []


def test_what_is_taken_and_refused_is_documented(contract: Doc) -> None:
    """The key of every POST, the session that is needed, and what a body can be refused for."""
    for path, method, operation in operations(contract):
        name, statuses = operation["operationId"], set(operation["responses"])
        headers = {found["name"] for found in operation.get("parameters", []) if found["in"] == "header"}
        assert ("Idempotency-Key" in headers) is (method == "post" and name not in NOT_OURS), name
        assert ("security" in operation) is (name not in FOR_ANYBODY), name
        assert "401" in statuses or "security" not in operation, name
        assert "{" not in path or statuses >= {"404", "422"}, name
        assert "requestBody" not in operation or statuses >= {"400", "408", "413"}, name
        assert method not in ("patch", "put") or ("if-match" in headers and "412" in statuses), name
        assert ("202" in statuses) <= ("prefer" in headers or name in NOTHING_TO_WAIT_FOR), name


def test_no_answer_has_a_place_for_a_secret(contract: Doc) -> None:
    """But the access token of a log-in or a client, and a client's new secret: each in one answer alone."""
    answers = [operation["responses"] for _, _, operation in operations(contract)]
    found = {
        (name, field): schema
        for name in reachable(contract, answers)
        for field, schema in contract["components"]["schemas"][name].get("properties", {}).items()
        if SECRETIVE.search(field)
    }
    assert set(found) == SHOWN | TIMES | ABOUT | {("ConnectionHealth", "token")} | set(FIXED)
    of_token = set(contract["components"]["schemas"]["TokenHealth"]["properties"])
    assert of_token == {"age_s", "expires_at", "refresh_due_at", "access_ends_at", "version"}
    for name, makers in MAKERS.items():
        by = {one["operationId"] for _, _, one in operations(contract) if name in reachable(contract, one["responses"])}
        assert by == makers
    known = set(contract["components"]["schemas"]["SecretOut"]["properties"])
    assert known == {"id", "hint", "created_at", "expires_at", "last_used_at", "created_by"}
    assert {found[place]["items"]["$ref"] for place in ABOUT} == {"#/components/schemas/SecretOut"}
    for place, words in FIXED.items():
        assert found[place].get("enum", [found[place].get("const")]) == words


def test_every_body_is_closed_and_named(contract: Doc) -> None:
    """A field that a request does not have is refused, at any depth; nothing is defined and not used."""
    bodies = [operation["requestBody"] for _, _, operation in operations(contract) if "requestBody" in operation]
    taken = reachable(contract, bodies)
    assert len(taken) >= 6
    for name in taken:
        assert contract["components"]["schemas"][name]["additionalProperties"] is False, name
    assert reachable(contract, contract["paths"]) == set(contract["components"]["schemas"])


def test_every_example_is_one() -> None:
    """It is taken by its own field."""
    tried = 0
    for model in subclasses(ApiModel):
        for field in model.model_fields.values():
            for example in field.examples or []:
                adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]
                adapter.validate_json(json.dumps(example))
                tried += 1
    assert tried > 15


class Links(HTMLParser):
    """Collects what a page loads, and whether it runs or styles anything in line."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [value for name in ("src", "href", "action") if (value := given.get(name))]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "script" and "src" not in given:
            self.inline.append(tag)


async def test_the_manual_needs_no_other_site(house: House) -> None:
    """Everything it loads is ours and there, nothing runs in line, and the browser is told to refuse the rest."""
    page = await house.http.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    links = Links()
    links.feed(page.text)
    assert links.inline == []
    kinds = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
    loaded = [link for link in links.found if not link.startswith("data:")]
    assert len(loaded) == 3
    for link in loaded:
        assert link.startswith("/docs/")
        answer = await house.http.get(link)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kinds[link[link.rindex(".") :]])
        assert answer.content and (len(answer.content) > 10_000 or "http" not in answer.text)
    start = (await house.http.get("/docs/start.js")).text
    assert 'url: "/openapi.json"' in start and "validatorUrl: null" in start
    assert re.findall(r"url\((?!\"?data:|'?data:)[^)]*\)", (await house.http.get("/docs/swagger-ui.css")).text) == []


async def test_the_manual_is_confined(house: House) -> None:
    """Its policy names no site but ours, allows no code in line, and no frame; other answers load nothing at all."""
    page = await house.http.get("/docs")
    [policy] = page.headers.get_list("content-security-policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'" and rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in rules.get("script-src", "")
    assert set(" ".join(rules.values()).split()) <= {"'self'", "'none'", "'unsafe-inline'", "data:"}
    assert [name for name, value in rules.items() if "unsafe-inline" in value] == ["style-src"]
    for path in ("/docs/swagger-ui-bundle.js", "/openapi.json"):
        answer: httpx.Response = await house.http.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
