//! Shares an entry out among what it names.
//!
//! Input: the entry's amount and side; the batches and transactions beneath it with the amounts and sides that they state, and
//! what the orders and files that they name come to. Output: what each of them carries of the entry, and the rest.
//! Guarantee: carried amounts and rest, with their signs, are the entry, whatever the details say: the rest is worked out, never
//! read. Limit: what an order or file may take of its part is judged elsewhere: see [`super::booking`].
//!
//! Banks do not agree on what the side of a transaction says: which way its money went, which way that of the original went, or
//! nothing. So the sides are read in each of these ways, and the one holds by which the parts add up to the entry; where none
//! does, the one that leaves least.

use crate::domain::money::Centimes;

/// The most that one entry, or a part of it, is believed to move: ten thousand billion dirham.
pub const AMOUNT_MAX: Centimes = Centimes::new(1_000_000_000_000_000);

/// Which way money went, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// In.
    Credit,
    /// Out.
    Debit,
}

impl Side {
    /// The side of a credit/debit indicator.
    pub const fn of(credit: bool) -> Self {
        if credit { Self::Credit } else { Self::Debit }
    }

    /// The other one.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Credit => Self::Debit,
            Self::Debit => Self::Credit,
        }
    }

    const fn sign(self) -> i128 {
        match self {
            Self::Credit => 1,
            Self::Debit => -1,
        }
    }
}

/// Money with its sign: what came in is above zero, what went out below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signed(i64);

impl Signed {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount that went a way.
    pub const fn new(amount: Centimes, side: Side) -> Self {
        match side {
            Side::Credit => Self(amount.get()),
            Side::Debit => Self(-amount.get()),
        }
    }

    /// In centimes, with the sign.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// How much.
    pub const fn amount(self) -> Centimes {
        Centimes::new(self.0.abs())
    }

    /// Which way; nothing counts as in.
    pub const fn side(self) -> Side {
        Side::of(self.0 >= 0)
    }

    /// True for nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    fn read(value: i128) -> Option<Self> {
        let most = i128::from(AMOUNT_MAX.get()) * 2;
        i64::try_from(value).ok().filter(|v| i128::from(*v).abs() <= most).map(Self)
    }
}

/// What a part of an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An order of ours.
    Order,
    /// A file of ours.
    File,
    /// A recovery case.
    Case,
    /// Nothing that is ours.
    Nothing,
    /// It cannot be read.
    Faulty,
}

impl Target {
    const fn is_ours(self) -> bool {
        matches!(self, Self::Order | Self::File | Self::Case)
    }
}

/// A batch or transaction beneath an entry.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What it names.
    pub target: Target,
    /// Its amount, where one in the account's currency is stated.
    pub amount: Option<Centimes>,
    /// Its side, where stated.
    pub side: Option<Side>,
    /// What that which it names comes to: an order's amount, what is due for a file.
    pub own: Option<Centimes>,
}

/// An entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its amount.
    pub amount: Centimes,
    /// Which way its money went.
    pub side: Side,
    /// It takes back an earlier entry of the other side.
    pub reversal: bool,
}

/// What each part carries of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// By batch, in the order given; `None` where it only says what the entry is about.
    pub batches: Vec<Option<Signed>>,
    /// By transaction, likewise.
    pub details: Vec<Option<Signed>>,
    /// What no part carries.
    pub rest: Signed,
}

/// How the sides of parts are read.
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// Each says which way its own money went.
    Own,
    /// All went the entry's way; a side that is stated is that of the original.
    Entry,
    /// Each says which way the original's money went.
    Original,
}

const READINGS: [Reading; 3] = [Reading::Own, Reading::Entry, Reading::Original];

/// The amounts that parts carry, under one reading of their sides.
type Carried = Vec<Option<i128>>;

/// Shares an entry out among its parts.
pub fn allocate(entry: &Entry, batches: &[Part], details: &[Part]) -> Allocation {
    let (carried_by_batches, carried_by_details) = carriers(entry, batches, details);
    whole(entry, &carried_by_batches, &carried_by_details)
        // Parts beyond belief carry nothing: the entry is left over whole.
        .unwrap_or_else(|| Allocation {
            batches: vec![None; batches.len()],
            details: vec![None; details.len()],
            rest: Signed::new(entry.amount, entry.side),
        })
}

/// The one place where an allocation is made: the rest is what makes it whole.
fn whole(entry: &Entry, batches: &Carried, details: &Carried) -> Option<Allocation> {
    let signed = |carried: &Carried| -> Option<Vec<Option<Signed>>> {
        carried.iter().map(|c| c.map_or(Some(None), |value| Signed::read(value).map(Some))).collect()
    };
    let rest = signed_entry(entry) - sum(batches) - sum(details);
    Some(Allocation { batches: signed(batches)?, details: signed(details)?, rest: Signed::read(rest)? })
}

fn signed_entry(entry: &Entry) -> i128 {
    entry.side.sign() * i128::from(entry.amount.get())
}

fn sum(carried: &Carried) -> i128 {
    carried.iter().flatten().sum()
}

fn nothing(parts: &[Part]) -> Carried {
    vec![None; parts.len()]
}

/// Which parts carry money, and how much.
fn carriers(entry: &Entry, batches: &[Part], details: &[Part]) -> (Carried, Carried) {
    let target = signed_entry(entry);
    let adds_up = |carried: &Carried| sum(carried) == target;
    let by_details = read_parts(entry, details);
    let details_are_ours = details.iter().any(|part| part.target.is_ours());
    let file_named = batches.iter().any(|part| part.target == Target::File);
    // A file is only ever debited; what comes back of it, or is taken back, is for its orders.
    let may_debit = entry.side == Side::Debit && !entry.reversal;
    if !file_named || (!may_debit && !details.is_empty()) {
        if details.is_empty() {
            return (whole_to_first_file(entry, batches), nothing(details));
        }
        return (nothing(batches), by_details);
    }
    let by_batches = read_parts(entry, batches);
    let single_orders =
        details_are_ours && details.iter().all(|p| p.target == Target::Order) && adds_up(&by_details);
    // A file whose sum is not stated, and is another one, is named for the orders that were booked by themselves.
    if adds_up(&by_batches) && (!single_orders || sums_are_told(entry, batches)) {
        return (by_batches, nothing(details));
    }
    if single_orders {
        return (nothing(batches), by_details);
    }
    if let Some(netted) = netted(entry, &by_batches, details) {
        return (by_batches, netted);
    }
    (file_first(entry, batches, by_batches), nothing(details))
}

/// Whether the files that are named are known to come to the entry: by sums that are stated, or by what is due for them.
fn sums_are_told(entry: &Entry, batches: &[Part]) -> bool {
    let due = |part: &Part| part.amount.or(part.own).map_or(0, |amount| i128::from(amount.get()));
    batches.iter().all(|part| part.amount.is_some())
        || batches.iter().map(due).sum::<i128>() == i128::from(entry.amount.get())
}

/// Debits of files with what was netted or taken beside them, in one sum: orders sent back, charges.
fn netted(entry: &Entry, by_batches: &Carried, details: &[Part]) -> Option<Carried> {
    if details.is_empty() || by_batches.iter().any(Option::is_none) {
        return None;
    }
    let fill = |reading| carried(entry, details, &amounts(details, true), reading);
    READINGS.into_iter().map(fill).find(|carried| sum(carried) + sum(by_batches) == signed_entry(entry))
}

/// An entry that names one file is for that file as far as it goes.
fn file_first(entry: &Entry, batches: &[Part], by_batches: Carried) -> Carried {
    let target = signed_entry(entry);
    if let [only] = batches {
        let moved = entry.amount;
        let stated = only.amount.filter(|stated| *stated < moved && only.own != Some(moved));
        return vec![Some(-i128::from(stated.unwrap_or(moved).get()))];
    }
    // Several that claim more than was moved: none of them can be told to be the one that was.
    if sum(&by_batches).abs() > target.abs() { nothing(batches) } else { by_batches }
}

/// An entry without transactions that names a file carries its money to it, to be judged there.
fn whole_to_first_file(entry: &Entry, batches: &[Part]) -> Carried {
    let first = batches.iter().position(|part| part.target == Target::File);
    (0..batches.len()).map(|at| (Some(at) == first).then(|| signed_entry(entry))).collect()
}

/// Stated amounts; those of what is named where none is stated and `filled`.
fn amounts(parts: &[Part], filled: bool) -> Vec<Option<Centimes>> {
    let believed = |amount: &Centimes| *amount <= AMOUNT_MAX;
    let amount = |part: &Part| match part.target {
        Target::Faulty => None,
        _ => part.amount.or(part.own.filter(|_| filled)).filter(believed),
    };
    parts.iter().map(amount).collect()
}

fn carried(entry: &Entry, parts: &[Part], amounts: &[Option<Centimes>], reading: Reading) -> Carried {
    let side = |part: &Part| match (reading, part.side) {
        (Reading::Entry, _) | (_, None) => entry.side,
        (Reading::Own, Some(side)) => side,
        (Reading::Original, Some(side)) => side.turned(),
    };
    let one = |(part, amount): (&Part, &Option<Centimes>)| {
        amount.map(|amount| side(part).sign() * i128::from(amount.get()))
    };
    parts.iter().zip(amounts).map(one).collect()
}

/// What parts carry where they are all that the entry is for.
fn read_parts(entry: &Entry, parts: &[Part]) -> Carried {
    let target = signed_entry(entry);
    let mut stated = amounts(parts, false);
    // An entry of one transaction may state its amount only once.
    if let ([part], [amount @ None]) = (parts, stated.as_mut_slice())
        && part.target != Target::Faulty
    {
        *amount = Some(entry.amount);
    }
    let exact = |amounts: &[Option<Centimes>]| {
        let read = |reading| carried(entry, parts, amounts, reading);
        READINGS.into_iter().map(read).find(|carried| sum(carried) == target)
    };
    if let Some(carried) = exact(&stated) {
        return carried;
    }
    if stated.iter().any(Option::is_none)
        && let Some(carried) = exact(&amounts(parts, true))
    {
        return carried;
    }
    let left = |carried: &Carried| (target - sum(carried)).abs();
    let readings = READINGS.into_iter().map(|reading| carried(entry, parts, &stated, reading));
    readings.min_by_key(left).unwrap_or_default()
}

#[cfg(test)]
#[path = "allocation_tests.rs"]
mod tests;
