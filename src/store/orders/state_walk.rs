//! Where each order of a run stands, worked out in one ascending pass: holds, outcomes and late batches are read beside
//! the orders and merged, in constant memory.

use foldhash::HashMap;

use crate::domain::batch::{BatchState, Lane};
use crate::domain::ids::{BatchId, OrderId, RunId};
use crate::domain::order::OrderState;
use crate::domain::run::RunState;
use crate::domain::step::{Steps, stands};
use crate::store::batches::{self, Batch, membership};
use crate::store::copy::CopyAhead;
use crate::store::copy::fields::{big, field};
use crate::store::copy::hashes::Sum;
use crate::store::messages::feedback;
use crate::store::{Store, StoreError};

/// Numbers by order, ascending, one ahead.
struct ByOrder {
    rows: CopyAhead,
    ahead: Option<(i64, i64)>,
}

impl ByOrder {
    async fn open(store: &Store, query: &str) -> Result<Self, StoreError> {
        let mut cursor = Self { rows: CopyAhead::open(store.pool(), format!("({query})")), ahead: None };
        cursor.ahead = cursor.read().await?;
        Ok(cursor)
    }

    /// Gives every number of `order`, passing over those of orders before it.
    async fn take(&mut self, order: i64, mut give: impl FnMut(i64)) -> Result<(), StoreError> {
        while let Some((at, value)) = self.ahead.filter(|(at, _)| *at <= order) {
            if at == order {
                give(value);
            }
            self.ahead = self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<(i64, i64)>, StoreError> {
        let Some(mut row) = self.rows.next().await? else { return Ok(None) };
        Ok(Some((row.i64()?, row.i64()?)))
    }
}

/// Steps of orders, ascending, one ahead; summed by message where that is asked.
struct StepsByOrder {
    rows: CopyAhead,
    ahead: Option<(i64, i64)>,
    sums: Option<HashMap<i64, Sum>>,
}

impl StepsByOrder {
    async fn open(store: &Store, run: RunId, summed: bool) -> Result<Self, StoreError> {
        let columns = if summed { feedback::OUTCOME_COLUMNS } else { "order_id, step" };
        let query = format!("(select {columns} from outcome_{run} order by order_id)");
        let sums = summed.then(HashMap::default);
        let mut cursor = Self { rows: CopyAhead::open(store.pool(), query), ahead: None, sums };
        cursor.ahead = cursor.read().await?;
        Ok(cursor)
    }

    /// The steps of `order`, passing over those of orders before it.
    async fn take(&mut self, order: i64) -> Result<Steps, StoreError> {
        let mut steps = Steps::default();
        while let Some((at, step)) = self.ahead.filter(|(at, _)| *at <= order) {
            if at == order {
                steps = steps.with_number(step);
            }
            self.ahead = self.read().await?;
        }
        Ok(steps)
    }

    async fn read(&mut self) -> Result<Option<(i64, i64)>, StoreError> {
        let Some(mut row) = self.rows.next().await? else { return Ok(None) };
        if let Some(sums) = &mut self.sums {
            let message = field(row.whole(), 2).and_then(big).unwrap_or(i64::MIN);
            sums.entry(message).or_default().add(row.whole());
        }
        Ok(Some((row.i64()?, i64::from(row.i16()?))))
    }
}

/// The pass over one run.
pub struct StateWalk {
    run: RunState,
    holds: ByOrder,
    missed: ByOrder,
    steps: StepsByOrder,
    members: ByOrder,
    /// Range batches by provider, the next one last.
    ranges: HashMap<i16, Vec<Batch>>,
    listed: HashMap<BatchId, (Lane, BatchState)>,
}

/// Where one order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stands {
    /// The batch it left or will leave in.
    pub batch: Option<BatchId>,
    /// Its state.
    pub state: OrderState,
    /// Whether it took steps of its own.
    pub stepped: bool,
    /// What those come to, as the provider said them.
    pub said: Option<OrderState>,
}

impl StateWalk {
    /// Opens the pass.
    pub async fn open(store: &Store, run: RunId, state: RunState) -> Result<Self, StoreError> {
        Self::begin(store, run, state, false).await
    }

    /// Opens the pass, and sums the rows of steps that it reads: see [`StateWalk::finish`].
    pub async fn open_summing(store: &Store, run: RunId, state: RunState) -> Result<Self, StoreError> {
        Self::begin(store, run, state, true).await
    }

    async fn begin(store: &Store, run: RunId, state: RunState, summed: bool) -> Result<Self, StoreError> {
        let (low, high) = OrderId::bounds(run);
        let within = format!("order_id >= {low} and order_id < {high}");
        let mut tx = store.begin().await?;
        let batches = batches::of_run_in_tx(&mut tx, run).await?;
        tx.rollback().await?;
        let mut ranges: HashMap<i16, Vec<Batch>> = HashMap::default();
        let mut listed = HashMap::default();
        for batch in batches {
            if batch.listed {
                listed.insert(batch.id, (batch.lane, batch.state));
            } else {
                ranges.entry(batch.provider_id).or_default().push(batch);
            }
        }
        for range in ranges.values_mut() {
            range.sort_by_key(|b| std::cmp::Reverse(b.first));
        }
        let open = |query: String| async move { ByOrder::open(store, &query).await };
        Ok(Self {
            run: state,
            holds: open(format!("select order_id, 0::bigint from order_hold where released_at is null and {within} order by order_id")).await?,
            missed: open(format!("{} order by order_id", membership::missed_orders(&within))).await?,
            steps: StepsByOrder::open(store, run, summed).await?,
            members: open(format!("{} order by order_id", membership::listed_orders(&within))).await?,
            ranges,
            listed,
        })
    }

    /// Where the next order stands; orders must come in ascending order.
    pub async fn next(&mut self, order: OrderId, provider: i16) -> Result<Stands, StoreError> {
        let (mut held, mut missed, mut member) = (false, false, None);
        self.holds.take(order.get(), |_| held = true).await?;
        self.missed.take(order.get(), |_| missed = true).await?;
        let steps = self.steps.take(order.get()).await?;
        self.members.take(order.get(), |batch| member = Some(BatchId::new(batch))).await?;
        let batch = if missed {
            member.and_then(|id| self.listed.get(&id).map(|stands| (id, *stands)))
        } else {
            self.range(order, provider)
        };
        Ok(Stands {
            batch: batch.map(|(id, _)| id),
            state: stands(self.run, held, batch.map(|(_, stands)| stands), steps),
            stepped: !steps.is_empty(),
            said: steps.said().state(),
        })
    }

    /// All orders were told: the sums of the steps' rows by message, those of orders that were not told among them.
    pub async fn finish(mut self) -> Result<HashMap<i64, Sum>, StoreError> {
        while self.steps.ahead.is_some() {
            self.steps.ahead = self.steps.read().await?;
        }
        Ok(self.steps.sums.unwrap_or_default())
    }

    fn range(&mut self, order: OrderId, provider: i16) -> Option<(BatchId, (Lane, BatchState))> {
        let waiting = self.ranges.get_mut(&provider)?;
        while waiting.last().is_some_and(|b| b.last < order) {
            waiting.pop();
        }
        waiting
            .last()
            .filter(|b| membership::is_within(b, order, provider))
            .map(|b| (b.id, (b.lane, b.state)))
    }
}
