//! What differs for one household, and the order that pays its arrears.

use super::months::OfMonth;
use crate::domain::correction::{Circumstances, CorrectionReason, lay_over, of_same_month};
use crate::domain::entitlement::{
    Assessment, Component, Outcome, RULE_ARREARS, RULE_REFUND, encode_components,
};
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::reason::HoldReason;
use crate::pipeline::order::merge::{ChangesSince, Shares};
use crate::pipeline::order::{Inputs, Maker, shared_reason};
use crate::store::corrections::{self, NewCorrection};
use crate::store::pgcopy::CopyBuffer;
use crate::store::recovery_refunds::{Refund, Refunds};
use crate::store::{StoreError, households};

/// What differs for a household.
pub(super) struct Differences {
    /// Whether anything does.
    pub corrected: bool,
    /// Arrears by month.
    pub lines: Vec<Component>,
}

/// Assesses a household's months again and appends those that differ to `rows`.
pub(super) fn differences(inputs: &Inputs<'_>, of_months: &[OfMonth], rows: &mut CopyBuffer) -> Differences {
    let mut found = Differences { corrected: false, lines: Vec::new() };
    let (mut buffers, mut components) = (Assessment::default(), Vec::new());
    for of in of_months {
        let Some((due, reason)) = assess(inputs, of, &mut buffers) else { continue };
        let (candidate, period) = (&of.candidate, of.month.period);
        let was = candidate.entitled + candidate.moved;
        // What the last correction found was put right, or an appeal decided otherwise.
        if due == was || candidate.last_due == Some(due) {
            continue;
        }
        found.corrected = true;
        components.clear();
        encode_components(buffers.components(), &mut components);
        let row = NewCorrection {
            run: inputs.run,
            household: candidate.household,
            period,
            reason,
            was,
            due,
            order: candidate.order,
            components: &components,
        };
        corrections::push(rows, &row);
        if due > was {
            found.lines.push(line(RULE_ARREARS, inputs.period, period, due - was));
        }
    }
    found
}

/// A line for an earlier month.
fn line(rule: u8, of: Period, month: Period, amount: Centimes) -> Component {
    // Claims lapse long before a month is further back than this can say.
    let back = u8::try_from(of.index() - month.index()).unwrap_or(u8::MAX);
    Component { rule, month: back, member: None, rank: 0, age: 0, amount }
}

/// What complaints gave back, one case ahead.
pub(super) struct Granted {
    rows: Refunds,
    ahead: Option<Refund>,
}

impl Granted {
    /// Opens the pass over a programme's refunds.
    pub async fn open(inputs: &Inputs<'_>) -> Result<Self, StoreError> {
        let store = &inputs.context.store;
        let mut rows = Refunds::open(store, inputs.programme_id, inputs.period, inputs.snapshot.id);
        let ahead = rows.next().await?;
        Ok(Self { rows, ahead })
    }

    /// The household that is next.
    pub fn household(&self) -> Option<HouseholdId> {
        self.ahead.as_ref().map(|refund| refund.household)
    }

    /// Refunds of a household; households come in order.
    pub async fn take(&mut self, household: HouseholdId) -> Result<Vec<Refund>, StoreError> {
        let mut found = Vec::new();
        while let Some(refund) = self.ahead.take_if(|refund| refund.household == household) {
            found.push(refund);
            self.ahead = self.rows.next().await?;
        }
        Ok(found)
    }
}

/// The lines of refunds.
pub(super) fn refunded(of: Period, refunds: &[Refund]) -> impl Iterator<Item = Component> + '_ {
    refunds.iter().map(move |refund| line(RULE_REFUND, of, refund.period, refund.amount))
}

/// What the household is due for the month by now, and why that may differ; `None` where the list says nothing of it.
fn assess(
    inputs: &Inputs<'_>,
    of: &OfMonth,
    buffers: &mut Assessment,
) -> Option<(Centimes, CorrectionReason)> {
    let candidate = &of.candidate;
    if candidate.barred {
        return None;
    }
    let (truth, reason) = if of.month.same_month {
        (candidate.now.clone(), of_same_month(candidate.then.as_ref(), candidate.now.as_ref()))
    } else {
        let (mut then, now) = (candidate.then.clone()?, candidate.now.as_ref()?);
        let window = i32::from(inputs.context.config.settings.corrections.late_registration_months);
        let known = Circumstances {
            month: of.month.period,
            born_from: Period::from_index(inputs.period.index() - window).ok()?.first_day(),
            shared_then: candidate.shared_then,
            shares_now: candidate.shares_now,
        };
        let reason = lay_over(&mut then, now, known);
        let unsaid = match candidate.last_due {
            Some(_) => CorrectionReason::Reversed,
            None => CorrectionReason::Rules,
        };
        (Some(then), reason.unwrap_or(unsaid))
    };
    let due = match truth.map(|household| of.assessor.assess(&household, buffers)) {
        Some(Outcome::Due(amount)) => amount,
        Some(Outcome::Excluded(_)) => Centimes::ZERO,
        None => {
            *buffers = Assessment::default();
            Centimes::ZERO
        }
    };
    Some((due, reason))
}

/// Makes orders for arrears, by what the latest list and changes since say of the payee.
pub(super) struct Arrears<'a> {
    inputs: &'a Inputs<'a>,
    shares: Shares,
    changes: ChangesSince,
    assessment: Assessment,
}

impl<'a> Arrears<'a> {
    /// Opens the cursors over what households share and what changed since the list.
    pub async fn open(inputs: &'a Inputs<'a>) -> Result<Self, StoreError> {
        let (store, list) = (&inputs.context.store, inputs.snapshot.id);
        let shares = Shares::open(store, households::key(list, 0), households::key(list, u32::MAX)).await?;
        let changes = ChangesSince::open(store, inputs.programme_id, list).await?;
        Ok(Self { inputs, shares, changes, assessment: Assessment::default() })
    }

    /// Makes the order of a household's arrears.
    pub async fn order(
        &mut self,
        maker: &mut Maker<'_>,
        id: HouseholdId,
        mut household: Household,
        lines: &[Component],
    ) -> Result<OrderId, StoreError> {
        let mut reasons: Vec<HoldReason> = Vec::new();
        let changes = self.changes.take(id).await?;
        let replaced = changes.as_ref().map(|c| c.lay_over(&mut household)).unwrap_or_default();
        if changes.is_some_and(|c| c.hold().is_some()) {
            reasons.push(HoldReason::RegistryHold);
        }
        let limits = &self.inputs.context.config.settings.holds;
        self.shares
            .take(households::key(self.inputs.snapshot.id, household.row), |kind, n| {
                reasons.extend(shared_reason(limits, kind, n).filter(|_| !replaced.outdates(kind)));
            })
            .await?;
        let amount = lines.iter().map(|l| l.amount).sum();
        self.assessment.set(lines);
        Ok(maker.order(&household, amount, &[], &self.assessment, &mut reasons))
    }
}
