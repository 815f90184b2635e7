//! Sandbox banks: they answer order files as banks do, from a seed, with their own clock.
//!
//! Input: `outbox/<provider>/NAME.xml` (pain.001, camt.055), complete once `NAME.xml.sha256` lies beside it. Output, in
//! `inbox/<provider>/`:
//!
//! | file | what it tells |
//! |---|---|
//! | `pain002_<MsgId>.xml` | the file is accepted, in part or not at all; rejected orders with their reason |
//! | `camt054_<MsgId>.xml` | some of the returned orders, ahead of the statement |
//! | `camt053_<provider>_<date>_<n>.xml` | one debit a file, a credit for each return, balances carried on |
//! | `pacs004_<provider>_<date>_<n>.xml` | orders that come back days after they arrived, also credited on a statement |
//! | `camt029_<CaseId>_answered.xml` | what is said to a recall; `_decided` where it was pending first |
//!
//! Guarantee: everything hangs on seed, clock and the files' content, not on the order of calls; answering again
//! answers only what is new; killed at any instant and started again with the same options, it ends in the same
//! files. An answer appears whole or not at all. Memory does not grow with the size of a file. A file that is
//! damaged, or whose message id was used before, is refused by a pain.002, never passed over.
//! Limit: for demonstrations and tests; no database, no network; one sandbox at a time on an inbox.

mod answer;
mod bank;
mod fate;
mod hashing;
mod later;
mod notify;
mod options;
mod spool;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bank::Bank;
use state::Record;

use super::SandboxError;
use crate::domain::ids::Code;
use crate::telemetry::Telemetry;

pub use options::{Faults, Rates, SandboxOptions, StatusStyle};
pub use state::Tally;

/// Files are answered by so many threads.
const WORKERS: usize = 2;

/// The sandbox banks of an outbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// What they were told.
    pub options: SandboxOptions,
}

/// What was answered.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The files delivered, in an order fit for import: reports, notifications, statements by number; by name, if
    /// names are shuffled.
    pub files: Vec<PathBuf>,
    /// Orders read.
    pub orders: u64,
    /// Of these, rejected, singly or with their file.
    pub rejected: u64,
    /// Of these, debited and returned.
    pub returned: u64,
    /// Orders that came back days after they had arrived, these recalled or by themselves.
    pub late: u64,
    /// Recalls answered.
    pub recalls: u64,
    /// The same for each provider.
    pub providers: BTreeMap<Code, Figures>,
}

/// A provider's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Order files answered.
    pub files: u64,
    /// Of these, refused as a whole.
    pub refused_files: u64,
    /// Orders read.
    pub orders: Tally,
    /// Of these, rejected, singly or with their file.
    pub rejected: Tally,
    /// Of these, returned; amounts as ordered.
    pub returned: Tally,
    /// What the statements debit.
    pub debited: Tally,
    /// What the statements credit; differs from the returns only by faults.
    pub credited: Tally,
}

impl Sandbox {
    /// Banks that were told so.
    pub fn new(options: SandboxOptions) -> Self {
        Self { options }
    }

    /// Answers every complete order file that has no answer yet. `progress` is told how many orders more were read,
    /// from several threads.
    ///
    /// # Errors
    /// See [`SandboxError`]; call again to go on from where it stopped.
    pub fn answer_all(&self, progress: &(dyn Fn(u64) + Sync)) -> Result<Answers, SandboxError> {
        let mut answers = Answers::default();
        // A plan that was left by a kill comes first, then what has come since.
        loop {
            let banks = self.open_banks()?;
            if banks.is_empty() {
                break;
            }
            let jobs: Vec<_> =
                banks.iter().flat_map(|bank| bank.plan.files.iter().map(move |file| (bank, file))).collect();
            let mut records =
                in_parallel(&jobs, |(bank, file)| answer::answer(bank, file, progress))?.into_iter();
            let work: Vec<(&Bank<'_>, Vec<Record>)> = banks
                .iter()
                .map(|bank| (bank, records.by_ref().take(bank.plan.files.len()).collect()))
                .collect();
            let statements = in_parallel(&work, |(bank, records)| end(bank, records))?;
            for ((bank, records), statements) in work.iter().zip(statements) {
                answers.add(bank, records, &statements);
            }
        }
        answers.sort(self.options.faults.shuffled_names);
        Ok(answers)
    }

    /// The same on a thread of its own, with its progress on the terminal.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn answer_with_progress(self, telemetry: &Telemetry) -> Result<Answers, SandboxError> {
        let stage = telemetry.stage("sandbox", "orders", None);
        let answered = tokio::task::spawn_blocking(move || self.answer_all(&|orders| stage.add(orders)));
        answered.await.expect("banks do not panic")
    }

    /// The banks that have something to do, by code.
    fn open_banks(&self) -> Result<Vec<Bank<'_>>, SandboxError> {
        let outbox = &self.options.outbox;
        let mut providers = Vec::new();
        for entry in fs::read_dir(outbox).map_err(SandboxError::io(outbox))? {
            let path = entry.map_err(SandboxError::io(outbox))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') {
                let code = Code::parse(&name);
                providers.push(code.map_err(|_| SandboxError::NotAProvider { path: path.clone() })?);
            }
        }
        providers.sort_unstable();
        let mut banks = Vec::new();
        for provider in providers {
            banks.extend(Bank::open(&self.options, provider)?);
        }
        Ok(banks)
    }
}

/// Ends a plan whose files are all answered: statements, then the memory.
fn end(bank: &Bank<'_>, records: &[Record]) -> Result<Vec<String>, SandboxError> {
    let mut memory = bank.memory()?;
    let mut names = notify::statements(bank, records, &mut memory)?;
    for record in records {
        names.extend(answer::contradict(bank, record)?);
    }
    names.extend(later::send_returns(bank)?);
    memory.later.retain(|later| later.due > bank.now().date());
    later::remember(bank, records, &mut memory);
    names.extend(later::answer_recalls(bank, &mut memory)?);
    memory.answered.extend(records.iter().map(|record| (record.name.clone(), record.msg_id.clone())));
    memory.plans = bank.plan.number;
    bank.end_plan(&memory)?;
    Ok(names)
}

impl Answers {
    fn add(&mut self, bank: &Bank<'_>, records: &[Record], statements: &[String]) {
        let figures = self.providers.entry(bank.provider.clone()).or_default();
        for record in records {
            figures.files += 1;
            figures.orders.add(record.orders);
            figures.rejected.add(record.rejected);
            figures.returned.add(record.returned);
            match &record.booking {
                Some(booking) => {
                    figures.debited.add(booking.debit);
                    figures.credited.add(booking.credits);
                }
                None => figures.refused_files += 1,
            }
            self.orders += record.orders.orders;
            self.rejected += record.rejected.orders;
            self.returned += record.returned.orders;
        }
        let late: Vec<_> = later::due_returns(bank).into_values().flatten().collect();
        late.iter().for_each(|back| figures.credited.count(back.item.amount));
        self.late += late.len() as u64;
        self.recalls += bank.plan.recalls.len() as u64;
        let names = records.iter().flat_map(|record| &record.answers).chain(statements);
        self.files.extend(names.map(|name| bank.answer_path(name)));
    }

    fn sort(&mut self, shuffled: bool) {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if shuffled {
            self.files.sort_by_cached_key(name);
        } else {
            // Stable: within a kind they keep the order in which they were made, so statements ascend.
            self.files.sort_by_cached_key(|path| {
                let name = name(path);
                // What contradicts the statements comes after them.
                let kinds = ["pain002", "camt054", "camt053", "pacs004", "camt029"];
                let kind = kinds.iter().position(|kind| name.starts_with(kind));
                (name.contains("_after"), kind)
            });
        }
    }
}

/// Does the work for all items with [`WORKERS`] threads; results in the items' order, or the first error.
fn in_parallel<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    done.lock().expect("no worker panics while it holds the lock").push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("the workers have ended");
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
