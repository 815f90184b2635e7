//! What travels of a file, and what is believed of a message: signed and sealed as agreed with the provider.
//!
//! Guarantee: a sealed file and a signature are made once and kept in `sealed/<provider>/`, so that what is brought again is the same
//! bytes; a message that is not as agreed is never imported, and a break says so.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::{ExchangeError, Partner};
use crate::domain::delivery::DeliveryState;
use crate::files::{self, Draft};
use crate::pipeline::Context;
use crate::rails::bank_file::{self, Standing};
use crate::rails::delivery::openpgp::{OurKeys, SealError, TheirKeys};
use crate::rails::delivery::{LocalFile, PeerError};
use crate::store::StoreError;
use crate::store::batches::deliveries::{self, Delivery};

/// What is brought: the file as it travels, and what lies beside it before it has its name.
pub(super) struct Travel {
    pub file: LocalFile,
    /// Name and content.
    pub beside: Vec<(String, Vec<u8>)>,
}

/// Our keys for a provider.
fn our_keys(context: &Context, partner: &Partner<'_>) -> Result<OurKeys, SealError> {
    OurKeys::read(&ours_path(context, partner.provider.code.as_str()))
}

/// A provider's keys.
fn their_keys(context: &Context, partner: &Partner<'_>) -> Result<TheirKeys, SealError> {
    TheirKeys::read(&theirs_path(context, partner.provider.code.as_str()))
}

/// Until when keys are valid that are used with a provider: ours, and theirs. One that cannot be read ended long ago; one that lasts for
/// ever is left out.
pub fn key_ends(context: &Context) -> Vec<(&'static str, String, OffsetDateTime)> {
    let mut found = Vec::new();
    for provider in super::partners(context) {
        let Some(terms) = &provider.delivery else { continue };
        let code = provider.code.as_str();
        let (ours, theirs) = (ours_path(context, code), theirs_path(context, code));
        let gone = |_: SealError| Some(OffsetDateTime::UNIX_EPOCH);
        // Ours open what comes too, where there are any.
        if terms.signs || ours.exists() {
            let end = OurKeys::read(&ours).map_or_else(gone, |keys| keys.end());
            found.extend(end.map(|end| ("our_key", code.to_owned(), end)));
        }
        if terms.seals || terms.expects_signed {
            let end = TheirKeys::read(&theirs).map_or_else(gone, |keys| keys.end());
            found.extend(end.map(|end| ("their_key", code.to_owned(), end)));
        }
    }
    found
}

fn ours_path(context: &Context, code: &str) -> PathBuf {
    context.home.join("secrets").join(format!("{code}.pgp"))
}

fn theirs_path(context: &Context, code: &str) -> PathBuf {
    context.home.join("keys").join(format!("{code}.asc"))
}

/// What travels of a file that left.
pub(super) async fn prepare(
    context: &Context,
    partner: &Partner<'_>,
    delivery: &Delivery,
) -> Result<Travel, ExchangeError> {
    let code = partner.provider.code.as_str();
    let outbox = context.home.join("outbox").join(code).join(&delivery.file_name);
    let plain = LocalFile {
        path: outbox,
        name: delivery.file_name.clone(),
        bytes: delivery.bytes as u64,
        sha256: hash_from(&delivery.sha256)?,
    };
    let folder = context.home.join("sealed").join(code);
    let file =
        if partner.terms.seals { sealed(context, partner, delivery, plain, &folder).await? } else { plain };
    let mut beside = Vec::new();
    if partner.terms.sends_hash {
        let text = format!("{}  {}\n", crate::domain::hex(&file.sha256), file.name);
        beside.push((format!("{}.sha256", file.name), text.into_bytes()));
    }
    if partner.terms.signs {
        let name = format!("{}.sig", file.name);
        let signature = signature(context, partner, &file, folder.join(&name)).await?;
        beside.push((name, signature));
    }
    Ok(Travel { file, beside })
}

/// The file as it is sealed: that of the first time, as long as it lies here.
async fn sealed(
    context: &Context,
    partner: &Partner<'_>,
    delivery: &Delivery,
    plain: LocalFile,
    folder: &Path,
) -> Result<LocalFile, ExchangeError> {
    let name = format!("{}.pgp", plain.name);
    let path = folder.join(&name);
    let kept = delivery.travels_sha256.as_deref().map(hash_from).transpose()?;
    if let (Some(sha256), Some(bytes)) = (kept, delivery.travels_bytes) {
        let whole = bank_file::inspect(&path, &sha256).is_ok_and(|found| found == Standing::Whole);
        if whole {
            return Ok(LocalFile { path, name, bytes: bytes as u64, sha256 });
        }
        // Sealed again it is other bytes: what may lie at the provider could not be told from them.
        if delivery.state != DeliveryState::Waiting {
            return Err(PeerError::Changed(path).into());
        }
    }
    let keys = their_keys(context, partner)?;
    let (from, into, now) = (plain.path.clone(), path.clone(), context.clock.now());
    let (recorded, folder) = (plain.sha256, folder.to_owned());
    let made = tokio::task::spawn_blocking(move || -> Result<([u8; 32], u64), ExchangeError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| PeerError::Disk { path, source }
        };
        if bank_file::inspect(&from, &recorded).map_err(disk(&from))? != Standing::Whole {
            return Err(PeerError::Changed(from).into());
        }
        private(&folder).map_err(disk(&folder))?;
        let draft = Draft::begin(&into).map_err(disk(&into))?;
        let mut file = draft.file().try_clone().map_err(disk(&into))?;
        keys.seal(&from, &mut file, now)?;
        let (sha256, bytes) =
            files::open(draft.path()).and_then(|mut file| bank_file::hash(&mut file)).map_err(disk(&into))?;
        draft.keep().map_err(disk(&into))?;
        Ok((sha256, bytes))
    });
    let (sha256, bytes) = made.await.expect("sealing does not panic")?;
    let mut tx = context.store.begin().await?;
    deliveries::sealed_in_tx(&mut tx, delivery.id, &name, &sha256, bytes).await?;
    tx.commit().await?;
    Ok(LocalFile { path, name, bytes, sha256 })
}

/// The signature over a file that travels: that of the first time, as long as it lies here.
async fn signature(
    context: &Context,
    partner: &Partner<'_>,
    file: &LocalFile,
    path: PathBuf,
) -> Result<Vec<u8>, ExchangeError> {
    let (keys, now) = (our_keys(context, partner)?, context.clock.now());
    let of = file.clone();
    let made = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, ExchangeError> {
        let disk = |source| PeerError::Disk { path: path.clone(), source };
        // The hash stands before what was signed, so that a signature over other bytes is made anew.
        let line = format!("{}\n", crate::domain::hex(&of.sha256));
        if let Ok(kept) = files::read_setting(&path)
            && let Some(signature) = kept.strip_prefix(line.as_bytes())
        {
            return Ok(signature.to_vec());
        }
        if bank_file::inspect(&of.path, &of.sha256).map_err(disk)? != Standing::Whole {
            return Err(PeerError::Changed(of.path).into());
        }
        let signature = keys.sign(&of.path, now)?;
        private(path.parent().unwrap_or(Path::new("."))).map_err(disk)?;
        files::replace(&path, &[line.as_bytes(), &signature].concat()).map_err(disk)?;
        Ok(signature)
    });
    made.await.expect("signing does not panic")
}

/// The folder of a provider below `sealed` or `opened`, and that one itself.
fn private(folder: &Path) -> std::io::Result<()> {
    for folder in folder.parent().into_iter().chain([folder]) {
        files::home_folder(folder)?;
    }
    Ok(())
}

fn hash_from(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("hash of a file"))
}

/// Whether a message is sealed, by its name or its first bytes.
fn is_sealed(name: &str, local: &Path) -> bool {
    const ARMOUR: &[u8] = b"-----BEGIN PGP MESSAGE";
    let lower = name.to_ascii_lowercase();
    let mut head = Vec::new();
    let read = files::open(local).and_then(|file| file.take(ARMOUR.len() as u64).read_to_end(&mut head));
    [".pgp", ".gpg"].iter().any(|ending| lower.ends_with(ending)) || (read.is_ok() && head == ARMOUR)
}

/// Where what a message holds can be imported from: itself, or what it was opened into. Its signature, where one is agreed, is proven
/// first, over the bytes that came.
pub(super) async fn believe(
    context: &Context,
    partner: &Partner<'_>,
    (remote, local): (&str, &Path),
) -> Result<PathBuf, SealError> {
    let theirs = partner.terms.expects_signed.then(|| their_keys(context, partner)).transpose()?;
    let ours = is_sealed(remote, local).then(|| our_keys(context, partner)).transpose()?;
    if theirs.is_none() && ours.is_none() {
        return Ok(local.to_owned());
    }
    let opened = context.home.join("opened").join(partner.provider.code.as_str());
    let (local, now) = (local.to_owned(), context.clock.now());
    let done = tokio::task::spawn_blocking(move || believe_now(&local, &opened, theirs, ours, now)).await;
    done.expect("opening does not panic")
}

fn believe_now(
    local: &Path,
    opened: &Path,
    theirs: Option<TheirKeys>,
    ours: Option<OurKeys>,
    now: OffsetDateTime,
) -> Result<PathBuf, SealError> {
    let disk = |source| SealError::Disk { path: local.to_owned(), source };
    if let Some(theirs) = theirs {
        let signature = match files::read_setting(&signature_of(local)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(SealError::Unsigned),
            read => read.map_err(disk)?,
        };
        theirs.prove(local, &signature, now)?;
    }
    let Some(ours) = ours else { return Ok(local.to_owned()) };
    private(opened).map_err(disk)?;
    let into = opened.join(local.file_name().unwrap_or_default());
    let draft = Draft::begin(&into).map_err(disk)?;
    let mut file = draft.file().try_clone().map_err(disk)?;
    ours.open(local, &mut file)?;
    draft.keep().map_err(disk)?;
    Ok(into)
}

/// Where the signature of a fetched message lies.
pub(super) fn signature_of(local: &Path) -> PathBuf {
    let mut name = local.file_name().unwrap_or_default().to_owned();
    name.push(".sig");
    local.with_file_name(name)
}
