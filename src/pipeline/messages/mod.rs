//! Feedback: what banks answer (pain.002, camt.052, camt.053, camt.054, pacs.004), what providers of the stream lane report and settle,
//! moves orders, batches and the books, and what households repay moves their recovery cases; what banks answer to recalls (camt.029) moves recalls.
//!
//! | phase | what happens |
//! |---|---|
//! | open | hash; a content that was imported before ends here; the kind is sniffed |
//! | read | a thread parses and hands on chunks of lines |
//! | apply | lines are matched in sets against orders; steps go into `outcome` by COPY; what does not match becomes a break |
//! | book | kept figures, totals and postings for the whole message, audit record; one commit |
//!
//! Guarantee: one transaction for each message: a truncated or malformed file changes nothing, a bad entry only opens a
//! break. Messages may come in any order and twice. Messages of one provider are applied one after the other, those of
//! different providers side by side.
//! A file may hold several messages in one envelope: each is imported by itself.
//! Limit: constant memory; 1,000 messages a file.

pub mod answers;
mod apply;
mod billing;
mod book;
mod doubts;
mod effects;
mod entries;
mod entry;
mod entry_parts;
mod entry_subjects;
mod error;
mod figures;
mod files;
mod lanes;
mod late;
mod lines;
mod matching;
mod parse;
mod parse_camt;
mod parse_returns;
mod recalls;
pub mod record;
mod repayments;
pub(crate) mod reports;
mod returns;
pub mod set_aside;
mod settle;
mod settlement;
mod source;
mod statements;
pub mod upload;
mod wording;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::domain::ids::{Code, MessageId};
use crate::iso20022::xml::fault::Limits;
use crate::pipeline::Context;
use crate::pipeline::exceptions::recovery;
use crate::store::StoreError;
use crate::store::messages::feedback::{self, MessageCounts, NewMessage};
use apply::Applier;
pub use error::FeedbackError;
pub use parse::ParseError;
pub use settlement::SettlementError;
pub use source::left_alone;
use source::{Kind, Opened};

/// What a message came to.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Imported {
    /// Its number.
    pub message: Option<MessageId>,
    /// Imported before, as this message: nothing was done.
    pub already: bool,
    /// Name of the file that it was imported from before.
    pub first_file: Option<String>,
    /// Its place in the file, from 1, and how many messages the file holds.
    pub document: u32,
    /// How many messages the file holds.
    pub documents: u32,
    /// What is missing, where the message says nothing at all.
    pub empty: Option<&'static str>,
    /// `pain.002`, `camt.052`, `camt.053`, `camt.054`, `pacs.002`, `pacs.004`, `camt.029`, `camt.086`, `settlement`.
    pub kind: &'static str,
    /// Its entries.
    pub counts: MessageCounts,
    /// What was odd about it.
    pub warnings: Vec<String>,
}

/// Imports messages: each by itself, those of one provider in the order given, providers side by side.
///
/// # Errors
/// When the database is gone before anything was read; what is wrong with a message is told beside its path.
pub async fn import(
    context: &Context,
    paths: Vec<PathBuf>,
) -> Result<Vec<(PathBuf, Result<Imported, FeedbackError>)>, StoreError> {
    import_with(context, paths, Storm::SetAside).await
}

/// What is done with a message that opens more breaks than a message may by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storm {
    /// It is set aside whole.
    SetAside,
    /// A person looked at it: it is applied.
    Accept,
}

async fn import_with(
    context: &Context,
    paths: Vec<PathBuf>,
    storm: Storm,
) -> Result<Vec<(PathBuf, Result<Imported, FeedbackError>)>, StoreError> {
    let lanes = lanes::Lanes::open(context).await?;
    let mut by_lane: BTreeMap<lanes::Lane, Vec<(usize, PathBuf)>> = BTreeMap::new();
    for (at, path) in paths.into_iter().enumerate() {
        by_lane.entry(lanes.of(&path)).or_default().push((at, path));
    }
    let lanes = by_lane;
    let stage = Arc::new(context.telemetry.stage("feedback", "entries", None));
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let gone = Arc::new(AtomicBool::new(false));
    let slots = Arc::new(tokio::sync::Semaphore::new(workers));
    let mut tasks = tokio::task::JoinSet::new();
    // Longest lane first, so that the last worker is not left with it.
    let mut lanes: Vec<_> = lanes.into_values().collect();
    lanes.sort_by_key(|lane| {
        std::cmp::Reverse(lane.iter().map(|(_, p)| p.metadata().map_or(0, |m| m.len())).sum::<u64>())
    });
    for lane in lanes {
        let (context, stage, slots) = (context.clone(), Arc::clone(&stage), Arc::clone(&slots));
        let gone = Arc::clone(&gone);
        tasks.spawn(async move {
            let _slot = slots.acquire().await.expect("the semaphore is not closed");
            let mut results = Vec::new();
            for (at, path) in lane {
                // A database that is gone is gone for all: the rest is left for the next start.
                let of_file = if gone.load(Ordering::Relaxed) {
                    vec![Err(FeedbackError::NotTried)]
                } else {
                    import_file(&context, &path, &stage, storm).await
                };
                if matches!(of_file.last(), Some(Err(FeedbackError::Store(StoreError::Database(_))))) {
                    gone.store(true, Ordering::Relaxed);
                }
                results.extend(of_file.into_iter().map(|result| (at, path.clone(), result)));
            }
            results
        });
    }
    let mut results = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        results.extend(joined.expect("import tasks do not panic"));
    }
    results.sort_by_key(|(at, ..)| *at);
    // Cases are followed again before anything is done with them: a fault here loses nothing.
    if results.iter().any(|(_, _, result)| result.is_ok())
        && let Err(error) = recovery::follow(context).await
    {
        tracing::warn!(%error, "recovery cases were not followed to their payments");
    }
    let results: Vec<_> = results.into_iter().map(|(_, path, result)| (path, result)).collect();
    set_aside::follow(context, &results).await;
    Ok(results)
}

/// Most messages of one file.
const DOCUMENTS_MAX: u32 = 1_000;

/// Imports all messages of a file, each with a result of its own.
async fn import_file(
    context: &Context,
    path: &Path,
    stage: &Arc<crate::telemetry::StageGuard>,
    storm: Storm,
) -> Vec<Result<Imported, FeedbackError>> {
    let mut results = Vec::new();
    let mut documents = 1;
    while (results.len() as u32) < documents {
        let place = results.len() as u32;
        let mut result = import_one(context, path, place, stage, storm).await;
        if place == 0 {
            documents = match &result {
                Ok(imported) => imported.documents.max(1),
                // A message of a kind that is not read here may stand beside others that are.
                Err(FeedbackError::Kind(_)) => {
                    let (path, limits) = (path.to_owned(), limits(context, 0));
                    let counted = tokio::task::spawn_blocking(move || source::count(&path, limits)).await;
                    counted.expect("counting does not panic").unwrap_or(1)
                }
                Err(_) => 1,
            };
            if documents > DOCUMENTS_MAX {
                results.push(result);
                results.push(Err(FeedbackError::TooManyMessages(documents)));
                return results;
            }
        }
        if let Ok(imported) = &mut result {
            (imported.document, imported.documents) = (place + 1, documents);
        }
        let gone = matches!(result, Err(FeedbackError::Store(StoreError::Database(_))));
        results.push(result);
        if gone {
            break;
        }
    }
    results
}

fn limits(context: &Context, message: u32) -> Limits {
    let settings = &context.config.settings.feedback;
    Limits {
        total_bytes: settings.message_bytes_max,
        depth: usize::from(settings.depth_max),
        message,
        ..Limits::default()
    }
}

async fn import_one(
    context: &Context,
    path: &Path,
    place: u32,
    stage: &Arc<crate::telemetry::StageGuard>,
    storm: Storm,
) -> Result<Imported, FeedbackError> {
    let limits = limits(context, place);
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || source::open(&owned, limits)).await;
    let Opened { sha256, bytes, kind } = opened.expect("hashing does not panic")?;
    let name = kind.name()?;
    let file_name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut tx = context.store.begin().await?;
    let now = context.clock.now();
    let new = NewMessage { sha256: &sha256, kind: name, file_name: &file_name, bytes, received_at: now };
    let Some(message) = feedback::insert_message_in_tx(&mut tx, new).await? else {
        let before = feedback::message_of_in_tx(&mut tx, &sha256).await?;
        return Ok(Imported {
            message: Some(before.id),
            already: true,
            first_file: Some(before.file_name),
            kind: name,
            counts: before.counts,
            documents: before.documents,
            ..Imported::default()
        });
    };
    feedback::prefer_indexes_in_tx(&mut tx).await?;
    let mut applier = Applier::new(context, tx, message, now);
    let breaks_max = match storm {
        Storm::SetAside => context.config.settings.feedback.breaks_max,
        Storm::Accept => u64::MAX,
    };
    let span = tracing::info_span!(parent: stage.span(), "message", message = message.get(), kind = name);
    let applied = apply_all(&mut applier, read(context, path, kind, limits), stage, breaks_max);
    applied.instrument(span).await?;
    let imported = applier.finish(name).await?;
    let counts = imported.counts;
    let message = message.get();
    stage.span().in_scope(|| {
        tracing::info!(
            message,
            kind = name,
            counts.entries,
            counts.applied,
            counts.breaks,
            "message imported"
        );
    });
    count(context, name, counts);
    context.telemetry.metrics.add_file(crate::telemetry::Direction::In, name, "", bytes);
    Ok(imported)
}

/// Applies a message as it is read. What is wrong with the message goes before what goes wrong here.
async fn apply_all(
    applier: &mut Applier<'_>,
    (reader, mut receiver): Reading,
    stage: &crate::telemetry::StageGuard,
    breaks_max: u64,
) -> Result<(), FeedbackError> {
    let mut fault = None;
    while let Some(parsed) = receiver.recv().await {
        let lines = match &parsed {
            parse::Parsed::Lines(lines) => lines.len() as u64,
            _ => 0,
        };
        if let Err(error) = applier.take(parsed).await {
            fault = Some(error.into());
            break;
        }
        let breaks = applier.breaks();
        if breaks > breaks_max {
            fault = Some(FeedbackError::BreakStorm { breaks, limit: breaks_max });
            break;
        }
        stage.add(lines);
    }
    drop(receiver);
    match reader.await.expect("parsing does not panic") {
        Ok(()) => {}
        Err(ParseError::Read(error)) => return Err(FeedbackError::Read(error)),
        Err(ParseError::Xml(error)) => return Err(FeedbackError::Xml(error)),
        Err(ParseError::Settlement(error)) => return Err(FeedbackError::Settlement(error)),
    }
    fault.map_or(Ok(()), Err)
}

/// A message that is being read: the thread, and what comes from it.
type Reading = (JoinHandle<Result<(), ParseError>>, mpsc::Receiver<parse::Parsed>);

/// Reads a message on a thread of its own.
fn read(context: &Context, path: &Path, kind: Kind, limits: Limits) -> Reading {
    let (sender, receiver) = mpsc::channel(3);
    let source = path.to_owned();
    let config = Arc::clone(&context.config);
    let reader = tokio::task::spawn_blocking(move || match kind {
        Kind::Xml(kind) => parse::parse(&source, kind, limits, &config.reasons, &sender),
        Kind::Settlement => {
            let file = crate::files::open(&source).map_err(ParseError::Read)?;
            let find = |code: &Code| config.router.by_code(code.as_str()).map(|(_, p)| p.clone());
            Ok(settlement::parse(BufReader::new(file), find, &sender)?)
        }
    });
    (reader, receiver)
}

/// Counts a message's entries by what became of them.
fn count(context: &Context, kind: &'static str, counts: MessageCounts) {
    for (result, n) in [
        ("applied", counts.applied),
        ("already", counts.already),
        ("noted", counts.noted),
        ("break", counts.breaks),
    ] {
        context.telemetry.metrics.add_feedback(kind, result, n);
    }
}
