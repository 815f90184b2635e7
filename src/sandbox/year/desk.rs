//! What people do in a month of a simulation: recalls, breaks, and the close of the books.

use anyhow::Context as _;

use super::plan::Decision;
use super::{ACCOUNTANT, APPROVER, Open, PREPARER, Progress, Simulation, queries};
use crate::domain::breaks::BreakState;
use crate::domain::ids::OrderId;
use crate::domain::reason::BreakKind;
use crate::domain::recall::CancellationReason;
use crate::domain::run::RunState;
use crate::pipeline::dispatch::recall;
use crate::pipeline::exceptions::breaks::{self, Listed, Wanted};
use crate::pipeline::orders::reissue::{self, ForwardError};
use crate::pipeline::runs::reconcile;

/// A run that is not explained after so many months is closed with what is left carried forward.
const CARRIED_AFTER_MONTHS: usize = 2;

impl Simulation<'_> {
    /// The month's desk work.
    pub(super) async fn desk(&mut self, month: usize) -> anyhow::Result<()> {
        let (resolved, open) = self.breaks(month).await?;
        let (closed, carried) = self.close(month).await?;
        self.say(&Progress::Desk { resolved, open, closed, carried, runs_open: self.open.len() });
        Ok(())
    }

    /// Asks some payments back that bank files of this month or of the one before paid; how many.
    pub(super) async fn recalls(&self, month: usize) -> anyhow::Result<usize> {
        let (context, seed) = (&self.context, self.plan.number("recall", &month.to_string()));
        let run = self.regular[month.saturating_sub((seed % 2) as usize)];
        let picked = queries::paid_by_file(&context.store, run, seed, self.plan.recalls(month)).await?;
        for order in &picked {
            let why = "paid to a household that is not due";
            let asked = recall::ask(context, *order, CancellationReason::Upay, why, ACCOUNTANT).await?;
            recall::deliver(context, &asked.into_inner()).await?;
        }
        Ok(picked.len())
    }

    /// Decides breaks, each by a person with a reason, some by two: how many are resolved, and how many open.
    async fn breaks(&self, month: usize) -> anyhow::Result<(usize, usize)> {
        let context = &self.context;
        let (mut resolved, mut open) = (0, 0);
        for listed in breaks::list(context, Wanted::default()).await? {
            let (found, what) = (&listed.found, name_of(&listed));
            let mut state = found.state;
            if state == BreakState::Open
                && let Decision::Resolve(post) = self.plan.decision(&what, listed.age_days, month)
            {
                let post = (!found.suspense.is_zero()).then_some(post);
                let why = format!("{}: agreed with the bank", listed.queue.title);
                state = breaks::resolve(context, found.id, ACCOUNTANT, &why, post)
                    .await
                    .with_context(|| format!("break {}", found.id))?
                    .into_inner();
            }
            if state == BreakState::Proposed && self.plan.confirms(&what, month) {
                state = breaks::confirm(context, found.id, APPROVER).await?.into_inner();
            }
            if state != BreakState::Resolved {
                open += 1;
                continue;
            }
            resolved += 1;
            if let (BreakKind::PayeeInDoubt, Some(order)) = (found.kind, found.order) {
                self.pay_again(order).await?;
            }
        }
        Ok((resolved, open))
    }

    /// Puts a claim forward whose payee is no longer in doubt, unless it is paid again already, prescribed, or said by another
    /// break to be paid.
    async fn pay_again(&self, order: OrderId) -> anyhow::Result<()> {
        let why = "the payee was asked for at the commune";
        match reissue::put_forward(&self.context, order, PREPARER, why).await {
            Ok(_)
            | Err(
                ForwardError::NotUnpaid { .. }
                | ForwardError::NotAnOperators { .. }
                | ForwardError::InQuestion { .. },
            ) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Closes what is explained, and what is old: how many runs, and how many of them with something carried forward.
    async fn close(&mut self, month: usize) -> anyhow::Result<(usize, usize)> {
        let context = &self.context;
        let (mut closed, mut carried, mut left) = (0, 0, Vec::new());
        for Open { run, since } in std::mem::take(&mut self.open) {
            let found = reconcile::reconcile(context, run).await?;
            let explained = found.is_explained();
            let old = month >= since + CARRIED_AFTER_MONTHS;
            if !matches!(self.find(run).await?.state, RunState::Settling | RunState::Reconciled)
                || !(explained || old)
            {
                left.push(Open { run, since });
                continue;
            }
            let why =
                (!explained).then_some("statements were asked for again; carried forward until they come");
            reconcile::close(context, run, ACCOUNTANT, why).await?;
            (closed, carried) = (closed + 1, carried + usize::from(!explained));
        }
        self.open = left;
        Ok((closed, carried))
    }
}

/// What names a break and does not depend on who came first.
fn name_of(listed: &Listed) -> String {
    let found = &listed.found;
    format!(
        "{} {:?} {:?} {:?} {:?} {}",
        found.kind,
        found.run.map(|run| run.get()),
        found.provider,
        found.order.map(|order| order.get()),
        found.amount.map(|amount| amount.get()),
        found.suspense
    )
}
