//! Judges what a booking may do to the order or file that it names.
//!
//! Input: the part of an entry that names it, and what is known. Output: what of the part it takes, and what is left for a person
//! to look at. Guarantee: shares of a part are the part; nothing is debited beyond what is due, so a second booking is never
//! taken for the first, in whatever combination of files and orders the two came.

use crate::domain::batch::BatchState;
use crate::domain::money::Centimes;

use super::allocation::Side;

/// What a booking says happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It was debited.
    Debit,
    /// Its money came back.
    Return,
    /// An earlier debit of it was taken back.
    DebitUndone,
    /// An earlier return of it was taken back.
    ReturnUndone,
}

impl Meaning {
    /// What money that went one way says of the order it is named for. `reversal`: the entry takes back one of the other side.
    /// `returned`: a reason is given why it came back, which makes it a return whatever the bank calls the entry.
    pub const fn of(side: Side, reversal: bool, returned: bool) -> Self {
        match (side, reversal) {
            (Side::Debit, false) => Self::Debit,
            (Side::Debit, true) => Self::ReturnUndone,
            (Side::Credit, true) if !returned => Self::DebitUndone,
            (Side::Credit, _) => Self::Return,
        }
    }

    /// Whether it takes an earlier booking back.
    pub const fn undoes(self) -> bool {
        matches!(self, Self::DebitUndone | Self::ReturnUndone)
    }
}

/// What is known of the bookings for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBookings {
    /// Its amount.
    pub amount: Centimes,
    /// A statement or settlement file debited it by itself.
    pub debited: bool,
    /// A statement booked its return.
    pub returned: bool,
    /// What may still be debited for its file; `None` where files are not debited (stream lane).
    pub left_of_file: Option<Centimes>,
}

impl OrderBookings {
    /// Whether a booking was made before, by the order's own name or by that of its file.
    pub fn booked_before(&self, meaning: Meaning) -> bool {
        match meaning {
            Meaning::Debit => self.debited || self.left_of_file.is_some_and(|left| left < self.amount),
            Meaning::Return => self.returned,
            Meaning::DebitUndone | Meaning::ReturnUndone => false,
        }
    }
}

/// What is known of the bookings for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBookings {
    /// Where it stands.
    pub state: BatchState,
    /// The sum of its orders.
    pub amount: Centimes,
    /// What of it was rejected.
    pub rejected: Centimes,
    /// Debits that were booked for it, or for its orders one by one.
    pub debited: Centimes,
}

/// What becomes of a part that names a file; the shares are the part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileShares {
    /// Debited for the file.
    pub debited: Centimes,
    /// Booked once more than is due.
    pub twice: Centimes,
    /// Taken beside the file: charges.
    pub charges: Centimes,
    /// It cannot be: the file was rejected or never left, or an earlier booking is taken back.
    pub conflict: Centimes,
}

impl FileBookings {
    /// What may still be debited. Rejected orders are not.
    pub fn left(&self) -> Centimes {
        let left = self.amount.get() - self.rejected.get() - self.debited.get();
        Centimes::new(left.max(0))
    }

    /// What a part of an entry that names the file comes to.
    pub fn take(&self, amount: Centimes, side: Side, reversal: bool) -> FileShares {
        let nothing = FileShares::default();
        let left_the_house =
            matches!(self.state, BatchState::Sent | BatchState::Accepted | BatchState::Settled);
        if side == Side::Credit || reversal || !left_the_house {
            return FileShares { conflict: amount, ..nothing };
        }
        // A bank may debit the whole and send the rejected part back.
        let gross = self.debited.is_zero() && amount == self.amount;
        let debited = if gross { amount } else { amount.min(self.left()) };
        let over = amount - debited;
        // Charges are taken with a debit; what was debited before, in whole or by its orders, is debited again.
        if debited.is_zero() || over <= self.debited || over >= self.amount {
            FileShares { debited, twice: over, ..nothing }
        } else {
            FileShares { debited, charges: over, ..nothing }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversal_says_the_other_way_of_what_it_takes_back() {
        use Meaning::{Debit, DebitUndone, Return, ReturnUndone};
        for (side, reversal, returned, expected) in [
            (Side::Debit, false, false, Debit),
            (Side::Debit, false, true, Debit),
            (Side::Debit, true, false, ReturnUndone),
            (Side::Debit, true, true, ReturnUndone),
            (Side::Credit, false, false, Return),
            (Side::Credit, false, true, Return),
            (Side::Credit, true, false, DebitUndone),
            (Side::Credit, true, true, Return),
        ] {
            assert_eq!(Meaning::of(side, reversal, returned), expected);
        }
    }

    #[test]
    fn an_order_is_booked_once_by_its_name_or_that_of_its_file() {
        let order = |debited, returned, left: Option<i64>| OrderBookings {
            amount: Centimes::new(500),
            debited,
            returned,
            left_of_file: left.map(Centimes::new),
        };
        for (order, meaning, expected) in [
            (order(false, false, Some(900)), Meaning::Debit, false),
            (order(false, false, Some(500)), Meaning::Debit, false),
            (order(false, false, Some(499)), Meaning::Debit, true),
            (order(true, false, Some(900)), Meaning::Debit, true),
            (order(true, false, None), Meaning::Debit, true),
            (order(false, false, None), Meaning::Debit, false),
            (order(true, false, Some(0)), Meaning::Return, false),
            (order(true, true, Some(0)), Meaning::Return, true),
            (order(true, true, Some(0)), Meaning::ReturnUndone, false),
        ] {
            assert_eq!(order.booked_before(meaning), expected, "{order:?} {meaning:?}");
        }
    }

    /// A file of 900, and a part: debited, twice, charges, conflict.
    fn check(state: BatchState, known: (i64, i64), part: (i64, Side, bool), expected: [i64; 4]) {
        let centimes = Centimes::new;
        let file = FileBookings {
            state,
            amount: centimes(900),
            rejected: centimes(known.0),
            debited: centimes(known.1),
        };
        let found = file.take(centimes(part.0), part.1, part.2);
        let seen = [found.debited, found.twice, found.charges, found.conflict].map(Centimes::get);
        assert_eq!(seen, expected, "{state} {known:?} {part:?}");
        assert_eq!(seen.iter().sum::<i64>(), part.0);
    }

    #[test]
    fn a_file_takes_what_is_due_once() {
        use BatchState::{Accepted, Dispatching, Rejected, Sent, Settled};
        let debit = |amount| (amount, Side::Debit, false);
        check(Sent, (0, 0), debit(900), [900, 0, 0, 0]);
        check(Accepted, (100, 0), debit(800), [800, 0, 0, 0]);
        check(Accepted, (100, 0), debit(900), [900, 0, 0, 0]);
        check(Sent, (0, 0), debit(400), [400, 0, 0, 0]);
        check(Sent, (0, 400), debit(500), [500, 0, 0, 0]);
        check(Sent, (0, 0), debit(926), [900, 0, 26, 0]);
        check(Sent, (100, 0), debit(826), [800, 0, 26, 0]);
        // In whole, and again; an order of it, and then the whole.
        check(Settled, (0, 900), debit(900), [0, 900, 0, 0]);
        check(Sent, (0, 900), debit(900), [0, 900, 0, 0]);
        check(Sent, (0, 100), debit(900), [800, 100, 0, 0]);
        check(Sent, (0, 0), debit(1800), [900, 900, 0, 0]);
        // Neither rejected files, nor those that never left, nor what is taken back.
        check(Rejected, (900, 0), debit(900), [0, 0, 0, 900]);
        check(Dispatching, (0, 0), debit(900), [0, 0, 0, 900]);
        check(Settled, (0, 900), (900, Side::Credit, false), [0, 0, 0, 900]);
        check(Settled, (0, 900), (900, Side::Credit, true), [0, 0, 0, 900]);
        check(Sent, (0, 0), (900, Side::Debit, true), [0, 0, 0, 900]);
    }
}
