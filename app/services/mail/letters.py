"""What mails say. Each is a few paragraphs of plain text in `templates/`, laid out twice: as text and as HTML.

Facts are other people's words: they become one line of plain text each, in which no address can be clicked on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, Policy
from email.utils import format_datetime, parseaddr
from pathlib import Path

from email_validator import validate_email
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.services.mail.outbox import Template
from app.services.marketing.permits import Permit
from app.services.single_use import LIVES, Purpose

LONGEST = 200
"""Characters that one fact may take."""
ADDRESSES = {"email", "token_email", "page"}
"""Facts that are mail addresses, or addresses of our own pages, and shown as they are."""


@dataclass(frozen=True)
class Letter:
    """What a template needs besides its words.

    A link of it leads to `page` of the app, in which `{fact}` stands for a fact; with a token where it has a `purpose`.
    """

    subject: str
    purpose: Purpose | None = None
    page: str = ""
    action: str = ""
    """What the link is called."""


class _AsItIs(UnstructuredHeader, BaseHeader):
    """A header on one line, as long as it may be: the standard library would encode an address that is longer than a
    line, and no mail program decodes this header (RFC 2369, section 2)."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _AsItIs)
RECONNECT = "connections/{connection_id}/reconnect?label={label_id}"
BILLING = "billing?label={label_id}"
PRIVACY = "privacy?version={on}"
LETTERS: dict[Template, Letter] = {
    "verify_email": Letter("Confirm your address", "verify_email", "verify-email", "Confirm the address"),
    "address_known": Letter("You already have an account"),
    "reset_password": Letter("Choose a new password", "reset_password", "reset-password", "Choose a new password"),
    "password_changed": Letter("Your password was changed"),
    "change_email": Letter(
        "Confirm your new address", "change_email", "confirm-email-change", "Confirm the new address"
    ),
    "email_change_asked": Letter("Your account may move to another address"),
    "email_changed": Letter(
        "Your account has moved to another address", "undo_email_change", "undo-email-change", "Take it back"
    ),
    "email_change_undone": Letter(
        "Choose a new password: your account is back", "reset_password", "reset-password", "Choose a new password"
    ),
    "new_device": Letter("A log-in from a new device"),
    "second_factor_changed": Letter("Your second factor: {change}"),
    "invitation": Letter("An invitation to {label}", "invitation", "accept-invitation", "Accept the invitation"),
    "policy_changed": Letter("Our privacy policy has changed", page=PRIVACY, action="Read the new version"),
    "marketing": Letter("{title}", action="Unsubscribe"),
    "label_deleting": Letter("{label} will be deleted"),
    "fan_erasure_asked": Letter(
        "A fan of {label} wants to be erased", page="privacy-requests/{request_id}?label={label_id}", action="Decide"
    ),
    "fan_request_due": Letter(
        "A request of a fan of {label} is due on {on}",
        page="privacy-requests/{request_id}?label={label_id}",
        action="Decide",
    ),
    "request_due": Letter("A request for {kind} is due on {on}"),
    "erasure_begun": Letter("Your account will be deleted", "cancel_erasure", "keep-account", "Keep the account"),
    "erasure_waits": Letter("Your account will be deleted", "cancel_erasure", "keep-account", "Keep the account"),
    "owner_changed": Letter("The owners of {label} have changed"),
    "client_secret_made": Letter("A new secret for {client}"),
    "connection_expiring": Letter("The {account} must be connected anew by {on}", page=RECONNECT, action="Reconnect"),
    "connection_needs_login": Letter("The {account} must be connected anew", page=RECONNECT, action="Reconnect"),
    "connection_left": Letter("The {account} was disconnected by its owner"),
    "publication_to_do": Letter(
        "Now to be published on {network}",
        page="publications/{publication_id}?label={label_id}",
        action="Open the publication",
    ),
    "publication_stopped": Letter(
        "A publication of {label} needs you",
        page="publications/{publication_id}?label={label_id}",
        action="Open the publication",
    ),
    "billing_payment_failed": Letter("A payment of {label} has failed", page=BILLING, action="Choose another card"),
    "billing_action_needed": Letter("A payment of {label} needs your approval", page=BILLING, action="Approve it"),
    "billing_read_only": Letter("{label} can only be read now", page=BILLING, action="Choose another card"),
    "billing_ended": Letter("The plan of {label} has ended", page=BILLING, action="Choose a plan"),
    "billing_recovered": Letter("{label} is paid again"),
    "export_ready": Letter("Your data are ready to be downloaded", page="account/exports", action="Open your exports"),
    "label_export_ready": Letter(
        "The data of {label} are ready to be downloaded", page="exports?label={label_id}", action="Open the exports"
    ),
    "promise_changed": Letter("A promise of the privacy policy {state}: {promise}"),
    "billing_trial_ends": Letter("The trial of {label} ends on {on}", page=BILLING, action="Open billing"),
}
"""Every template that is sent to somebody."""

_FOLDER = FileSystemLoader(Path(__file__).parent / "templates")
_TEXT = Environment(loader=_FOLDER, undefined=StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701 (text)
_HTML = Environment(loader=_FOLDER, undefined=StrictUndefined, trim_blocks=True, autoescape=True)


def write(
    template: Template,
    facts: Mapping[str, str],
    *,
    mail_id: str,
    sender: str,
    recipient: str,
    app_url: str,
    token: str | None,
    now: datetime,
    permit: Permit | None = None,
) -> EmailMessage:
    """The whole mail. Raises `ValueError`, `MessageError` or `TemplateError` when these facts do not make one.

    `permit` is what a marketing mail says and cites.
    """
    letter = LETTERS[template]
    shown = {name: one_line(fact) if name in ADDRESSES else words_only(fact) for name, fact in facts.items()}
    shown |= permit.facts if permit else {}
    words = _TEXT.get_template(f"{template}.txt").render(shown)
    paragraphs = [part.strip() for part in words.split("\n\n") if part.strip()]
    laid_out = {
        "subject": _filled(letter.subject, shown),
        "paragraphs": [part for one in paragraphs for part in (permit.body_of(one) if permit else [one])],
        "action": letter.action,
        "token": token,
        "link": (
            permit.unsubscribe_url
            if permit
            else f"{app_url}/{_filled(letter.page, shown)}" + (f"#token={token}" if token else "")
        ),
        "lasts": _in_words(LIVES[letter.purpose]) if letter.purpose else "",
    }
    name, address = parseaddr(sender)
    local, _, domain = recipient.rpartition("@")
    message = EmailMessage(policy=(SMTP if recipient.isascii() else SMTPUTF8).clone(header_factory=_HEADERS))
    message["From"] = Address(name, addr_spec=address)
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = laid_out["subject"]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail_id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if permit:  # RFC 8058, section 3.1
        message["List-Unsubscribe"] = f"<{permit.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_TEXT.get_template("base.txt").render(laid_out), cte="quoted-printable")
    html = _HTML.get_template("base.html").render(laid_out)
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    _check_headers(message)
    return message


def one_line(fact: str) -> str:
    """These words on one line, and not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in fact).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def words_only(fact: str) -> str:
    """The same with nothing in it that a mail program would make a link of, or decode.

    The standard library decodes an encoded word in a header's text, its line ends too, and writes these as they are.
    """
    return re.sub(r"\.(?=[^\W\d_])", ". ", one_line(fact).replace("://", ": //").replace("=?", "= ?"))


def _check_headers(message: EmailMessage) -> None:
    """Raise `ValueError` unless the mail's head has the headers that were given, and no other."""
    head = bytes(message).partition(b"\r\n\r\n")[0].decode()
    if re.findall(r"^[^\s:]+(?=:)", head, re.MULTILINE) != message.keys():
        raise ValueError("a header holds another")


def mailbox(email: str) -> str:
    """The address as SMTP takes it: its domain in ASCII, and its name too unless it cannot be. Raises `ValueError`."""
    found = validate_email(email, check_deliverability=False, globally_deliverable=False)
    return found.ascii_email or f"{found.local_part}@{found.ascii_domain}"


def _filled(text: str, shown: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: shown[name[1]], text)


def _in_words(life: timedelta) -> str:
    hours = life // timedelta(hours=1)
    if hours > 72:
        return f"{life.days} days"
    return f"{hours} hours" if hours > 1 else f"{life // timedelta(minutes=1)} minutes"
