//! `sarf.toml`: one struct for each concern.

use std::path::PathBuf;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use time::UtcOffset;

use super::decisions::Decisions;
use crate::domain::arrivals::Deadlines;
use crate::domain::correction::{MovedRule, Reach};
use crate::domain::country::Country;
use crate::domain::file_profile::Seat;
use crate::domain::ids::Code;
use crate::domain::money::Centimes;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whose accounts and whose money.
    #[serde(default)]
    pub country: Country,
    /// Who pays.
    pub debtor: Debtor,
    /// How the registry writes its numbers.
    pub registry: Registry,
    /// Business days and local time.
    pub calendar: CalendarSettings,
    /// When orders are held.
    pub holds: Holds,
    /// When submission is blocked.
    pub checks: Checks,
    /// What decisions take beyond three people.
    #[serde(default)]
    pub decisions: Decisions,
    /// How files leave.
    pub dispatch: Dispatch,
    /// By when what we wait for must have come.
    #[serde(default)]
    pub arrivals: Deadlines,
    /// How messages are read.
    pub feedback: Feedback,
    /// How payments are asked back.
    pub recalls: Recalls,
    /// Who may resolve breaks.
    pub breaks: Breaks,
    /// How orders are paid again.
    pub reissue: Reissue,
    /// How months already paid are put right.
    pub corrections: Corrections,
    /// How undue payments are recovered.
    pub recovery: Recovery,
    /// Which programmes go first.
    #[serde(default)]
    pub programmes: Programmes,
    /// How the stream lane works.
    pub stream: Stream,
    /// How the HTTP service takes calls.
    pub service: Service,
    /// Events in and out.
    pub events: Events,
}

/// Initiating party and debtor of every bank file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debtor {
    /// Name, at most 70 characters of the SEPA set.
    pub name: String,
    /// Organisation id.
    pub id: String,
    /// Where it has its seat, for banks that ask for it.
    pub seat: Option<Seat>,
}

/// How the registry writes its numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Whether the check digit of an IDCS must be right.
    pub idcs_check_digit: bool,
}

/// Business days and local time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSettings {
    /// File of holidays, below the configuration folder.
    pub file: String,
    /// Offset that cutoffs are in.
    #[serde(deserialize_with = "read_offset")]
    pub utc_offset: UtcOffset,
}

/// How many households may share a thing before their orders are held.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holds {
    /// One account.
    pub account_households_max: u32,
    /// One phone.
    pub phone_households_max: u32,
    /// One person.
    pub person_households_max: u32,
    /// One payee, by registry number or by identity card.
    pub payee_households_max: u32,
}

/// Thresholds of the comparison with the previous regular run; shares from 0 to 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// Households that are new, of those before.
    pub joined_share_max: Decimal,
    /// Households that are gone, of those before.
    pub left_share_max: Decimal,
    /// Households whose amount changed, of those in both.
    pub amount_changed_share_max: Decimal,
    /// Households whose account changed, of those in both.
    pub account_changed_share_max: Decimal,
    /// Change of the total amount, either way.
    pub total_change_share_max: Decimal,
    /// A region, province or provider with fewer households is not looked at alone.
    pub scope_households_min: u64,
    /// Fewer households there that joined, left or changed are no matter.
    pub scope_count_min: u64,
    /// A share of them up to this is no matter.
    pub scope_share_min: Decimal,
    /// A share may be so many times that of everywhere else.
    pub scope_times_elsewhere_max: u32,
    /// A share may be above that of everywhere else by this at most.
    pub scope_change_share_max: Decimal,
    /// Households that a correction run puts right, of those on its list.
    pub corrected_share_max: Decimal,
    /// Orders held, of all orders.
    pub held_share_max: Decimal,
    /// Household rows rejected, of all rows.
    pub rejected_share_max: Decimal,
}

/// How files leave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// Most orders in one file.
    pub orders_per_file: u32,
    /// Whether a file is read back after it was written.
    pub read_back: bool,
}

/// How messages are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// A larger message is refused.
    pub message_bytes_max: u64,
    /// A deeper one too.
    pub depth_max: u16,
    /// One that opens more breaks by itself is set aside whole.
    #[serde(default = "breaks_max")]
    pub breaks_max: u64,
}

const fn breaks_max() -> u64 {
    1_000
}

/// How payments are asked back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recalls {
    /// Business days that a provider has for its answer, and for the money it promises.
    pub answer_business_days: u8,
}

/// How orders that ended unpaid are paid again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reissue {
    /// Where a payee whose account cannot be paid draws cash; without, an operator must find a way.
    pub cash_provider: Option<Code>,
    /// A claim lapses so many years after the first day of its budget year.
    pub prescription_years: u8,
}

/// How months already paid are put right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrections {
    /// How many months before its own a list is asked about, at most 24.
    #[serde(deserialize_with = "read_months_back")]
    pub months_back: u8,
    /// A child up to this age in months that was not listed before counts as registered late.
    pub late_registration_months: u8,
    /// Whether those months are whole ones.
    #[serde(default)]
    pub late_registration_reach: Reach,
    /// Whose months before its move are, when a person stands in another household by now.
    #[serde(default = "of_the_earlier")]
    pub moved: MovedRule,
}

const fn of_the_earlier() -> MovedRule {
    MovedRule::Earlier
}

fn read_months_back<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let months = u8::deserialize(deserializer)?;
    if months > 24 { Err(serde::de::Error::custom("at most 24 months")) } else { Ok(months) }
}

/// Who may resolve breaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaks {
    /// The resolution of a break over more than this takes a second person.
    pub second_person_above: Centimes,
}

/// How undue payments are recovered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Most of a month's entitlement that is kept back, above 0 and at most 1.
    #[serde(deserialize_with = "read_share")]
    pub share: Decimal,
    /// What is left to the household of a month at least.
    pub floor_left: Centimes,
    /// Most of arrears that is kept back; 0: nothing.
    #[serde(default, deserialize_with = "read_share_or_none")]
    pub arrears_share: Decimal,
    /// Most of a claim that is paid again that is kept back, down to what is left of a month at least; 0: nothing.
    #[serde(default, deserialize_with = "read_share_or_none")]
    pub reissue_share: Decimal,
    /// Which case takes first where a household has several.
    #[serde(default)]
    pub case_order: CaseOrder,
    /// Days for the programme to reply to a complaint.
    pub complaint_reply_days: u16,
    /// Days for the household to appeal against the reply.
    pub appeal_days: u16,
    /// Days for the programme to answer an appeal.
    pub appeal_answer_days: u16,
}

/// Which case takes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseOrder {
    /// The one that was opened first.
    #[default]
    Opening,
    /// That of the earliest month.
    Month,
}

fn read_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let share = <Decimal as Deserialize>::deserialize(deserializer)?;
    if share > Decimal::ZERO && share <= Decimal::ONE {
        return Ok(share);
    }
    Err(serde::de::Error::custom("a share is above 0 and at most 1"))
}

fn read_share_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let share = <Decimal as Deserialize>::deserialize(deserializer)?;
    if share >= Decimal::ZERO && share <= Decimal::ONE {
        return Ok(share);
    }
    Err(serde::de::Error::custom("a share is 0 (nothing is kept back) or above, and at most 1"))
}

/// Which programme goes first where two may not be drawn together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programmes {
    /// Codes, the first goes first. Of two of which one is not named, the one whose run was made first goes first.
    #[serde(default)]
    pub priority: Vec<Code>,
}

/// How the stream lane works.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Whether providers with stream terms are spoken to over HTTP; where not, they get bank files.
    pub enabled: bool,
    /// Most orders in a shard, the piece of work that one worker holds at a time.
    pub orders_per_shard: u32,
    /// Seconds after which the shard of a worker that went silent is taken over.
    pub lease_s: u32,
    /// Failed calls in a row after which a provider is left alone for a while.
    pub failures_max: u32,
    /// Longest pause before a provider is tried again.
    pub pause_s_max: u32,
    /// Seconds after which `sarf dispatch` leaves a provider alone that answers nothing.
    #[serde(default = "silent_s_max")]
    pub silent_s_max: u32,
}

const fn silent_s_max() -> u32 {
    30
}

/// How the HTTP service takes calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// A larger body is refused.
    pub body_bytes_max: usize,
    /// Requests a second of one token.
    pub requests_per_second: u32,
    /// Requests of one token that may come at once.
    pub burst: u32,
    /// A request must be read and answered in this time.
    pub request_s_max: u32,
    /// Connections at once: fewer than the files that the process may open.
    pub connections_max: usize,
    /// Connections at once of one peer (an IPv4 address, an IPv6 network of 64 bits).
    pub peer_connections_max: usize,
    /// PEM file with the certificate chain; without, no TLS.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub tls_key: Option<PathBuf>,
}

/// Events in and out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Most events decided in one transaction.
    pub batch_max: u32,
    /// Changes of account that one sender may bring in an hour; beyond, the orders of all of them are held.
    pub account_changes_sender_hour_max: u32,
    /// The same, of the households of one commune.
    pub account_changes_commune_hour_max: u32,
    /// Where events come from besides HTTP; nothing of NATS runs without.
    pub nats: Option<Nats>,
    /// Where state changes are told; none are kept without.
    pub out: Option<EventsOut>,
}

/// A NATS JetStream stream to take events from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// `nats://` or `tls://` address.
    pub url: String,
    /// File with credentials (`.creds`), where the server wants them.
    pub credentials: Option<PathBuf>,
    /// Stream; made when missing.
    pub stream: String,
    /// Subject that events come on.
    pub subject: String,
    /// Name of the durable consumer.
    pub durable: String,
    /// Subject that events go to that can never be taken, with the reason.
    pub dead_letter_subject: String,
}

/// Where state changes are told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "to", rename_all = "lowercase")]
pub enum EventsOut {
    /// On NATS, below a subject, to the server of `[events.nats]`.
    Nats {
        /// `PREFIX.order.…`, `PREFIX.run.…`.
        subject_prefix: String,
    },
    /// To an address by `POST`, signed.
    Webhook {
        /// Address.
        url: String,
        /// File with the secret that signs.
        secret_file: PathBuf,
    },
}

fn read_offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UtcOffset, D::Error> {
    let text = String::deserialize(deserializer)?;
    let format = time::macros::format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    UtcOffset::parse(&text, format)
        .map_err(|_| serde::de::Error::custom(format!("utc_offset `{text}` is not of the form +HH:MM")))
}
