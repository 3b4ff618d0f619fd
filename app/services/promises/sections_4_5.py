"""Promises of sections 4 and 5 of the policy: who else gets data, and what comes from Meta."""

from app.models.data_map import CONTENT_LIFE
from app.services.promises import connection_checks, content_checks, people_checks, setting_checks
from app.services.promises import vault_checks as vault
from app.services.promises.promise import SOON, Promise

THIRTY_DAYS = (
    "Instagram messages and comments are subject to 30-day data retention and are automatically deleted after this "
    "period"
)
SEALED = "Access tokens are encrypted at rest using AES-256-GCM and are never exposed to the frontend"
DISCONNECT = (
    "You can disconnect your Instagram/Facebook account at any time from your SoundOps admin settings, which revokes "
    "our access"
)

PROMISES = (
    Promise(
        id="no-sale",
        section="4",
        quote="We do not sell your personal data.",
        plain="Nobody gets data but the recipients that are listed, and partners whom a label has let in.",
        rule="Clients of partners that no person of a label has made, in a sample: 0.",
        unit="documents",
        check=people_checks.clients_let_in,
    ),
    Promise(
        id="service-providers-listed",
        section="4",
        quote=(
            "Service providers — trusted third parties that help us operate our platform (e.g. AWS, Stripe, Vercel, "
            "MongoDB Atlas)"
        ),
        plain="Every machine of others that holds or carries data belongs to a recipient of the record of processing.",
        rule="Machines that the settings name and that are neither our own nor a listed recipient's: 0.",
        unit="addresses",
        check=setting_checks.processors_declared,
    ),
    Promise(
        id="least-permissions",
        section="4",
        quote=(
            "Third-party integrations — services you explicitly connect (e.g. Meta/Instagram, Spotify) receive only "
            "the data necessary to provide the requested functionality"
        ),
        plain="A log-in asks for the permissions that the chosen features need.",
        rule="Connections for which a permission was asked that no feature needs, in a sample: 0.",
        unit="documents",
        check=connection_checks.least_scopes,
    ),
    Promise(
        id="official-api-only",
        section="5",
        quote="we access data through the Meta Graph API in accordance with Meta's Platform Terms",
        plain="Meta and Spotify are asked at their own addresses and nowhere else.",
        rule="Addresses of the two in the settings that are not theirs; stand-ins on the same machine do not count: 0.",
        unit="addresses",
        check=setting_checks.official_addresses,
    ),
    Promise(
        id="explicit-authorisation",
        section="5",
        quote="We access your Instagram Business Account data only with your explicit authorisation",
        plain="We hold a token only while the connection is there that its owner's log-in has made.",
        rule="Tokens whose connection is not there or has ended, in a sample: 0.",
        unit="documents",
        check=vault.tokens_of_living,
        every=SOON,
    ),
    Promise(
        id="enabled-features-only",
        section="5",
        quote=(
            "We use this data solely to provide the features you have enabled (content publishing, DM management, "
            "comment moderation, analytics)"
        ),
        plain="What belongs to a feature that is off is not stored.",
        rule="Messages, comments and figures stored after their feature was switched off, in a sample: 0.",
        unit="documents",
        check=connection_checks.enabled_only,
    ),
    Promise(
        id="meta-data-not-shared",
        section="5",
        quote="We do not share Meta-sourced data with other third parties except as required to operate the service",
        plain="A partner reaches data from Meta only by an owner's recorded decision: who, when, and why it is needed.",
        rule="Partners' clients that reach such data without it, in a sample: 0.",
        unit="documents",
        check=people_checks.meta_data_decided,
    ),
    Promise(
        id="keys-private",
        section="5",
        quote=SEALED,
        plain="The keys that open tokens can be read by the worker alone.",
        rule="Files of keys on the worker's machine that others may read: 0. With AWS KMS there are none.",
        unit="files",
        check=vault.keys_at_rest,
    ),
    Promise(
        id="secrets-never-in-clear",
        section="5",
        quote=SEALED,
        plain="No token, key or secret stands in clear anywhere, so that no answer could show one.",
        rule="Documents with something that looks like one, in a sample of every collection: 0.",
        unit="documents",
        check=vault.none_in_clear,
    ),
    Promise(
        id="messages-30-days",
        section="5",
        quote=THIRTY_DAYS,
        plain="A message is deleted 30 days after Meta's own time of it.",
        rule="The age of the oldest message: 30 days at most, and 15 minutes in which it is shown to nobody.",
        unit="days",
        check=content_checks.oldest("messages", CONTENT_LIFE),
        every=SOON,
    ),
    Promise(
        id="comments-30-days",
        section="5",
        quote=THIRTY_DAYS,
        plain="A comment is deleted 30 days after Meta's own time of it.",
        rule="The age of the oldest comment: 30 days at most, and 15 minutes in which it is shown to nobody.",
        unit="days",
        check=content_checks.oldest("comments", CONTENT_LIFE),
        every=SOON,
    ),
    Promise(
        id="content-has-an-end",
        section="5",
        quote=THIRTY_DAYS,
        plain="Whatever holds a fan's words or name says when it ends.",
        rule="Messages, comments, notes and conversations without an end within 30 days from now: 0.",
        unit="documents",
        check=content_checks.ends_set,
        every=SOON,
    ),
    Promise(
        id="content-ends-by-its-own-time",
        section="5",
        quote=THIRTY_DAYS,
        plain="The thirty days begin when it was written, not when it came to us or was touched.",
        rule="Messages and comments that end later than 30 days after Meta's own time of them, in a sample: 0.",
        unit="documents",
        check=content_checks.ends_in_time(CONTENT_LIFE, "messages", "comments"),
        every=SOON,
    ),
    Promise(
        id="deliveries-end-too",
        section="5",
        quote=THIRTY_DAYS,
        plain="What Meta delivered and nobody has worked off ends with the message in it.",
        rule="The age of the oldest such delivery: 30 days at most.",
        unit="days",
        check=content_checks.raw_changes,
        every=SOON,
    ),
    Promise(
        id="disconnect-leaves-nothing",
        section="5",
        quote=DISCONNECT,
        plain="Of a disconnected account, what came in through it is erased and its token destroyed.",
        rule="Accounts whose disconnect has ended and of which something is still here, in a sample: 0.",
        unit="documents",
        check=connection_checks.nothing_left,
    ),
    Promise(
        id="disconnect-ends-in-time",
        section="5",
        quote=DISCONNECT,
        plain="A disconnect ends within 72 hours, also when the provider is away: then the token is destroyed anyway.",
        rule="For how long the oldest disconnect has been under way: 72 hours at most, and one to end it in.",
        unit="hours",
        check=connection_checks.ended_in_time,
    ),
)
