//! The pass over a snapshot's households that makes a run's orders.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::changed::Flagged;
use super::compare::{Comparison, Now};
use super::judge::{judge, shared_reason};
use super::merge::{ChangesSince, EarlierOrders, Shares};
use super::slices::Slicer;
use super::{Barring, OrderError, Parcel, Totals};
use crate::config::ConfiguredProgramme;
use crate::domain::batch::Slice;
use crate::domain::entitlement::{
    ALREADY_ORDERED, Assessment, Assessor, ExclusionReason, Outcome, encode_components,
};
use crate::domain::household::{Household, Member};
use crate::domain::ids::{HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::provider::Router;
use crate::domain::reason::HoldReason;
use crate::domain::recovery::instalments::Instalment;
use crate::pipeline::Context;
use crate::pipeline::recovery::{KeptBack, KeptFrom};
use crate::store::orders::NewOrder;
use crate::store::personal::{self, OrderPayee};
use crate::store::pgcopy::{CopyAhead, CopyBuffer};
use crate::store::questions::Questions;
use crate::store::run_checks::ComparisonLine;
use crate::store::runs::Run;
use crate::store::snapshots::{self, Snapshot};
use crate::store::standing::Standing;
use crate::store::{StoreError, holds, households, orders, recovery_money};
use crate::telemetry::StageGuard;

const COPY_BYTES: usize = 1 << 20;

/// What a computation is made from.
pub(in crate::pipeline) struct Inputs<'a> {
    pub context: &'a Context,
    pub run: RunId,
    pub programme_id: i16,
    pub period: Period,
    pub purpose: i16,
    pub snapshot: &'a Snapshot,
    pub programme: &'a ConfiguredProgramme,
    pub providers: &'a HashMap<String, i16>,
    pub previous: Option<&'a Run>,
    pub barring: &'a [Barring],
    /// Households whose payee is in doubt.
    pub doubted: &'a HashSet<HouseholdId>,
    /// Whether it is a run of arrears.
    pub correction: bool,
    /// Claims that may be paid, as open breaks say.
    pub questions: &'a Questions,
    /// Households to hold for what changed since the list.
    pub flagged: &'a Flagged,
    pub now: OffsetDateTime,
}

/// What a computation comes to, beside its rows.
pub(in crate::pipeline) struct Computed {
    pub households: u64,
    pub orders: u32,
    pub exclusions: u64,
    pub entitled: Centimes,
    /// What of it is kept back.
    pub offset: Centimes,
    pub orders_sha256: [u8; 32],
    pub totals: Totals,
    pub slices: Vec<(i16, Slice)>,
    pub comparison: Vec<ComparisonLine>,
    /// Orders of programmes that go second, each with the order of this run that it gives way to.
    pub giving_way: Vec<(OrderId, OrderId)>,
}

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
    second: Option<Standing>,
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
                true => Some(Standing::open(store, run.id, run.state).await?),
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
        sender: mpsc::Sender<Parcel>,
        stage: &StageGuard,
    ) -> Result<Computed, OrderError> {
        let (mut assessment, mut members) = (Assessment::default(), Vec::<Member>::new());
        let (mut before, mut count, mut told) = (None::<HouseholdId>, 0u64, 0u64);
        let mut reasons: Vec<HoldReason> = Vec::new();
        while let Some(mut row) = self.households.next().await? {
            let mut household = households::read(&mut row, std::mem::take(&mut members))?;
            if before.is_some_and(|b| b >= household.id) {
                return Err(StoreError::Corrupt("order of households").into());
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
            members = household.members;
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

/// The comparison of a run that is compared with none.
pub(in crate::pipeline) fn new_comparison() -> Comparison {
    Comparison::new(&[], &[], BTreeMap::new())
}

/// Turns assessed households into rows.
pub(in crate::pipeline) struct Maker<'a> {
    inputs: &'a Inputs<'a>,
    router: &'a Router,
    provider_ids: Vec<i16>,
    slicers: Vec<Slicer>,
    parcel: Parcel,
    digest: Sha256,
    orders: u32,
    exclusions: u64,
    entitled: Centimes,
    offset: Centimes,
    totals: Totals,
    payee: OrderPayee,
    last: (Centimes, i16),
    components: Vec<u8>,
    payee_bytes: Vec<u8>,
}

impl<'a> Maker<'a> {
    /// Nothing made yet.
    pub fn new(inputs: &'a Inputs<'a>) -> Self {
        let router = &inputs.context.config.router;
        let per_file = inputs.context.config.settings.dispatch.orders_per_file;
        Self {
            inputs,
            router,
            provider_ids: router.providers().iter().map(|p| inputs.providers[p.code.as_str()]).collect(),
            slicers: router.providers().iter().map(|p| Slicer::new(p.daily_capacity, per_file)).collect(),
            parcel: Parcel::default(),
            digest: Sha256::new(),
            orders: 0,
            exclusions: 0,
            entitled: Centimes::ZERO,
            offset: Centimes::ZERO,
            totals: Totals::new(),
            payee: OrderPayee { name: String::new(), account: String::new(), phone: None },
            last: (Centimes::ZERO, 0),
            components: Vec::new(),
            payee_bytes: Vec::new(),
        }
    }

    /// Makes a household's order over what was assessed: its number.
    pub fn order(
        &mut self,
        household: &Household,
        entitled: Centimes,
        kept_back: &[Instalment],
        assessment: &Assessment,
        reasons: &mut Vec<HoldReason>,
    ) -> OrderId {
        self.orders += 1;
        let id = OrderId::compose(self.inputs.run, self.orders);
        let offset: Centimes = kept_back.iter().map(|i| i.amount).sum();
        let amount = entitled - offset;
        if self.inputs.doubted.contains(&household.id) {
            reasons.push(HoldReason::PayeeInDoubt);
        }
        reasons.extend(self.inputs.flagged.get(&household.id).into_iter().flatten());
        if self.is_in_question(household.id) {
            reasons.push(HoldReason::ClaimInQuestion);
        }
        let route = judge(self.router, household, amount, reasons, &mut self.payee);
        let provider = route.map_or(0, |index| self.provider_ids[index]);
        let wave = route.map_or(0, |index| self.slicers[index].push(id, amount));
        self.components.clear();
        encode_components(assessment.components(), &mut self.components);
        personal::encode_order_payee(&self.payee, &mut self.payee_bytes);
        let order = NewOrder {
            id,
            household_row: household.row,
            place: household.place.0,
            period: self.inputs.period,
            purpose: self.inputs.purpose,
            attempt: 1,
            provider,
            wave,
            entitled,
            offset,
            household: household.id,
            components: &self.components,
            payee: &self.payee_bytes,
        };
        orders::push(&mut self.parcel.orders, &order);
        for reason in reasons.iter() {
            holds::push(&mut self.parcel.holds, id, *reason, "sarf", self.inputs.now);
        }
        for instalment in kept_back {
            recovery_money::push_instalment(
                &mut self.parcel.instalments,
                id,
                instalment.case,
                instalment.amount,
            );
        }
        self.entitled += entitled;
        self.offset += offset;
        let total = self.totals.entry((provider, !reasons.is_empty())).or_default();
        total.0 += 1;
        total.1 += amount;
        self.last = (amount, provider);
        id
    }

    /// Whether an order of this run might pay what is paid already. Arrears of a household wait for all of its claims.
    fn is_in_question(&self, household: HouseholdId) -> bool {
        let Inputs { questions, period, purpose, correction, .. } = *self.inputs;
        if correction {
            questions.of_household(household)
        } else {
            questions.of_claim(household, period, purpose).is_some()
        }
    }

    fn last(&self, place: u16) -> Now<'_> {
        Now { amount: self.last.0, provider: self.last.1, place, payee: &self.payee }
    }

    fn exclude(&mut self, household: &Household, reason: &str) {
        self.refuse(household.row, household.id, reason);
    }

    /// Excludes a row of the list, with the reason why nothing is paid for it.
    pub fn refuse(&mut self, row: u32, household: HouseholdId, reason: &str) {
        self.exclusions += 1;
        let buffer: &mut CopyBuffer = &mut self.parcel.exclusions;
        buffer.row(4).i64(self.inputs.run.get()).i32(row as i32).text(household.as_str()).text(reason);
    }

    /// Whether the rows so far should be sent.
    pub fn is_full(&self) -> bool {
        self.parcel.orders.row_bytes().len() > COPY_BYTES || self.parcel.exclusions.rows() > 20_000
    }

    /// The rows so far.
    pub fn seal(&mut self) -> Parcel {
        self.digest.update(self.parcel.orders.row_bytes());
        std::mem::take(&mut self.parcel)
    }

    /// What was made comes to.
    pub fn finish(self, households: u64, comparison: Comparison) -> Computed {
        let slices = self.slicers.into_iter().zip(&self.provider_ids);
        Computed {
            households,
            orders: self.orders,
            exclusions: self.exclusions,
            entitled: self.entitled,
            offset: self.offset,
            orders_sha256: self.digest.finalize().into(),
            totals: self.totals,
            slices: slices.flat_map(|(s, id)| s.finish().into_iter().map(|slice| (*id, slice))).collect(),
            comparison: comparison.finish(),
            giving_way: Vec::new(),
        }
    }
}
