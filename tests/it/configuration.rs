//! Settings that cannot be: each is refused by its file, its line, its place, what is wrong, and what to do.

use std::fs;
use std::path::Path;

use sarf::config::{Config, ConfigError};

use crate::harness::{Program, TempHome, config_folder, copy_folder};

const SARF: &str = "sarf.toml";
const BANKS: &str = "providers/banks.toml";
const INSTITUTIONS: &str = "providers/payment_institutions.toml";
const WALLETS: &str = "providers/wallets.toml";
const REASONS: &str = "reasons.toml";
const DSS: &str = "programmes/dss.toml";
const TAYSSIR: &str = "programmes/tayssir.toml";
const CALENDAR: &str = "calendars/morocco.toml";

/// File; what is replaced, and by what; the place; what is wrong.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const OF_THE_PROGRAMME: &[Row] = &[
    (
        SARF,
        "name = \"AGENCE NATIONALE DU SOUTIEN SOCIAL\"",
        "name = \"AGENCE\\u001b[31m\"",
        "debtor.name",
        "control characters",
    ),
    (
        SARF,
        "name = \"AGENCE NATIONALE DU SOUTIEN SOCIAL\"",
        "name = \"AGENCE\\u202eLAICOS\"",
        "debtor.name",
        "control characters",
    ),
    (
        SARF,
        "name = \"AGENCE NATIONALE DU SOUTIEN SOCIAL\"",
        "name = \"AGENCE\\nSOCIALE\"",
        "debtor.name",
        "control characters",
    ),
    (SARF, "name = \"AGENCE NATIONALE DU SOUTIEN SOCIAL\"", "name = \" \"", "debtor.name", "empty"),
    (
        SARF,
        "name = \"AGENCE NATIONALE DU SOUTIEN SOCIAL\"",
        "name = \"Solidarité\"",
        "debtor.name",
        "cannot stand in a bank file",
    ),
    (
        SARF,
        "name = \"AGENCE NATIONALE DU SOUTIEN SOCIAL\"",
        "name = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
        "debtor.name",
        "71 characters",
    ),
    (SARF, "id = \"ANSS\"", "id = \"AN<SS\"", "debtor.id", "cannot stand in a bank file"),
    (
        SARF,
        "utc_offset = \"+01:00\"",
        "utc_offset = \"+25:00\"",
        "calendar.utc_offset",
        "no country\'s offset",
    ),
    (
        SARF,
        "utc_offset = \"+01:00\"",
        "utc_offset = \"+19:00\"",
        "calendar.utc_offset",
        "no country's offset",
    ),
    (SARF, "utc_offset = \"+01:00\"", "utc_offset = \"1h\"", "calendar.utc_offset", "not of the form"),
    (
        SARF,
        "account_households_max = 1",
        "account_households_max = 0",
        "holds.account_households_max",
        "0 is not from 1",
    ),
    (
        SARF,
        "account_households_max = 1",
        "account_households_max = -1",
        "holds.account_households_max",
        "-1 is not from 1",
    ),
    (
        SARF,
        "phone_households_max = 3",
        "phone_households_max = 100000",
        "holds.phone_households_max",
        "100000 is not from 1",
    ),
    (
        SARF,
        "joined_share_max = \"0.04\"",
        "joined_share_max = \"4\"",
        "checks.joined_share_max",
        "more than the whole (400 %)",
    ),
    (
        SARF,
        "left_share_max = \"0.04\"",
        "left_share_max = \"-0.04\"",
        "checks.left_share_max",
        "not at least 0",
    ),
    (SARF, "held_share_max = \"0.05\"", "held_share_max = \"5 %\"", "checks.held_share_max", "not a share"),
    (
        SARF,
        "scope_households_min = 100\n",
        "scope_households_min = 0\n",
        "checks.scope_households_min",
        "0 is not from 1",
    ),
    (SARF, "orders_per_file = 100000", "orders_per_file = 0", "dispatch.orders_per_file", "0 is not from 1"),
    (
        SARF,
        "orders_per_file = 100000",
        "orders_per_file = -5",
        "dispatch.orders_per_file",
        "-5 is not from 1",
    ),
    (
        SARF,
        "orders_per_file = 100000",
        "orders_per_file = 99999999999",
        "dispatch.orders_per_file",
        "is not from 1 to 1000000",
    ),
    (
        SARF,
        "message_bytes_max = 17179869184",
        "message_bytes_max = 0",
        "feedback.message_bytes_max",
        "0 is not from",
    ),
    (SARF, "depth_max = 32", "depth_max = 1", "feedback.depth_max", "1 is not from"),
    (
        SARF,
        "answer_business_days = 10",
        "answer_business_days = 0",
        "recalls.answer_business_days",
        "0 is not from 1",
    ),
    (
        SARF,
        "prescription_years = 4",
        "prescription_years = 0",
        "reissue.prescription_years",
        "0 is not from 1",
    ),
    (SARF, "months_back = 3", "months_back = 25", "corrections.months_back", "25 is not from 0 to 24"),
    (
        SARF,
        "second_person_above = \"10000.00\"",
        "second_person_above = \"-1.00\"",
        "breaks.second_person_above",
        "-1.00 is not from 0.00",
    ),
    (
        SARF,
        "second_person_above = \"10000.00\"",
        "second_person_above = \"much\"",
        "breaks.second_person_above",
        "not an amount",
    ),
    (SARF, "share = \"0.20\"", "share = \"1.5\"", "recovery.share", "150 %"),
    (SARF, "share = \"0.20\"", "share = \"0\"", "recovery.share", "not above 0"),
    (
        SARF,
        "floor_left = \"400.00\"",
        "floor_left = \"-400.00\"",
        "recovery.floor_left",
        "-400.00 is not from",
    ),
    (
        SARF,
        "complaint_reply_days = 30",
        "complaint_reply_days = 0",
        "recovery.complaint_reply_days",
        "0 is not from 1",
    ),
    (SARF, "orders_per_shard = 5000", "orders_per_shard = 0", "stream.orders_per_shard", "0 is not from 1"),
    (SARF, "lease_s = 30", "lease_s = 0", "stream.lease_s", "0 is not from 1 to 3600"),
    (SARF, "lease_s = 30", "lease_s = -30", "stream.lease_s", "-30 is not from 1 to 3600"),
    (SARF, "lease_s = 30", "lease_s = 86400000", "stream.lease_s", "86400000 is not from 1 to 3600"),
    (SARF, "failures_max = 5", "failures_max = 0", "stream.failures_max", "0 is not from 1"),
    (SARF, "pause_s_max = 60", "pause_s_max = 0", "stream.pause_s_max", "0 is not from 1"),
    (SARF, "silent_s_max = 30", "silent_s_max = 0", "stream.silent_s_max", "0 is not from 1"),
    (SARF, "body_bytes_max = 8388608", "body_bytes_max = -1", "service.body_bytes_max", "-1 is not from"),
    (
        SARF,
        "requests_per_second = 200",
        "requests_per_second = 0",
        "service.requests_per_second",
        "0 is not from 1",
    ),
    (SARF, "request_s_max = 30", "request_s_max = 0", "service.request_s_max", "0 is not from 1"),
    (SARF, "batch_max = 2000", "batch_max = 0", "events.batch_max", "0 is not from 1"),
    (SARF, "# tls_certificate = ", "tls_certificate = ", "service.tls_certificate", "without `tls_key`"),
    (SARF, "# tls_key = ", "tls_key = ", "service.tls_key", "without `tls_certificate`"),
    (
        SARF,
        "cash_provider = \"cashplus\"",
        "cash_provider = \"awb\"",
        "reissue.cash_provider",
        "no provider `awb` that pays in cash",
    ),
    (
        SARF,
        "cash_provider = \"cashplus\"",
        "cash_provider = \"nobody\"",
        "reissue.cash_provider",
        "no provider `nobody`",
    ),
    (
        SARF,
        "# [events.nats]\n",
        "[events.out]\nto = \"webhook\"\nurl = \"http://example.org/sarf\"\nsecret_file = \"/x\"",
        "events.out.url",
        "in the clear",
    ),
    (
        SARF,
        "# [events.nats]\n",
        "[events.out]\nto = \"nats\"\nsubject_prefix = \"sarf\"",
        "events.out.to",
        "no [events.nats]",
    ),
    (
        SARF,
        "# [events.nats]\n",
        "[events.nats]\nurl = \"nats://h:4222\"\nstream = \"S\"\nsubject = \"a.b\"\ndurable = \"d\"\ndead_letter_subject = \"a.b\"",
        "events.nats.dead_letter_subject",
        "the subject that events come on",
    ),
    (
        SARF,
        "# [events.nats]\n",
        "[events.nats]\nurl = \"http://h\"\nstream = \"S\"\nsubject = \"a.>\"\ndurable = \"d\"\ndead_letter_subject = \"c\"",
        "events.nats.url",
        "not an address of NATS",
    ),
    (
        REASONS,
        "DUPL = { decision = \"never\"",
        "DUPL = { decision = \"retry\"",
        "reason.DUPL.decision",
        "may not be `retry`",
    ),
    (
        REASONS,
        "AM05 = { decision = \"never\"",
        "AM05 = { decision = \"repair\"",
        "reason.AM05.decision",
        "may not be `repair`",
    ),
    (REASONS, "DU03 = { decision = \"never\", attempts_max = 1 }", "", "reason", "`DU03` is missing"),
    (REASONS, "AC04 = {", "AC4 = {", "reason.AC4.decision", "never be met"),
    (
        REASONS,
        "AC04 = { decision = \"ask_account\"",
        "AC04 = { decision = \"put_forward\"",
        "reason.AC04.decision",
        "a person's decision",
    ),
    (
        REASONS,
        "[default]\ndecision = \"repair\"",
        "[default]\ndecision = \"retry\"",
        "default.decision",
        "nobody has thought of",
    ),
    (
        REASONS,
        "[default]\ndecision = \"repair\"\nattempts_max = 6",
        "[default]\ndecision = \"repair\"\nattempts_max = 0",
        "default.attempts_max",
        "0 is not from 1",
    ),
    (DSS, "\nfloor = \"500.00\"", "\nfloor = \"-500.00\"", "versions.2023-12.floor", "-500.00 is not from"),
    (
        DSS,
        "amount = \"350.00\"",
        "amount = \"99999999.00\"",
        "versions.2023-12.rules.orphan_0_5.amount",
        "99999999.00 is not from",
    ),
    (DSS, "2024 = \"25000000000.00\"", "2024 = \"-1.00\"", "budget.2024", "-1.00 is not from"),
    (DSS, "en = \"Direct social support\"", "en = \"Direct\\u009bsupport\"", "name.en", "control characters"),
    (DSS, "age_max = 20", "age_max = 200", "versions.2023-12.child.age_max", "200 is not from"),
    (
        TAYSSIR,
        "months = [9, 10, 11, 12, 1, 2, 3, 4, 5, 6]",
        "months = [9, 13]",
        "months",
        "13 is not from 1 to 12",
    ),
    (TAYSSIR, "months = [9, 10, 11, 12, 1, 2, 3, 4, 5, 6]", "months = []", "months", "the list is empty"),
    (
        TAYSSIR,
        "months = [9, 10, 11, 12, 1, 2, 3, 4, 5, 6]",
        "months = [9, 9]",
        "months",
        "`9` stands there twice",
    ),
    (CALENDAR, "weekend = [\"saturday\", \"sunday\"]", "weekend = []", "weekend", "the list is empty"),
    (CALENDAR, "month = 8, day = 14", "month = 13, day = 14", "fixed.6.month", "13 is not from 1 to 12"),
    (
        CALENDAR,
        "date = \"2026-03-20\", days = 2",
        "date = \"2026-03-20\", days = 20",
        "moving.2026.holidays.2026-03-20.days",
        "20 is not from 1 to 7",
    ),
    (
        CALENDAR,
        "date = \"2026-03-20\"",
        "date = \"2026-02-30\"",
        "moving.2026.holidays.2026-02-30.date",
        "not a day",
    ),
];

const OF_PROVIDERS: &[Row] = &[
    (BANKS, "bic = \"BCMAMAMC\"", "bic = \"bcma\"", "provider.awb.bic", "not a BIC"),
    (
        BANKS,
        "bic = \"BCMAMAMC\"",
        "bic = \"BMCEMAMC\"",
        "provider.boa.bic",
        "belongs to both `awb` and `boa`",
    ),
    (
        BANKS,
        "bank_codes = [\"007\"]",
        "bank_codes = [\"07\"]",
        "provider.awb.bank_codes",
        "not a bank code of three digits",
    ),
    (
        BANKS,
        "bank_codes = [\"007\"]",
        "bank_codes = [\"00a\"]",
        "provider.awb.bank_codes",
        "not a bank code of three digits",
    ),
    (
        BANKS,
        "bank_codes = [\"007\"]",
        "bank_codes = [\"007\", \"007\"]",
        "provider.awb.bank_codes",
        "stands there twice",
    ),
    (
        BANKS,
        "bank_codes = [\"007\"]",
        "bank_codes = [\"011\"]",
        "provider.boa.bank_codes",
        "belongs to both `awb` and `boa`",
    ),
    (BANKS, "bank_codes = [\"007\"]", "bank_codes = []", "provider.awb.bank_codes", "keeps accounts"),
    (
        BANKS,
        "daily_capacity = 600000",
        "daily_capacity = 0",
        "provider.awb.daily_capacity",
        "0 is not from 1",
    ),
    (
        BANKS,
        "daily_capacity = 600000",
        "daily_capacity = -1",
        "provider.awb.daily_capacity",
        "-1 is not from 1",
    ),
    (BANKS, "cutoff = \"15:00\"", "cutoff = \"25:00\"", "provider.awb.cutoff", "not a time"),
    (BANKS, "cutoff = \"15:00\"", "cutoff = \"00:00\"", "provider.awb.cutoff", "too late for its day"),
    (BANKS, "lead_days = 1", "lead_days = 99", "provider.awb.lead_days", "99 is not from 0"),
    (BANKS, "lead_days = 1", "lead_days = -1", "provider.awb.lead_days", "-1 is not from 0"),
    (BANKS, "means = [\"bank_account\"]", "means = []", "provider.awb.means", "the list is empty"),
    (
        BANKS,
        "debtor_account = \"007810000000000000900075\"",
        "debtor_account = \"011810000000000000900162\"",
        "provider.boa.debtor_account",
        "belongs to both",
    ),
    (BANKS, "code = \"awb\"", "code = \"boa\"", "provider.boa.code", "two providers bear the code `boa`"),
    (BANKS, "code = \"awb\"", "code = \"BOA\"", "provider.boa.code", "two providers bear the code"),
    (
        BANKS,
        "name = \"Attijariwafa bank\"",
        "name = \"Attijari\\u202ewafa\"",
        "provider.awb.name",
        "control characters",
    ),
    (
        INSTITUTIONS,
        "code = \"wafacash\"",
        "code = \"awb\"",
        "provider.awb.code",
        "two providers bear the code `awb`",
    ),
    (
        INSTITUTIONS,
        "fee = \"8.00\"",
        "fee = \"-8.00\"",
        "provider.wafacash.fees.1.fee",
        "-8.00 is not from 0.00",
    ),
    (
        INSTITUTIONS,
        "fee = \"8.00\"",
        "fee = \"99999.00\"",
        "provider.wafacash.fees.1.fee",
        "99999.00 is not from",
    ),
    (
        INSTITUTIONS,
        "fee = \"8.00\"",
        "fee = \"500.00\"",
        "provider.wafacash.fees.1.fee",
        "no less than 500.00",
    ),
    (
        INSTITUTIONS,
        "up_to = \"500.00\"",
        "up_to = \"5000.00\"",
        "provider.wafacash.fees.1.up_to",
        "overlap or are out of order",
    ),
    (
        INSTITUTIONS,
        "up_to = \"500.00\"",
        "up_to = \"1000.00\"",
        "provider.wafacash.fees.1.up_to",
        "overlap or are out of order",
    ),
    (
        INSTITUTIONS,
        "up_to = \"500.00\"",
        "up_to = \"0.00\"",
        "provider.wafacash.fees.1.up_to",
        "0.00 is not from 0.01",
    ),
    (
        INSTITUTIONS,
        "ceilings = [\"200.00\", \"5000.00\", \"20000.00\"]",
        "ceilings = [\"5000.00\", \"200.00\"]",
        "provider.wafacash.ceilings",
        "not above 5000.00, the level below",
    ),
    (
        INSTITUTIONS,
        "ceilings = [\"200.00\", \"5000.00\", \"20000.00\"]",
        "ceilings = [\"-1.00\", \"200.00\"]",
        "provider.wafacash.ceilings",
        "-1.00 is not above zero",
    ),
    (
        INSTITUTIONS,
        "ceilings = [\"200.00\", \"5000.00\", \"20000.00\"]",
        "ceilings = []",
        "provider.wafacash.ceilings",
        "the list is empty",
    ),
    (
        INSTITUTIONS,
        "default_level = 2",
        "default_level = 7",
        "provider.wafacash.default_level",
        "level 7 has no ceiling",
    ),
    (
        INSTITUTIONS,
        "http://127.0.0.1:8710/wafacash",
        "http://pay.example.ma/v1",
        "provider.wafacash.stream.url",
        "in the clear",
    ),
    (
        INSTITUTIONS,
        "http://127.0.0.1:8710/wafacash",
        "http://127.0.0.1.example.ma/",
        "provider.wafacash.stream.url",
        "in the clear",
    ),
    (
        INSTITUTIONS,
        "http://127.0.0.1:8710/wafacash",
        "https://me:pw@pay.example.ma/",
        "provider.wafacash.stream.url",
        "password",
    ),
    (
        INSTITUTIONS,
        "http://127.0.0.1:8710/wafacash",
        "file:///etc/passwd",
        "provider.wafacash.stream.url",
        "names no host",
    ),
    (
        INSTITUTIONS,
        "orders_per_request = 500",
        "orders_per_request = 0",
        "provider.wafacash.stream.orders_per_request",
        "0 is not from 1",
    ),
    (
        INSTITUTIONS,
        "requests_per_second = 50",
        "requests_per_second = -1",
        "provider.wafacash.stream.requests_per_second",
        "-1 is not from 0",
    ),
    (INSTITUTIONS, "burst = 5", "burst = 0", "provider.wafacash.stream.burst", "0 is not from 1"),
    (
        INSTITUTIONS,
        "concurrency = 4",
        "concurrency = 0",
        "provider.wafacash.stream.concurrency",
        "0 is not from 1",
    ),
    (
        INSTITUTIONS,
        "timeout_ms = 10000",
        "timeout_ms = 0",
        "provider.wafacash.stream.timeout_ms",
        "0 is not from 50",
    ),
    (
        INSTITUTIONS,
        "timeout_ms = 10000",
        "timeout_ms = 99999999",
        "provider.wafacash.stream.timeout_ms",
        "99999999 is not from 50",
    ),
    (INSTITUTIONS, "opens = \"00:00\"", "opens = \"8 am\"", "provider.wafacash.stream.opens", "not a time"),
    (
        INSTITUTIONS,
        "enquire_after_s = 30",
        "enquire_after_s = 0",
        "provider.wafacash.stream.enquire_after_s",
        "0 is not from 1",
    ),
    (
        INSTITUTIONS,
        "changes_every_s = 30",
        "changes_every_s = -1",
        "provider.wafacash.stream.changes_every_s",
        "-1 is not from 0",
    ),
    (
        INSTITUTIONS,
        "believe_absent_after_s = 60",
        "believe_absent_after_s = 0",
        "provider.wafacash.stream.believe_absent_after_s",
        "0 is not from 1",
    ),
    (
        INSTITUTIONS,
        "believe_absent_after_s = 60",
        "believe_absent_after_s = 10",
        "provider.wafacash.stream.believe_absent_after_s",
        "no longer than a request may take",
    ),
    (
        INSTITUTIONS,
        "unknown_hours_max = 24",
        "unknown_hours_max = 0",
        "provider.wafacash.stream.unknown_hours_max",
        "0 is not from 1",
    ),
    (
        INSTITUTIONS,
        "expiry_days = 45",
        "expiry_days = 0",
        "provider.wafacash.stream.expiry_days",
        "0 is not from 1",
    ),
    (
        WALLETS,
        "orders_per_request = 1",
        "orders_per_request = 50",
        "provider.wallet.stream.orders_per_request",
        "single transfers",
    ),
    (
        WALLETS,
        "clearing_member = \"899\"",
        "clearing_member = \"89 9\"",
        "provider.wallet.clearing_member",
        "not a clearing member id",
    ),
    (WALLETS, "clearing_member = \"899\"\n", "", "provider.wallet.code", "nothing names it in a bank file"),
];

/// A copy of the delivered configuration with one text of a file replaced, once.
fn broken(folder: &Path, file: &str, from: &str, to: &str) {
    copy_folder(&config_folder(), folder);
    let path = folder.join(file);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{file} holds no `{from}`");
    fs::write(&path, text.replacen(from, to, 1)).expect("a file");
}

#[test]
fn settings_that_cannot_be_are_refused_by_file_line_and_place() {
    let home = TempHome::new("cf");
    let folder = home.path().join("config");
    assert!(Config::read(&config_folder()).is_ok(), "the delivered configuration can be used");
    assert!(OF_THE_PROGRAMME.len() + OF_PROVIDERS.len() >= 110);
    let wrong: Vec<String> =
        OF_THE_PROGRAMME.iter().chain(OF_PROVIDERS).filter_map(|row| not_as_expected(&folder, row)).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// How the refusal of a row differs from what it should be.
fn not_as_expected(folder: &Path, (file, from, to, place, problem): &Row) -> Option<String> {
    broken(folder, file, from, to);
    let what = format!("{file}: {from} → {to}");
    let faults = match Config::read(folder) {
        Err(ConfigError::Faults(faults)) => faults,
        Err(other) => return Some(format!("{what}: {other}")),
        Ok(_) => return Some(format!("{what}: taken")),
    };
    let fault = &faults.0[0];
    // The line is where the key stands, but for one that is not there.
    let text = fs::read_to_string(folder.join(file)).expect("a file");
    let key = place.rsplit('.').next().unwrap_or_default();
    let shown = |line: usize| text.lines().nth(line - 1).unwrap_or_default().contains(key);
    let right = fault.path.ends_with(file)
        && fault.place == *place
        && fault.problem.contains(problem)
        && !fault.hint.is_empty()
        && fault.line.is_none_or(shown);
    (!right).then(|| format!("{what}: {fault}"))
}

/// What types and files say themselves: still with the file, and the place in it.
#[test]
fn what_cannot_be_read_is_refused_by_its_place_too() {
    let home = TempHome::new("cr");
    let folder = home.path().join("config");
    let mut wrong = Vec::new();
    for (file, from, to, words) in [
        (SARF, "[debtor]", "[debtor", "unclosed table"),
        (SARF, "[debtor]", "[debtor]\nnick = \"x\"", "unknown field `nick`"),
        (SARF, "lease_s = 30", "lease_s = \"30\"", "invalid type"),
        (SARF, "lease_s = 30", "lease_s = 30\nlease_s = 31", "duplicate key"),
        (BANKS, "account_format = \"iban\"", "account_format = \"bban\"", "unknown variant `bban`"),
        (
            BANKS,
            "debtor_account = \"007810000000000000900075\"",
            "debtor_account = \"007810000000000000900076\"",
            "RIB key",
        ),
        (BANKS, "means = [\"bank_account\"]", "means = [\"barter\"]", "unknown variant `barter`"),
        (
            REASONS,
            "AC04 = { decision = \"ask_account\"",
            "AC04 = { decision = \"pray\"",
            "unknown variant `pray`",
        ),
        (
            DSS,
            "[[versions]]\nfrom = \"2023-12\"",
            "[[versions]]\nfrom = \"2027-01\"",
            "order versions by month",
        ),
        (CALENDAR, "[[moving]]\nyear = 2024", "[[moving]]\nyear = 2023", "listed twice"),
        (CALENDAR, "date = \"2024-04-10\"", "date = \"2024-07-20\"", "not after the one before it"),
        (
            CALENDAR,
            "date = \"2024-06-17\", days = 2",
            "date = \"2024-04-11\", days = 2",
            "not after the one before it",
        ),
    ] {
        broken(&folder, file, from, to);
        let Err(error) = Config::read(&folder) else {
            wrong.push(format!("{file}: {to}: taken"));
            continue;
        };
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        if !text.contains(file) || !text.contains(words) {
            wrong.push(format!("{file}: {to}: {text}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    fs::remove_dir_all(&folder).expect("a folder");
    copy_folder(&config_folder(), &folder);
    fs::remove_dir_all(folder.join("providers")).expect("a folder");
    fs::create_dir(folder.join("providers")).expect("a folder");
    assert!(matches!(Config::read(&folder), Err(ConfigError::Nothing(_))));
}

/// Every command reads it first: nothing is started, and nothing is made.
#[test]
fn nothing_starts_with_a_setting_that_cannot_be() {
    let home = TempHome::new("cn");
    let config = home.path().join("broken");
    broken(&config, SARF, "lease_s = 30", "lease_s = 0");
    let program = Program { home: home.path().join("var"), config, ..Program::new(home.path()) };
    for args in ["config check", "run list", "worker", "dispatch 1", "verify", "migrate"] {
        let ran = program.ends(1, args);
        assert!(ran.err.contains("`stream.lease_s`: 0 is not from 1 to 3600"), "{args}: {ran:?}");
        assert!(
            ran.err.contains("sarf.toml`, line ") && ran.err.contains("\n\nhint: seconds; with 30"),
            "{args}: {ran:?}"
        );
        assert!(!program.home.exists(), "{args} made nothing");
    }
}
