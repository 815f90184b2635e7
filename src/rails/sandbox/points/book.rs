//! What one provider knows: orders by key, each done once, and every change in the order it happened.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::super::fate::Dice;
use super::options::PointRates;
use crate::rails::stream::wire::{Status, WireAnswer, WireEvent};

/// An order at its provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub amount: i64,
    pub status: Status,
    /// What tells one content from another.
    content: u64,
    reason: Option<&'static str>,
    pub settled: bool,
}

/// A change, to be told.
#[derive(Clone, Debug)]
struct Change {
    key: Box<str>,
    status: Status,
    reason: Option<&'static str>,
    amount: i64,
    at: OffsetDateTime,
}

/// Figures of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PointCounts {
    /// Requests of any kind.
    pub requests: u64,
    /// Orders taken.
    pub orders: u64,
    /// Orders put again under a known key.
    pub repeated: u64,
    /// Orders put under a known key with another content.
    pub conflicting: u64,
    /// Now accepted, and not yet at hand.
    pub accepted: u64,
    /// Now at hand.
    pub available: u64,
    /// Drawn, or credited.
    pub paid: u64,
    /// Refused.
    pub rejected: u64,
    /// Cancelled.
    pub cancelled: u64,
}

pub(super) struct Book {
    pub orders: HashMap<Box<str>, Held>,
    changes: Vec<Change>,
    /// Orders that will be at hand, with when.
    coming: VecDeque<(Instant, Box<str>)>,
    pub counts: PointCounts,
    pub settlements: u32,
    pub balance_moved: i64,
    pub statements: u64,
    /// When how many orders came, for measuring a pace at the provider's side.
    pub arrivals: Vec<(Instant, u32)>,
}

const REJECTIONS: [&str; 5] = ["AC04", "AC06", "BE06", "RR04", "AC01"];

impl Book {
    pub fn new() -> Self {
        Self {
            orders: HashMap::new(),
            changes: Vec::new(),
            coming: VecDeque::new(),
            counts: PointCounts::default(),
            settlements: 0,
            balance_moved: 0,
            statements: 0,
            arrivals: Vec::new(),
        }
    }

    /// Takes an order, or says where it stands: under one key a thing is done once.
    pub fn put(&mut self, order: &New<'_>, how: &How<'_>) -> WireAnswer {
        let answer = |status, reason: Option<&str>, amount| WireAnswer {
            key: order.key.to_owned(),
            status,
            reason: reason.map(str::to_owned),
            amount: Some(amount),
        };
        match self.orders.entry(order.key.into()) {
            Entry::Occupied(known) => {
                let held = known.get();
                if held.content != order.content {
                    self.counts.conflicting += 1;
                    return answer(Status::Rejected, Some("DUPL"), order.amount);
                }
                self.counts.repeated += 1;
                answer(held.status, held.reason, held.amount)
            }
            Entry::Vacant(free) => {
                self.counts.orders += 1;
                let (status, reason) = how.fate(order);
                free.insert(Held {
                    amount: order.amount,
                    status,
                    content: order.content,
                    reason,
                    settled: false,
                });
                if status == Status::Accepted {
                    self.coming.push_back((Instant::now() + how.later.unwrap_or_default(), order.key.into()));
                } else if how.later.is_some() {
                    self.note(order.key, how.now);
                }
                answer(status, reason, order.amount)
            }
        }
    }

    /// Where an order stands.
    pub fn find(&self, key: &str) -> WireAnswer {
        let held = self.orders.get(key);
        WireAnswer {
            key: key.to_owned(),
            status: held.map_or(Status::NotFound, |h| h.status),
            reason: held.and_then(|h| h.reason).map(str::to_owned),
            amount: held.map(|h| h.amount),
        }
    }

    /// Cancels what is neither drawn nor credited.
    pub fn cancel(&mut self, key: &str, now: OffsetDateTime) -> WireAnswer {
        let open = |h: &&mut Held| matches!(h.status, Status::Accepted | Status::Available);
        if let Some(held) = self.orders.get_mut(key).filter(open) {
            held.status = Status::Cancelled;
            self.note(key, now);
        }
        self.find(key)
    }

    /// Moves an order on.
    pub fn to(&mut self, key: &str, status: Status, now: OffsetDateTime) {
        if let Some(held) = self.orders.get_mut(key) {
            held.status = status;
            self.note(key, now);
        }
    }

    fn note(&mut self, key: &str, at: OffsetDateTime) {
        let held = self.orders[key];
        let change =
            Change { key: key.into(), status: held.status, reason: held.reason, amount: held.amount, at };
        self.changes.push(change);
    }

    /// Orders whose time has come are at hand, or credited.
    pub fn ripen(&mut self, wallet: bool, now: OffsetDateTime) {
        let ripe = Instant::now();
        while self.coming.front().is_some_and(|(at, _)| *at <= ripe) {
            let (_, key) = self.coming.pop_front().expect("just seen");
            if self.orders[&key].status == Status::Accepted {
                self.to(&key, if wallet { Status::Credited } else { Status::Available }, now);
            }
        }
    }

    /// Changes from a place on.
    pub fn changes(&self, from: usize, limit: usize) -> Vec<WireEvent> {
        let changes = self.changes.iter().enumerate().skip(from).take(limit);
        changes
            .map(|(at, change)| WireEvent {
                id: (at + 1).to_string(),
                key: change.key.to_string(),
                status: change.status,
                reason: change.reason.map(str::to_owned),
                amount: Some(change.amount),
                at: change.at,
            })
            .collect()
    }

    /// How many changes there are.
    pub fn changed(&self) -> usize {
        self.changes.len()
    }

    /// Figures, counted now.
    pub fn count(&self) -> PointCounts {
        let mut counts = self.counts;
        for held in self.orders.values() {
            match held.status {
                Status::Accepted | Status::NotFound => counts.accepted += 1,
                Status::Available => counts.available += 1,
                Status::Collected | Status::Credited => counts.paid += 1,
                Status::Rejected => counts.rejected += 1,
                Status::Expired | Status::Cancelled => counts.cancelled += 1,
            }
        }
        counts
    }
}

/// An order as it came.
pub(super) struct New<'a> {
    pub key: &'a str,
    pub amount: i64,
    pub content: u64,
}

/// How orders fare now.
pub(super) struct How<'a> {
    pub dice: Dice,
    pub rates: &'a PointRates,
    pub wallet: bool,
    pub later: Option<Duration>,
    pub now: OffsetDateTime,
}

impl How<'_> {
    /// What becomes of an order: by its key and the seed alone.
    fn fate(&self, order: &New<'_>) -> (Status, Option<&'static str>) {
        if self.dice.hits(self.rates.rejected, "rejected", order.key) {
            let at = self.dice.number("reason", order.key) % REJECTIONS.len() as u64;
            return (Status::Rejected, Some(REJECTIONS[at as usize]));
        }
        let pending = self.wallet && self.dice.hits(self.rates.pending, "pending", order.key);
        match (self.wallet, self.later) {
            _ if pending => (Status::Accepted, None),
            (true, _) => (Status::Credited, None),
            (false, Some(_)) => (Status::Accepted, None),
            (false, None) => (Status::Available, None),
        }
    }
}
