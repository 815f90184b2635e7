//! What each setting may be: one row for each, checked against the file as it is written, before anything else is made
//! of it.
//!
//! Guarantee: every key of the delivered configuration has a row (a test compares). Limit: what two settings say
//! together is [`super::consistency`]'s; which keys there are, and of which type, is said by the types that read them.

use super::document::{Document, Found};
use super::fault::Fault;
use super::values;

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    /// Whatever its type reads.
    Typed,
    /// A whole number within bounds.
    Whole(i64, i64),
    /// A share written as text, from 0 to 1.
    Share,
    /// The same, above 0.
    ShareAboveZero,
    /// An amount in dirhams within bounds, in centimes.
    Money(i64, i64),
    /// Text of one line, of so many characters at most.
    Text(usize),
    /// The same, of the letters, digits and signs that bank files may carry.
    Sepa(usize),
    /// `HH:MM`.
    Time,
    /// `+HH:MM`, as countries have it.
    Offset,
    /// A business identifier code.
    Bic,
    /// A clearing member id.
    Member,
    /// Distinct bank codes of three digits.
    BankCodes,
    /// At least one item, none twice.
    Items,
    /// Whole numbers within bounds, none twice.
    Numbers(i64, i64),
    /// An address of HTTP: open only on this machine.
    Http,
    /// An address of NATS.
    Nats,
    /// A subject of NATS.
    Subject,
    /// A date, `YYYY-MM-DD`.
    Date,
    /// A code of so many capitals.
    Capitals(usize),
}

/// A setting, what it may be, and what to do where it is not.
pub(super) struct Bound(pub &'static str, pub Check, pub &'static str);

use Check::{
    BankCodes, Bic, Capitals, Date, Http, Items, Member, Money, Nats, Numbers, Offset, Sepa, Share,
    ShareAboveZero, Subject, Text, Time, Typed, Whole,
};

/// Centimes of one.
pub(super) const ONE: i64 = 100;
/// A million million dirhams: more than a country has for this.
const BUDGET_MAX: i64 = 1_000_000_000_000 * ONE;
/// More than any household is paid in a month.
pub(super) const MONTH_MAX: i64 = 1_000_000 * ONE;

const SHARES: &str = "a share of 0.04 is 4 %; write it between \"0\" and \"1\"";
const AGE: &str = "ages are completed years, up to 60";
pub(super) const LABEL: &str = "write it on one line, without control characters";
pub(super) const TYPED: &str = "";

/// `sarf.toml`.
pub(super) const SETTINGS: &[Bound] = &[
    Bound(
        "debtor.name",
        Sepa(70),
        "banks take Latin letters without accents, digits and / - ? : ( ) . , ' + only, at most 70",
    ),
    Bound(
        "programmes.priority",
        Items,
        "codes of programmes, none twice; leave it out where none goes first",
    ),
    Bound("country.code", Capitals(2), "the ISO 3166 code of the country, such as \"MA\""),
    Bound("country.currency", Capitals(3), "the ISO 4217 code of the currency, such as \"MAD\""),
    Bound("debtor.id", Sepa(35), "the organisation id that the banks know you by, at most 35 characters"),
    Bound("debtor.seat.street", Sepa(70), "as bank files may carry it, at most 70 characters"),
    Bound("debtor.seat.postal_code", Sepa(16), "the postal code, at most 16 characters"),
    Bound("debtor.seat.town", Sepa(35), "as bank files may carry it, at most 35 characters"),
    Bound("registry.idcs_check_digit", Typed, TYPED),
    Bound(
        "calendar.file",
        Text(200),
        "name a file below the configuration folder, such as \"calendars/morocco.toml\"",
    ),
    Bound("calendar.utc_offset", Offset, "Morocco's is \"+01:00\"; offsets lie between -12:00 and +14:00"),
    Bound("holds.account_households_max", Whole(1, 1_000), "1 holds every shared account; 0 all"),
    Bound("holds.phone_households_max", Whole(1, 1_000), "1 holds every shared phone; 0 would hold all"),
    Bound("holds.person_households_max", Whole(1, 1_000), "1 holds who is listed twice; 0 all"),
    Bound(
        "holds.payee_households_max",
        Whole(1, 1_000),
        "1 holds everybody who is paid for two households; 0 would hold all",
    ),
    Bound("checks.joined_share_max", Share, SHARES),
    Bound("checks.left_share_max", Share, SHARES),
    Bound("checks.amount_changed_share_max", Share, SHARES),
    Bound("checks.account_changed_share_max", Share, SHARES),
    Bound("checks.total_change_share_max", Share, SHARES),
    Bound(
        "checks.scope_households_min",
        Whole(1, 10_000_000),
        "regions, provinces and providers with fewer households are not looked at alone",
    ),
    Bound(
        "checks.scope_count_min",
        Whole(1, 10_000_000),
        "fewer in one place are no matter; 20 is delivered",
    ),
    Bound("checks.scope_share_min", Share, SHARES),
    Bound(
        "checks.scope_times_elsewhere_max",
        Whole(1, 1_000),
        "how many times the share of everywhere else a share may be; 3 is delivered",
    ),
    Bound("checks.scope_change_share_max", Share, SHARES),
    Bound("checks.held_share_max", Share, SHARES),
    Bound("checks.corrected_share_max", Share, SHARES),
    Bound("checks.rejected_share_max", Share, SHARES),
    Bound("arrivals.*.business_days", Whole(0, 30), "business days after; 0 is the same day"),
    Bound("arrivals.snapshot.day", Whole(1, 31), "a day of the month; 31 is its last"),
    Bound("arrivals.*.by", Time, "local time, as \"12:00\""),
    Bound(
        "dispatch.orders_per_file",
        Whole(1, 1_000_000),
        "100,000 is delivered; banks seldom take more than a million orders in a file",
    ),
    Bound("decisions.second_approver_above", Money(0, BUDGET_MAX), "an amount such as \"2000000000.00\""),
    Bound("decisions.freezes.from", Date, "a day of the form 2026-09-01"),
    Bound("decisions.freezes.to", Date, "a day of the form 2026-09-10, the last one"),
    Bound("decisions.freezes.why", Text(120), LABEL),
    Bound("dispatch.read_back", Typed, TYPED),
    Bound("feedback.message_bytes_max", Whole(65_536, 1 << 40), "a month's statement may come to gigabytes"),
    Bound("feedback.breaks_max", Whole(1, 1_000_000), "1,000 is delivered; a person decides beyond"),
    Bound("feedback.depth_max", Whole(16, 128), "messages are about 14 elements deep; 32 is delivered"),
    Bound("recalls.answer_business_days", Whole(1, 60), "10 business days are usual"),
    Bound("reissue.cash_provider", Typed, TYPED),
    Bound("reissue.prescription_years", Whole(1, 30), "State debts lapse after four years"),
    Bound("corrections.months_back", Whole(0, 24), "at most 24 months; 3 is delivered"),
    Bound("corrections.late_registration_months", Whole(0, 60), "6 is delivered"),
    Bound("corrections.moved", Typed, "earlier or later"),
    Bound("corrections.late_registration_reach", Typed, TYPED),
    Bound("breaks.second_person_above", Money(0, 1_000_000_000 * ONE), "an amount such as \"10000.00\""),
    Bound("recovery.case_order", Typed, TYPED),
    Bound(
        "recovery.share",
        ShareAboveZero,
        "a share above 0 and at most 1; \"0.20\" keeps back a fifth of a month",
    ),
    Bound(
        "recovery.floor_left",
        Money(0, 100_000 * ONE),
        "an amount for a household and month, such as \"400.00\"",
    ),
    Bound(
        "recovery.arrears_share",
        Share,
        "the most that is kept back of arrears: \"0.20\" is 20 %, \"0\" nothing",
    ),
    Bound(
        "recovery.reissue_share",
        Share,
        "the most that is kept back of a claim that is paid again: \"0.20\" is 20 %, \"0\" nothing",
    ),
    Bound("recovery.complaint_reply_days", Whole(1, 366), "days, 30 is delivered"),
    Bound("recovery.appeal_days", Whole(1, 366), "days, 15 is delivered"),
    Bound("recovery.appeal_answer_days", Whole(1, 366), "days, 30 is delivered"),
    Bound("stream.enabled", Typed, TYPED),
    Bound("stream.orders_per_shard", Whole(1, 100_000), "5,000 is delivered"),
    Bound(
        "stream.lease_s",
        Whole(1, 3_600),
        "seconds; with 30 the work of a killed worker is taken over after half a minute",
    ),
    Bound("stream.failures_max", Whole(1, 1_000), "5 is delivered"),
    Bound("stream.pause_s_max", Whole(1, 3_600), "seconds; 60 is delivered"),
    Bound("stream.silent_s_max", Whole(1, 3_600), "seconds; 30 is delivered"),
    Bound("service.body_bytes_max", Whole(1_024, 1 << 30), "8388608 (8 MiB) is delivered"),
    Bound("service.requests_per_second", Whole(1, 100_000), "200 is delivered"),
    Bound("service.burst", Whole(1, 100_000), "400 is delivered"),
    Bound("service.request_s_max", Whole(1, 600), "seconds; 30 is delivered"),
    Bound("service.connections_max", Whole(8, 100_000), "512 is delivered; fewer than files may be open"),
    Bound("service.peer_connections_max", Whole(1, 100_000), "128 is delivered; all, behind a proxy"),
    Bound("service.tls_certificate", Text(1_000), "the path of a PEM file"),
    Bound("service.tls_key", Text(1_000), "the path of a PEM file"),
    Bound("events.batch_max", Whole(1, 10_000), "2,000 is delivered"),
    Bound("events.account_changes_sender_hour_max", Whole(1, 10_000_000), "500 is delivered"),
    Bound("events.account_changes_commune_hour_max", Whole(1, 10_000_000), "30 is delivered"),
    Bound("events.nats.url", Nats, "write it as nats://HOST:4222, or tls://HOST:4222"),
    Bound("events.nats.credentials", Text(1_000), "the path of a .creds file"),
    Bound("events.nats.stream", Subject, "a name of letters, digits, - and _"),
    Bound("events.nats.subject", Subject, "a subject such as sarf.events"),
    Bound("events.nats.durable", Subject, "a name of letters, digits, - and _"),
    Bound("events.nats.dead_letter_subject", Subject, "a subject such as sarf.dead"),
    Bound("events.out.to", Typed, TYPED),
    Bound("events.out.subject_prefix", Subject, "a subject such as sarf"),
    Bound("events.out.url", Http, "use https://; http:// only to this machine (127.0.0.1, [::1], localhost)"),
    Bound("events.out.secret_file", Text(1_000), "the path of a file that only its owner may read"),
];

/// `reasons.toml`.
pub(super) const REASONS: &[Bound] = &[
    Bound("default.decision", Typed, TYPED),
    Bound("default.attempts_max", Whole(1, 20), "it counts all orders of a claim, the first one too"),
    Bound("expired.decision", Typed, TYPED),
    Bound("expired.attempts_max", Whole(1, 20), "it counts all orders of a claim, the first one too"),
    Bound("reason.*.decision", Typed, TYPED),
    Bound("reason.*.attempts_max", Whole(1, 20), "it counts all orders of a claim, the first one too"),
    Bound("second_delivery_words", Items, "words in which banks say that they had this before, none twice"),
    Bound("harmless.*.*", Text(200), "say in a sentence why the status moves nothing"),
];

/// `programmes/*.toml`.
pub(super) const PROGRAMMES: &[Bound] = &[
    Bound("code", Typed, TYPED),
    Bound("name.fr", Text(140), LABEL),
    Bound("name.ar", Text(140), LABEL),
    Bound("name.en", Text(140), LABEL),
    Bound("purpose", Typed, TYPED),
    Bound("purpose_code", Typed, TYPED),
    Bound("category_purpose", Typed, TYPED),
    Bound("months", Numbers(1, 12), "months from 1 to 12, none twice"),
    Bound("not_with", Items, "codes of other programmes; leave it out where there are none"),
    Bound("budget.*", Money(1, BUDGET_MAX), "an envelope above zero, such as \"25000000000.00\""),
    Bound("arrears.covers", Items, "the months that are paid together, such as [\"2023-12\"]"),
    Bound("arrears.paid_in", Typed, TYPED),
    Bound("eligibility.score_max", Typed, TYPED),
    Bound("eligibility.resident_required", Typed, TYPED),
    Bound("eligibility.excluded_by", Typed, TYPED),
    Bound("eligibility.not_excluded_by", Typed, TYPED),
    Bound("eligibility.unlisted_excludes", Typed, TYPED),
    Bound("versions.from", Typed, TYPED),
    Bound("versions.verified", Typed, TYPED),
    Bound("versions.birth_grant.amounts", Typed, TYPED),
    Bound(
        "versions.birth_grant.claim_months",
        Whole(1, 60),
        "months after the birth; 6 is the programme's own",
    ),
    Bound("versions.birth_grant.claim_until", Typed, TYPED),
    Bound("versions.birth_grant.rank_check", Typed, TYPED),
    Bound(
        "versions.deposit.amount",
        Money(1, MONTH_MAX),
        "an amount for a child and month, such as \"500.00\"",
    ),
    Bound("versions.deposit.holder", Typed, TYPED),
    Bound(
        "versions.deposit.minimum",
        Money(0, MONTH_MAX),
        "the least that is released, such as \"10000.00\"",
    ),
    Bound("versions.deposit.minimum_for", Typed, TYPED),
    Bound("versions.deposit.majority_age", Whole(1, 60), AGE),
    Bound("versions.deposit.months_back", Whole(0, 24), "months before the list's own, up to 24"),
    Bound("versions.floor", Money(0, MONTH_MAX), "an amount for a household and month, such as \"500.00\""),
    Bound("versions.cap", Money(1, MONTH_MAX), "an amount for a household and month, such as \"1050.00\""),
    Bound(
        "versions.flat_rate",
        Money(1, MONTH_MAX),
        "an amount for a household and month, such as \"500.00\"",
    ),
    Bound("versions.child.age_max", Whole(0, 60), AGE),
    Bound("versions.rules.code", Typed, TYPED),
    Bound("versions.rules.label.fr", Text(140), LABEL),
    Bound("versions.rules.label.en", Text(140), LABEL),
    Bound(
        "versions.rules.amount",
        Money(1, MONTH_MAX),
        "an amount for a child and month, such as \"250.00\"",
    ),
    Bound("versions.rules.age_min", Whole(0, 60), AGE),
    Bound("versions.rules.age_max", Whole(0, 60), AGE),
    Bound("versions.rules.rank_min", Whole(1, 60), "ranks begin at 1"),
    Bound("versions.rules.rank_max", Whole(1, 60), "ranks begin at 1"),
    Bound("versions.rules.max_children", Whole(1, 60), "at least 1; leave it out for no limit"),
    Bound("versions.rules.months", Numbers(1, 12), "months from 1 to 12, none twice"),
];

/// `calendars/*.toml`.
pub(super) const CALENDARS: &[Bound] = &[
    Bound("weekend", Items, "the days on which banks are closed, such as [\"saturday\", \"sunday\"]"),
    Bound("fixed.month", Whole(1, 12), "months are 1 to 12"),
    Bound("fixed.day", Whole(1, 31), "days are 1 to 31"),
    Bound("fixed.name", Text(140), LABEL),
    Bound("fixed.from_year", Whole(1_900, 2_199), "the first year that it is kept in"),
    Bound("moving", Items, "list the moving holidays of at least one year"),
    Bound("moving.year", Whole(2_000, 2_199), "a year such as 2026"),
    Bound("moving.holidays.date", Date, "a day of the form 2026-03-20"),
    Bound("moving.holidays.days", Whole(1, 7), "days in a row, 1 to 7"),
    Bound("moving.holidays.name", Text(140), LABEL),
    Bound("moving.holidays.expected", Typed, TYPED),
];

/// Checks a document by a table of bounds.
pub(super) fn check(document: &Document<'_>, table: &[Bound]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for Bound(key, check, hint) in table {
        for found in document.find(key) {
            if let Some(problem) = check.problem(&found) {
                faults.push(document.fault(&found, problem, hint));
            }
        }
    }
    faults
}

impl Check {
    /// What is wrong with a value; nothing where its type is another than the setting's, which its reader says better.
    fn problem(self, found: &Found<'_, '_>) -> Option<String> {
        let value = found.value;
        let text = value.as_str();
        match self {
            Typed => None,
            Whole(low, high) => values::whole(value, low, high),
            Money(low, high) => values::money(text?, low, high),
            Share => values::share(text?, false),
            ShareAboveZero => values::share(text?, true),
            Text(max) => values::text(text?, max),
            Sepa(max) => values::sepa(text?, max),
            Time => values::time(text?),
            Offset => values::offset(text?),
            Bic => values::bic(text?),
            Member => values::member(text?),
            BankCodes => values::bank_codes(value.as_array()?),
            Items => values::items(value.as_array()?),
            Numbers(low, high) => {
                let items = value.as_array()?;
                let wrong = items.iter().find_map(|item| values::whole(item.get_ref(), low, high));
                wrong.or_else(|| values::items(items))
            }
            Http => values::http(text?),
            Nats => values::nats(text?),
            Subject => values::subject(text?),
            Date => values::date(text?),
            Capitals(length) => values::capitals(text?, length),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::provider_bounds::PROVIDERS;
    use super::*;

    /// The keys of a file's leaves that no row is for.
    fn without_a_row(file: &str, table: &[Bound]) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let document = Document::parse(&path, &text).unwrap();
        let covers = |leaf: &str| {
            table.iter().any(|Bound(key, ..)| {
                let (keys, parts): (Vec<&str>, Vec<&str>) =
                    (key.split('.').collect(), leaf.split('.').collect());
                keys.len() == parts.len() && keys.iter().zip(parts).all(|(k, p)| *k == "*" || *k == p)
            })
        };
        let leaves = document.leaves();
        assert!(leaves.len() > 3, "{file} says something");
        leaves.into_iter().filter(|leaf| !covers(leaf)).collect()
    }

    #[test]
    fn every_delivered_setting_has_a_row() {
        for (file, table) in [
            ("sarf.toml", SETTINGS),
            ("providers/banks.toml", PROVIDERS),
            ("providers/payment_institutions.toml", PROVIDERS),
            ("providers/wallets.toml", PROVIDERS),
            ("reasons.toml", REASONS),
            ("calendars/morocco.toml", CALENDARS),
        ] {
            assert_eq!(
                without_a_row(file, table),
                Vec::<String>::new(),
                "{file}: give it a row in config/bounds.rs"
            );
        }
    }

    #[test]
    fn every_bound_says_what_to_do() {
        for Bound(key, check, hint) in
            [SETTINGS, PROVIDERS, REASONS, PROGRAMMES, CALENDARS].into_iter().flatten()
        {
            assert!(matches!(check, Typed) || !hint.is_empty(), "{key}");
        }
    }
}
