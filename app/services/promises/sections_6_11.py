"""Promises of sections 6 to 11 of the policy: retention, security, rights, cookies, children, and changes."""

from app.models.data_map import INSIGHTS_LIFE
from app.services.promises import (
    consent_checks,
    content_checks,
    money_checks,
    people_checks,
    request_checks,
    review_checks,
    setting_checks,
)
from app.services.promises import vault_checks as vault
from app.services.promises.promise import SOON, Promise

SECURE = (
    "We implement appropriate technical and organisational measures to protect your data, including encryption in "
    "transit (TLS) and at rest, access controls, and regular security reviews."
)
CHANGES = (
    'We will notify you of material changes by posting the updated policy on this page and updating the "Last updated" '
    "date."
)
PAYMENTS = "Payment records — retained as required by applicable tax and financial regulations"

PROMISES = (
    Promise(
        id="nothing-outlives-its-label",
        section="6",
        quote="We retain your personal data for as long as your account is active or as needed to provide services.",
        plain="When a label is deleted, everything of it goes; what a law keeps is kept under a pseudonym.",
        rule="Documents of labels that are not there any more, in a sample of every collection of labels: 0.",
        unit="documents",
        check=content_checks.labels_gone,
    ),
    Promise(
        id="erased-accounts-are-gone",
        section="6",
        quote="Account data — retained until account deletion is requested",
        plain="An account whose erasure has ended is not there any more.",
        rule="Accounts that are still here though their erasure has ended, in a sample of requests: 0.",
        unit="documents",
        check=request_checks.erased_are_gone,
    ),
    Promise(
        id="expired-is-deleted",
        section="6",
        quote="Instagram messages and comments — 30 days (automatically deleted via TTL)",
        plain="What has reached its end is shown to nobody, and physically gone within 15 minutes.",
        rule="For how long the oldest expired document, of any collection, has been overdue: 15 minutes at most.",
        unit="minutes",
        check=content_checks.nothing_expired,
        every=SOON,
    ),
    Promise(
        id="ttl-indexes-in-place",
        section="6",
        quote="Instagram messages and comments — 30 days (automatically deleted via TTL)",
        plain="The database deletes by itself what has expired, and nothing else.",
        rule="TTL indexes that are missing, differ from the data map, or are there without being declared: 0.",
        unit="indexes",
        check=content_checks.ttl_indexes,
        every=SOON,
    ),
    Promise(
        id="insights-24-months",
        section="6",
        quote="Analytics and usage data — aggregated and anonymised after 24 months",
        plain="Figures of accounts and posts are deleted 24 months after their day.",
        rule="The age of the oldest figure: 730 days at most.",
        unit="days",
        check=content_checks.insights_end,
    ),
    Promise(
        id="insights-end-by-their-own-day",
        section="6",
        quote="Analytics and usage data — aggregated and anonymised after 24 months",
        plain="The 24 months begin with the day that a figure tells of, not when it was read.",
        rule="Figures and posts that end later than 730 days after their own day, in a sample: 0.",
        unit="documents",
        check=content_checks.ends_in_time(INSIGHTS_LIFE, "account_days", "media_days", "media"),
    ),
    Promise(
        id="usage-24-months",
        section="6",
        quote="Analytics and usage data — aggregated and anonymised after 24 months",
        plain="Usage data are summed up, and deleted, before 24 months are over.",
        rule="How many months have begun since the month of the oldest note of use: 24 at most.",
        unit="months",
        check=consent_checks.usage_summed,
    ),
    Promise(
        id="sums-about-ten-or-more",
        section="6",
        quote="Analytics and usage data — aggregated and anonymised after 24 months",
        plain="What is left of usage data are sums, each about ten people or more.",
        rule="Summed months with a figure about fewer, in a sample: 0.",
        unit="documents",
        check=consent_checks.sums_about_many,
    ),
    Promise(
        id="payment-records-kept",
        section="6",
        quote=PAYMENTS,
        plain="A record of money is kept until the last day on which a law asks for it.",
        rule="Records without that day and its law, or with one sooner than five years, in a sample: 0.",
        unit="documents",
        check=money_checks.kept_as_law_says,
    ),
    Promise(
        id="payment-records-purged",
        section="6",
        quote=PAYMENTS,
        plain="On the day after, it goes.",
        rule="For how long the record that should have gone first is overdue: 24 hours at most.",
        unit="hours",
        check=money_checks.purged,
    ),
    Promise(
        id="encrypted-in-transit",
        section="7",
        quote=SECURE,
        plain="What leaves a machine is encrypted, and the other side proves who it is.",
        rule=(
            "Machines in the worker's settings that it would speak with in clear, other than its own: 0. The proxy's "
            "own TLS is measured by the public address being https."
        ),
        unit="addresses",
        check=setting_checks.encrypted_in_transit,
    ),
    Promise(
        id="encrypted-at-rest",
        section="7",
        quote=SECURE,
        plain="What lets somebody in, or opens what was handed out, is sealed before it is stored.",
        rule=(
            "Seeds of second factors, and keys of files that were handed out, that are not sealed, in a sample: 0. "
            "Tokens have promises of their own; the disks below are whose machines they are."
        ),
        unit="documents",
        check=vault.people_sealed,
    ),
    Promise(
        id="access-by-one-table",
        section="7",
        quote=SECURE,
        plain="Who may do what in a label is decided by one table of roles.",
        rule="Memberships with another role, or of people or labels that are not there, in a sample: 0.",
        unit="documents",
        check=people_checks.access_by_table,
    ),
    Promise(
        id="reviewed-every-day",
        section="7",
        quote=SECURE,
        plain="Every day the state of all promises is signed and kept for good. People's reviews come on top.",
        rule="The age of the newest attestation: 2 days at most.",
        unit="days",
        check=review_checks.newest_attestation,
    ),
    Promise(
        id="access-within-a-month",
        section="8",
        quote="Access the personal data we hold about you",
        plain="Who asks what we have of them gets it within a month; mostly at once.",
        rule="Open requests for a copy of one's data that are past their due date, one month after they came: 0.",
        unit="requests",
        check=request_checks.in_time("access", "portability"),
        every=SOON,
    ),
    Promise(
        id="correction-within-a-month",
        section="8",
        quote="Request correction of inaccurate data",
        plain="What is wrong is corrected within a month; a profile by its person at once.",
        rule="Open requests for correction that are past their due date, one month after they came: 0.",
        unit="requests",
        check=request_checks.in_time("correction"),
        every=SOON,
    ),
    Promise(
        id="erasure-within-a-month",
        section="8",
        quote="Request deletion of your data (see our Data Deletion page)",
        plain="Who wants their data deleted has them deleted within a month, and gets a receipt.",
        rule="Open requests for erasure, fans' too, that are past their due date, one month after they came: 0.",
        unit="requests",
        check=request_checks.in_time("erasure", "fan_erasure"),
        every=SOON,
    ),
    Promise(
        id="objections-within-a-month",
        section="8",
        quote="Object to or restrict processing of your data",
        plain="A restriction or an objection counts at once; it is worked off within a month at most.",
        rule="Open requests for restriction or objection that are past their due date, one month after they came: 0.",
        unit="requests",
        check=request_checks.in_time("restriction", "objection"),
        every=SOON,
    ),
    Promise(
        id="portability-within-a-month",
        section="8",
        quote="Data portability — receive your data in a structured, machine-readable format",
        plain="Data are handed out as JSON Lines and CSV.",
        rule="Open requests for portability that are past their due date, one month after they came: 0.",
        unit="requests",
        check=request_checks.in_time("portability", "label_export"),
        every=SOON,
    ),
    Promise(
        id="withdrawal-counts-at-once",
        section="8",
        quote="Withdraw consent at any time where processing is based on consent",
        plain="After a withdrawal no mail goes out, and what was noted is deleted.",
        rule=(
            "Withdrawals, in a sample, after which a mail went out a minute later, or what was noted before is still "
            "here 15 minutes later: 0."
        ),
        unit="documents",
        check=consent_checks.withdrawals_effective,
        every=SOON,
    ),
    Promise(
        id="reachable-for-requests",
        section="8",
        quote="To exercise any of these rights, please contact us at privacy@soundops.io.",
        plain="What is sent to our privacy desk arrives there.",
        rule="Mails to it that were refused or could not be delivered in the last 30 days: 0.",
        unit="mails",
        check=setting_checks.reachable,
    ),
    Promise(
        id="sessions-end",
        section="9",
        quote="We use essential cookies to maintain sessions and preferences.",
        plain="A log-in lasts 30 days at most.",
        rule="Log-ins that would last longer, in a sample: 0.",
        unit="documents",
        check=people_checks.sessions_end,
    ),
    Promise(
        id="analytics-by-the-banner",
        section="9",
        quote="Analytics cookies (e.g. Google Analytics) are used only with your consent via our cookie banner.",
        plain="A visitor gets an id, in a cookie, by saying yes at the banner, and in no other way.",
        rule="Consents of visitors that were given elsewhere, in a sample: 0. That use is noted by consent: section 3.",
        unit="documents",
        check=consent_checks.by_the_banner,
    ),
    Promise(
        id="choices-asked-again",
        section="9",
        quote="You can manage cookie preferences at any time.",
        plain="A visitor's consent ends by itself after six months at most, and can be withdrawn at any time before.",
        rule="Consents of visitors that would last longer, in a sample: 0.",
        unit="documents",
        check=consent_checks.visitors_asked_again,
    ),
    Promise(
        id="nobody-under-16",
        section="10",
        quote=(
            "Our platform is not intended for individuals under the age of 16. We do not knowingly collect personal "
            "data from children."
        ),
        plain="Nobody gets an account without passing the age gate, and no date of birth is kept.",
        rule="Accounts that did not pass it, or with a date of birth, in a sample: 0.",
        unit="documents",
        check=people_checks.nobody_under_16,
    ),
    Promise(
        id="changes-are-told",
        section="11",
        quote=CHANGES,
        plain="A material change is told to everybody with an account, once, by mail and in the app.",
        rule="Accounts that have not been told of the last one, a day after its date: 0.",
        unit="documents",
        check=consent_checks.changes_told,
    ),
    Promise(
        id="only-posted-policies",
        section="11",
        quote=CHANGES,
        plain="Each version of the policy is posted with its date, and people accept exactly a text that was posted.",
        rule="Accounts that have accepted another text, in a sample: 0.",
        unit="documents",
        check=consent_checks.posted_versions,
    ),
)
