//! What a month as it is known by now comes to in money: arrears or undue, found once; and which cases it takes back.

use crate::domain::ids::CaseId;
use crate::domain::money::Centimes;

/// A month of a household, in money, before it is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What has been found due: the order, corrections since, what complaints gave back.
    pub found: Centimes,
    /// What its facts gave when it was last assessed.
    pub assessed: Centimes,
}

impl Standing {
    /// What the household is due, now that its facts give `assessed`.
    ///
    /// What complaints gave back stays given: less comes off what had been found, and more is paid only beyond it, since a
    /// list that takes a fact back pays what a complaint about that fact gave back already.
    pub fn due(self, assessed: Centimes) -> Centimes {
        let granted = self.found - self.assessed;
        if assessed == self.assessed {
            self.found
        } else if assessed < self.assessed {
            assessed + granted
        } else {
            assessed.max(self.found)
        }
    }
}

/// A case over the same month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub case: CaseId,
    /// What is outstanding.
    pub outstanding: Centimes,
    /// What was given up.
    pub written_off: Centimes,
}

/// What of a case is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// Which.
    pub case: CaseId,
    /// Of what is outstanding.
    pub owed: Centimes,
    /// Of what was given up.
    pub given_up: Centimes,
}

impl Reversal {
    /// All of it.
    pub fn sum(&self) -> Centimes {
        self.owed + self.given_up
    }
}

/// Takes what a month is due more off what is still open of its cases, in their order: what is left is to be paid.
///
/// What was given up was never got back either: where the very fact is taken back (`reversed`), that is not paid again.
pub fn reverse(more: Centimes, cases: &mut [Open], reversed: bool) -> (Vec<Reversal>, Centimes) {
    let (mut left, mut found) = (more, Vec::new());
    for open in cases {
        let owed = left.min(open.outstanding);
        let given_up = if reversed { (left - owed).min(open.written_off) } else { Centimes::ZERO };
        if owed + given_up > Centimes::ZERO {
            found.push(Reversal { case: open.case, owed, given_up });
            open.outstanding = open.outstanding - owed;
            open.written_off = open.written_off - given_up;
            left = left - owed - given_up;
        }
    }
    (found, left)
}
