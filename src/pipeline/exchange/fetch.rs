//! Messages fetched from a provider into the inbox, imported, and done with there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{ExchangeError, Exchanged, Partner};
use crate::domain::delivery::AfterFetch;
use crate::domain::hint::chain as causes;
use crate::files::{self, Draft};
use crate::pipeline::{Context, messages};
use crate::rails::delivery::{Fetched, Peer, PeerError, RemoteFile};
use crate::store::StoreError;
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
    for file in lying {
        if known.contains(&(file.name.clone(), file.bytes as i64, file.modified)) {
            continue;
        }
        match one(context, partner, peer, folder, &file).await {
            Ok(true) => done.fetched += 1,
            // It is still written: next time.
            Ok(false) => {}
            Err(ExchangeError::Peer(error)) => done.faults.push(causes(&error)),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// One message: on the disk, then kept as fetched. Whether it is here.
async fn one(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    folder: &str,
    file: &RemoteFile,
) -> Result<bool, ExchangeError> {
    if !is_plain(&file.name) {
        return Err(PeerError::Name.into());
    }
    let inbox = inbox(context, partner);
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |source| PeerError::Disk { path, source }
    };
    for folder in [inbox.parent().unwrap_or(&inbox), &inbox] {
        files::home_folder(folder).map_err(disk(folder))?;
    }
    let local = free_name(context, partner, &inbox, &file.name).await?;
    let target = inbox.join(&local);
    let draft = Draft::begin(&target).map_err(disk(&target))?;
    let Some(Fetched { bytes, sha256 }) = peer.fetch(folder, file, &draft).await? else { return Ok(false) };
    let kept = tokio::task::spawn_blocking(move || draft.keep()).await;
    kept.expect("keeping a draft does not panic").map_err(disk(&target))?;
    let new = NewFetch {
        provider: partner.id,
        remote_name: &file.name,
        bytes,
        modified: file.modified,
        sha256: &sha256,
        local_name: &local,
        at: context.clock.now(),
    };
    let mut tx = context.store.begin().await?;
    fetches::add_in_tx(&mut tx, &new).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(provider = partner.provider.code.as_str(), bytes, "message fetched");
    Ok(true)
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

/// Imports what is here and was not: what was set aside counts as imported, for it waits elsewhere.
pub(super) async fn import_rest(
    context: &Context,
    partner: &Partner<'_>,
    done: &mut Exchanged,
) -> Result<(), ExchangeError> {
    let open = fetches::open(&context.store, partner.id).await?;
    let waiting: Vec<&Fetch> = open.iter().filter(|fetch| !fetch.imported).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let inbox = inbox(context, partner);
    let paths: Vec<PathBuf> = waiting.iter().map(|fetch| inbox.join(&fetch.local_name)).collect();
    let results = messages::import(context, paths).await?;
    let wait: HashSet<&PathBuf> =
        results.iter().filter(|(_, r)| r.as_ref().is_err_and(|e| e.passes())).map(|(path, _)| path).collect();
    let taken = waiting.iter().filter(|fetch| !wait.contains(&inbox.join(&fetch.local_name)));
    let ids: Vec<i64> = taken.map(|fetch| fetch.id).collect();
    let mut tx = context.store.begin().await?;
    fetches::imported_in_tx(&mut tx, &ids, context.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    done.imported.extend(results);
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
        tx.commit().await.map_err(StoreError::from)?;
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
