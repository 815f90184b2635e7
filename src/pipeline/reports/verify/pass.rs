//! One pass over a run's orders, beside the list that they were made from: rows are hashed, counted by where they stand, derived
//! again, and written into their files again.
//!
//! Guarantee: constant memory but for the list's changes and what is kept back; a row that cannot be read is named and passed
//! over. Limit: orders and households are read in the order they were written in; a row elsewhere is named as written again.

use foldhash::{HashMap, HashSet};

use super::derive::{Derived, Deriver};
use super::files::{Again, Files};
use crate::domain::entitlement::Assessor;
use crate::domain::ids::{BatchId, Code, OrderId};
use crate::domain::order::OrderState;
use crate::domain::run::RunKind;
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::audit::proofs::{self, Counted};
use crate::store::audit::row_blocks::{self, BlockCheck, Checked};
use crate::store::batches::{Batch, BatchFigures};
use crate::store::copy::fields::{Fields, field};
use crate::store::copy::hashes::{Leaf, Sum};
use crate::store::copy::{CopyAhead, CopyRow};
use crate::store::orders::state_walk::StateWalk;
use crate::store::registry::households;
use crate::store::runs::Run;
use crate::telemetry::StageGuard;

/// What the pass came to.
pub(super) struct Passed {
    /// Orders by provider, batch and state.
    pub counted: Vec<Counted>,
    /// Orders beside their hashes.
    pub orders: Checked,
    /// Exclusions beside theirs.
    pub exclusions: Checked,
    /// Households beside theirs; of a regular run.
    pub households: Option<Checked>,
    /// Sums of the rows of steps, by message.
    pub steps: HashMap<i64, Sum>,
    /// Figures of batches, counted from the steps of their orders.
    pub figures: HashMap<BatchId, BatchFigures>,
    /// Amounts, reasons and payees derived again, or why they were not.
    pub derived: Result<Derived, String>,
    /// Files written again.
    pub files: Files,
    /// The hash over all orders that was kept when they were made.
    pub hash_agrees: bool,
}

/// Walks over a run.
pub(super) async fn over(
    context: &Context,
    run: &Run,
    batches: &[Batch],
    stage: &StageGuard,
) -> Result<Passed, StoreError> {
    let store = &context.store;
    let grown = proofs::gathers_events(store, run.id).await?;
    let mut orders = Orders::open(context, run, batches, grown).await?;
    let deriver = deriver(context, run).await?;
    let (exclusions, households, derived) = match deriver {
        Ok(deriver) => {
            let (exclusions, households, derived) =
                beside_list(context, run, &mut orders, deriver, stage).await?;
            (exclusions, Some(households), Ok(derived))
        }
        Err(why) => {
            while let Some(row) = orders.next().await? {
                orders.pass(row).await?;
                stage.add(1);
            }
            (row_blocks::check(store, Leaf::Exclusions(run.id)).await?, None, Err(why))
        }
    };
    let figures = std::mem::take(&mut orders.figures);
    let (counted, checked, files, steps) = orders.finish().await?;
    let kept = proofs::orders_sha256(store, run.id).await?;
    // That of a correction run is over its findings too.
    let hash_agrees =
        grown || run.kind == RunKind::Correction || kept.is_none_or(|kept| checked.hashes_to(&kept));
    Ok(Passed {
        counted,
        orders: checked,
        exclusions,
        households,
        steps,
        figures,
        derived,
        files,
        hash_agrees,
    })
}

/// What derives the orders of a run; why nothing does where they are no month's own.
async fn deriver(context: &Context, run: &Run) -> Result<Result<Deriver, String>, StoreError> {
    let store = &context.store;
    if run.kind != RunKind::Regular {
        return Ok(Err(format!("a {} run is not made from its list alone", run.kind)));
    }
    let rules = match super::rules(context, run).await? {
        Ok(rules) => rules,
        Err(why) => return Ok(Err(why)),
    };
    let assessor = match Assessor::new(&rules, run.period) {
        Ok(assessor) => assessor,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let kept_back = proofs::kept_back(store, run.id).await?;
    let changed: HashSet<String> = proofs::changed_households(store, run.programme_id).await?;
    Ok(Ok(Deriver::new(assessor, run.period.index(), kept_back, changed)))
}

/// Merges households with orders and exclusions by their row in the list.
async fn beside_list(
    context: &Context,
    run: &Run,
    orders: &mut Orders,
    mut deriver: Deriver,
    stage: &StageGuard,
) -> Result<(Checked, Checked, Derived), StoreError> {
    let store = &context.store;
    let list = Leaf::Households(run.snapshot);
    let mut blocks = BlockCheck::open(store, list).await?;
    let mut rows = CopyAhead::open(store.pool(), row_blocks::source_of(list));
    let mut exclusions = Exclusions::open(context, run).await?;
    let mut ahead = orders.next().await?;
    let (mut before, mut told) = (None, 0);
    while let Some(mut row) = rows.next().await? {
        told += 1;
        if told == 100_000 {
            stage.add(std::mem::take(&mut told));
        }
        if !blocks.row(row.whole()) {
            continue;
        }
        let number = list.key(row.whole()).unwrap_or(0) & 0xFFFF_FFFF;
        let mut own = None;
        while let Some(order) = ahead.take_if(|order| order.household <= number) {
            ahead = orders.next().await?;
            if order.household == number && own.is_none() {
                own = Some(order);
            } else {
                deriver.stray(&order.fields());
                orders.pass(order).await?;
            }
        }
        let excluded = exclusions.take(number, &mut deriver).await?;
        match households::read(&mut row, before.take()) {
            Ok(household) => {
                let order = own.as_ref().map(Placed::fields);
                deriver.household(&household, order.as_ref(), excluded.as_deref());
                before = Some(household);
            }
            Err(error) => deriver.found.fault(format!("household row {number}: {error}")),
        }
        if let Some(order) = own {
            orders.pass(order).await?;
        }
    }
    while let Some(order) = ahead {
        deriver.stray(&order.fields());
        orders.pass(order).await?;
        ahead = orders.next().await?;
    }
    stage.add(told);
    Ok((exclusions.finish(&mut deriver).await?, blocks.finish(), deriver.found))
}

/// An order with steps of its own, in the figures of its batch.
fn count(figures: &mut BatchFigures, said: Option<OrderState>, amount: i64) {
    figures.outcomes += 1;
    figures.outcomes_amount += amount;
    let (orders, sum) = match said {
        Some(OrderState::Accepted) => (&mut figures.accepted, &mut figures.accepted_amount),
        Some(OrderState::Rejected) => (&mut figures.rejected, &mut figures.rejected_amount),
        Some(OrderState::Returned) => (&mut figures.returned, &mut figures.returned_amount),
        Some(OrderState::Settled | OrderState::Collected) => (&mut figures.paid, &mut figures.paid_amount),
        Some(OrderState::Expired) => (&mut figures.expired, &mut figures.expired_amount),
        _ => return,
    };
    *orders += 1;
    *sum += amount;
}

/// An order that lies in its place.
struct Placed {
    row: CopyRow,
    /// The row of its household in the list; -1 where that cannot be read.
    household: i64,
}

impl Placed {
    fn of(row: CopyRow) -> Self {
        let number = field(row.whole(), 1).and_then(|number| number.try_into().ok()).map(u32::from_be_bytes);
        Self { household: number.map_or(-1, i64::from), row }
    }

    fn fields(&self) -> Fields<'_> {
        Fields::of(self.row.whole())
    }
}

/// A run's exclusions, one ahead.
struct Exclusions {
    rows: CopyAhead,
    blocks: BlockCheck,
    ahead: Option<(i64, String)>,
}

impl Exclusions {
    async fn open(context: &Context, run: &Run) -> Result<Self, StoreError> {
        let (store, leaf) = (&context.store, Leaf::Exclusions(run.id));
        let mut exclusions = Self {
            rows: CopyAhead::open(store.pool(), row_blocks::source_of(leaf)),
            blocks: BlockCheck::open(store, leaf).await?,
            ahead: None,
        };
        exclusions.ahead = exclusions.read().await?;
        Ok(exclusions)
    }

    async fn take(&mut self, row: i64, deriver: &mut Deriver) -> Result<Option<String>, StoreError> {
        let mut own = None;
        while let Some((at, reason)) = self.ahead.take_if(|(at, _)| *at <= row) {
            self.ahead = self.read().await?;
            if at == row && own.is_none() {
                own = Some(reason);
            } else {
                deriver.found.fault(format!("exclusion of row {at} is of no household in the list"));
            }
        }
        Ok(own)
    }

    async fn read(&mut self) -> Result<Option<(i64, String)>, StoreError> {
        while let Some(row) = self.rows.next().await? {
            if !self.blocks.row(row.whole()) {
                continue;
            }
            let fields = Fields::of(row.whole());
            let number = fields.i32(1).map_or(-1, |row| i64::from(row.cast_unsigned()));
            let reason = String::from_utf8_lossy(fields.raw(3).unwrap_or_default()).into_owned();
            return Ok(Some((number, reason)));
        }
        Ok(None)
    }

    async fn finish(mut self, deriver: &mut Deriver) -> Result<Checked, StoreError> {
        while let Some((at, _)) = self.ahead.take() {
            deriver.found.fault(format!("exclusion of row {at} is of no household in the list"));
            self.ahead = self.read().await?;
        }
        Ok(self.blocks.finish())
    }
}

/// A run's orders, each hashed, counted where it stands, and told to its file.
struct Orders {
    rows: CopyAhead,
    blocks: BlockCheck,
    standing: StateWalk,
    groups: HashMap<(i16, Option<BatchId>, OrderState), [i64; 4]>,
    figures: HashMap<BatchId, BatchFigures>,
    again: Again,
}

impl Orders {
    async fn open(context: &Context, run: &Run, batches: &[Batch], grown: bool) -> Result<Self, StoreError> {
        let (store, leaf) = (&context.store, Leaf::Orders(run.id));
        let purposes: HashMap<i16, Code> = proofs::purposes(store).await?;
        // Blocks are read first: of orders that are added meanwhile, none is taken for one without a block.
        let blocks = BlockCheck::open(store, leaf).await?;
        let source = if grown { row_blocks::by_key_source(leaf) } else { row_blocks::source_of(leaf) };
        Ok(Self {
            rows: CopyAhead::open(store.pool(), source),
            blocks,
            standing: StateWalk::open_summing(store, run.id, run.state).await?,
            groups: HashMap::default(),
            figures: HashMap::default(),
            again: Again::begin(context, run, batches, purposes),
        })
    }

    /// The next row that lies in its place.
    async fn next(&mut self) -> Result<Option<Placed>, StoreError> {
        while let Some(row) = self.rows.next().await? {
            if self.blocks.row(row.whole()) {
                return Ok(Some(Placed::of(row)));
            }
        }
        Ok(None)
    }

    /// Counts an order where it stands.
    async fn pass(&mut self, placed: Placed) -> Result<(), StoreError> {
        let fields = placed.fields();
        let read = || -> Result<_, StoreError> {
            Ok((fields.i64(0)?, fields.i16(6)?, [1, fields.i64(10)?, fields.i64(8)?, fields.i64(9)?]))
        };
        // Its hash differs: it is named with its block.
        let Ok((order, provider, values)) = read() else { return Ok(()) };
        let stands = self.standing.next(OrderId::new(order), provider).await?;
        let sums = self.groups.entry((provider, stands.batch, stands.state)).or_default();
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.saturating_add(value);
        }
        if let Some(batch) = stands.batch.filter(|_| stands.stepped) {
            count(self.figures.entry(batch).or_default(), stands.said, values[1]);
        }
        if let Some(batch) = stands.batch.filter(|_| stands.state != OrderState::Held) {
            self.again.order(batch, placed.row);
        }
        Ok(())
    }

    async fn finish(self) -> Result<(Vec<Counted>, Checked, Files, HashMap<i64, Sum>), StoreError> {
        let steps = self.standing.finish().await?;
        let counted = |((provider, batch, state), [orders, amount, entitled, offset]): (
            (i16, Option<BatchId>, OrderState),
            [i64; 4],
        )| Counted { provider, batch, state, orders, amount, entitled, offset };
        let counted = self.groups.into_iter().map(counted).collect();
        Ok((counted, self.blocks.finish(), self.again.finish(), steps))
    }
}
