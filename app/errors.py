"""One small hierarchy of errors. `app/problems.py` turns them into RFC 9457 answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One invalid input: where, as a JSON pointer, and what is wrong. Never what was sent."""

    pointer: str
    detail: str


class Problem(Exception):
    """What a caller may be told. `detail` holds no secret, no message text, no words of another system."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self, detail: str = "", *, headers: Mapping[str, str] | None = None, errors: tuple[FieldError, ...] = ()
    ) -> None:
        self.detail, self.headers, self.errors = detail or self.title, dict(headers or {}), errors
        self.also: dict[str, Any] = {}
        """Members of the answer that only this kind of problem has (RFC 9457, 3.2)."""
        super().__init__(self.detail)


class InvalidInput(Problem):
    """The body, a parameter or a header does not fit the contract."""

    status, code, title = 422, "invalid_input", "The request does not fit the contract"


class InvalidJson(Problem):
    """The body is not JSON that we take: syntax, depth, duplicate keys, numbers out of range."""

    status, code, title = 400, "invalid_json", "The body is not acceptable JSON"


class NotHttp(Problem):
    """What came over the connection is not HTTP/1.1; the connection is closed."""

    status, code, title = 400, "not_http", "This is not an HTTP request"


class InvalidCursor(Problem):
    """A cursor that we did not give, or not for this list."""

    status, code, title = 400, "invalid_cursor", "The cursor is not one of this list's"


class InvalidLastEventId(Problem):
    """A place in the stream that we did not name, or not for this label."""

    status, code, title = 400, "invalid_last_event_id", "The last event id is not one of this stream's"


class InvalidState(Problem):
    """A login at a provider that we did not begin, that was finished before, that is too old, or another session's."""

    status, code, title = 400, "invalid_state", "This login was not begun here, or not now"


class InvalidSignedRequest(Problem):
    """A callback of Meta's whose `signed_request` is missing, malformed, forged or too old: which is not told."""

    status, code, title = 400, "invalid_signed_request", "The signed_request is missing, wrong or too old"


class InvalidToken(Problem):
    """A link's token that we did not give, that was used before, or that is too old: which of them is not told."""

    status, code, title = 400, "invalid_token", "This link was used before, or is too old"


class InvalidRequest(Problem):
    """An OAuth request that the RFCs do not allow: something is missing, there twice, or in the wrong place."""

    status, code, title = 400, "invalid_request", "The request is not one of OAuth's"


class InvalidScope(Problem):
    """A scope that this client does not have."""

    status, code, title = 400, "invalid_scope", "The client does not have this scope"


class UnsupportedGrantType(Problem):
    """Only `client_credentials` is supported."""

    status, code, title = 400, "unsupported_grant_type", "Use the grant type client_credentials"


class Unauthenticated(Problem):
    """No session, or one that has ended."""

    status, code, title = 401, "unauthenticated", "Log in first"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class InvalidCredentials(Problem):
    """Wrong address or password; which of the two is not told."""

    status, code, title = 401, "invalid_credentials", "The address or the password is wrong"


class TotpRequired(Problem):
    """The password is right, and the account has a second factor."""

    status, code, title = 401, "totp_required", "Add the code of your authenticator app as `totp`"


class InvalidTotp(Problem):
    """The code is wrong, too old, or was used before."""

    status, code, title = 401, "invalid_totp", "The code is wrong or was used before"


class InvalidClient(Problem):
    """An unknown API client, a wrong or ended secret: which of them is not told."""

    status, code, title = 401, "invalid_client", "The client or its secret is wrong"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Basic realm="SoundOps"'})


class InvalidSignature(Problem):
    """A webhook whose signature is missing, malformed or wrong."""

    status, code, title = 401, "invalid_signature", "The signature is missing or wrong"


class InvalidDelivery(Problem):
    """A webhook that is not one of Stripe's to us: unsigned, forged, of another time or mode, or no event. Which of
    these is not told."""

    status, code, title = 400, "invalid_delivery", "This is not a delivery of Stripe's to us"


class Forbidden(Problem):
    """The person's role, or the API client's scopes, do not allow it."""

    status, code, title = 403, "forbidden", "This is not allowed to you"


class ReauthenticationRequired(Problem):
    """Dangerous work needs a log-in of the last minutes: `POST /v1/sessions/reauthenticate`."""

    status, code, title = 403, "reauthentication_required", "Confirm your password first"


class HumanAgentNotAllowed(Problem):
    """`human_agent` is for people: what a rule or an API client sends is no person's answer to Meta."""

    status, code, title = 403, "human_agent_not_allowed", "Only a person may answer as a human agent"


class EmailNotVerified(Problem):
    """The address must be confirmed first."""

    status, code, title = 403, "email_not_verified", "Confirm your e-mail address first"


class OwnerDecisionRequired(Problem):
    """Scopes that reach data from Meta need the owner's recorded decision."""

    status, code, title = 403, "owner_decision_required", "The label's owner must decide on this first"


class WrongRecipient(Problem):
    """The invitation is bound to another address than the caller's."""

    status, code, title = 403, "invitation_for_another_address", "This invitation is for another address"


class AgeRequirementNotMet(Problem):
    """Under 16. Nothing about the person is stored."""

    status, code, title = 403, "age_requirement_not_met", "SoundOps is for people of 16 and older"


class WrongOrigin(Problem):
    """A browser sent the session's cookie from a site that is not ours."""

    status, code, title = 403, "wrong_origin", "This origin may not use the session"


class NotFound(Problem):
    """It is not there, or not yours: which of the two is not told."""

    status, code, title = 404, "not_found", "There is nothing here"


class MethodNotAllowed(Problem):
    """The path exists, but not for this method."""

    status, code, title = 405, "method_not_allowed", "This method is not allowed here"


class RequestTimeout(Problem):
    """The request did not arrive in time."""

    status, code, title = 408, "request_timeout", "The request took too long to arrive"


class Conflict(Problem):
    """The resource's state does not allow it."""

    status, code, title = 409, "conflict", "The state of the resource does not allow this"


class SlugTaken(Problem):
    """A label's slug is an address: the first who takes it has it."""

    status, code, title = 409, "slug_taken", "This slug is taken"


class LastOwner(Problem):
    """A label has at least one owner."""

    status, code, title = 409, "last_owner", "A label needs an owner: make somebody else one first"


class AlreadyMember(Problem):
    """The person works for the label already."""

    status, code, title = 409, "already_member", "This person works for the label already"


class AccountExists(Problem):
    """The invited address has an account: its owner logs in, and accepts then."""

    status, code, title = 409, "account_exists", "This address has an account: log in, and accept then"


class TotpEnabled(Problem):
    """There is a second factor already."""

    status, code, title = 409, "totp_enabled", "There is a second factor already: switch it off first"


class NotDeleting(Problem):
    """The label is not going to be deleted, or is being deleted now."""

    status, code, title = 409, "not_deleting", "The label is not going to be deleted, or is being deleted now"


class LabelDeleting(Problem):
    """The label is going to be deleted; until then its owner may restore it."""

    status, code, title = 409, "label_deleting", "The label is going to be deleted"


class ReplyWindowClosed(Problem):
    """Meta takes a reply for 24 hours after the fan's last message; a person's, for 7 days."""

    status, code, title = 409, "reply_window_closed", "The time to reply has passed"


class NotThreadOwner(Problem):
    """Another app has the conversation, and Meta takes an answer from nobody else."""

    status, code, title = 409, "not_thread_owner", "Another app has this conversation"


class RecipientUnavailable(Problem):
    """Meta has said that the fan cannot be reached, and the fan has not written since."""

    status, code, title = 409, "recipient_unavailable", "The fan cannot be reached"


class SendingPaused(Problem):
    """Meta lets the account send nothing for a while."""

    status, code, title = 409, "sending_paused", "Meta lets this account send nothing for a while"


class ConnectionNotActive(Problem):
    """The account is not connected now, or the feature is off or was not granted."""

    status, code, title = 409, "connection_not_active", "The connection cannot be used for this now"


class NotFinished(Problem):
    """The work is under way; what is done and what is awaited is told."""

    status, code, title = 409, "not_finished", "This is not finished yet"


class ProviderNotAvailable(Problem):
    """This deployment has no app at the provider."""

    status, code, title = 409, "provider_not_available", "This provider is not available here"


class AssetNotReady(Problem):
    """The file is not uploaded yet, is being looked at, or was refused."""

    status, code, title = 409, "asset_not_ready", "The asset is not ready to be used"


class AssetInUse(Problem):
    """Something that has not gone out yet needs the file."""

    status, code, title = 409, "asset_in_use", "Something that has not gone out yet needs this asset"


class StorageFull(Problem):
    """The label's files take all the room that they may."""

    status, code, title = 409, "storage_full", "There is no room left for this file"


class RequestInProgress(Problem):
    """The first request with this `Idempotency-Key` is still running."""

    status, code, title = 409, "idempotency_key_in_use", "The first request with this key is still running"


class StaleVersion(Problem):
    """`If-Match` names another version than the present one."""

    status, code, title = 412, "stale_version", "The resource has changed since you read it"


class BodyTooLarge(Problem):
    """The body is over the limit."""

    status, code, title = 413, "body_too_large", "The body is too large"


class UriTooLong(Problem):
    """The address is over 8 kB."""

    status, code, title = 414, "uri_too_long", "The address is too long"


class UnsupportedMediaType(Problem):
    """The body is not declared as JSON."""

    status, code, title = 415, "unsupported_media_type", "Send JSON"


class AssetNotFound(Problem):
    """The label has no such file."""

    status, code, title = 422, "asset_not_found", "The label has no such asset"


class IdempotencyKeyReused(Problem):
    """The same `Idempotency-Key` with another body."""

    status, code, title = 422, "idempotency_key_reused", "This key was used for another request"


class TooManyRequests(Problem):
    """A limit is used up. Waiting for `Retry-After` seconds is enough."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class HeadersTooLarge(Problem):
    """More than 100 headers, or more than 16 kB of them."""

    status, code, title = 431, "headers_too_large", "The headers are too large"


class Unavailable(Problem):
    """The store is away, or we are out of room: come back soon."""

    status, code, title = 503, "unavailable", "Try again in a moment"

    def __init__(self, detail: str = "", *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
