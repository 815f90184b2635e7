//! Works off a shard: its orders are handed over chunk by chunk, each chunk intended first.
//!
//! Input: a shard under lease. Output: how it ended.
//! Guarantee: no order is handed over without its intent committed under the lease; what got no readable answer is unknown
//! when this returns; a stop finishes what was intended. Limit: one chunk of rows in memory, and as many requests under
//! way as the provider's concurrency allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::{JoinHandle, JoinSet};

use super::provider_stream::ProviderStream;
use super::stop::Stop;
use crate::domain::ids::{Code, OrderId};
use crate::pipeline::dispatch::stream::{self, Named};
use crate::pipeline::runs::as_written;
use crate::store::batches::shards::{self, Shard};
use crate::store::{Store, StoreError, runs};

/// How long a shard whose rows were changed by hand waits for somebody to look.
const ALTERED_PAUSE: time::Duration = time::Duration::minutes(15);

/// Most orders intended at once.
const CHUNK_ORDERS_MAX: u32 = 2_000;

/// How work on a shard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its orders were handed over.
    Done,
    /// To be gone on with at a later time: the provider is closed, or took what it takes a day.
    Later(OffsetDateTime),
    /// Another worker holds it by now.
    Lost,
    /// Stopped, or the provider does not answer: whoever comes next may go on at once.
    Stopped,
}

impl ProviderStream {
    /// Works off one shard and gives it back.
    pub(super) async fn work(self: &Arc<Self>, shard: Shard, stop: &Stop) -> Result<Ended, StoreError> {
        let renewal = Renewal::begin(self.context.store.clone(), shard.clone(), self.lease_s());
        if shard.fence > 1 {
            let unanswered = shards::unanswered(&self.context.store, &shard).await?;
            stream::lose(&self.context, self.code(), &unanswered, "taken over").await?;
        }
        let altered = as_written::altered_orders(&self.context, shard.run, shard.next, shard.last).await?;
        if let Some(rows) = altered {
            tracing::error!(
                shard = shard.id,
                run = shard.run.get(),
                rows,
                "orders are not as they were written"
            );
            let later = self.context.clock.now() + ALTERED_PAUSE;
            shards::give_back(&self.context.store, &shard, false, Some(later)).await?;
            return Ok(Ended::Later(later));
        }
        let ended = self.hand_over_all(shard.clone(), stop, &renewal).await?;
        drop(renewal);
        match ended {
            Ended::Done => shards::give_back(&self.context.store, &shard, true, None).await?,
            Ended::Later(at) => shards::give_back(&self.context.store, &shard, false, Some(at)).await?,
            Ended::Stopped => shards::give_back(&self.context.store, &shard, false, None).await?,
            Ended::Lost => tracing::warn!(shard = shard.id, provider = self.code(), "lease lost"),
        }
        Ok(ended)
    }

    async fn hand_over_all(
        self: &Arc<Self>,
        mut shard: Shard,
        stop: &Stop,
        renewal: &Renewal,
    ) -> Result<Ended, StoreError> {
        let programme = self.programme(&shard).await?;
        let mut calls = JoinSet::new();
        let mut fault = None;
        let ended = loop {
            if stop.is_requested() {
                break Ended::Stopped;
            }
            if renewal.is_lost() {
                break Ended::Lost;
            }
            match self.next_chunk(&mut shard, &programme, stop).await {
                Ok(Next::Chunk(chunk)) => self.hand_over(chunk, &mut calls, stop).await,
                Ok(Next::Ended(ended)) => break ended,
                Err(error) => {
                    fault = Some(error);
                    break Ended::Stopped;
                }
            }
        };
        // What was intended is brought to its end, whatever happened to the rest.
        while let Some(joined) = calls.join_next().await {
            if let Err(error) = joined.expect("calls do not panic") {
                fault.get_or_insert(error);
            }
        }
        fault.map_or(Ok(ended), Err)
    }

    /// Waits for the provider to be open, there and ready for more, then intends the next chunk.
    async fn next_chunk(&self, shard: &mut Shard, programme: &Code, stop: &Stop) -> Result<Next, StoreError> {
        if let Some(opens) = self.closed_until() {
            return Ok(Next::Ended(Ended::Later(opens)));
        }
        if !self.is_there(stop).await {
            return Ok(Next::Ended(Ended::Stopped));
        }
        let limit = self.chunk_orders().min(CHUNK_ORDERS_MAX);
        let waiting = shards::waiting(&self.context.store, shard, limit).await?;
        let Some(last) = waiting.last().map(|w| w.order) else { return Ok(Next::Ended(Ended::Done)) };
        match self.granted(waiting.len()).await? {
            None => return Ok(Next::Ended(Ended::Later(self.next_day()))),
            Some(pause) if !stop.sleep(pause).await => return Ok(Next::Ended(Ended::Stopped)),
            Some(_) => {}
        }
        let next = OrderId::new(last.get() + 1);
        let ids: Vec<i64> = waiting.iter().map(|w| w.order.get()).collect();
        let lease = Some((&*shard, next, self.lease_s()));
        let Some(leaving) = stream::intend(&self.context, self.code(), &ids, lease).await? else {
            return Ok(Next::Ended(Ended::Lost));
        };
        shard.next = next;
        let mut chunk = stream::name(programme, &self.provider, &waiting)?;
        chunk.retain(|named| leaving.binary_search(&named.order.get()).is_ok());
        Ok(Next::Chunk(chunk))
    }

    /// Hands a chunk over, as many orders a request as the provider takes, as many requests at once as it allows.
    async fn hand_over(
        self: &Arc<Self>,
        chunk: Vec<Named>,
        calls: &mut JoinSet<Result<(), StoreError>>,
        stop: &Stop,
    ) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(self.orders_per_call()));
            let piece = std::mem::replace(&mut rest, tail);
            let permit = self.pace.take(piece.len()).await;
            let (lane, stop) = (Arc::clone(self), stop.clone());
            calls.spawn(async move { lane.call(piece, permit, &stop).await });
        }
    }

    async fn programme(&self, shard: &Shard) -> Result<Code, StoreError> {
        let mut tx = self.context.store.begin().await?;
        let run = runs::find_in_tx(&mut tx, shard.run, false)
            .await?
            .ok_or(StoreError::Corrupt("run of a shard"))?;
        tx.rollback().await?;
        Code::parse(&run.programme).map_err(|_| StoreError::Corrupt("programme"))
    }
}

enum Next {
    Chunk(Vec<Named>),
    Ended(Ended),
}

/// Renews the lease while its worker waits for the provider; tells when it is lost.
struct Renewal {
    lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Renewal {
    fn begin(store: Store, shard: Shard, lease_s: u32) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&lost);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(u64::from(lease_s)) / 3).await;
                match shards::renew(&store, &shard, lease_s).await {
                    Ok(true) => {}
                    Ok(false) => return tell.store(true, Ordering::Relaxed),
                    Err(error) => tracing::warn!(%error, "lease not renewed"),
                }
            }
        });
        Self { lost, task }
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.task.abort();
    }
}
