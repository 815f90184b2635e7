//! What differs for one household: the months as they are known by now, the money, and what comes off cases.

use std::collections::HashMap;

use super::months::OfMonth;
use super::persons::Elsewhere;
use crate::domain::correction::amount::{Open, Reversal, Standing, reverse};
use crate::domain::correction::{Asked, CorrectionReason, Facts, of_same_month, restate, same_month};
use crate::domain::entitlement::{
    Assessment, Component, Outcome, RULE_ARREARS, RULE_REFUND, encode_components,
};
use crate::domain::ids::HouseholdId;
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::pipeline::orders::maker::Inputs;
use crate::store::StoreError;
use crate::store::copy::CopyBuffer;
use crate::store::recovery::refunds::Refund;
use crate::store::recovery::reversals::{self, OfMonth as OpenOfMonth, OpenCases};
use crate::store::runs::corrections::{self, Candidate, NewCorrection};
use crate::store::runs::restated;

/// What a pass writes.
#[derive(Default)]
pub(super) struct Rows {
    /// Corrections.
    pub corrections: CopyBuffer,
    /// Months as they are known by now.
    pub restated: CopyBuffer,
    /// What comes off cases.
    pub reversals: CopyBuffer,
}

/// What differs for a household.
#[derive(Default)]
pub(in crate::pipeline) struct Differences {
    /// Whether anything does in money.
    pub corrected: bool,
    /// Arrears by month.
    pub lines: Vec<Component>,
    /// What came off cases.
    pub reversals: Vec<Reversal>,
    /// A person is to look at its arrears.
    pub doubtful: bool,
}

/// A month as it is known by now.
struct Known {
    /// What is known; `None` where the household was not on the list of the month.
    facts: Option<Facts>,
    /// Whether that is something else than before.
    changed: bool,
    reason: CorrectionReason,
    doubtful: bool,
}

/// Looks at households, one after the other.
pub(super) struct Finder<'a> {
    inputs: &'a Inputs<'a>,
    review: i64,
    elsewhere: &'a Elsewhere,
    buffers: Assessment,
    components: Vec<u8>,
    scratch: Vec<u8>,
}

impl<'a> Finder<'a> {
    /// Nothing seen yet.
    pub fn new(inputs: &'a Inputs<'a>, review: i64, elsewhere: &'a Elsewhere) -> Self {
        let (components, scratch) = (Vec::new(), Vec::new());
        Self { inputs, review, elsewhere, buffers: Assessment::default(), components, scratch }
    }

    /// Looks at a household's months again and appends what differs to `rows`; `cases` are its own.
    pub fn differences(
        &mut self,
        of_months: &[OfMonth],
        cases: &mut HashMap<Period, Vec<Open>>,
        rows: &mut Rows,
    ) -> Differences {
        let mut found = Differences::default();
        for of in of_months {
            let (candidate, period) = (&of.candidate, of.month.period);
            let Some(known) = self.known(of) else { continue };
            if known.changed {
                restated::push(
                    &mut rows.restated,
                    self.review,
                    candidate.household,
                    period,
                    known.facts.as_ref(),
                    &mut self.scratch,
                );
            }
            found.doubtful |= known.doubtful;
            self.in_money(of, known, cases.get_mut(&period), rows, &mut found);
        }
        found
    }

    /// What a month is known as by now; `None` where nothing can be said of it.
    fn known(&self, of: &OfMonth) -> Option<Known> {
        let candidate = &of.candidate;
        if candidate.barred || candidate.rejected_now {
            return None;
        }
        let before = match &candidate.restated {
            Some(facts) => facts.clone(),
            None => candidate.then.as_ref().map(Facts::of),
        };
        if of.month.same_month {
            let facts = candidate.now.as_ref().map(|now| same_month(before.as_ref(), Facts::of(now)));
            let reason = of_same_month(before.as_ref(), facts.as_ref());
            return Some(Known { changed: facts != before, facts, reason, doubtful: false });
        }
        if candidate.facts_unknown && candidate.restated.is_none() {
            return None;
        }
        let (before, now) = (before?, candidate.now.as_ref()?);
        let asked = Asked {
            month: of.month.period,
            born_from: self.born_from()?,
            elsewhere: self.elsewhere.of(candidate.household, of.month.period),
        };
        let found = restate(before, &Facts::of(now), &asked);
        let reason = match found.reason {
            Some(CorrectionReason::Death | CorrectionReason::BirthDate)
                if is_taken_back(candidate, &found.facts) =>
            {
                CorrectionReason::Reversed
            }
            Some(reason) => reason,
            None => CorrectionReason::Rules,
        };
        let changed = found.reason.is_some();
        Some(Known { facts: Some(found.facts), changed, reason, doubtful: found.doubtful })
    }

    /// A child born on this day or after counts as registered late.
    fn born_from(&self) -> Option<time::Date> {
        let settings = &self.inputs.context.config.settings.corrections;
        settings.late_registration_reach.born_from(self.inputs.period, settings.late_registration_months)
    }

    /// Assesses a month as it is known, and appends what differs from what had been found due.
    fn in_money(
        &mut self,
        of: &OfMonth,
        known: Known,
        cases: Option<&mut Vec<Open>>,
        rows: &mut Rows,
        found: &mut Differences,
    ) {
        let (candidate, period) = (&of.candidate, of.month.period);
        let assessed = self.assess(of, known.facts);
        let was = candidate.entitled + candidate.moved;
        let before = candidate.last_assessed.unwrap_or(candidate.entitled);
        let due = Standing { found: was, assessed: before }.due(assessed);
        if due == was {
            return;
        }
        found.corrected = true;
        let reversed = known.reason == CorrectionReason::Reversed;
        let more = (due - was).max(Centimes::ZERO);
        let none: &mut [Open] = &mut [];
        let (reversals, arrears) = reverse(more, cases.map_or(none, Vec::as_mut_slice), reversed);
        self.components.clear();
        encode_components(self.buffers.components(), &mut self.components);
        let row = NewCorrection {
            run: self.inputs.run,
            household: candidate.household,
            period,
            reason: known.reason,
            was,
            due,
            assessed,
            off_case: more - arrears,
            order: candidate.order,
            components: &self.components,
        };
        corrections::push(&mut rows.corrections, &row);
        for reversal in &reversals {
            reversals::push(&mut rows.reversals, self.inputs.run, reversal);
        }
        found.reversals.extend(reversals);
        if arrears > Centimes::ZERO {
            found.lines.push(line(RULE_ARREARS, self.inputs.period, period, arrears));
        }
    }

    /// What the facts give; the lines are then in the buffers.
    fn assess(&mut self, of: &OfMonth, facts: Option<Facts>) -> Centimes {
        let household = of.candidate.then.as_ref().or(of.candidate.now.as_ref());
        if let (Some(facts), Some(household)) = (facts, household) {
            let mut household = household.clone();
            facts.lay_into(&mut household);
            return match of.assessor.assess(&household, &mut self.buffers) {
                Outcome::Due(amount) => amount,
                Outcome::Excluded(_) => Centimes::ZERO,
            };
        }
        self.buffers = Assessment::default();
        Centimes::ZERO
    }
}

/// Whether a month is again what its own list said.
fn is_taken_back(candidate: &Candidate, facts: &Facts) -> bool {
    let then = candidate.then.as_ref().filter(|_| candidate.restated.is_some());
    then.is_some_and(|then| then.members == facts.members)
}

/// A line for an earlier month.
pub(super) fn line(rule: u8, of: Period, month: Period, amount: Centimes) -> Component {
    // Claims lapse before a month is further back than the codec of components can say.
    let back = u8::try_from(of.index() - month.index()).unwrap_or(u8::MAX).min(63);
    Component { rule, month: back, member: None, rank: 0, age: 0, amount }
}

/// The lines of refunds.
pub(super) fn refunded(of: Period, refunds: &[Refund]) -> impl Iterator<Item = Component> + '_ {
    refunds.iter().map(move |refund| line(RULE_REFUND, of, refund.period, refund.amount))
}

/// Open cases of corrections by household, one ahead.
pub(super) struct Cases {
    rows: OpenCases,
    ahead: Option<OpenOfMonth>,
}

impl Cases {
    /// Opens the pass over a programme's cases.
    pub async fn open(inputs: &Inputs<'_>) -> Result<Self, StoreError> {
        let mut rows = OpenCases::open(&inputs.context.store, inputs.programme_id);
        let ahead = rows.next().await?;
        Ok(Self { rows, ahead })
    }

    /// The cases of a household by month, the last found first; households come in order.
    pub async fn take(&mut self, household: HouseholdId) -> Result<HashMap<Period, Vec<Open>>, StoreError> {
        let mut found = HashMap::<Period, Vec<Open>>::new();
        while let Some(of) = self.ahead.take_if(|of| of.household <= household) {
            self.ahead = self.rows.next().await?;
            if of.household == household {
                found.entry(of.period).or_default().push(of.open);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_months_before_as_far_as_it_can() {
        let month = |text: &str| text.parse::<Period>().expect("a month");
        let back = |of: &str| line(RULE_REFUND, month("2026-11"), month(of), Centimes::new(100)).month;
        assert_eq!([back("2026-11"), back("2026-09"), back("2021-08"), back("2021-07")], [0, 2, 63, 63]);
    }
}
