//! Orders for arrears and refunds, by what the latest list and changes since say of the payee.

use super::find::Differences;
use crate::domain::entitlement::{Assessment, Component, RULE_ARREARS};
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::reason::HoldReason;
use crate::pipeline::exceptions::recovery::{KeptBack, KeptFrom};
use crate::pipeline::orders::judge::shared_reason;
use crate::pipeline::orders::maker::{Inputs, Maker};
use crate::pipeline::orders::merge::{ChangesSince, Shares};
use crate::store::StoreError;
use crate::store::recovery::refunds::{Refund, Refunds};
use crate::store::registry::households;

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

/// Makes orders for arrears.
pub(in crate::pipeline) struct Arrears<'a> {
    inputs: &'a Inputs<'a>,
    shares: Shares,
    changes: ChangesSince,
    kept_back: KeptBack,
    assessment: Assessment,
}

impl<'a> Arrears<'a> {
    /// Opens the cursors over what households share, what changed since the list, and what households owe.
    pub async fn open(inputs: &'a Inputs<'a>) -> Result<Self, StoreError> {
        let (context, list) = (inputs.context, inputs.snapshot.id);
        let store = &context.store;
        Ok(Self {
            inputs,
            shares: Shares::open(store, households::key(list, 0), households::key(list, u32::MAX)).await?,
            changes: ChangesSince::open(store, inputs.programme_id, list).await?,
            kept_back: KeptBack::open(context, inputs.programme_id, inputs.period, KeptFrom::Arrears).await?,
            assessment: Assessment::default(),
        })
    }

    /// Makes the order of a household's arrears and refunds. What it owes is kept back of its arrears, as configured, less
    /// what this run takes back of that; nothing of what is given back to it.
    pub async fn order(
        &mut self,
        maker: &mut Maker<'_>,
        id: HouseholdId,
        mut household: Household,
        lines: &[Component],
        found: &Differences,
    ) -> Result<OrderId, StoreError> {
        let mut reasons: Vec<HoldReason> = Vec::new();
        if found.doubtful {
            reasons.push(HoldReason::MemberRejected);
        }
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
        let arrears: Centimes = lines.iter().filter(|l| l.rule == RULE_ARREARS).map(|l| l.amount).sum();
        self.assessment.set(lines);
        self.kept_back.seek(id).await?;
        for reversal in &found.reversals {
            self.kept_back.is_owed_less(reversal.case, reversal.owed);
        }
        let kept_back = self.kept_back.take(arrears);
        Ok(maker.order(&household, amount, kept_back, &self.assessment, &mut reasons))
    }
}
