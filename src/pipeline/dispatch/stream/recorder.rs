//! Groups the reports of many callers into few transactions.
//!
//! Input: reports of one provider, from many requests at once. Output: an answer to each caller once its reports are
//! committed. Guarantee: one transaction at a time for each provider, with whatever was waiting (up to 5,000 reports, or
//! one caller's own); callers of one provider never wait for another's; a stop finishes what is queued.
//! Limit: at most 50,000 reports of a provider wait in memory; who comes then waits a second and is told to come again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::hint::{Hint, NextStep};
use crate::pipeline::Context;
use crate::pipeline::messages::answers::{Judged, judge};
use crate::pipeline::messages::record::{self, Source};
use crate::rails::stream::Answer;
use crate::store::StoreError;
use crate::store::messages::feedback::MessageCounts;

/// Reports after which a transaction takes no further request in.
const GROUP_REPORTS_MAX: usize = 5_000;
/// Reports of one provider that may wait.
const QUEUED_REPORTS_MAX: usize = 50_000;
/// How long a caller waits for room in the queue.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(1);

/// Why reports were not recorded. Sending them again is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecorderError {
    /// The queue stayed full.
    #[error("too many reports are waiting")]
    Full,
    /// The service is ending.
    #[error("the service is stopping")]
    Stopped,
    /// The transaction failed; its error is in the log.
    #[error("the reports could not be recorded")]
    Failed,
}

impl Hint for RecorderError {
    fn hint(&self) -> Option<NextStep> {
        Some("send the same reports again in a moment: taking them twice changes nothing".into())
    }
}

#[cfg(test)]
crate::domain::hint::samples!(RecorderError {
    Self::Full => Self::Full,
    Self::Stopped => Self::Stopped,
    Self::Failed => Self::Failed,
});

type Record = Arc<
    dyn Fn(String, Source, Judged) -> BoxFuture<'static, Result<MessageCounts, StoreError>> + Send + Sync,
>;

/// The way in for reports. Clones share their queues.
#[derive(Clone)]
pub struct Recorder {
    record: Record,
    lanes: Arc<Mutex<Lanes>>,
}

#[derive(Default)]
struct Lanes {
    stopped: bool,
    by_provider: HashMap<String, Lane>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Lane {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

struct Job {
    source: Source,
    reports: Judged,
    done: oneshot::Sender<bool>,
    /// Given back when the reports are recorded.
    _room: OwnedSemaphorePermit,
}

impl Recorder {
    /// A recorder that writes to the context's database.
    pub fn new(context: &Context) -> Self {
        let context = context.clone();
        Self::with(Arc::new(move |provider, source, reports| {
            let context = context.clone();
            Box::pin(async move { record::record_judged(&context, &provider, source, reports).await })
        }))
    }

    fn with(record: Record) -> Self {
        Self { record, lanes: Arc::default() }
    }

    /// Queues reports of a configured provider, and returns once they are committed.
    ///
    /// # Errors
    /// See [`RecorderError`]; after any of them the reports may be sent again.
    pub async fn take(
        &self,
        provider: &str,
        source: Source,
        reports: Vec<Answer>,
    ) -> Result<(), RecorderError> {
        // Before it is put together with what others say: an answer contradicts itself, or nobody.
        let reports = judge(source, reports);
        if reports.is_empty() {
            return Ok(());
        }
        let lane = self.lane(provider)?;
        let weight = u32::try_from(reports.len().min(QUEUED_REPORTS_MAX)).expect("the limit is small");
        let room = tokio::time::timeout(ROOM_WAIT_MAX, Arc::clone(&lane.room).acquire_many_owned(weight))
            .await
            .map_err(|_| RecorderError::Full)?
            .map_err(|_| RecorderError::Stopped)?;
        let (done, recorded) = oneshot::channel();
        // Each job holds room for one report at least, so the channel never has more jobs than it has places.
        lane.jobs.try_send(Job { source, reports, done, _room: room }).map_err(|_| RecorderError::Stopped)?;
        // The lane ends when nobody can send any more.
        drop(lane);
        match recorded.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(RecorderError::Failed),
        }
    }

    /// Takes nothing more, and returns when all that is queued was recorded.
    pub async fn stop(&self) {
        let tasks = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.stopped = true;
            lanes.by_provider.clear();
            std::mem::take(&mut lanes.tasks)
        };
        for task in tasks {
            // A lane that panicked has told its callers by closing their channels.
            let _ = task.await;
        }
    }

    fn lane(&self, provider: &str) -> Result<Lane, RecorderError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.stopped {
            return Err(RecorderError::Stopped);
        }
        if let Some(lane) = lanes.by_provider.get(provider) {
            return Ok(lane.clone());
        }
        let (jobs, queue) = mpsc::channel(QUEUED_REPORTS_MAX);
        let lane = Lane { jobs, room: Arc::new(Semaphore::new(QUEUED_REPORTS_MAX)) };
        lanes.by_provider.insert(provider.to_owned(), lane.clone());
        lanes.tasks.push(tokio::spawn(work(Arc::clone(&self.record), provider.to_owned(), queue)));
        Ok(lane)
    }
}

/// Works off one provider's queue until nobody can add to it.
async fn work(record: Record, provider: String, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.recv().await {
        let mut waiting = first.reports.len();
        let mut group = vec![first];
        while waiting < GROUP_REPORTS_MAX
            && let Ok(job) = queue.try_recv()
        {
            waiting += job.reports.len();
            group.push(job);
        }
        for source in Source::ALL {
            let of_source: Vec<Job> = group.extract_if(.., |job| job.source == *source).collect();
            settle(&record, &provider, *source, of_source).await;
        }
    }
}

/// Records a group in one transaction and tells its callers.
async fn settle(record: &Record, provider: &str, source: Source, group: Vec<Job>) {
    if group.is_empty() {
        return;
    }
    let (mut reports, mut callers) = (Judged::default(), Vec::with_capacity(group.len()));
    for mut job in group {
        reports.append(std::mem::take(&mut job.reports));
        callers.push(job);
    }
    let recorded = record(provider.to_owned(), source, reports).await;
    if let Err(error) = &recorded {
        tracing::error!(provider, source = source.as_str(), error = %Chain(error), "reports could not be recorded");
    }
    for caller in callers {
        // A caller that has gone needs no answer.
        let _ = caller.done.send(recorded.is_ok());
    }
}

/// An error with its sources, for the log.
struct Chain<'a>(&'a StoreError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rails::stream::wire::Status;

    fn reports(count: usize) -> Vec<Answer> {
        let report =
            |n: usize| Answer { key: n.to_string(), status: Status::Accepted, reason: None, amount: None };
        (0..count).map(report).collect()
    }

    type Seen = Arc<Mutex<Vec<(String, usize)>>>;

    /// A recorder that writes down the groups it gets, and waits for a permit of the gate before each.
    fn recorder(gate: &Arc<Semaphore>, fails: &'static str) -> (Recorder, Seen) {
        let seen = Seen::default();
        let (kept, gate) = (Arc::clone(&seen), Arc::clone(gate));
        let record: Record = Arc::new(move |provider, _, reports| {
            let (kept, gate) = (Arc::clone(&kept), Arc::clone(&gate));
            Box::pin(async move {
                gate.acquire().await.expect("open").forget();
                kept.lock().unwrap().push((provider.clone(), reports.len()));
                if provider == fails {
                    Err(StoreError::Corrupt("test"))
                } else {
                    Ok(MessageCounts::default())
                }
            })
        });
        (Recorder::with(record), seen)
    }

    #[tokio::test]
    async fn what_waits_goes_together_and_a_stop_finishes_it() {
        let gate = Arc::new(Semaphore::new(0));
        let (recorder, seen) = recorder(&gate, "");
        let mut callers = Vec::new();
        for count in [10, 2_000, 2_000, 2_000, 1] {
            let recorder = recorder.clone();
            callers.push(tokio::spawn(async move {
                recorder.take("m2t", Source::Callback, reports(count)).await
            }));
            // So that the first is under way when the others come, and these come in order.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stopping = tokio::spawn({
            let recorder = recorder.clone();
            async move { recorder.stop().await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(recorder.take("m2t", Source::Callback, reports(1)).await, Err(RecorderError::Stopped));
        gate.add_permits(10);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Ok(()));
        }
        stopping.await.unwrap();
        let expected = [10, 6_000, 1].map(|n| ("m2t".to_owned(), n));
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn providers_do_not_wait_for_one_another_and_failures_are_told() {
        let gate = Arc::new(Semaphore::new(2));
        let (recorder, seen) = recorder(&gate, "bad");
        assert_eq!(recorder.take("bad", Source::Callback, reports(3)).await, Err(RecorderError::Failed));
        assert_eq!(recorder.take("good", Source::Upload, reports(2)).await, Ok(()));
        assert_eq!(recorder.take("good", Source::Upload, Vec::new()).await, Ok(()));
        assert_eq!(seen.lock().unwrap().len(), 2);
        // The next one is stuck; another provider's is not stuck behind it but at the gate.
        let stuck = tokio::spawn({
            let recorder = recorder.clone();
            async move { recorder.take("stuck", Source::Callback, reports(1)).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        gate.add_permits(2);
        assert_eq!(stuck.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_full_queue_turns_callers_away() {
        let gate = Arc::new(Semaphore::new(0));
        let (recorder, _) = recorder(&gate, "");
        let full = tokio::spawn({
            let recorder = recorder.clone();
            async move { recorder.take("m2t", Source::Callback, reports(QUEUED_REPORTS_MAX + 5)).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(recorder.take("m2t", Source::Callback, reports(1)).await, Err(RecorderError::Full));
        gate.add_permits(1);
        assert_eq!(full.await.unwrap(), Ok(()));
    }
}
