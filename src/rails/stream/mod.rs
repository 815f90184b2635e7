//! The stream lane: providers that are called order by order, over HTTP.
//!
//! Input: instructions, keys, a cursor. Output: one answer for each, or the reason why none can be had.
//! Guarantee: a call that failed says whether the provider can have acted on it ([`CallError::may_have_acted`]): only
//! a call that surely had no effect may be made again without asking first.
//! Limit: no state and no database here; pace, retries and what an answer means for an order are the callers'.

pub mod backoff;
pub mod breaker;
pub mod http;
pub mod instant_api;
pub mod pace;
pub mod provider_api;
pub mod secrets;
pub mod sign;
pub mod singly;
pub mod wallet_api;
pub mod wire;

#[cfg(test)]
mod testing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use time::{OffsetDateTime, UtcOffset};

use self::http::AddressError;
use self::instant_api::InstantApi;
use self::provider_api::ProviderApi;
use self::sign::Secret;
use self::wallet_api::WalletApi;
use crate::clock::Clock;
use crate::domain::household::Means;
use crate::domain::money::Centimes;
use crate::domain::provider::{Provider, StreamApi, StreamTerms};
use crate::domain::stated;

/// One order as a provider gets it: only what it needs to pay.
#[derive(Clone)]
pub struct Instruction {
    /// The end-to-end id: the key under which the provider does a thing once.
    pub key: String,
    /// Unique end-to-end transaction reference (ISO 20022).
    pub uetr: String,
    /// How much.
    pub amount: Centimes,
    /// How the payee gets it.
    pub means: Means,
    /// Payee's name.
    pub name: String,
    /// Payee's phone, `+212…`.
    pub phone: Option<String>,
    /// RIB, for payment accounts.
    pub account: Option<String>,
    /// Identity card, for cash at a counter.
    pub cin: Option<String>,
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instruction")
            .field("key", &self.key)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// What a provider says of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The key it is about.
    pub key: String,
    /// Where the order stands there.
    pub status: wire::Status,
    /// Reason code (ISO external code) of a refusal.
    pub reason: Option<String>,
    /// The amount as the provider knows it, where it says so.
    pub amount: Option<Centimes>,
}

/// What became of orders that were handed over together. An order that is neither answered nor untouched got no readable
/// answer: what the provider did with it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// What the provider says.
    pub answers: Vec<Answer>,
    /// Keys of orders that surely were not acted on: they may be handed over again.
    pub untouched: Vec<String>,
    /// How long the provider asks to wait with those, where it says so.
    pub retry_after: Option<Duration>,
}

/// Changes since a cursor, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What changed; a key may come more than once.
    pub changes: Vec<Answer>,
    /// Where to go on.
    pub cursor: String,
    /// Whether more are waiting.
    pub more: bool,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The provider asks to come back later; it did nothing (429).
    #[error("the provider asks to wait")]
    Busy {
        /// How long, where it says so.
        retry_after: Option<Duration>,
    },
    /// No connection: nothing was sent.
    #[error("no connection to the provider")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider refused the request as a whole, unread or unauthorised (4xx); it did nothing.
    #[error("the provider refused the request with status {status}")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// Sent, but cut off, timed out, failed inside (5xx) or answered unreadably: what the provider did is not known.
    #[error("no readable answer from the provider: {what}")]
    Lost {
        /// `timeout`, `cut`, `status 502`, `unreadable`: a closed list, for metrics.
        what: &'static str,
    },
}

impl CallError {
    /// Whether the provider can have acted on the call.
    pub const fn may_have_acted(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// A provider that is spoken to over HTTP. All calls are safe to repeat.
pub trait StreamRail: Send + Sync {
    /// Most orders in one [`put`](Self::put), and most keys in one [`enquire`](Self::enquire).
    fn orders_per_request(&self) -> usize;

    /// Whether the provider tells of changes by itself (callbacks, [`changes`](Self::changes)); where not, orders that
    /// it has accepted must be asked about.
    fn tells_changes(&self) -> bool;

    /// Hands orders over. An order whose key the provider knows is answered with where it stands, and nothing is done.
    /// Answers may come in any order and some may be missing. An error is about all of them.
    fn put<'a>(&'a self, orders: &'a [Instruction]) -> BoxFuture<'a, Result<Put, CallError>>;

    /// Asks where orders stand; a key that the provider does not know is answered with [`wire::Status::NotFound`]. Some may be
    /// missing.
    fn enquire<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>>;

    /// Cancels what is not collected or credited yet, and says where each stands now.
    fn cancel<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>>;

    /// What changed since `cursor` (empty: since the beginning).
    fn changes<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<Changes, CallError>>;

    /// Whether the provider is there at all: without effect, for a circuit breaker's trial.
    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>>;
}

/// What callbacks and requests are timed by.
pub fn unix_seconds(now: OffsetDateTime) -> i64 {
    now.unix_timestamp()
}

/// The longest key or reason (ISO 20022, Max35Text).
const TEXT_MAX: usize = 35;

/// A key as it may be kept: one that cannot be ours stays as one that cannot.
fn clean_key(key: String) -> String {
    if key.len() <= TEXT_MAX && key.bytes().all(|b| b.is_ascii_graphic()) {
        return key;
    }
    key.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(TEXT_MAX).collect()
}

/// A reason as it may be kept: as it was sent, code or words, cut to what the standard has room for.
fn clean_reason(reason: String) -> String {
    stated::clean(&reason).chars().take(TEXT_MAX).collect()
}

/// Who pays.
#[derive(Clone, Copy, Debug)]
pub struct Payer<'a> {
    /// Name.
    pub name: &'a str,
    /// Organisation id.
    pub id: &'a str,
    /// Where it lives: business days are in this offset.
    pub utc_offset: UtcOffset,
}

/// The rail of a provider by its terms, with connections of its own.
///
/// # Errors
/// [`CallError::Unreachable`] when no call can ever be made: the address, the secret or TLS is unusable.
pub fn connect(
    provider: (&Provider, &StreamTerms),
    secret: Secret,
    clock: Clock,
    payer: &Payer<'_>,
) -> Result<Arc<dyn StreamRail>, CallError> {
    let (_, terms) = provider;
    match terms.api {
        StreamApi::Provider => {
            Ok(Arc::new(ProviderApi::new(http::client(terms)?, terms, secret, clock, payer.id)?))
        }
        StreamApi::Wallet => {
            Ok(Arc::new(WalletApi::new(http::client(terms)?, terms, &secret, clock, payer.id)?))
        }
        StreamApi::Instant => {
            Ok(Arc::new(InstantApi::new(http::client(terms)?, provider, &secret, clock, payer)?))
        }
        StreamApi::Worklist => Err(http::refuse_address(AddressError::NotCalled)),
    }
}
