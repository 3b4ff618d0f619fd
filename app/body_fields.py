"""Which fields a body has at some place: for who is told that theirs is none of them."""

from collections.abc import Iterator, Sequence
from typing import Any, Union, get_args, get_origin

from fastapi import Request
from pydantic import BaseModel

from app.models.base import ApiModel

UNKNOWN = "holds a field that this request does not have"


def unknown_field(request: Request, location: Sequence[Any]) -> str:
    """What is said of a field at this place of the request's body: it is not repeated, but what there is is told."""
    model = _model_at(request, location[1:-1])
    if model is None:
        return f"{UNKNOWN}; the contract lists its fields"
    elsewhere = model.elsewhere.get(location[-1]) if issubclass(model, ApiModel) else None
    if elsewhere:
        return f"{UNKNOWN}: {elsewhere}"
    names = [field.alias or name for name, field in model.model_fields.items()]
    return f"{UNKNOWN}; there are {', '.join(names)}" if names else f"{UNKNOWN}; it has none"


def _model_at(request: Request, path: Sequence[Any]) -> type[BaseModel] | None:
    """The model of the object at this place; none where it cannot be told which of several it is."""
    body = getattr(request.scope.get("route"), "body_field", None)
    found = list(_kinds(body.field_info.annotation)) if body is not None else []
    for part in path:
        found = [below for kind in found for below in _below(kind, part)]
    models = [kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if len(models) == 1 else None


def _below(kind: Any, part: Any) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        if part in fields:
            yield from _kinds(fields[part].annotation)
    elif get_origin(kind) is list and isinstance(part, int):
        yield from _kinds(get_args(kind)[0])


def _kinds(annotation: Any) -> Iterator[Any]:
    """What a value may be, where the annotation allows several."""
    if hasattr(annotation, "__metadata__"):
        yield from _kinds(annotation.__origin__)
    elif get_origin(annotation) in (Union, type(int | str)):
        for one in get_args(annotation):
            yield from _kinds(one)
    else:
        yield annotation
