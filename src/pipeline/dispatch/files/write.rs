//! One worker's share of a dispatch: one scan of the orders, one open file for each provider.
//!
//! Rows come over an async connection and go, a few thousand at a time, to a thread that formats, hashes and writes;
//! finished files go on to a second thread that waits for the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use tokio::sync::mpsc;

use super::{DispatchError, Done, FileOrder, Format, MadeWith, intent};
use crate::domain::ids::{BatchId, Code, HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::pipeline::Context;
use crate::rails::bank_file::{BankFile, WrittenFile};
use crate::store::batches::{Batch, membership};
use crate::store::copy::{CopyAhead, CopyRow};
use crate::store::runs::Run;
use crate::store::{StoreError, orders};
use crate::telemetry::StageGuard;

const ROWS_AT_ONCE: usize = 2_000;

/// Writes the batches of `share`; each finished one is told to `done`.
pub(super) async fn write_share(
    context: Context,
    run: Run,
    share: Vec<Batch>,
    done: mpsc::Sender<Done>,
    stage: Arc<StageGuard>,
) -> Result<(), DispatchError> {
    let (listed, ranges): (Vec<Batch>, Vec<Batch>) = share.into_iter().partition(|b| b.listed);
    if !ranges.is_empty() {
        let source = range_source(&run, &ranges);
        write_scan(&context, &run, ranges, source, done.clone(), &stage).await?;
    }
    for batch in listed {
        let source = listed_source(&run, batch.id);
        write_scan(&context, &run, vec![batch], source, done.clone(), &stage).await?;
    }
    Ok(())
}

const COLUMNS: &str =
    "o.order_id, o.provider_id, o.household_id, o.period, u.code, o.attempt, o.amount, o.payee";

/// All orders of the share's providers between its first and last, less those that a batch left behind.
fn range_source(run: &Run, batches: &[Batch]) -> String {
    let first = batches.iter().map(|b| b.first.get()).min().unwrap_or(0);
    let last = batches.iter().map(|b| b.last.get()).max().unwrap_or(0);
    let mut providers: Vec<String> = batches.iter().map(|b| b.provider_id.to_string()).collect();
    providers.sort();
    providers.dedup();
    format!(
        "(select {COLUMNS} from {} o join purpose u on u.id = o.purpose_id
           where o.order_id between {first} and {last} and o.provider_id in ({})
             and not {}
           order by o.order_id)",
        orders::leaf(run.id),
        providers.join(", "),
        membership::missed("o.order_id")
    )
}

fn listed_source(run: &Run, batch: BatchId) -> String {
    format!(
        "(select {COLUMNS} from batch_member m join {} o on o.order_id = m.order_id join purpose u on u.id = o.purpose_id
           where m.batch_id = {batch} order by o.order_id)",
        orders::leaf(run.id)
    )
}

async fn write_scan(
    context: &Context,
    run: &Run,
    batches: Vec<Batch>,
    source: String,
    done: mpsc::Sender<Done>,
    stage: &Arc<StageGuard>,
) -> Result<(), DispatchError> {
    let mut rows = CopyAhead::open(context.store.pool(), source);
    let (sender, receiver) = blocking::sync_channel::<Vec<CopyRow>>(4);
    let mut files = Files::new(context, run, batches, done, Arc::clone(stage))?;
    let writer = std::thread::spawn(move || -> Result<(), DispatchError> {
        while let Ok(chunk) = receiver.recv() {
            for row in chunk {
                files.write(row)?;
            }
        }
        files.finish()
    });
    let mut chunk = Vec::with_capacity(ROWS_AT_ONCE);
    let mut fault = None;
    loop {
        let row = match rows.next().await {
            Ok(row) => row,
            Err(error) => {
                fault = Some(error);
                None
            }
        };
        let ended = row.is_none();
        chunk.extend(row);
        if ended || chunk.len() == ROWS_AT_ONCE {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(ROWS_AT_ONCE));
            // A full channel means the disk is slower than the database: wait without holding up other tasks.
            if tokio::task::block_in_place(|| sender.send(full)).is_err() || ended {
                break;
            }
        }
    }
    drop(sender);
    let written = tokio::task::block_in_place(|| writer.join()).expect("the writing thread does not panic");
    match fault {
        Some(error) => Err(error.into()),
        None => written,
    }
}

/// The open files of a scan.
struct Files {
    outbox: std::path::PathBuf,
    /// By provider number: its configuration, its batches still to come (last first), and the open one.
    lanes: HashMap<i16, Lane>,
    finisher: Finisher,
    before: OrderId,
}

struct Lane {
    /// As configured now: for batches whose intent does not say what they are made with.
    configured: MadeWith,
    waiting: Vec<Batch>,
    open: Option<(Batch, Format, BankFile)>,
}

impl Lane {
    fn made_with(&self, batch: &Batch) -> Result<MadeWith, StoreError> {
        batch.made_with.as_ref().map_or_else(
            || Ok(self.configured.clone()),
            |with| {
                serde_json::from_value(with.clone())
                    .map_err(|_| StoreError::Corrupt("what a file is made with"))
            },
        )
    }
}

impl Files {
    fn new(
        context: &Context,
        run: &Run,
        mut batches: Vec<Batch>,
        done: mpsc::Sender<Done>,
        stage: Arc<StageGuard>,
    ) -> Result<Self, DispatchError> {
        batches.sort_by_key(|b| std::cmp::Reverse(b.first));
        let mut lanes: HashMap<i16, Lane> = HashMap::new();
        for batch in batches {
            let provider = intent::configured(context, &batch.provider)?;
            let configured = MadeWith::configured(&context.config, &run.programme, provider)?;
            let new = || Lane { configured, waiting: Vec::new(), open: None };
            lanes.entry(batch.provider_id).or_insert_with(new).waiting.push(batch);
        }
        let read_back = context.config.settings.dispatch.read_back;
        let (sender, receiver) = blocking::sync_channel::<(Batch, WrittenFile)>(2);
        let handle = std::thread::spawn(move || -> Result<(), DispatchError> {
            while let Ok((batch, file)) = receiver.recv() {
                let delivered = match &batch.file_sha256 {
                    // It left before, as this.
                    Some(recorded) => file.restore(recorded, read_back)?,
                    None => file.deliver(read_back)?,
                };
                stage.add(batch.orders as u64);
                // When nobody listens, the dispatch has failed elsewhere; the file is found again at the next start.
                let _ = done.blocking_send(Done { batch, delivered });
            }
            Ok(())
        });
        Ok(Self {
            outbox: context.home.join("outbox"),
            lanes,
            finisher: Some((sender, handle)),
            before: OrderId::new(0),
        })
    }

    fn write(&mut self, mut row: CopyRow) -> Result<(), DispatchError> {
        let order = OrderId::new(row.i64()?);
        assert!(order > self.before, "orders come in ascending order");
        self.before = order;
        let provider = row.i16()?;
        let lane = self.lanes.get_mut(&provider).expect("the scan asks for these providers only");
        // Batches were cut from this very order of rows, so they are met in their order.
        while lane.open.as_ref().is_some_and(|(batch, ..)| batch.last < order) {
            let (batch, _, file) = lane.open.take().expect("just seen");
            hand_over(&mut self.finisher, batch, file.finish()?)?;
        }
        if lane.open.is_none() {
            match lane.waiting.last() {
                Some(batch) if batch.first <= order && order <= batch.last => {}
                // An order between two batches of this share: its batch left before.
                _ => return Ok(()),
            }
            let batch = lane.waiting.pop().expect("just seen");
            let format = Format::new(lane.made_with(&batch)?)?;
            let name = batch.file_name.as_deref().ok_or(StoreError::Corrupt("intent of a batch"))?;
            let file = BankFile::begin(&self.outbox, &batch.provider, name, &format.header(&batch)?)?;
            lane.open = Some((batch, format, file));
        }
        let (_, format, file) = lane.open.as_mut().expect("opened above");
        let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
        let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
        let purpose = Code::parse(row.text()?).map_err(|_| StoreError::Corrupt("purpose"))?;
        let attempt = row.i16()? as u16;
        let amount = Centimes::new(row.i64()?);
        let payee = row.raw()?;
        let of = FileOrder { order, household, period, purpose: &purpose, attempt, amount, payee };
        format.transfer(&of, |transfer| file.transaction(transfer).map_err(DispatchError::from))
    }

    fn finish(mut self) -> Result<(), DispatchError> {
        let mut open: Vec<(Batch, Format, BankFile)> =
            self.lanes.values_mut().filter_map(|lane| lane.open.take()).collect();
        open.sort_by_key(|(batch, ..)| batch.id);
        for (batch, _, file) in open {
            hand_over(&mut self.finisher, batch, file.finish()?)?;
        }
        let unopened = self.lanes.values().flat_map(|lane| &lane.waiting).any(|batch| batch.orders > 0);
        let (sender, handle) = self.finisher.take().expect("taken once, here");
        drop(sender);
        handle.join().expect("the delivering thread does not panic")?;
        if unopened {
            return Err(StoreError::Corrupt("batch without its orders").into());
        }
        Ok(())
    }
}

type Finisher =
    Option<(blocking::SyncSender<(Batch, WrittenFile)>, std::thread::JoinHandle<Result<(), DispatchError>>)>;

/// Sends a finished file on; when the delivering thread has ended, its error is the one to tell.
fn hand_over(finisher: &mut Finisher, batch: Batch, file: WrittenFile) -> Result<(), DispatchError> {
    let (sender, _) = finisher.as_ref().expect("taken at the end only");
    if sender.send((batch, file)).is_err() {
        let (_, handle) = finisher.take().expect("taken at the end only");
        handle.join().expect("the delivering thread does not panic")?;
    }
    Ok(())
}
