"""Every call of the API: its path, the SDK's type of its parameters, and what does it."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from stripe import params as types

from sandbox.stripe import (
    cards,
    catalogue,
    checkout,
    clock,
    customer_end,
    customers,
    disputes,
    endpoints,
    events,
    invoice_calls,
    invoices,
    payments,
    portal,
    refunds,
    sub_calls,
    subs,
)
from sandbox.stripe.store import Obj

Handler = Callable[..., Obj]


class Route(NamedTuple):
    """One call."""

    method: str
    pattern: re.Pattern[str]
    shape: Any
    handler: Handler


def route(method: str, path: str, shape: Any, handler: Handler) -> Route:
    """A route; `{}` in the path is an id."""
    return Route(method, re.compile(re.escape(path).replace(r"\{\}", r"([^/]+)")), shape, handler)


def crud(path: str, prefix: str, at: Any, **handlers: Handler) -> list[Route]:
    """The usual five calls of a resource, as far as there are handlers for them."""
    table = {
        "create": ("POST", path),
        "list": ("GET", path),
        "retrieve": ("GET", f"{path}/{{}}"),
        "update": ("POST", f"{path}/{{}}"),
        "delete": ("DELETE", f"{path}/{{}}"),
    }
    return [
        route(*table[name], getattr(at, f"{prefix}{name.capitalize()}Params"), handler)
        for name, handler in handlers.items()
    ]


ROUTES: list[Route] = [
    *crud(
        "/v1/products",
        "Product",
        types,
        create=catalogue.create_product,
        list=catalogue.list_products,
        retrieve=catalogue.get_product,
        update=catalogue.update_product,
        delete=catalogue.delete_product,
    ),
    *crud(
        "/v1/prices",
        "Price",
        types,
        create=catalogue.create_price,
        list=catalogue.list_prices,
        retrieve=catalogue.get_price,
        update=catalogue.update_price,
    ),
    *crud(
        "/v1/customers",
        "Customer",
        types,
        create=customers.create_customer,
        list=customers.list_customers,
        retrieve=customers.get_customer,
        update=customers.update_customer,
        delete=customer_end.delete_customer,
    ),
    *crud(
        "/v1/customers/{}/tax_ids",
        "CustomerTaxId",
        types,
        create=customers.create_tax_id,
        list=customers.list_tax_ids,
        retrieve=customers.get_tax_id,
        delete=customers.delete_tax_id,
    ),
    *crud("/v1/customers/{}/payment_methods", "CustomerPaymentMethod", types, list=cards.list_customer_methods),
    *crud(
        "/v1/payment_methods",
        "PaymentMethod",
        types,
        list=cards.list_methods,
        retrieve=cards.get_method,
        update=cards.update_method,
    ),
    route("POST", "/v1/payment_methods/{}/attach", types.PaymentMethodAttachParams, cards.attach),
    route("POST", "/v1/payment_methods/{}/detach", types.PaymentMethodDetachParams, cards.detach),
    *crud(
        "/v1/checkout/sessions",
        "Session",
        types.checkout,
        create=checkout.create_session,
        list=checkout.list_sessions,
        retrieve=checkout.get_session,
        update=checkout.update_session,
    ),
    route("POST", "/v1/checkout/sessions/{}/expire", types.checkout.SessionExpireParams, checkout.expire),
    route(
        "GET",
        "/v1/checkout/sessions/{}/line_items",
        types.checkout.SessionLineItemListParams,
        checkout.list_session_lines,
    ),
    *crud(
        "/v1/subscriptions",
        "Subscription",
        types,
        create=sub_calls.create_sub,
        list=subs.list_subs,
        retrieve=subs.get_sub,
        update=sub_calls.update_sub,
    ),
    route("DELETE", "/v1/subscriptions/{}", types.SubscriptionCancelParams, sub_calls.cancel_sub),
    route("POST", "/v1/subscriptions/{}/pause", types.SubscriptionPauseParams, sub_calls.pause_sub),
    route("POST", "/v1/subscriptions/{}/resume", types.SubscriptionResumeParams, sub_calls.resume_sub),
    *crud("/v1/subscription_items", "SubscriptionItem", types, list=subs.list_items, retrieve=subs.get_item),
    *crud(
        "/v1/invoices",
        "Invoice",
        types,
        list=invoices.list_invoices,
        retrieve=invoices.get_invoice,
        update=invoices.update_invoice,
        delete=invoices.delete_invoice,
    ),
    route("POST", "/v1/invoices/create_preview", types.InvoiceCreatePreviewParams, invoice_calls.create_preview),
    route("POST", "/v1/invoices/{}/finalize", types.InvoiceFinalizeInvoiceParams, invoice_calls.finalize_invoice),
    route("POST", "/v1/invoices/{}/pay", types.InvoicePayParams, invoice_calls.pay_invoice),
    route("GET", "/v1/invoices/{}/lines", types.InvoiceLineItemListParams, invoices.list_lines),
    route("POST", "/v1/invoices/{}/void", types.InvoiceVoidInvoiceParams, invoice_calls.void_invoice),
    route(
        "POST",
        "/v1/invoices/{}/mark_uncollectible",
        types.InvoiceMarkUncollectibleParams,
        invoices.mark_uncollectible,
    ),
    *crud("/v1/invoice_payments", "InvoicePayment", types, list=invoices.list_payments, retrieve=invoices.get_payment),
    *crud(
        "/v1/payment_intents",
        "PaymentIntent",
        types,
        create=payments.create_intent,
        list=payments.list_intents,
        retrieve=payments.get_intent,
    ),
    *crud("/v1/charges", "Charge", types, list=payments.list_charges, retrieve=payments.get_charge),
    *crud(
        "/v1/refunds",
        "Refund",
        types,
        create=refunds.create_refund,
        list=refunds.list_refunds,
        retrieve=refunds.get_refund,
        update=refunds.update_refund,
    ),
    *crud(
        "/v1/disputes",
        "Dispute",
        types,
        list=disputes.list_disputes,
        retrieve=disputes.get_dispute,
        update=disputes.update_dispute,
    ),
    route("POST", "/v1/disputes/{}/close", types.DisputeCloseParams, disputes.close_dispute),
    *crud(
        "/v1/billing_portal/configurations",
        "Configuration",
        types.billing_portal,
        create=portal.create_configuration,
        list=portal.list_configurations,
        retrieve=portal.get_configuration,
        update=portal.update_configuration,
    ),
    *crud(
        "/v1/billing_portal/sessions",
        "Session",
        types.billing_portal,
        create=portal.create_portal_session,
    ),
    *crud("/v1/events", "Event", types, list=events.list_events, retrieve=events.get_event),
    *crud(
        "/v1/webhook_endpoints",
        "WebhookEndpoint",
        types,
        create=endpoints.create_endpoint,
        list=endpoints.list_endpoints,
        retrieve=endpoints.get_endpoint,
        update=endpoints.update_endpoint,
        delete=endpoints.delete_endpoint,
    ),
    *crud(
        "/v1/test_helpers/test_clocks",
        "TestClock",
        types.test_helpers,
        create=clock.create_clock,
        list=clock.list_clocks,
        retrieve=clock.get_clock,
    ),
    route(
        "POST",
        "/v1/test_helpers/test_clocks/{}/advance",
        types.test_helpers.TestClockAdvanceParams,
        clock.advance_clock,
    ),
]


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The route of a call, and the ids in its path. Fixed parts win over ids."""
    found = [(one, match) for one in ROUTES if one.method == method and (match := one.pattern.fullmatch(path))]
    return min(((one, match.groups()) for one, match in found), key=lambda pair: len(pair[1]), default=None)
