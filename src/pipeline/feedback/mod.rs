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
//! Limit: constant memory; one statement reference is read once.

mod apply;
mod book;
mod doubts;
mod entries;
mod entry;
mod files;
mod lanes;
mod late;
mod lines;
mod matching;
mod parse;
mod parse_camt;
mod parse_returns;
mod recalls;
mod repayments;
pub(crate) mod reports;
mod returns;
mod settle;
mod settlement;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Context, recovery};
use crate::domain::ids::{Code, MessageId};
use crate::iso20022::sniff::sniff;
use crate::iso20022::values::MessageKind;
use crate::iso20022::xml_fault::{Limits, XmlError};
use crate::store::StoreError;
use crate::store::feedback::{self, MessageCounts, NewMessage};
use apply::Applier;
pub use parse::ParseError;
pub use settlement::SettlementError;

/// Why a message was refused. The database is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// The file cannot be opened.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// Not XML that can be trusted.
    #[error("is refused")]
    Xml(#[source] XmlError),
    /// Not a whole settlement file.
    #[error("is refused")]
    Settlement(#[source] SettlementError),
    /// Another kind of message.
    #[error("is a {0:?} message, which is not read here")]
    Kind(MessageKind),
    /// The database was gone before it was this message's turn.
    #[error("was not tried: the database is gone")]
    NotTried,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for FeedbackError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a message came to.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Imported {
    /// Its number.
    pub message: Option<MessageId>,
    /// Imported before: nothing was done.
    pub already: bool,
    /// `pain.002`, `camt.052`, `camt.053`, `camt.054`, `pacs.004`, `camt.029`, `settlement`.
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
                let result = if gone.load(Ordering::Relaxed) {
                    Err(FeedbackError::NotTried)
                } else {
                    import_one(&context, &path, &stage).await
                };
                if matches!(result, Err(FeedbackError::Store(StoreError::Database(_)))) {
                    gone.store(true, Ordering::Relaxed);
                }
                results.push((at, path, result));
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
    Ok(results.into_iter().map(|(_, path, result)| (path, result)).collect())
}

async fn import_one(
    context: &Context,
    path: &Path,
    stage: &Arc<crate::telemetry::StageGuard>,
) -> Result<Imported, FeedbackError> {
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || open(&owned)).await.expect("hashing does not panic");
    let (sha256, bytes, kind) = opened?;
    let name = match kind {
        Kind::Xml(MessageKind::Pain002) => "pain.002",
        Kind::Xml(MessageKind::Camt052) => "camt.052",
        Kind::Xml(MessageKind::Camt053) => "camt.053",
        Kind::Xml(MessageKind::Camt054) => "camt.054",
        Kind::Xml(MessageKind::Pacs004) => "pacs.004",
        Kind::Xml(MessageKind::Camt029) => "camt.029",
        Kind::Xml(other) => return Err(FeedbackError::Kind(other)),
        Kind::Settlement => "settlement",
    };
    let file_name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut tx = context.store.begin().await?;
    let now = context.clock.now();
    let new = NewMessage { sha256: &sha256, kind: name, file_name: &file_name, bytes, received_at: now };
    let Some(message) = feedback::insert_message_in_tx(&mut tx, new).await? else {
        return Ok(Imported { already: true, kind: name, ..Imported::default() });
    };
    feedback::prefer_indexes_in_tx(&mut tx).await?;
    let settings = &context.config.settings.feedback;
    let limits = Limits {
        total_bytes: settings.message_bytes_max,
        depth: usize::from(settings.depth_max),
        ..Limits::default()
    };
    let (sender, mut receiver) = mpsc::channel(3);
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
    let mut applier = Applier::new(context, tx, message, now);
    let mut fault = None;
    while let Some(parsed) = receiver.recv().await {
        let lines = match &parsed {
            parse::Parsed::Lines(lines) => lines.len() as u64,
            _ => 0,
        };
        if let Err(error) = applier.take(parsed).await {
            fault = Some(error);
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
    if let Some(error) = fault {
        return Err(error.into());
    }
    let imported = applier.finish(name).await?;
    let metrics = &context.telemetry.metrics;
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
    for (result, n) in [
        ("applied", counts.applied),
        ("already", counts.already),
        ("noted", counts.noted),
        ("break", counts.breaks),
    ] {
        metrics.add_feedback(name, result, n);
    }
    metrics.add_file(crate::telemetry::metrics::Direction::In, name, "", bytes);
    Ok(imported)
}

/// What is read here.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Xml(MessageKind),
    Settlement,
}

fn open(path: &Path) -> Result<([u8; 32], u64, Kind), FeedbackError> {
    let mut file = crate::files::open(path).map_err(FeedbackError::Read)?;
    let mut first = BufReader::new(&file);
    let kind = if settlement::is_settlement(first.fill_buf().map_err(FeedbackError::Read)?) {
        Kind::Settlement
    } else {
        Kind::Xml(sniff(first).map_err(FeedbackError::Xml)?)
    };
    std::io::Seek::rewind(&mut file).map_err(FeedbackError::Read)?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 18], 0);
    loop {
        let read = file.read(&mut buffer).map_err(FeedbackError::Read)?;
        if read == 0 {
            return Ok((hash.finalize().into(), bytes, kind));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}
