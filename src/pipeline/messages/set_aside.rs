//! What cannot be taken as it came is set aside: the file is kept whole, with why, a text for the bank, and a way to try it again.
//!
//! Guarantee: the same for the watcher and for a person; nothing of the file was applied; what is tried again is byte for byte what
//! came; the copy goes once something came of it. Limit: a whole file, however many messages it holds.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{FeedbackError, Imported, Storm, import_with};
use crate::domain::hex;
use crate::domain::hint::{self, Hint, NextStep};
use crate::domain::not_found::Entity;
use crate::files;
use crate::iso20022::values::MessageKind;
use crate::pipeline::Context;
use crate::pipeline::refusal::{Refusal, person};
use crate::store::StoreError;
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::messages::set_aside::{self, NewSetAside, SetAside};

/// Why a file that was set aside cannot be tried or dismissed.
#[derive(Debug, thiserror::Error)]
pub enum SetAsideError {
    /// There is none of that number, the person may not do this, or the database.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something came of it before.
    #[error("file `{id}` was {settlement} before")]
    Settled {
        /// Which.
        id: i64,
        /// What came of it.
        settlement: String,
    },
    /// Its copy is not what came.
    #[error("the copy of file `{0}` is not there, or is another")]
    Copy(i64),
    /// A decision needs a reason.
    #[error("a reason is needed")]
    NoReason,
}

impl Hint for SetAsideError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Settled { .. } => "leave it: `sarf feedback list --all` says what came of it".into(),
            Self::Copy(_) => "give the file itself: sarf feedback import FILE".into(),
            Self::NoReason => "say in a sentence why: --why \"…\"".into(),
        })
    }
}

impl From<StoreError> for SetAsideError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SetAsideError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Settled { .. } => Self::Settled { id: 3, settlement: "applied".into() },
    Self::Copy(_) => Self::Copy(3),
    Self::NoReason => Self::NoReason,
});

/// Whether a file that ended so is set aside: the fault is in the file, and a person or the bank is to mend it.
fn concerns(error: &FeedbackError) -> bool {
    match error {
        FeedbackError::Kind(kind) => *kind == MessageKind::Unknown,
        other => !other.passes(),
    }
}

/// Keeps what became of files: those at fault are set aside, those that were taken after all wait no more. A file that cannot be
/// copied is told in the log: what it says was not lost, it lies where it lay.
pub(super) async fn follow(context: &Context, results: &[(PathBuf, Result<Imported, FeedbackError>)]) {
    let waiting = set_aside::list(&context.store, false).await.unwrap_or_default();
    let mut at = 0;
    while let Some((path, _)) = results.get(at) {
        let of_file = results[at..].iter().take_while(|(other, _)| other == path).count();
        let fault = results[at..at + of_file].iter().filter_map(|(_, result)| result.as_ref().err());
        let kept = match fault.clone().find(|error| concerns(error)) {
            Some(error) => keep(context, path, error).await.map(|_| ()),
            None if fault.count() == 0 && may_wait(&waiting, path) => taken(context, path).await,
            None => Ok(()),
        };
        if let Err(error) = kept {
            tracing::warn!(error = error.to_string(), "a file of messages could not be set aside");
        }
        at += of_file;
    }
}

/// Whether a file may be one that waits: only then it is hashed once more.
fn may_wait(waiting: &[SetAside], path: &Path) -> bool {
    path.metadata().is_ok_and(|found| waiting.iter().any(|aside| aside.bytes == found.len() as i64))
}

async fn keep(context: &Context, path: &Path, error: &FeedbackError) -> std::io::Result<i64> {
    let folder = folder(context);
    files::home_folder(&folder)?;
    let (from, into) = (path.to_owned(), folder.clone());
    let copied = tokio::task::spawn_blocking(move || copy(&from, &into)).await;
    let (sha256, bytes) = copied.expect("copying does not panic")?;
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let breaks = match error {
        FeedbackError::BreakStorm { breaks, .. } => Some(*breaks),
        _ => None,
    };
    let why = hint::chain(error);
    let new =
        NewSetAside { sha256: &sha256, file_name: &name, bytes, why: &why, breaks, at: context.clock.now() };
    let write = async || -> Result<i64, StoreError> {
        let mut tx = context.store.begin().await?;
        let id = set_aside::keep_in_tx(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(id)
    };
    write().await.map_err(std::io::Error::other)
}

/// A file was taken: where it waited, it waits no more.
async fn taken(context: &Context, path: &Path) -> std::io::Result<()> {
    let path = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash(&path)).await;
    let sha256 = hashed.expect("hashing does not panic")?;
    let write = async || -> Result<(), StoreError> {
        let mut tx = context.store.begin().await?;
        let waited =
            set_aside::settle_in_tx(&mut tx, &sha256, "applied", "sarf", context.clock.now()).await?;
        tx.commit().await?;
        if waited {
            drop_copy(context, &sha256);
        }
        Ok(())
    };
    write().await.map_err(std::io::Error::other)
}

/// Takes the copy of a file that waits no more away: what banks write is personal.
fn drop_copy(context: &Context, sha256: &[u8]) {
    if let Err(error) = std::fs::remove_file(folder(context).join(hex(sha256))) {
        tracing::warn!(%error, "the copy of a file that was set aside could not be removed");
    }
}

fn folder(context: &Context) -> PathBuf {
    context.home.join("set-aside")
}

/// Copies a file under its hash; its hash and length.
fn copy(from: &Path, folder: &Path) -> std::io::Result<([u8; 32], u64)> {
    let sha256 = hash(from)?;
    let target = folder.join(hex(&sha256));
    let (mut source, draft) = (files::open(from)?, files::Draft::begin(&target)?);
    let bytes = std::io::copy(&mut source, &mut draft.file())?;
    draft.file().flush()?;
    draft.keep()?;
    Ok((sha256, bytes))
}

fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let (mut file, mut hash, mut buffer) = (files::open(path)?, Sha256::new(), vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
    }
}

/// What can be sent to the bank about a file.
pub fn text_for_bank(aside: &SetAside) -> String {
    let (name, day) = (&aside.file_name, aside.set_aside_at.date());
    let sha256 = hex(&aside.sha256);
    match aside.breaks {
        Some(breaks) => format!(
            "Your file {name} (SHA-256 {sha256}), received on {day}, does not agree with our records in {breaks} places. \
             Nothing of it was booked. Please check whether it is the file that you meant to send, and what changed in it."
        ),
        None => format!(
            "Your file {name} (SHA-256 {sha256}), received on {day}, could not be read: {}. Nothing of it was booked. \
             Please send it again, corrected, under a message id of its own.",
            aside.why
        ),
    }
}

/// A file that was set aside, with its text for the bank.
///
/// # Errors
/// See [`SetAsideError`].
pub async fn show(context: &Context, id: i64) -> Result<SetAside, SetAsideError> {
    let found = set_aside::find(&context.store, id).await?;
    Ok(found.ok_or_else(|| Refusal::not_found(Entity::FileSetAside, id))?)
}

/// Tries a file again, from its copy. To have it applied with all the breaks that it opens takes an accountant.
///
/// # Errors
/// See [`SetAsideError`]; what is wrong with the file is told beside its path.
pub async fn again(
    context: &Context,
    id: i64,
    accepting: Option<&str>,
) -> Result<Vec<(PathBuf, Result<Imported, FeedbackError>)>, SetAsideError> {
    let found = waiting(context, id).await?;
    let path = folder(context).join(hex(&found.sha256));
    let owned = path.clone();
    let hashed = tokio::task::spawn_blocking(move || hash(&owned)).await.expect("hashing does not panic");
    if hashed.ok().is_none_or(|sha256| sha256.as_slice() != found.sha256) {
        return Err(SetAsideError::Copy(id));
    }
    let storm = match accepting {
        None => Storm::SetAside,
        Some(by) => {
            let detail = format!("{} breaks, {}", found.breaks.unwrap_or(0), found.file_name);
            decide(context, by, "feedback.accept_breaks", id, &detail, None).await?;
            Storm::Accept
        }
    };
    Ok(import_with(context, vec![path], storm).await?)
}

/// Dismisses a file: it is not tried again, and nobody is reminded of it.
///
/// # Errors
/// See [`SetAsideError`].
pub async fn dismiss(context: &Context, id: i64, by: &str, why: &str) -> Result<(), SetAsideError> {
    if why.trim().is_empty() {
        return Err(SetAsideError::NoReason);
    }
    let found = waiting(context, id).await?;
    decide(context, by, "feedback.dismiss", id, why, Some(&found.sha256)).await?;
    drop_copy(context, &found.sha256);
    Ok(())
}

async fn waiting(context: &Context, id: i64) -> Result<SetAside, SetAsideError> {
    let found = show(context, id).await?;
    match found.settlement {
        Some(settlement) => Err(SetAsideError::Settled { id, settlement }),
        None => Ok(found),
    }
}

/// Keeps a person's decision, and, where it ends the waiting, that.
async fn decide(
    context: &Context,
    by: &str,
    action: &str,
    id: i64,
    detail: &str,
    dismissed: Option<&[u8]>,
) -> Result<(), SetAsideError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let at = context.clock.now();
    if let Some(sha256) = dismissed {
        set_aside::settle_in_tx(&mut tx, sha256, "dismissed", by, at).await?;
    }
    let subject = format!("file {id} set aside");
    chain::append_in_tx(&mut tx, Decision { actor: by, action, subject: &subject, detail, at }).await?;
    tx.commit().await?;
    Ok(())
}
