//! Messages fetched from a provider into the inbox, imported, and done with there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{ExchangeError, Exchanged, Partner, seal};
use crate::domain::delivery::{AfterFetch, SIGNATURES, companion_of};
use crate::domain::hint::chain as causes;
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::files::{self, Draft};
use crate::pipeline::{Context, messages};
use crate::rails::delivery::{Fetched, Peer, PeerError, RemoteFile};
use crate::store::StoreError;
use crate::store::messages::breaks::{self, NewBreak};
use crate::store::messages::fetches::{self, Fetch, NewFetch};

/// Fetches what is not here yet. A message that does not come through is told, and the others come all the same.
pub(super) async fn fetch(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    done: &mut Exchanged,
) -> Result<(), ExchangeError> {
    let Some(folder) = partner.terms.download.as_deref() else { return Ok(()) };
    let lying = match peer.list(folder).await {
        Ok(lying) => lying,
        Err(error) => {
            done.faults.push(causes(&error));
            return Ok(());
        }
    };
    let names: Vec<String> = lying.iter().map(|file| file.name.clone()).collect();
    let known = fetches::known(&context.store, partner.id, &names).await?;
    let bases: Vec<String> = names.iter().filter_map(|name| companion_of(name)).map(str::to_owned).collect();
    let met = fetches::names_met(&context.store, partner.id, &bases).await?;
    let new = |file: &&RemoteFile| !known.contains(&(file.name.clone(), file.bytes as i64, file.modified));
    let beside = |file: &RemoteFile| {
        companion_of(&file.name).is_some_and(|of| met.contains(of) || names.iter().any(|n| n == of))
    };
    for file in lying.iter().filter(new).filter(|file| !beside(file)) {
        let signature = lying.iter().find(|other| is_signature_of(&other.name, &file.name));
        if partner.terms.expects_signed && signature.is_none() && !is_late(context, file) {
            continue;
        }
        let signature = signature.filter(|_| partner.terms.expects_signed);
        match one(context, partner, peer, folder, (file, false), signature).await {
            Ok(true) => done.fetched += 1,
            // It is still written: next time.
            Ok(false) => {}
            Err(ExchangeError::Peer(error)) => done.faults.push(causes(&error)),
            Err(other) => return Err(other),
        }
    }
    // What lies beside messages that are here is fetched too, so that it is done with there as they are.
    let of_known = |file: &&RemoteFile| companion_of(&file.name).is_some_and(|of| met.contains(of));
    for file in lying.iter().filter(new).filter(of_known) {
        match one(context, partner, peer, folder, (file, true), None).await {
            Ok(_) => {}
            Err(ExchangeError::Peer(error)) => done.faults.push(causes(&error)),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// A message without its signature is waited for so long.
const SIGNATURE_WITHIN_S: i64 = 600;

fn is_late(context: &Context, file: &RemoteFile) -> bool {
    context.clock.now().unix_timestamp() - file.modified >= SIGNATURE_WITHIN_S
}

fn is_signature_of(name: &str, message: &str) -> bool {
    SIGNATURES.iter().any(|ending| name.strip_suffix(ending) == Some(message))
}

/// One message with its signature: on the disk, then kept as fetched, both at once. Whether it is here.
async fn one(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    folder: &str,
    (file, is_companion): (&RemoteFile, bool),
    signature: Option<&RemoteFile>,
) -> Result<bool, ExchangeError> {
    if !is_plain(&file.name) {
        return Err(PeerError::Name.into());
    }
    let inbox = inbox(context, partner);
    for folder in [inbox.parent().unwrap_or(&inbox), &inbox] {
        files::home_folder(folder).map_err(|source| PeerError::Disk { path: folder.to_owned(), source })?;
    }
    let local = free_name(context, partner, &inbox, &file.name).await?;
    let target = inbox.join(&local);
    let mut kept = Vec::new();
    if let Some(signature) = signature {
        let path = seal::signature_of(&target);
        let Some(fetched) = bring_here(peer, folder, signature, &path).await? else { return Ok(false) };
        kept.push((signature, format!("{local}.sig"), fetched, true));
    }
    let Some(fetched) = bring_here(peer, folder, file, &target).await? else { return Ok(false) };
    kept.push((file, local, fetched, is_companion));
    let mut tx = context.store.begin().await?;
    for (file, local, fetched, is_companion) in &kept {
        let new = NewFetch {
            provider: partner.id,
            remote_name: &file.name,
            bytes: fetched.bytes,
            modified: file.modified,
            sha256: &fetched.sha256,
            local_name: local,
            is_companion: *is_companion,
            at: context.clock.now(),
        };
        fetches::add_in_tx(&mut tx, &new).await?;
    }
    tx.commit().await?;
    tracing::info!(provider = partner.provider.code.as_str(), files = kept.len(), "message fetched");
    Ok(true)
}

/// A file from there, on the disk here; nothing where it is still written.
async fn bring_here(
    peer: &Peer,
    folder: &str,
    file: &RemoteFile,
    target: &Path,
) -> Result<Option<Fetched>, ExchangeError> {
    let disk = |source| PeerError::Disk { path: target.to_owned(), source };
    let draft = Draft::begin(target).map_err(disk)?;
    let Some(fetched) = peer.fetch(folder, file, &draft).await? else { return Ok(None) };
    let kept = tokio::task::spawn_blocking(move || draft.keep()).await;
    kept.expect("keeping a draft does not panic").map_err(disk)?;
    Ok(Some(fetched))
}

/// A name that no fetched message has, nor a file that lies in the inbox for another reason.
async fn free_name(
    context: &Context,
    partner: &Partner<'_>,
    inbox: &Path,
    name: &str,
) -> Result<String, StoreError> {
    let mut wanted = name.to_owned();
    loop {
        let free = fetches::free_name(&context.store, partner.id, &wanted).await?;
        // A fetch that was killed before it was kept leaves its file: the next one bears another name, and what lies is imported
        // by nobody.
        if !inbox.join(&free).exists() {
            return Ok(free);
        }
        wanted = format!("{free}.again");
    }
}

/// A name that leads nowhere else, and that no temporary name of ours is like.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control())
}

fn inbox(context: &Context, partner: &Partner<'_>) -> PathBuf {
    context.home.join("inbox").join(partner.provider.code.as_str())
}

/// Imports what is here and was not: what was set aside counts as imported, for it waits elsewhere; what is not signed or sealed as
/// agreed is refused.
pub(super) async fn import_rest(
    context: &Context,
    partner: &Partner<'_>,
    done: &mut Exchanged,
) -> Result<(), ExchangeError> {
    let open = fetches::open(&context.store, partner.id).await?;
    let inbox = inbox(context, partner);
    let mut paths: Vec<(&Fetch, PathBuf)> = Vec::new();
    for fetch in open.iter().filter(|fetch| !fetch.imported) {
        let local = inbox.join(&fetch.local_name);
        match seal::believe(context, partner, (&fetch.remote_name, &local)).await {
            Ok(path) => paths.push((fetch, path)),
            Err(error) if error.is_of_message() => {
                refuse(context, partner, fetch, &causes(&error)).await?;
                done.faults.push(format!("{}: {}", fetch.remote_name, causes(&error)));
            }
            Err(error) => done.faults.push(causes(&error)),
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let results = messages::import(context, paths.iter().map(|(_, path)| path.clone()).collect()).await?;
    let wait: HashSet<&PathBuf> =
        results.iter().filter(|(_, r)| r.as_ref().is_err_and(|e| e.passes())).map(|(path, _)| path).collect();
    let ids: Vec<i64> =
        paths.iter().filter(|(_, path)| !wait.contains(path)).map(|(fetch, _)| fetch.id).collect();
    let mut tx = context.store.begin().await?;
    fetches::imported_in_tx(&mut tx, &ids, context.clock.now()).await?;
    tx.commit().await?;
    done.imported.extend(results);
    Ok(())
}

/// Nothing of a message is imported, and a person hears of it.
async fn refuse(
    context: &Context,
    partner: &Partner<'_>,
    fetch: &Fetch,
    why: &str,
) -> Result<(), ExchangeError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    fetches::refused_in_tx(&mut tx, fetch.id, why, now).await?;
    let found = NewBreak {
        kind: BreakKind::NotBelieved,
        key: format!("message {} not believed", fetch.id),
        run: None,
        provider: Some(partner.id),
        batch: None,
        order: None,
        message: None,
        entry: None,
        amount: None,
        suspense: Centimes::ZERO,
        source: None,
        detail: format!("{}: {why}", fetch.remote_name),
    };
    breaks::open_in_tx(&mut tx, &[found], now).await?;
    tx.commit().await?;
    tracing::error!(provider = partner.provider.code.as_str(), why, "a message is not believed");
    Ok(())
}

/// Does what was agreed with messages that are here and imported.
pub(super) async fn settle(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    done: &mut Exchanged,
) -> Result<(), ExchangeError> {
    let terms = partner.terms;
    let Some(folder) = terms.download.as_deref() else { return Ok(()) };
    let lying = if terms.after_fetch == AfterFetch::Leave { Vec::new() } else { peer.list(folder).await? };
    for fetch in fetches::open(&context.store, partner.id).await?.iter().filter(|fetch| fetch.imported) {
        // Another message that came under the same name since is not the one that is done with.
        let lies = lying.iter().any(|file| {
            file.name == fetch.remote_name
                && file.bytes as i64 == fetch.bytes
                && file.modified == fetch.modified
        });
        let settled = match (terms.after_fetch, terms.archive.as_deref()) {
            (AfterFetch::Archive, Some(archive)) if lies => {
                peer.archive(folder, &fetch.remote_name, archive).await
            }
            (AfterFetch::Delete, _) if lies => peer.delete(folder, &fetch.remote_name).await,
            _ => Ok(()),
        };
        if let Err(error) = settled {
            done.faults.push(causes(&error));
            continue;
        }
        let mut tx = context.store.begin().await?;
        fetches::settled_in_tx(&mut tx, fetch.id).await?;
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_taken() {
        for name in ["", "../a.xml", "a/b.xml", ".hidden", "a\\b", "a\nb"] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_plain("CAMT053 2026-11.xml"));
    }
}
