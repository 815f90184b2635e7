//! What goes wrong in which month of a simulation, drawn from its seed.
//!
//! Input: a seed and names that do not depend on chance (a month, a file, a break). Output: the month's faults of the banks,
//! the fate of each message on its way, what people do. Guarantee: the same for the same seed and name, whatever was asked
//! before. Limit: shares are made so that small countries see all of it within a year.

use sha2::{Digest, Sha256};

use crate::domain::breaks::PostTo;
use crate::sandbox::Share;
use crate::sandbox::banks::{Faults, Rates};
use crate::sandbox::points::PointFaults;

/// Draws what goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    seed: u64,
}

/// What becomes of a message between the bank and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Months by which it comes late; 0: at once.
    pub late_by: u8,
    /// It is imported twice.
    pub twice: bool,
    /// A torn half of it comes first.
    pub torn: bool,
}

/// What a person does about an open break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Waits for what may explain it.
    Wait,
    /// Resolves it; money in suspense goes there.
    Resolve(PostTo),
}

impl Plan {
    /// The plan of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A number for a name; `label` separates draws about the same name.
    pub fn number(self, label: &str, name: &str) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(label);
        hash.update([0]);
        hash.update(name);
        let digest = hash.finalize();
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has more than eight bytes"))
    }

    /// Whether a name is drawn, so many times out of a hundred.
    pub fn percent(self, share: u64, label: &str, name: &str) -> bool {
        self.number(label, name) % 100 < share
    }

    fn in_month(self, label: &str, month: usize) -> bool {
        self.percent(50, label, &month.to_string())
    }

    /// How orders fare at the banks: the same every month, as fates are asked for again by recalls.
    pub const fn rates() -> Rates {
        Rates {
            rejected: Share::per_million(8_000),
            returned: Share::per_million(25_000),
            notified: Share::per_million(500_000),
            late: Share::per_million(5_000),
            recall_accepted: Share::per_million(600_000),
            recall_pending: Share::per_million(400_000),
        }
    }

    /// What goes wrong at the banks in a month, each kind in about every other one.
    pub fn faults(self, month: usize) -> Faults {
        let share = |label, parts| {
            if self.in_month(label, month) { Share::per_million(parts) } else { Share::NONE }
        };
        Faults {
            duplicated: share("duplicated", 150_000),
            truncated: Share::NONE,
            dropped_reports: share("dropped", 60_000),
            wrong_amounts: share("amounts", 60_000),
            unknown_orders: share("unknown", 60_000),
            settled_rejections: share("settled", 100_000),
            wrong_closings: share("closings", 80_000),
            skipped_statements: share("skipped", 40_000),
            rejected_after: share("after", 600),
            restated: share("restated", 80_000),
            shuffled_names: false,
        }
    }

    /// What goes wrong at payment points and the wallet in a month: always a little of what connections suffer (each failure
    /// costs its pause, and a year has many months), and now and then a settlement file that comes twice.
    pub fn point_faults(self, month: usize) -> PointFaults {
        let twice = if self.in_month("settled twice", month) { 300_000 } else { 0 };
        PointFaults {
            slow: Share::NONE,
            timeouts_after: Share::NONE,
            busy: Share::per_million(1_000),
            errors_before: Share::per_million(2_000),
            errors_after: Share::per_million(2_000),
            cut_before: Share::per_million(2_000),
            cut_after: Share::per_million(2_000),
            unreadable: Share::per_million(2_000),
            partial: Share::per_million(10_000),
            callbacks_lost: Share::per_million(20_000),
            settlement_twice: Share::per_million(twice),
            ..PointFaults::some()
        }
    }

    /// The fate of a message. Statements that come late are missing until then.
    pub fn delivery(self, file: &str) -> Delivery {
        let late_by = match self.number("late", file) % 100 {
            0..=4 => 1,
            5..=6 => 2,
            _ => 0,
        };
        Delivery { late_by, twice: self.percent(8, "twice", file), torn: self.percent(4, "torn", file) }
    }

    /// Whether the month's run is given up after its approval, and made again.
    pub fn gives_up(self, month: usize) -> bool {
        self.percent(15, "gives up", &month.to_string())
    }

    /// How many held orders are let go in a month, once people have looked into them.
    pub fn let_go(self, month: usize) -> i64 {
        (self.number("let go", &month.to_string()) % 6) as i64
    }

    /// How many payments are asked back in a month.
    pub fn recalls(self, month: usize) -> i64 {
        1 + (self.number("recalls", &month.to_string()) % 4) as i64
    }

    /// What a person does in a month about a break that is so many days old.
    pub fn decision(self, what: &str, age_days: i64, month: usize) -> Decision {
        // Young breaks may be explained by what is still to come, and most people wait for it.
        let share = if age_days < 20 { 10 } else { 60 };
        // The name of a draw is part of what every seed leads to: it stays, whatever the code calls it.
        if age_days < 75 && !self.percent(share, "deed", &format!("{what} {month}")) {
            return Decision::Wait;
        }
        let written_off = self.percent(30, "post", what);
        Decision::Resolve(if written_off { PostTo::WrittenOff } else { PostTo::BankClaim })
    }

    /// Whether a second person gets to a proposal in the month in which it was made.
    pub fn confirms(self, what: &str, month: usize) -> bool {
        self.percent(70, "confirms", &format!("{what} {month}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_the_same_for_its_seed_and_has_something_of_everything() {
        let (plan, other) = (Plan::new(7), Plan::new(8));
        let files: Vec<String> = (0..2_000).map(|n| format!("camt053_bank_{n}.xml")).collect();
        let count = |pick: fn(Delivery) -> bool| files.iter().filter(|f| pick(plan.delivery(f))).count();
        for (found, about) in [
            (count(|d| d.late_by == 1), 100),
            (count(|d| d.late_by == 2), 40),
            (count(|d| d.twice), 160),
            (count(|d| d.torn), 80),
        ] {
            assert!(found.abs_diff(about) * 2 < about, "{found}, not about {about}");
        }
        assert!(files.iter().all(|f| plan.delivery(f) == Plan::new(7).delivery(f)));
        assert!(files.iter().any(|f| plan.delivery(f) != other.delivery(f)));
        let months: Vec<Faults> = (0..24).map(|m| plan.faults(m)).collect();
        assert!(months.iter().any(|f| f.restated == Share::NONE));
        assert!(months.iter().any(|f| f.restated != Share::NONE));
        assert_eq!(
            plan.decision("x", 80, 3),
            plan.decision("x", 90, 4),
            "old breaks are resolved, each in one way"
        );
        assert!((0..20).any(|m| plan.decision("x", 5, m) == Decision::Wait));
    }
}
