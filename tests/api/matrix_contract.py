"""What the contract says of its operations: where a free text can stand, and what a body of its examples is.

The matrices are made from it. What they cannot place, `unclassified` names, and a test fails.
"""

import copy
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from app import contract
from app.main import create_routes
from app.models.access import Permission

CONTRACT: dict[str, Any] = json.loads(contract.document(create_routes()))
JSON_TYPE = "application/json"
HEADERS = {"if-match", "if-none-match", "prefer", "Idempotency-Key", "last-event-id"}
"""An `If-Match` names a version, an `Idempotency-Key` an intent: the cross-label test has them in its calls. A
`Last-Event-ID` names a place in a label's stream: tests/api/test_api_stream.py has another label's."""
BY_RESOURCE = {"getOperation"}
"""Their label is that of what they name."""
NOT_OURS = {"receiveMetaWebhook", "receiveStripeWebhook"}
"""Their bodies are Meta's and Stripe's, open by their rules; they are theirs by their signatures
(tests/unit/test_unit_signature.py, tests/api/test_api_stripe_webhook.py)."""
OPEN_ACCESS = ("person", "anybody", "signed")
Where = Literal["path", "query", "body"]


@dataclass(frozen=True)
class Place:
    """Where a free text can stand. `steps` lead to it through a body: names of fields, 0 into a list."""

    where: Where
    name: str
    steps: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"{self.where} {'/'.join(map(str, self.steps)) or self.name}"


@dataclass(frozen=True)
class Operation:
    """One operation of a contract."""

    name: str
    method: str
    path: str
    spec: dict[str, Any]
    schemas: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} ({self.method} {self.path})"

    @property
    def access(self) -> str:
        """A permission, `person`, `anybody` or `signed`."""
        return str(self.spec.get("x-access"))

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of its body, or none."""
        kinds = self.spec.get("requestBody", {}).get("content", {})
        return kinds[JSON_TYPE]["schema"] if JSON_TYPE in kinds else None

    def codes(self) -> set[str]:
        """The codes of the problems that it may answer with."""
        answers = [answer.get("content", {}).values() for answer in self.spec["responses"].values()]
        return {code for kinds in answers for kind in kinds for code in kind.get("examples", {})}

    def parameters(self, where: str) -> dict[str, Any]:
        """The schemas of its parameters there, by name."""
        return {found["name"]: found["schema"] for found in self.spec.get("parameters", []) if found["in"] == where}

    def leaves(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Every single value that a caller gives, with its schema."""
        for where in ("path", "query"):
            for name, schema in self.parameters(where).items():
                for _, leaf in leaves(schema, self.schemas):
                    yield Place(where, name), leaf
        for steps, leaf in leaves(self.body or {}, self.schemas):
            names = [step for step in steps if isinstance(step, str)]
            yield Place("body", names[-1] if names else "", steps), leaf

    def texts(self) -> list[Place]:
        """Every place where a free text can stand, and so an id."""
        return list(dict.fromkeys(place for place, leaf in self.leaves() if is_free_text(leaf)))


def operations(found: dict[str, Any] = CONTRACT) -> list[Operation]:
    """The operations of a contract."""
    return [
        Operation(spec["operationId"], method.upper(), path, spec, found["components"]["schemas"])
        for path, methods in found["paths"].items()
        for method, spec in methods.items()
    ]


def of_permissions() -> list[Operation]:
    """Those that need a permission in a label."""
    return [operation for operation in operations() if operation.access in get_args(Permission)]


def resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """What a schema stands for: the schemas behind its reference and its alternatives."""
    if "$ref" in schema:
        return resolved(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    ways = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    return [found for way in ways for found in resolved(way, schemas)] or [schema]


def leaves(
    schema: dict[str, Any], schemas: dict[str, Any], steps: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every single value in a schema, and the way to it. An object without closed fields is one such value."""
    for found in resolved(schema, schemas) if schema else ():
        if found.get("type") == "object" and found.get("additionalProperties") is False:
            for name, below in found.get("properties", {}).items():
                yield from leaves(below, schemas, (*steps, name))
        elif found.get("type") == "array":
            yield from leaves(found["items"], schemas, (*steps, 0))
        else:
            yield steps, found


def objects(
    schema: dict[str, Any], schemas: dict[str, Any], steps: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every object in a schema, itself first, and the way to it."""
    for found in resolved(schema, schemas):
        if found.get("type") == "object":
            yield steps, found
            for name, below in found.get("properties", {}).items():
                yield from objects(below, schemas, (*steps, name))
        elif found.get("type") == "array":
            yield from objects(found["items"], schemas, (*steps, 0))


def is_free_text(leaf: dict[str, Any]) -> bool:
    """Whether it may be any text: no choice of words, no date."""
    return leaf.get("type") == "string" and not leaf.keys() & {"enum", "const"} and "date" not in leaf.get("format", "")


def is_known(leaf: dict[str, Any]) -> bool:
    """Whether we can say what it takes."""
    return leaf.get("type") in ("string", "integer", "number", "boolean", "null") or bool(leaf.keys() & {"enum"})


def row_of(operation: Operation, place: Place, names: Container[str]) -> str | None:
    """The name in a table that says what stands there: the operation's own, or that of all."""
    own = f"{operation.name}.{place.name}"
    return own if own in names else place.name if place.name in names else None


def unclassified(found: dict[str, Any], ids: Container[str], plain: Container[str]) -> list[str]:
    """Everything of a contract that the matrices do not know how to try, each as a sentence."""
    troubles = []
    for operation in operations(found):
        if operation.name in NOT_OURS:
            continue
        in_label = operation.access in get_args(Permission)
        if not in_label and operation.access not in OPEN_ACCESS:
            troubles.append(f"{operation}: its access, {operation.access}, is not known")
        if in_label and "label_id" not in operation.parameters("path") and operation.name not in BY_RESOURCE:
            troubles.append(f"{operation}: nothing says which label it is of")
        kinds = operation.spec.get("requestBody", {}).get("content", {})
        as_json = kinds.get(JSON_TYPE, {}).get("schema")  # a form of the same fields says the same
        troubles += [
            f"{operation}: {kind} is not tried as a body" for kind, held in kinds.items() if held["schema"] != as_json
        ]
        troubles += [
            f"{operation}: the {where} {name} is not tried"
            for where, known in (("header", HEADERS), ("cookie", ()))
            for name in operation.parameters(where)
            if name not in known
        ]
        troubles += [
            f"{operation}: {place} may be anything" for place, leaf in operation.leaves() if not is_known(leaf)
        ]
        troubles += [
            f"{operation}: {place} is neither an id with a maker nor known as none"
            for place in operation.texts()
            if row_of(operation, place, ids) is None and row_of(operation, place, plain) is None
        ]
    return troubles


def example_of(schema: dict[str, Any], schemas: dict[str, Any], given: Mapping[str, Any]) -> Any:
    """A value that fits: of objects the required fields alone, and of those what is `given` by name first.

    Raises `LookupError` where neither that nor the contract has one.
    """
    found = resolved(schema, schemas)[0]
    if "examples" in found:
        return copy.deepcopy(found["examples"][0])
    if found.get("type") == "object":
        below = found.get("properties", {})
        needed = found.get("required", [])
        return {name: given[name] if name in given else example_of(below[name], schemas, given) for name in needed}
    if "const" in found or "enum" in found:
        return found["const"] if "const" in found else found["enum"][0]
    raise LookupError(found.get("title", found))


def put(body: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    """A copy of a body with a value there; what is missing on the way is made."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        return [put(body[0] if body else None, rest, value)]
    return (body or {}) | {step: put((body or {}).get(step), rest, value)}
