//! The pass over a snapshot's households that makes a run's orders.

use tokio::sync::mpsc;

use crate::domain::entitlement::{ALREADY_ORDERED, Assessment, Assessor, ExclusionReason, Outcome};
use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::order::OrderState;
use crate::domain::reason::HoldReason;
use crate::pipeline::exceptions::recovery::{KeptBack, KeptFrom};
use crate::pipeline::orders::OrderError;
use crate::pipeline::orders::barring::Barring;
use crate::pipeline::orders::compare::Comparison;
use crate::pipeline::orders::judge::shared_reason;
use crate::pipeline::orders::maker::{Computed, Inputs, Maker, RowBuffers};
use crate::pipeline::orders::merge::{ChangesSince, EarlierOrders, Shares};
use crate::store::StoreError;
use crate::store::copy::CopyAhead;
use crate::store::orders::state_walk::StateWalk;
use crate::store::registry::{households, snapshots};
use crate::telemetry::StageGuard;

/// One pass, ready to run.
pub(super) struct Computation<'a> {
    inputs: &'a Inputs<'a>,
    assessor: Assessor,
    households: CopyAhead,
    shares: Shares,
    changes: ChangesSince,
    previous: EarlierOrders,
    barring: Vec<Bars>,
    /// Orders of programmes that go second, each with the order of this run that it gives way to.
    giving_way: Vec<(OrderId, OrderId)>,
    kept_back: KeptBack,
    maker: Maker<'a>,
    comparison: Comparison,
}

/// The orders of a run that bar households from this one.
struct Bars {
    cause: ExclusionCause,
    orders: EarlierOrders,
    /// Where they stand, in a run of a programme that goes second: they give way as long as they have not left.
    second: Option<StateWalk>,
}

#[derive(Clone, Copy)]
enum ExclusionCause {
    SameClaim,
    OtherProgramme,
}

impl ExclusionCause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SameClaim => ALREADY_ORDERED,
            Self::OtherProgramme => ExclusionReason::OtherProgramme.as_str(),
        }
    }
}

impl<'a> Computation<'a> {
    /// Opens all cursors.
    pub async fn open(inputs: &'a Inputs<'a>) -> Result<Self, OrderError> {
        let store = &inputs.context.store;
        let assessor = Assessor::new(&inputs.programme.rules, inputs.period)?;
        let source = format!("{} ({})", households::leaf(inputs.snapshot.id), households::COLUMNS);
        let (low, high) =
            (households::key(inputs.snapshot.id, 0), households::key(inputs.snapshot.id, u32::MAX));
        let mut barring = Vec::new();
        for Barring { run, by_arrival } in inputs.barring {
            let same = run.programme == inputs.snapshot.programme;
            let cause = if same { ExclusionCause::SameClaim } else { ExclusionCause::OtherProgramme };
            let config = &inputs.context.config;
            // Orders in the order of their arrival are urgent aid, which leaves at once.
            let goes_second = !by_arrival && config.outranks(&inputs.snapshot.programme, &run.programme);
            let second = match goes_second {
                true => Some(StateWalk::open(store, run.id, run.state).await?),
                false => None,
            };
            let orders = EarlierOrders::open(store, Some(run), *by_arrival).await?;
            barring.push(Bars { cause, orders, second });
        }
        let before = match inputs.previous {
            Some(run) => snapshots::places(store, run.snapshot).await?,
            None => Vec::new(),
        };
        let names = inputs.providers.iter().map(|(code, id)| (*id, code.clone())).collect();
        Ok(Self {
            inputs,
            assessor,
            households: CopyAhead::open(store.pool(), source),
            shares: Shares::open(store, low, high).await?,
            changes: ChangesSince::open(store, inputs.programme_id, inputs.snapshot.id).await?,
            previous: EarlierOrders::open(store, inputs.previous, false).await?,
            barring,
            giving_way: Vec::new(),
            kept_back: KeptBack::open(inputs.context, inputs.programme_id, inputs.period, KeptFrom::Month)
                .await?,
            maker: Maker::new(inputs),
            comparison: Comparison::new(&before, &snapshots::places(store, inputs.snapshot.id).await?, names),
        })
    }

    /// Reads every household once and sends its order or exclusion on.
    pub async fn run(
        mut self,
        sender: mpsc::Sender<RowBuffers>,
        stage: &StageGuard,
    ) -> Result<Computed, OrderError> {
        let (mut assessment, mut spare) = (Assessment::default(), None);
        let (mut before, mut count, mut told) = (None::<HouseholdId>, 0u64, 0u64);
        let mut reasons: Vec<HoldReason> = Vec::new();
        while let Some(mut row) = self.households.next().await? {
            let mut household = households::read(&mut row, spare.take())?;
            if before.is_some_and(|b| b >= household.id) {
                return Err(StoreError::OutOfOrder.into());
            }
            before = Some(household.id);
            count += 1;
            reasons.clear();
            let changes = self.changes.take(household.id).await?;
            let replaced = changes.as_ref().map(|c| c.lay_over(&mut household)).unwrap_or_default();
            if changes.is_some_and(|c| c.hold().is_some()) {
                reasons.push(HoldReason::RegistryHold);
            }
            let limits = &self.inputs.context.config.settings.holds;
            self.shares
                .take(households::key(self.inputs.snapshot.id, household.row), |kind, n| {
                    reasons.extend(shared_reason(limits, kind, n).filter(|_| !replaced.outdates(kind)))
                })
                .await?;
            let (barred, second) = self.barred(household.id).await?;
            let comparison = &mut self.comparison;
            let mut fault = Ok(());
            let earlier =
                self.previous.take(household.id, |gone| fault = comparison.add(Some(&gone), None)).await?;
            fault?;
            let outcome = self.assessor.assess(&household, &mut assessment);
            let excluded = match (barred, outcome) {
                (_, Outcome::Excluded(reason)) => Some(reason.as_str()),
                (Some(cause), _) => Some(cause.as_str()),
                (None, Outcome::Due(amount)) => {
                    self.kept_back.seek(household.id).await?;
                    let kept_back = self.kept_back.take(amount);
                    let order = self.maker.order(&household, amount, kept_back, &assessment, &mut reasons);
                    self.giving_way.extend(second.into_iter().map(|second| (second, order)));
                    None
                }
            };
            if let Some(reason) = excluded {
                self.maker.exclude(&household, reason);
            }
            let now = excluded.is_none().then(|| self.maker.last(household.place.0));
            if earlier.is_some() || now.is_some() {
                self.comparison.add(earlier.as_ref(), now)?;
            }
            spare = Some(household);
            if self.maker.is_full() {
                stage.add(count - told);
                told = count;
                if sender.send(self.maker.seal()).await.is_err() {
                    break; // The receiver has failed; its error is the one to tell.
                }
            }
        }
        let comparison = &mut self.comparison;
        let mut fault = Ok(());
        self.previous.drain(|gone| fault = comparison.add(Some(&gone), None)).await?;
        fault?;
        stage.add(count - told);
        let _ = sender.send(self.maker.seal()).await;
        let giving_way = self.giving_way;
        Ok(Computed { giving_way, ..self.maker.finish(count, self.comparison) })
    }

    /// Why a household is barred, if it is; otherwise its orders of programmes that go second, which give way.
    async fn barred(
        &mut self,
        household: HouseholdId,
    ) -> Result<(Option<ExclusionCause>, Vec<OrderId>), StoreError> {
        let (mut found, mut second) = (None, Vec::new());
        for bars in &mut self.barring {
            let Some(order) = bars.orders.take(household, |_| ()).await? else { continue };
            let waits = match &mut bars.second {
                Some(standing) => {
                    let state = standing.next(order.order, order.provider).await?.state;
                    matches!(state, OrderState::Planned | OrderState::Held)
                }
                None => false,
            };
            if waits {
                second.push(order.order);
            } else {
                found = found.or(Some(bars.cause));
            }
        }
        Ok((found, second))
    }
}
