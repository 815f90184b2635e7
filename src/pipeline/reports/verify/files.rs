//! Each file that left, written again from the rows: against the hash that was recorded, and against what lies in the outbox.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use foldhash::{HashMap, HashSet};

use crate::domain::ids::{BatchId, Code, HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::pipeline::Context;
use crate::pipeline::dispatch::files::{FileOrder, Format, MadeWith};
use crate::rails::bank_file::{AgainFile, DeliveryError};
use crate::store::StoreError;
use crate::store::batches::Batch;
use crate::store::copy::CopyRow;
use crate::store::copy::fields::Fields;
use crate::store::runs::Run;

/// Files that are named.
const NAMED_MAX: usize = 20;
/// Rows that are handed over at once.
const ROWS_AT_ONCE: usize = 1_000;

/// What was found of a run's files.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// Files that left.
    pub files: usize,
    /// Of those, the ones that still lie in the outbox.
    pub lie: usize,
    /// Those that are wrong.
    pub wrong: usize,
    /// The first of those, in words.
    pub named: Vec<String>,
}

impl Files {
    fn fault(&mut self, batch: &Batch, what: &str) {
        self.wrong += 1;
        if self.named.len() < NAMED_MAX {
            let name = batch.file_name.as_deref().unwrap_or("without a name");
            self.named.push(format!("batch {}, file {name}: {what}", batch.id));
        }
    }
}

/// Hands rows over to a thread that writes the files again.
pub(super) struct Again {
    sender: Option<mpsc::SyncSender<Vec<(BatchId, CopyRow)>>>,
    chunk: Vec<(BatchId, CopyRow)>,
    thread: JoinHandle<Files>,
    wanted: HashSet<BatchId>,
}

impl Again {
    /// Begins with the batches of a run whose files left.
    pub fn begin(context: &Context, run: &Run, batches: &[Batch], purposes: HashMap<i16, Code>) -> Self {
        let outbox = context.home.join("outbox");
        let mut slots = HashMap::default();
        let mut found = Files::default();
        for batch in batches.iter().filter(|b| b.file_sha256.is_some()) {
            found.files += 1;
            match format_of(context, run, batch) {
                Ok(format) => {
                    slots.insert(
                        batch.id,
                        Slot { batch: batch.clone(), format, open: None, orders: 0, over: false },
                    );
                }
                Err(what) => found.fault(batch, &what),
            }
        }
        let wanted = slots.keys().copied().collect();
        let (sender, receiver) = mpsc::sync_channel::<Vec<(BatchId, CopyRow)>>(4);
        let thread = std::thread::spawn(move || Writer { outbox, purposes, slots, found }.run(&receiver));
        Self { sender: Some(sender), chunk: Vec::new(), thread, wanted }
    }

    /// An order that left in a batch.
    pub fn order(&mut self, batch: BatchId, row: CopyRow) {
        if !self.wanted.contains(&batch) {
            return;
        }
        self.chunk.push((batch, row));
        if self.chunk.len() == ROWS_AT_ONCE {
            self.send();
        }
    }

    fn send(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(ROWS_AT_ONCE));
        if let Some(sender) = &self.sender {
            // A full channel: the thread writes slower than rows come. One that has ended tells at the end.
            let _ = tokio::task::block_in_place(|| sender.send(chunk));
        }
    }

    /// All orders were told.
    pub fn finish(mut self) -> Files {
        self.send();
        self.sender = None;
        tokio::task::block_in_place(|| self.thread.join()).expect("the writing thread does not panic")
    }
}

/// How a batch's file was made: as fixed with its intent; those from before that was kept, as configured.
fn format_of(context: &Context, run: &Run, batch: &Batch) -> Result<Format, String> {
    let with = match &batch.made_with {
        Some(with) => serde_json::from_value(with.clone())
            .map_err(|_| "what it was made with cannot be read".to_owned())?,
        None => {
            let known = context.config.router.by_code(&batch.provider);
            let (_, provider) =
                known.ok_or_else(|| format!("provider {} is not configured", batch.provider))?;
            MadeWith::configured(&context.config, &run.programme, provider).map_err(|e| e.to_string())?
        }
    };
    Format::new(with).map_err(|e| e.to_string())
}

struct Slot {
    batch: Batch,
    format: Format,
    open: Option<AgainFile>,
    orders: i64,
    over: bool,
}

struct Writer {
    outbox: PathBuf,
    purposes: HashMap<i16, Code>,
    slots: HashMap<BatchId, Slot>,
    found: Files,
}

#[derive(Debug, thiserror::Error)]
enum AgainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("its content does not make a file any more")]
    Content(#[from] DeliveryError),
}

impl Writer {
    fn run(mut self, receiver: &mpsc::Receiver<Vec<(BatchId, CopyRow)>>) -> Files {
        while let Ok(chunk) = receiver.recv() {
            for (batch, row) in chunk {
                let Some(slot) = self.slots.get_mut(&batch).filter(|slot| !slot.over) else { continue };
                let done = slot.write(&self.outbox, &self.purposes, &row);
                let ended = match done {
                    Ok(()) if slot.orders < slot.batch.orders => continue,
                    Ok(()) => slot.end(&mut self.found),
                    Err(error) => Err(error),
                };
                slot.over = true;
                slot.open = None;
                if let Err(error) = ended {
                    self.found.fault(&slot.batch, &error.to_string());
                }
            }
        }
        for slot in self.slots.values().filter(|slot| !slot.over) {
            let what = format!("{} orders left, {} rows are there", slot.batch.orders, slot.orders);
            self.found.fault(&slot.batch, &what);
        }
        self.found
    }
}

impl Slot {
    fn write(
        &mut self,
        outbox: &std::path::Path,
        purposes: &HashMap<i16, Code>,
        row: &CopyRow,
    ) -> Result<(), AgainError> {
        let name = self.batch.file_name.as_deref().ok_or_else(|| StoreError::Corrupt("name of a file"))?;
        let mut file = match self.open.take() {
            Some(file) => file,
            None => AgainFile::begin(outbox, &self.batch.provider, name, &self.format.header(&self.batch)?)?,
        };
        let fields = Fields::of(row.whole());
        let (order, household) = (fields.i64(0)?, fields.raw(11)?);
        let purpose = purposes.get(&fields.i16(4)?).ok_or_else(|| StoreError::Corrupt("purpose"))?;
        let order = FileOrder {
            order: OrderId::new(order),
            household: HouseholdId::parse(household).map_err(|_| StoreError::Corrupt("household id"))?,
            period: Period::from_index(fields.i32(3)?).map_err(|_| StoreError::Corrupt("period"))?,
            purpose,
            attempt: fields.i16(5)? as u16,
            amount: Centimes::new(fields.i64(10)?),
            payee: fields.raw(13)?,
        };
        self.format.transfer(&order, |transfer| file.transaction(transfer).map_err(AgainError::from))?;
        self.open = Some(file);
        self.orders += 1;
        Ok(())
    }

    fn end(&mut self, found: &mut Files) -> Result<(), AgainError> {
        let file = self.open.take().ok_or_else(|| StoreError::Corrupt("rows of a file"))?;
        let again = file.finish()?;
        found.lie += usize::from(again.lies);
        if self.batch.file_sha256.as_deref() != Some(again.sha256.as_slice()) {
            found.fault(&self.batch, "the rows give another file than the one that was recorded");
        } else if again.lies && !again.same {
            found.fault(&self.batch, "what lies in the outbox is not what left");
        }
        Ok(())
    }
}
