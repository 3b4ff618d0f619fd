"""Forms: what OAuth's clients and Meta send, made into the JSON that the routes take."""

import json
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pydantic import BaseModel

from app import oauth
from app.errors import InvalidJson, InvalidRequest, InvalidSignedRequest, Problem
from app.json_guard import check_json
from app.models.deletion import SignedForm

BODY_BYTES, FIELDS = 16 * 1024, 20


@dataclass(frozen=True)
class Form:
    """A form that a route takes."""

    model: type[BaseModel]
    refusal: type[Problem]
    """What whoever sends a broken one is told."""
    needed: frozenset[str] = frozenset()
    """Without these it is a broken one. What else is missing, the route itself tells."""


UNSUBSCRIBE = "/v1/unsubscribe/"
"""Below it, a mail program posts a form of either kind (RFC 8058, section 3.1), which says nothing that we need."""
DEAUTHORIZE, DATA_DELETION = "/v1/webhooks/meta/deauthorize", "/v1/webhooks/meta/data-deletion"
_CALLBACK = Form(SignedForm, InvalidSignedRequest, frozenset({"signed_request"}))
FORMS = {path: Form(model, InvalidRequest) for path, model in oauth.PATHS.items()}
FORMS |= {DEAUTHORIZE: _CALLBACK, DATA_DELETION: _CALLBACK}
"""By the path of their route. Nothing else in the house takes a form."""


def as_json(form: Form, body: bytes) -> bytes:
    """A form as the JSON that the route takes. Raises the form's `refusal`.

    Other fields are left out and empty ones count as left out; one that is there twice is refused (RFC 6749, section
    3.2).
    """
    try:
        found = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS, errors="strict"
        )
        if len({name for name, _ in found}) < len(found):
            raise form.refusal("A field is there twice")
        known = {name: value for name, value in found if value and name in form.model.model_fields}
        converted = json.dumps(known).encode()
        check_json(converted)
    except (ValueError, InvalidJson) as exc:
        raise form.refusal("The form is not one") from exc
    if not form.needed <= known.keys():
        raise form.refusal
    return converted
