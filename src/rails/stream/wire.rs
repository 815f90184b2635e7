//! The provider API as it goes over the wire (`docs/provider-api.yaml`), shared by the client, the sandbox and whoever
//! receives callbacks. Amounts are whole centimes.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::domain::household::Means;
use crate::domain::order::OrderEvent;

/// Where an order stands at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Taken; not at hand yet.
    Accepted,
    /// The payee can draw it.
    Available,
    /// Drawn by the payee.
    Collected,
    /// Credited to the payee's wallet or account.
    Credited,
    /// Not drawn in time; can no longer be drawn.
    Expired,
    /// Cancelled on request, before it was drawn.
    Cancelled,
    /// Refused: nothing was paid.
    Rejected,
    /// The key is not known (answers to enquiries and cancellations only).
    NotFound,
    /// A status that this API does not have: a person must ask what it means.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// What it does to an order; `None` where it says nothing of its life.
    pub const fn event(self) -> Option<OrderEvent> {
        match self {
            Self::Accepted => Some(OrderEvent::Accept),
            Self::Available => Some(OrderEvent::MadeAvailable),
            Self::Collected => Some(OrderEvent::Collect),
            Self::Credited => Some(OrderEvent::Settle),
            Self::Expired | Self::Cancelled => Some(OrderEvent::Expire),
            Self::Rejected => Some(OrderEvent::Reject),
            Self::NotFound | Self::Unknown => None,
        }
    }
}

/// `POST /v1/orders`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRequest {
    /// Orders, each with a key of its own.
    pub orders: Vec<WireOrder>,
}

/// One order of [`PutRequest`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireOrder {
    /// Idempotency key: the end-to-end id.
    pub key: String,
    /// UETR.
    pub uetr: String,
    /// Centimes.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// `cash`, `payment_account`, `wallet`.
    pub means: Means,
    /// Who is paid.
    pub payee: WirePayee,
}

/// Who is paid.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WirePayee {
    /// Name.
    pub name: String,
    /// Phone, `+212…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// RIB of a payment account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Identity card, for cash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cin: Option<String>,
}

impl std::fmt::Debug for WireOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireOrder")
            .field("key", &self.key)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WirePayee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WirePayee(…)")
    }
}

/// `POST /v1/orders/enquire`, `POST /v1/orders/cancel`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysRequest {
    /// Keys.
    pub keys: Vec<String>,
}

/// One answer for each order or key. Fields that are not listed here are passed over, so that a provider may say more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnswersBody {
    /// The answers.
    pub answers: Vec<WireAnswer>,
}

/// What is said of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireAnswer {
    /// Key.
    pub key: String,
    /// Where it stands.
    pub status: Status,
    /// Reason of a refusal, ISO external code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Centimes, as the provider knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
}

/// `GET /v1/changes?since=CURSOR`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangesBody {
    /// Oldest first.
    pub changes: Vec<WireEvent>,
    /// Where to go on.
    pub cursor: String,
    /// Whether more are waiting.
    #[serde(default)]
    pub more: bool,
}

/// One change, in the list of changes or in a callback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireEvent {
    /// The provider's id of the change.
    pub id: String,
    /// Key of the order.
    pub key: String,
    /// Where it stands since.
    pub status: Status,
    /// Reason of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Centimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// When it changed.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// A callback: `POST` to the address that was agreed, signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallbackBody {
    /// Changes, in any order, any of them perhaps told before.
    pub events: Vec<WireEvent>,
}
