//! Turns assessed households into the rows of a run: orders, exclusions, holds, instalments.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::barring::Barring;
use super::changed::Flagged;
use super::compare::{Comparison, Now};
use super::judge::judge;
use super::slices::Slicer;
use crate::config::ConfiguredProgramme;
use crate::domain::batch::Slice;
use crate::domain::entitlement::{Assessment, encode_components};
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::reason::HoldReason;
use crate::domain::recovery::instalments::Instalment;
use crate::domain::router::Router;
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::copy::CopyBuffer;
use crate::store::orders::personal::{self, OrderPayee};
use crate::store::orders::questions::Questions;
use crate::store::orders::{self, NewOrder, holds};
use crate::store::recovery::instalments;
use crate::store::registry::snapshots::Snapshot;
use crate::store::runs::Run;
use crate::store::runs::checks::ComparisonLine;

const COPY_BYTES: usize = 1 << 20;

/// Totals by provider number and whether held: orders and their sum.
pub(super) type Totals = BTreeMap<(i16, bool), (i64, Centimes)>;

/// Rows on their way to the database.
#[derive(Default)]
pub(in crate::pipeline) struct RowBuffers {
    orders: CopyBuffer,
    exclusions: CopyBuffer,
    holds: CopyBuffer,
    instalments: CopyBuffer,
}

impl RowBuffers {
    /// Sends the rows into a run's leaves.
    pub(in crate::pipeline) async fn send_in_tx(
        &mut self,
        tx: &mut PgConnection,
        run: RunId,
    ) -> Result<(), StoreError> {
        let order_target = format!("{} ({})", orders::leaf(run), orders::COLUMNS);
        self.orders.send_in_tx(tx, &order_target, ", FREEZE").await?;
        self.exclusions.send_in_tx(tx, &orders::exclusion_leaf(run), ", FREEZE").await?;
        self.holds.send_in_tx(tx, &format!("order_hold ({})", holds::COLUMNS), "").await?;
        let instalments = format!("recovery_instalment ({})", instalments::INSTALMENT_COLUMNS);
        self.instalments.send_in_tx(tx, &instalments, "").await?;
        Ok(())
    }
}

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

/// Turns assessed households into rows.
pub(in crate::pipeline) struct Maker<'a> {
    inputs: &'a Inputs<'a>,
    router: &'a Router,
    provider_ids: Vec<i16>,
    slicers: Vec<Slicer>,
    buffers: RowBuffers,
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
            buffers: RowBuffers::default(),
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
        orders::push(&mut self.buffers.orders, &order);
        for reason in reasons.iter() {
            holds::push(&mut self.buffers.holds, id, *reason, "sarf", self.inputs.now);
        }
        for instalment in kept_back {
            instalments::push_instalment(
                &mut self.buffers.instalments,
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

    pub fn last(&self, place: u16) -> Now<'_> {
        Now { amount: self.last.0, provider: self.last.1, place, payee: &self.payee }
    }

    pub fn exclude(&mut self, household: &Household, reason: &str) {
        self.refuse(household.row, household.id, reason);
    }

    /// Excludes a row of the list, with the reason why nothing is paid for it.
    pub fn refuse(&mut self, row: u32, household: HouseholdId, reason: &str) {
        self.exclusions += 1;
        let buffer: &mut CopyBuffer = &mut self.buffers.exclusions;
        buffer.row(4).i64(self.inputs.run.get()).i32(row as i32).text(household.as_str()).text(reason);
    }

    /// Whether the rows so far should be sent.
    pub fn is_full(&self) -> bool {
        self.buffers.orders.row_bytes().len() > COPY_BYTES || self.buffers.exclusions.rows() > 20_000
    }

    /// The rows so far.
    pub fn seal(&mut self) -> RowBuffers {
        self.digest.update(self.buffers.orders.row_bytes());
        std::mem::take(&mut self.buffers)
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
