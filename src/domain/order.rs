//! A payment order's life, its key and the names it goes by outside.
//!
//! The state of an order that has left the house is a *rank* that only rises, whatever order messages arrive in:
//! sent < unknown < accepted < available < settled, collected < rejected < expired < returned < reissued. Two messages that cannot both be true (settled by one,
//! rejected by the other) are told apart by [`OrderState::after`] and become a break. Where an order stands by its steps and its
//! batch is worked out in [`super::step`].

use sha2::{Digest, Sha256};

use super::ids::{Code, HouseholdId, OrderId};
use super::period::Period;
use crate::domain::listed::listed;

listed! {
    /// Where an order stands.
    OrderState {
        /// Made, waiting for its run's approval, funding and release.
        Planned = "planned",
        /// Kept back, with a reason.
        Held = "held",
        /// Its run was cancelled before anything left.
        Cancelled = "cancelled",
        /// In a batch that was released but not yet delivered.
        Released = "released",
        /// Delivered to the provider in a bank file, or intended to be handed over in the stream lane.
        Sent = "sent",
        /// Delivered or not: to be found out by asking, never by sending again.
        Unknown = "unknown",
        /// Taken by the provider.
        Accepted = "accepted",
        /// At hand at a payment point, not drawn yet.
        Available = "available",
        /// Credited, says the provider; final once the account statement agrees.
        Settled = "settled",
        /// Drawn at a payment point; final once the provider's settlement and the account statement agree.
        Collected = "collected",
        /// Refused by the provider: no money moved.
        Rejected = "rejected",
        /// Not collected in time, or cancelled before it was: no money moved.
        Expired = "expired",
        /// Paid and sent back.
        Returned = "returned",
        /// Ended unpaid, and its claim is ordered again: what is said of it from now on may mean that it is paid twice.
        Reissued = "reissued",
    }
}

/// What happens to one order: the first two by the engine's own hand, the others as its provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// The intent to hand it over in the stream lane, before the request is made.
    Send,
    /// No readable answer came: whether it was taken is not known.
    OutcomeUnknown,
    /// At hand at a payment point.
    MadeAvailable,
    /// Drawn at a payment point.
    Collect,
    /// Lapsed, or cancelled before it was drawn.
    Expire,
    /// pain.002 `ACCP`, `ACSP`, `ACWC`.
    Accept,
    /// pain.002 `ACSC`, `ACCC`, or a debit entry in camt.054/053.
    Settle,
    /// pain.002 `RJCT`, `CANC`.
    Reject,
    /// pacs.004, or a return entry in camt.054/053.
    Return,
}

impl OrderEvent {
    /// The word for it in a sentence: "reported as settled".
    pub const fn word(self) -> &'static str {
        match self {
            Self::Send => "sent",
            Self::OutcomeUnknown => "unanswered",
            Self::MadeAvailable => "available",
            Self::Collect => "collected",
            Self::Expire => "expired",
            Self::Accept => "accepted",
            Self::Settle => "settled",
            Self::Reject => "rejected",
            Self::Return => "returned",
        }
    }
}

/// What an event does to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The order moves to a new state.
    Moves(OrderState),
    /// Known already, or overtaken by what is known: nothing to do.
    Already,
    /// Cannot be true beside what is known: a break.
    Conflict,
}

impl OrderState {
    /// True once the order has been delivered.
    pub const fn has_left(self) -> bool {
        !matches!(self, Self::Planned | Self::Held | Self::Cancelled | Self::Released)
    }

    /// True once nothing but a contradiction or a return can follow.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Settled
                | Self::Collected
                | Self::Rejected
                | Self::Expired
                | Self::Returned
                | Self::Reissued
        )
    }

    /// What an event does to an order in this state.
    pub const fn after(self, event: OrderEvent) -> Effect {
        use Effect::{Already, Conflict, Moves};
        use OrderEvent as E;
        match (self, event) {
            (Self::Planned | Self::Held | Self::Cancelled, _) => Conflict,
            (Self::Released, E::Send) => Moves(Self::Sent),
            (Self::Released, _) => Conflict,
            (_, E::Send) => Already,
            (Self::Sent, E::OutcomeUnknown) => Moves(Self::Unknown),
            (_, E::OutcomeUnknown) => Already,
            (Self::Sent | Self::Unknown, E::Accept) => Moves(Self::Accepted),
            (Self::Sent | Self::Unknown | Self::Accepted, E::MadeAvailable) => Moves(Self::Available),
            (Self::Sent | Self::Unknown | Self::Accepted | Self::Available, E::Settle) => {
                Moves(Self::Settled)
            }
            (Self::Sent | Self::Unknown | Self::Accepted | Self::Available, E::Collect) => {
                Moves(Self::Collected)
            }
            (Self::Sent | Self::Unknown | Self::Accepted | Self::Available, E::Reject) => {
                Moves(Self::Rejected)
            }
            (Self::Sent | Self::Unknown | Self::Accepted | Self::Available, E::Expire) => {
                Moves(Self::Expired)
            }
            // The claim is ordered again: whatever may mean that this order is paid as well is a person's to look at.
            (Self::Reissued, E::Accept | E::MadeAvailable | E::Settle | E::Collect) => Conflict,
            (Self::Reissued, E::Reject | E::Expire | E::Return) => Already,
            (Self::Expired, E::Return | E::Settle | E::Collect) => Conflict,
            (Self::Returned, _) | (Self::Expired, _) => Already,
            // A bank may book the gross debit and send the rejected part back: the money did move.
            (_, E::Return) => Moves(Self::Returned),
            (Self::Rejected, E::Reject | E::Expire) => Already,
            (Self::Rejected, _) => Conflict,
            (Self::Settled, E::Settle) | (Self::Collected, E::Collect) => Already,
            (Self::Settled | Self::Collected, E::Settle | E::Collect | E::Reject | E::Expire) => Conflict,
            (_, E::Accept | E::MadeAvailable) => Already,
        }
    }
}

/// The claim that an order pays: unique for all time.
#[derive(Clone, Copy, Debug)]
pub struct OrderKey<'a> {
    /// The programme.
    pub programme: &'a Code,
    /// The month it is for.
    pub period: Period,
    /// The household.
    pub household: HouseholdId,
    /// What it is for within the programme.
    pub purpose: &'a Code,
    /// 1 for the first order, one more for each reissue.
    pub attempt: u16,
}

/// The names an order goes by outside, all derived from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderNames {
    digest: [u8; 32],
}

/// Longest programme code that fits an end-to-end id.
pub const PROGRAMME_CODE_MAX: usize = 11;
const ORDER_DIGITS: usize = 12;
const CHECK_DIGITS: usize = 6;

impl OrderNames {
    /// Works out the names of a claim.
    pub fn of(key: &OrderKey<'_>) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.programme.as_str());
        hash.update(b"|");
        hash.update(key.period.index().to_be_bytes());
        hash.update(key.household.as_str());
        hash.update(b"|");
        hash.update(key.purpose.as_str());
        hash.update(key.attempt.to_be_bytes());
        Self { digest: hash.finalize().into() }
    }

    /// Appends the UETR: a UUID of version 4's form (as ISO 20022 asks), from the key's hash.
    pub fn write_uetr(&self, out: &mut String) {
        for (i, byte) in self.digest[..16].iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                out.push('-');
            }
            let byte = match i {
                6 => 0x40 | (byte & 0x0F),
                8 => 0x80 | (byte & 0x3F),
                _ => *byte,
            };
            out.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
    }

    /// Appends the end-to-end id: programme, period, the order's number (base 36) and six characters of the key's
    /// hash, at most 35 of `A-Z 0-9` in all, so that feedback finds the order by number and a mistyped or foreign
    /// id is not taken for one of ours.
    pub fn write_end_to_end(&self, programme: &Code, period: Period, order: OrderId, out: &mut String) {
        for c in programme.as_str().chars().filter(char::is_ascii_alphanumeric).take(PROGRAMME_CODE_MAX) {
            out.push(c.to_ascii_uppercase());
        }
        out.push_str(&period.yymm());
        push_base36(order.get() as u64, ORDER_DIGITS, out);
        push_base36(self.check(), CHECK_DIGITS, out);
    }

    /// The reference that this claim's end-to-end id reads as, for an order.
    pub fn reference(&self, order: OrderId) -> EndToEndRef {
        EndToEndRef { order, check: self.check() }
    }

    /// Whether the check characters of an end-to-end id are those of this claim.
    pub fn confirms(&self, reference: &EndToEndRef) -> bool {
        self.check() == reference.check
    }

    fn check(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes[4..].copy_from_slice(&self.digest[16..20]);
        u64::from_be_bytes(bytes) % 36u64.pow(CHECK_DIGITS as u32)
    }
}

/// An end-to-end id as it comes back: which order it names, and the check characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndToEndRef {
    /// The order it names.
    pub order: OrderId,
    check: u64,
}

impl EndToEndRef {
    /// Reads an end-to-end id of ours; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.trim().as_bytes();
        if bytes.len() < 4 + ORDER_DIGITS + CHECK_DIGITS || bytes.len() > 35 {
            return None;
        }
        let (rest, check) = bytes.split_at(bytes.len() - CHECK_DIGITS);
        let order = read_base36(&rest[rest.len() - ORDER_DIGITS..])?;
        Some(Self { order: OrderId::new(i64::try_from(order).ok()?), check: read_base36(check)? })
    }
}

fn push_base36(mut value: u64, digits: usize, out: &mut String) {
    let mut buffer = [b'0'; 16];
    for slot in buffer[..digits].iter_mut().rev() {
        *slot = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(value % 36) as usize];
        value /= 36;
    }
    debug_assert_eq!(value, 0, "value needs more than {digits} base-36 digits");
    out.push_str(std::str::from_utf8(&buffer[..digits]).expect("base 36 is ASCII"));
}

fn read_base36(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        value.checked_mul(36)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::super::ids::RunId;
    use super::*;

    const EVENTS: [OrderEvent; 9] = [
        OrderEvent::Send,
        OrderEvent::OutcomeUnknown,
        OrderEvent::Accept,
        OrderEvent::MadeAvailable,
        OrderEvent::Settle,
        OrderEvent::Collect,
        OrderEvent::Reject,
        OrderEvent::Expire,
        OrderEvent::Return,
    ];

    fn key(code: &Code, household: &str, attempt: u16) -> OrderNames {
        OrderNames::of(&OrderKey {
            programme: code,
            period: "2026-11".parse().unwrap(),
            household: HouseholdId::parse(household.as_bytes()).unwrap(),
            purpose: code,
            attempt,
        })
    }

    #[test]
    fn every_transition_is_as_written() {
        use OrderState as S;
        // Rows: state; columns as EVENTS. `=` already, `!` conflict; else the first letters of the new state.
        let rows = [
            // send lose accept offer settle collect reject expire return
            (S::Planned, "! ! ! ! ! ! ! ! !"),
            (S::Held, "! ! ! ! ! ! ! ! !"),
            (S::Cancelled, "! ! ! ! ! ! ! ! !"),
            (S::Released, "sent ! ! ! ! ! ! ! !"),
            (S::Sent, "= unknown accepted available settled collected rejected expired returned"),
            (S::Unknown, "= = accepted available settled collected rejected expired returned"),
            (S::Accepted, "= = = available settled collected rejected expired returned"),
            (S::Available, "= = = = settled collected rejected expired returned"),
            (S::Settled, "= = = = = ! ! ! returned"),
            (S::Collected, "= = = = ! = ! ! returned"),
            (S::Rejected, "= = ! ! ! ! = = returned"),
            (S::Expired, "= = = = ! ! = = !"),
            (S::Returned, "= = = = = = = = ="),
            (S::Reissued, "= = ! ! ! ! = = ="),
        ];
        assert_eq!(rows.map(|(state, _)| state), *S::ALL);
        for (state, row) in rows {
            let row: Vec<&str> = row.split(' ').collect();
            assert_eq!(row.len(), EVENTS.len());
            for (event, expected) in EVENTS.into_iter().zip(row) {
                let seen = match state.after(event) {
                    Effect::Moves(to) => to.as_str(),
                    Effect::Already => "=",
                    Effect::Conflict => "!",
                };
                assert_eq!(seen, expected, "{state} after {event:?}");
            }
        }
    }

    #[test]
    fn moves_only_ever_rise() {
        for state in OrderState::ALL {
            for event in EVENTS {
                if let Effect::Moves(to) = state.after(event) {
                    assert!(to > *state, "{state} to {to}");
                }
            }
        }
    }

    #[test]
    fn end_to_end_ids_fit_and_come_back() {
        for code in ["DSS", "a-programme-with-a-long-code"] {
            let code = Code::parse(code).unwrap();
            let names = key(&code, "H1", 1);
            for order in
                [OrderId::compose(RunId::new(1), 1), OrderId::compose(RunId::new((1 << 29) - 1), u32::MAX)]
            {
                let mut text = String::new();
                names.write_end_to_end(&code, "2026-11".parse().unwrap(), order, &mut text);
                assert!(
                    text.len() <= 35 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()),
                    "{text}"
                );
                let reference = EndToEndRef::parse(&text).unwrap();
                assert_eq!(reference.order, order);
                assert!(names.confirms(&reference));
                assert!(
                    !key(&code, "H2", 1).confirms(&reference) && !key(&code, "H1", 2).confirms(&reference)
                );
            }
        }
        for foreign in ["", "NOTPROVIDED", "DSS2611-00000000000000000", "x".repeat(36).as_str()] {
            assert_eq!(EndToEndRef::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn another_attempt_is_another_transaction() {
        let code = Code::parse("DSS").unwrap();
        let uetr = |attempt| {
            let mut text = String::new();
            key(&code, "H1", attempt).write_uetr(&mut text);
            text
        };
        assert_eq!(uetr(1), uetr(1), "one attempt has one for ever");
        assert_ne!(uetr(1), uetr(2), "a bank refuses one that was used as a duplicate");
    }

    #[test]
    fn uetr_has_the_form_of_version_4() {
        let code = Code::parse("DSS").unwrap();
        let mut uetr = String::new();
        key(&code, "H1", 1).write_uetr(&mut uetr);
        assert_eq!(uetr.len(), 36);
        assert_eq!(&uetr[14..15], "4");
        assert!(matches!(&uetr[19..20], "8" | "9" | "a" | "b"));
    }
}
