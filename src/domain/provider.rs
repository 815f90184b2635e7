//! Providers: banks, payment institutions, wallets, and what is agreed with each.

use serde::Deserialize;
use time::Time;

use super::arrivals::Deadlines;
use super::delivery::DeliveryTerms;
use super::file_profile::FileProfile;
use super::household::Means;
use super::ids::Code;
use super::money::Centimes;
use super::name::ArabicNames;
use super::rib::Rib;

/// How a provider wants accounts written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountFormat {
    /// 24 digits, as `Othr/Id`.
    Rib,
    /// 28 characters, as `IBAN`.
    Iban,
}

/// One line of `config/providers/*.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Short code, also the name of its folder in the outbox.
    pub code: Code,
    /// Name, for people.
    pub name: String,
    /// Business identifier code (ISO 9362), where known.
    pub bic: Option<String>,
    /// Bank codes whose accounts it keeps.
    pub bank_codes: Vec<String>,
    /// Clearing member id where it has no bank code.
    pub clearing_member: Option<String>,
    /// Whether the provider has confirmed this line.
    pub verified: bool,
    /// By which means it pays.
    pub means: Vec<Means>,
    /// How it wants accounts written.
    pub account_format: AccountFormat,
    /// What it does with a name that the registry has in Arabic script only.
    #[serde(default = "romanised")]
    pub arabic_names: ArabicNames,
    /// The programme's own account there, which its statements are of.
    #[serde(deserialize_with = "read_rib")]
    pub debtor_account: Rib,
    /// Orders it takes a day: a run's orders beyond go into further waves.
    pub daily_capacity: u32,
    /// Local time after which a file counts for the next business day.
    #[serde(deserialize_with = "read_time")]
    pub cutoff: Time,
    /// Business days from delivery to value date.
    pub lead_days: u8,
    /// Most that an account may take, by level from 1; empty for no limit.
    #[serde(default)]
    pub ceilings: Vec<Centimes>,
    /// Level of an account whose level is not known.
    #[serde(default)]
    pub default_level: u8,
    /// What the payee pays to draw the money, tax included, by amount; empty where nothing.
    #[serde(default)]
    pub fees: Vec<FeeBand>,
    /// What the payee pays for an amount above the last band.
    #[serde(default)]
    pub fee_above: FeeAbove,
    /// By when what it owes us must have come, where that is not as for all.
    #[serde(default)]
    pub arrivals: Deadlines,
    /// What it wants in files, or refuses, beyond the schema.
    #[serde(default)]
    pub file: FileProfile,
    /// Its server that files are brought to; without, it picks them up in the outbox.
    pub delivery: Option<DeliveryTerms>,
    /// How it is spoken to over HTTP; without, it gets bank files.
    pub stream: Option<StreamTerms>,
}

const fn romanised() -> ArabicNames {
    ArabicNames::Romanised
}

/// A fee for amounts up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeBand {
    /// Highest amount that it is for.
    pub up_to: Centimes,
    /// The fee.
    pub fee: Centimes,
}

/// The fee for an amount above the last band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeeAbove {
    /// That of the last band.
    #[default]
    Last,
    /// Nothing.
    None,
    /// This much.
    Fee(Centimes),
}

impl<'de> Deserialize<'de> for FeeAbove {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "last" => Ok(Self::Last),
            "none" => Ok(Self::None),
            amount => match amount.parse() {
                Ok(fee) if fee >= Centimes::ZERO => Ok(Self::Fee(fee)),
                _ => Err(serde::de::Error::custom(format!(
                    "fee_above `{text}` is neither \"last\", \"none\" nor an amount that is not negative"
                ))),
            },
        }
    }
}

/// Which API a provider of the stream lane has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamApi {
    /// Ours: bulk, keys, callbacks (`docs/provider-api.yaml`).
    Provider,
    /// A wallet switch: single transfers by phone number.
    Wallet,
    /// A bank's instant lane: pacs.008, pacs.002, pacs.028 over HTTP (`docs/instant-api.yaml`).
    Instant,
    /// None: it fetches work lists and uploads confirmations.
    Worklist,
}

/// What the engine asks of an API before it relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It is called; else the provider fetches its orders.
    pub is_called: bool,
    /// A request may hold many orders.
    pub takes_many: bool,
    /// The provider reports by itself what becomes of an order; else it is asked.
    pub reports: bool,
}

impl StreamApi {
    /// What this API can do: all that is known of it outside of its own folder in `rails/stream`.
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Provider => Capabilities { is_called: true, takes_many: true, reports: true },
            Self::Wallet | Self::Instant => {
                Capabilities { is_called: true, takes_many: false, reports: false }
            }
            Self::Worklist => Capabilities { is_called: false, takes_many: true, reports: true },
        }
    }
}

/// How a provider of the stream lane is spoken to, and how fast. A pace of 0 means none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamTerms {
    /// Its API.
    pub api: StreamApi,
    /// Base address; with `https://` by TLS.
    pub url: String,
    /// Most orders in one request.
    pub orders_per_request: u32,
    /// Requests a second, over all workers.
    pub requests_per_second: u32,
    /// Orders a second, over all workers.
    pub orders_per_second: u32,
    /// Requests that may come at once after a pause.
    pub burst: u32,
    /// Requests under way at once, in each worker.
    pub concurrency: u32,
    /// After this long without an answer, an order is *unknown*.
    pub timeout_ms: u64,
    /// Local time from which it takes orders.
    #[serde(deserialize_with = "read_time")]
    pub opens: Time,
    /// Local time until which it takes orders; as `opens`: day and night.
    #[serde(deserialize_with = "read_time")]
    pub closes: Time,
    /// Seconds between enquiries about an order that is unknown or pending.
    pub enquire_after_s: u32,
    /// Seconds between two readings of its list of changes, over all workers; 0: never.
    #[serde(default)]
    pub changes_every_s: u32,
    /// "Not known here" is believed only so many seconds after the request was made.
    pub believe_absent_after_s: u32,
    /// Hours after which a person is asked about an unknown order.
    pub unknown_hours_max: u32,
    /// Days after which what was not collected is swept back.
    pub expiry_days: u16,
}

impl StreamTerms {
    /// What its API can do.
    pub const fn capabilities(&self) -> Capabilities {
        self.api.capabilities()
    }
}

fn read_rib<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Rib, D::Error> {
    let text = String::deserialize(deserializer)?;
    Rib::parse(&text).map_err(|e| serde::de::Error::custom(format!("debtor_account: {e}")))
}

fn read_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    Time::parse(&text, time::macros::format_description!("[hour]:[minute]"))
        .map_err(|_| serde::de::Error::custom(format!("cutoff `{text}` is not of the form HH:MM")))
}

impl Provider {
    /// The most that an account of a level may take.
    pub fn ceiling(&self, level: Option<u8>) -> Option<Centimes> {
        let level = level.unwrap_or(self.default_level).max(1);
        self.ceilings.get(usize::from(level) - 1).or(self.ceilings.last()).copied()
    }

    /// What the payee pays to draw `amount`.
    pub fn fee(&self, amount: Centimes) -> Centimes {
        let band = self.fees.iter().find(|b| amount <= b.up_to);
        match (band, self.fees.last(), self.fee_above) {
            (Some(band), ..) | (None, Some(band), FeeAbove::Last) => band.fee,
            (None, _, FeeAbove::Fee(fee)) => fee,
            (None, None, FeeAbove::Last) | (None, _, FeeAbove::None) => Centimes::ZERO,
        }
    }

    /// The clearing member id that names it where it has no BIC.
    pub fn member_id(&self) -> &str {
        self.clearing_member.as_deref().or(self.bank_codes.first().map(String::as_str)).unwrap_or("")
    }
}
