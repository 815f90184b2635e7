//! What one provider knows: orders by key, each done once, and every change in the order it happened.
//!
//! Input: orders as they came, moves. Output: where an order stands, changes from a place on, figures.
//! Guarantee: under one key a thing is done once; a change is never taken from the list. Four million orders with three
//! changes each fit in 1 GiB: keys lie end to end in one text, changes name their order by its place.
//! Limit: nothing is ever forgotten.

use crate::domain::country;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::options::PointRates;
use crate::rails::stream::wire::{Status, WireAnswer, WireEvent};
use crate::sandbox::chance::Dice;

/// Arrivals that come closer together are told as one.
const ARRIVAL_SLOT: Duration = Duration::from_millis(1);

/// Reasons of refusals; an order keeps its place in this list.
const REASONS: [&str; 7] = ["AC04", "AC06", "BE06", "RR04", "AC01", AMOUNT, CURRENCY];
/// Of these, how many are dealt out by chance.
const BY_CHANCE: u64 = 5;
/// No amount that can be paid.
pub(super) const AMOUNT: &str = "AM01";
/// A currency that is not paid here.
pub(super) const CURRENCY: &str = "AM03";
/// The key was used for something else.
const DUPLICATE: &str = "DUPL";

/// An order at its provider.
struct Order {
    key_start: usize,
    amount: i64,
    /// What tells one content from another.
    content: u64,
    /// When it came to stand where it stands, in microseconds of Unix time.
    since_us: i64,
    key_len: u8,
    status: Status,
    /// Place in [`REASONS`].
    reason: Option<u8>,
    settled: bool,
}

/// A change, to be told.
#[derive(Clone, Copy)]
struct Change {
    at_us: i64,
    order: u32,
    status: Status,
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
    /// Not drawn in time.
    pub expired: u64,
}

/// An order that was paid out and is in no settlement yet.
pub(super) struct Paid {
    /// Its place.
    pub order: usize,
    pub key: Box<str>,
    pub amount: i64,
    pub status: Status,
    pub at: OffsetDateTime,
}

#[derive(Default)]
pub(super) struct Book {
    /// All keys, end to end.
    keys: String,
    orders: Vec<Order>,
    /// Place of an order by the hash of its key; the next free number where two keys have one hash.
    places: HashMap<u64, u32>,
    changes: Vec<Change>,
    /// Orders that will be at hand, with when.
    coming: VecDeque<(Instant, u32)>,
    pub counts: PointCounts,
    /// When how many orders came, for measuring a pace at the provider's side.
    pub arrivals: Vec<(Instant, u32)>,
}

impl Book {
    /// Notes that so many orders came.
    pub fn arrive(&mut self, orders: usize) {
        let (now, orders) = (Instant::now(), u32::try_from(orders).unwrap_or(u32::MAX));
        match self.arrivals.last_mut() {
            Some((at, count)) if now - *at < ARRIVAL_SLOT => *count = count.saturating_add(orders),
            _ => self.arrivals.push((now, orders)),
        }
    }

    /// Takes an order, or says where it stands; whether it was new.
    pub fn put(&mut self, new: &New<'_>, how: &How<'_>) -> (WireAnswer, bool) {
        let hash = match self.locate(new.key) {
            Ok(known) => return (self.put_again(known, new), false),
            Err(hash) => hash,
        };
        let (status, reason) = how.fate(new);
        let place = u32::try_from(self.orders.len()).expect("memory ends long before");
        self.places.insert(hash, place);
        self.orders.push(Order {
            key_start: self.keys.len(),
            amount: new.amount,
            content: new.content,
            since_us: micros(how.now),
            key_len: u8::try_from(new.key.len()).expect("keys are at most 35 long"),
            status,
            reason,
            settled: false,
        });
        self.keys.push_str(new.key);
        self.counts.orders += 1;
        *self.counts.of(status) += 1;
        if status == Status::Accepted {
            self.coming.push_back((Instant::now() + how.later.unwrap_or_default(), place));
        } else if how.later.is_some() {
            self.note(place);
        }
        (self.answer(place as usize), true)
    }

    fn put_again(&mut self, known: usize, new: &New<'_>) -> WireAnswer {
        if self.orders[known].content == new.content {
            self.counts.repeated += 1;
            return self.answer(known);
        }
        self.counts.conflicting += 1;
        WireAnswer {
            key: new.key.to_owned(),
            status: Status::Rejected,
            reason: Some(DUPLICATE.to_owned()),
            amount: Some(new.amount),
        }
    }

    /// Where an order stands.
    pub fn find(&self, key: &str) -> WireAnswer {
        self.locate(key).map_or_else(|_| unknown(key), |place| self.answer(place))
    }

    /// Cancels what is neither drawn nor credited.
    pub fn cancel(&mut self, key: &str, now: OffsetDateTime) -> WireAnswer {
        let Ok(place) = self.locate(key) else { return unknown(key) };
        if matches!(self.orders[place].status, Status::Accepted | Status::Available) {
            self.to(place, Status::Cancelled, now);
        }
        self.answer(place)
    }

    /// Moves those of the orders from `from` on that are at hand and wanted, looking at `most` orders; where to go on.
    pub fn move_available(
        &mut self,
        (from, most): (usize, usize),
        to: Status,
        now: OffsetDateTime,
        wanted: impl Fn(&str) -> bool,
    ) -> (u64, Option<usize>) {
        let end = self.orders.len().min(from.saturating_add(most));
        let mut moved = 0;
        for place in from..end {
            if self.orders[place].status == Status::Available && wanted(self.key(place)) {
                self.to(place, to, now);
                moved += 1;
            }
        }
        (moved, (end < self.orders.len()).then_some(end))
    }

    /// Orders whose time has come are at hand, or credited.
    pub fn ripen(&mut self, credits: bool, now: OffsetDateTime) {
        let ripe = Instant::now();
        while let Some((_, place)) = self.coming.front().filter(|(at, _)| *at <= ripe) {
            let place = *place as usize;
            self.coming.pop_front();
            if self.orders[place].status == Status::Accepted {
                self.to(place, if credits { Status::Credited } else { Status::Available }, now);
            }
        }
    }

    /// Changes from a place on.
    pub fn changes(&self, from: usize, limit: usize) -> Vec<WireEvent> {
        let changes = self.changes.iter().enumerate().skip(from).take(limit);
        let told = changes.map(|(number, change)| {
            let place = change.order as usize;
            let rejected = change.status == Status::Rejected;
            WireEvent {
                id: (number + 1).to_string(),
                key: self.key(place).to_owned(),
                status: change.status,
                reason: rejected.then(|| self.reason(place)).flatten(),
                amount: Some(self.orders[place].amount),
                at: instant(change.at_us),
            }
        });
        told.collect()
    }

    /// How many changes there are.
    pub fn changed(&self) -> usize {
        self.changes.len()
    }

    /// What was paid and is in no settlement, by key.
    pub fn unsettled(&self) -> Vec<Paid> {
        let owed = |o: &Order| !o.settled && matches!(o.status, Status::Collected | Status::Credited);
        let places = (0..self.orders.len()).filter(|place| owed(&self.orders[*place]));
        let mut paid: Vec<Paid> = places
            .map(|order| {
                let Order { amount, status, since_us, .. } = self.orders[order];
                Paid { order, key: self.key(order).into(), amount, status, at: instant(since_us) }
            })
            .collect();
        paid.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        paid
    }

    /// These orders stand in a settlement.
    pub fn settle(&mut self, paid: &[Paid]) {
        paid.iter().for_each(|paid| self.orders[paid.order].settled = true);
    }

    /// The place of a key's order; else the number under which it is to be kept.
    fn locate(&self, key: &str) -> Result<usize, u64> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let mut hash = hasher.finish();
        while let Some(place) = self.places.get(&hash) {
            if self.key(*place as usize) == key {
                return Ok(*place as usize);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }

    fn key(&self, place: usize) -> &str {
        let order = &self.orders[place];
        &self.keys[order.key_start..order.key_start + usize::from(order.key_len)]
    }

    fn reason(&self, place: usize) -> Option<String> {
        self.orders[place].reason.map(|at| REASONS[usize::from(at)].to_owned())
    }

    fn answer(&self, place: usize) -> WireAnswer {
        let Order { status, amount, .. } = self.orders[place];
        WireAnswer {
            key: self.key(place).to_owned(),
            status,
            reason: self.reason(place),
            amount: Some(amount),
        }
    }

    fn to(&mut self, place: usize, status: Status, now: OffsetDateTime) {
        let order = &mut self.orders[place];
        *self.counts.of(order.status) -= 1;
        *self.counts.of(status) += 1;
        (order.status, order.since_us) = (status, micros(now));
        self.note(u32::try_from(place).expect("memory ends long before"));
    }

    fn note(&mut self, order: u32) {
        let Order { status, since_us, .. } = self.orders[order as usize];
        self.changes.push(Change { at_us: since_us, order, status });
    }
}

impl PointCounts {
    /// The figure for orders that stand so.
    fn of(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Accepted | Status::NotFound | Status::Unknown => &mut self.accepted,
            Status::Available => &mut self.available,
            Status::Collected | Status::Credited => &mut self.paid,
            Status::Rejected => &mut self.rejected,
            Status::Cancelled => &mut self.cancelled,
            Status::Expired => &mut self.expired,
        }
    }
}

fn unknown(key: &str) -> WireAnswer {
    WireAnswer { key: key.to_owned(), status: Status::NotFound, reason: None, amount: None }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).expect("years of four digits")
}

fn instant(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).expect("made of an instant")
}

/// An order as it came.
pub(super) struct New<'a> {
    pub key: &'a str,
    pub amount: i64,
    pub currency: &'a str,
    pub content: u64,
}

/// How orders fare now.
pub(super) struct How<'a> {
    pub dice: Dice,
    pub rates: &'a PointRates,
    pub credits: bool,
    pub later: Option<Duration>,
    pub now: OffsetDateTime,
}

impl How<'_> {
    /// What becomes of an order: by its key and the seed alone, if it can be paid at all.
    fn fate(&self, new: &New<'_>) -> (Status, Option<u8>) {
        let flaw = match new {
            New { amount: ..=0, .. } => Some(AMOUNT),
            New { currency, .. } if *currency != country::currency() => Some(CURRENCY),
            _ => None,
        };
        let place = |code| REASONS.iter().position(|c| *c == code).and_then(|at| u8::try_from(at).ok());
        if flaw.is_some() {
            return (Status::Rejected, flaw.and_then(place));
        }
        if self.dice.hits(self.rates.rejected, "rejected", new.key) {
            let at = self.dice.number("reason", new.key) % BY_CHANCE;
            return (Status::Rejected, u8::try_from(at).ok());
        }
        let pending = self.credits && self.dice.hits(self.rates.pending, "pending", new.key);
        match (self.credits, self.later) {
            _ if pending => (Status::Accepted, None),
            (true, _) => (Status::Credited, None),
            (false, Some(_)) => (Status::Accepted, None),
            (false, None) => (Status::Available, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_million_orders_fit_in_a_gibibyte() {
        // The key, its entry in the map at the map's worst load, the order and three changes; vectors may be half empty.
        let entry = (size_of::<(u64, u32)>() + 1) * 16 / 7;
        let bytes = 2 * (35 + size_of::<Order>() + 3 * size_of::<Change>()) + entry;
        assert!(bytes * 4_000_000 < 2 << 30, "{bytes} bytes an order even then");
        let usual = 28 + size_of::<Order>() + 3 * size_of::<Change>() + entry;
        assert!(usual * 4_000_000 < 1 << 30, "{usual} bytes an order");
    }

    #[test]
    fn keys_with_one_hash_are_kept_apart() {
        let mut book = Book::default();
        let rates = PointRates { rejected: crate::sandbox::Share::NONE, ..PointRates::default() };
        let now = OffsetDateTime::UNIX_EPOCH;
        let how = How { dice: Dice::new(1), rates: &rates, credits: false, later: None, now };
        let put = |book: &mut Book, key: &str, amount| {
            book.put(
                &New { key, amount, currency: country::currency(), content: amount.unsigned_abs() },
                &how,
            )
        };
        put(&mut book, "A", 1);
        // As if "B" had the hash of "A", which stands in its place.
        let hash = book.locate("B").unwrap_err();
        book.places.insert(hash, 0);
        assert_eq!(book.find("B").status, Status::NotFound);
        assert!(put(&mut book, "B", 2).1);
        assert_eq!((book.find("A").amount, book.find("B").amount), (Some(1), Some(2)));
        assert!(!put(&mut book, "B", 2).1);
        assert_eq!(book.places[&hash.wrapping_add(1)], 1);
    }
}
