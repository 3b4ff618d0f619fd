"""Providers' deliveries in the contract: they are taken in front of the router, which so cannot tell of them."""

from typing import Any

from app import meta_webhook, stripe_webhook
from app.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    InvalidDelivery,
    InvalidJson,
    InvalidSignature,
    Problem,
    RequestTimeout,
    Unavailable,
    UriTooLong,
)
from app.problems import problems

_ALWAYS = (BodyTooLarge, RequestTimeout, UriTooLong, HeadersTooLarge, Problem, Unavailable)
META: dict[str, Any] = {
    "tags": ["webhooks"],
    "summary": "Receive Meta Webhook",
    "description": "Take in a delivery of Meta's. `200` means that every change in it is durable.",
    "operationId": "receiveMetaWebhook",
    "x-access": "signed",
    "parameters": [
        {
            "name": "X-Hub-Signature-256",
            "in": "header",
            "required": True,
            "description": "`sha256=` and the HMAC-SHA256 of the raw body, keyed with the app secret, in hex.",
            "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["object", "entry"],
                    "properties": {
                        "object": {"type": "string", "examples": ["instagram"]},
                        "entry": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
                    },
                }
            }
        },
    },
    "responses": {
        "200": {"description": "Every change is durable, or was already"},
        **{str(status): answer for status, answer in problems(InvalidSignature, InvalidJson, *_ALWAYS).items()},
    },
}
STRIPE: dict[str, Any] = {
    "tags": ["webhooks"],
    "summary": "Receive Stripe Webhook",
    "description": "Take in an event of Stripe's. `200` means that it is durable, or was already.",
    "operationId": "receiveStripeWebhook",
    "x-access": "signed",
    "parameters": [
        {
            "name": "Stripe-Signature",
            "in": "header",
            "required": True,
            "description": "`t=` and `v1=`: the HMAC-SHA256 of stamp, full stop and raw body, keyed with the "
            "endpoint's secret, in hex. The stamp is at most 300 seconds from our time, on either side.",
            "schema": {"type": "string", "maxLength": 4096},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["id", "object", "type", "created", "livemode", "data"],
                    "properties": {
                        "id": {"type": "string", "examples": ["evt_1SoundOps"]},
                        "object": {"type": "string", "examples": ["event"]},
                        "type": {"type": "string", "examples": ["invoice.paid"]},
                        "created": {"type": "integer"},
                        "livemode": {"type": "boolean"},
                        "data": {"type": "object", "additionalProperties": True},
                    },
                }
            }
        },
    },
    "responses": {
        "200": {"description": "The event is durable, or was already"},
        **{str(status): answer for status, answer in problems(InvalidDelivery, *_ALWAYS).items()},
    },
}
OPERATIONS: dict[str, dict[str, Any]] = {meta_webhook.PATH: META, stripe_webhook.PATH: STRIPE}
"""By path; each is a POST."""
