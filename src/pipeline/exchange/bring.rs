//! Files that left, brought to their provider.

use futures_util::StreamExt as _;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::seal::{self, Travel};
use super::{ExchangeError, Exchanged, Partner};
use crate::domain::delivery::{DeliveryState, Lies, Step, StopReason, next};
use crate::domain::hint::chain as causes;
use crate::domain::ids::{BatchId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::pipeline::Context;
use crate::rails::delivery::{Peer, PeerError};
use crate::store::StoreError;
use crate::store::audit::chain::{self, Decision};
use crate::store::batches::deliveries::{self, Delivery};
use crate::store::messages::break_steps;
use crate::store::messages::breaks::{self, NewBreak};

/// Steps after which a file that does not come to rest is left for the next time: one to bring it, one to name it, one to see it.
const STEPS_MAX: usize = 4;

/// How a file ended.
enum Ended {
    Delivered,
    Waits(String),
    Stopped(StopReason, String),
}

/// Brings what is under way, several files side by side.
pub(super) async fn bring(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    done: &mut Exchanged,
) -> Result<(), ExchangeError> {
    let waiting = deliveries::under_way(&context.store, partner.provider.code.as_str()).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let bytes: i64 = waiting.iter().map(|d| d.bytes).sum();
    let stage = context.telemetry.stage("deliver", "bytes", Some(bytes as u64));
    let stage = &stage;
    let each = waiting.into_iter().map(|delivery| async move {
        let ended = one(context, partner, peer, &delivery).await?;
        stage.add(delivery.bytes as u64);
        Ok::<_, ExchangeError>((delivery, ended))
    });
    let at_once = usize::from(partner.terms.files_at_once.max(1));
    let mut ended = futures_util::stream::iter(each).buffer_unordered(at_once);
    while let Some(result) = ended.next().await {
        let (delivery, ended) = result?;
        let name = delivery.file_name.clone();
        match ended {
            Ended::Delivered => {
                done.brought += 1;
                done.bytes += delivery.bytes as u64;
            }
            Ended::Waits(why) => done.waiting.push((name, why)),
            Ended::Stopped(_, why) => done.stopped.push((name, why)),
        }
    }
    Ok(())
}

/// Takes one file as far as it goes, and keeps how far it came.
async fn one(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    delivery: &Delivery,
) -> Result<Ended, ExchangeError> {
    let ended = match steps(context, partner, peer, delivery).await {
        Ok(ended) => ended,
        Err(ExchangeError::Peer(error)) if error.passes() => Ended::Waits(causes(&error)),
        Err(ExchangeError::Peer(error)) => Ended::Stopped(StopReason::Refused, causes(&error)),
        // Keys that are missing or over are put in order here; the file waits.
        Err(ExchangeError::Seal(error)) => Ended::Waits(causes(&error)),
        Err(other) => return Err(other),
    };
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    match &ended {
        Ended::Delivered => {
            if deliveries::delivered_in_tx(&mut tx, delivery.id, Some(peer.host()), now).await? {
                let detail = format!("{} at {}", delivery.file_name, peer.host());
                let subject = subject(delivery);
                let decision = Decision {
                    actor: "sarf",
                    action: "file.deliver",
                    subject: &subject,
                    detail: &detail,
                    at: now,
                };
                chain::append_in_tx(&mut tx, decision).await?;
            }
            clear_break_in_tx(&mut tx, delivery, now).await?;
        }
        Ended::Waits(why) => deliveries::failed_in_tx(&mut tx, delivery.id, why, None, now).await?,
        Ended::Stopped(reason, why) => {
            deliveries::failed_in_tx(&mut tx, delivery.id, why, Some(*reason), now).await?;
            breaks::open_in_tx(&mut tx, &[stopped(partner, delivery, why)], now).await?;
        }
    }
    tx.commit().await?;
    let (file, provider) = (delivery.file_name.as_str(), delivery.provider.as_str());
    match &ended {
        Ended::Delivered => tracing::info!(file, provider, host = peer.host(), "file brought"),
        Ended::Waits(why) => tracing::warn!(file, provider, why, "file waits"),
        Ended::Stopped(_, why) => tracing::error!(file, provider, why, "a person is asked about a file"),
    }
    Ok(ended)
}

async fn steps(
    context: &Context,
    partner: &Partner<'_>,
    peer: &Peer,
    delivery: &Delivery,
) -> Result<Ended, ExchangeError> {
    let Travel { file: local, beside } = seal::prepare(context, partner, delivery).await?;
    let (terms, mut state) = (partner.terms, delivery.state);
    for _ in 0..STEPS_MAX {
        let (named, draft, draft_name) = peer.look(&local).await?;
        match next(state, named, draft, terms.renames) {
            Step::Stop(reason) => return Ok(Ended::Stopped(reason, words(reason).to_owned())),
            Step::Bring(from) if terms.renames => peer.bring(&local, &draft_name, from).await?,
            Step::Bring(from) => {
                // It may be picked up as soon as it is whole.
                if naming(context, delivery).await?.is_none() {
                    return Ok(Ended::Waits(PAUSED.to_owned()));
                }
                peer.bring(&local, &local.name, from).await?;
            }
            Step::Done if !terms.renames && !lay(peer, &beside).await? => {
                return Ok(Ended::Stopped(StopReason::NameTaken, BESIDE_TAKEN.to_owned()));
            }
            Step::Name if !lay(peer, &beside).await? => {
                return Ok(Ended::Stopped(StopReason::NameTaken, BESIDE_TAKEN.to_owned()));
            }
            Step::Done => return Ok(Ended::Delivered),
            Step::Name => {
                let Some(begun) = naming(context, delivery).await? else {
                    return Ok(Ended::Waits(PAUSED.to_owned()));
                };
                state = begun;
                match peer.name(&draft_name, &local.name).await {
                    Ok(()) => return Ok(Ended::Delivered),
                    // Whatever it says: what lies there tells.
                    Err(error @ PeerError::Transfer { .. }) if named == Lies::Nothing => {
                        let (named, draft, _) = peer.look(&local).await?;
                        if named != Lies::Whole && draft == Lies::Whole {
                            return Err(error.into());
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(Ended::Waits("it does not come to rest at the server".to_owned()))
}

/// Lays hash and signature beside a file: false where others lie there.
async fn lay(peer: &Peer, beside: &[(String, Vec<u8>)]) -> Result<bool, PeerError> {
    for (name, content) in beside {
        if !peer.lay(name, content).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps that the file is about to be given its name; nothing where its run was paused meanwhile.
async fn naming(context: &Context, delivery: &Delivery) -> Result<Option<DeliveryState>, ExchangeError> {
    let mut tx = context.store.begin().await?;
    let may = deliveries::naming_in_tx(&mut tx, delivery.id).await?;
    tx.commit().await?;
    Ok(may.then_some(DeliveryState::Naming))
}

const PAUSED: &str = "its run is paused";

const BESIDE_TAKEN: &str = "another hash or signature lies at the server beside its name";

const fn words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::NameTaken => "other bytes lie at the server under its name",
        StopReason::MayBeTaken => {
            "it was about to be given its name, and nothing lies there: the bank may have picked it up"
        }
        StopReason::Refused => "the server refuses what is agreed",
    }
}

fn subject(delivery: &Delivery) -> String {
    delivery.batch_id.map_or_else(|| format!("file {}", delivery.file_name), |batch| format!("batch {batch}"))
}

fn break_key(delivery: &Delivery) -> String {
    format!("file {} of provider {} not delivered", delivery.file_name, delivery.provider_id)
}

/// The break over a file that a person is asked about.
fn stopped(partner: &Partner<'_>, delivery: &Delivery, why: &str) -> NewBreak {
    NewBreak {
        kind: BreakKind::NotDelivered,
        key: break_key(delivery),
        run: Some(RunId::new(delivery.run_id)),
        provider: Some(partner.id),
        batch: delivery.batch_id.map(BatchId::new),
        order: None,
        message: None,
        entry: None,
        amount: None,
        suspense: Centimes::ZERO,
        source: None,
        detail: format!("{}: {why}", delivery.file_name),
    }
}

/// What was asked of a file is answered: its break is open no longer.
pub(super) async fn clear_break_in_tx(
    connection: &mut PgConnection,
    delivery: &Delivery,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    break_steps::resolve_key_in_tx(connection, &break_key(delivery), "the file went on its way", at).await
}

/// Files that were answered while they seemed to be under way were there.
pub(super) async fn see_answered(context: &Context, partner: &Partner<'_>) -> Result<(), ExchangeError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    for name in deliveries::answered_in_tx(&mut tx, partner.id, now).await? {
        let code = partner.provider.code.as_str();
        if let Some(delivery) = deliveries::find_in_tx(&mut tx, code, &name).await? {
            clear_break_in_tx(&mut tx, &delivery, now).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Nobody answered: each file that waits was tried in vain.
pub(super) async fn all_failed(
    context: &Context,
    partner: &Partner<'_>,
    error: &PeerError,
) -> Result<(), ExchangeError> {
    let (why, now) = (causes(error), context.clock.now());
    let waiting = deliveries::under_way(&context.store, partner.provider.code.as_str()).await?;
    let mut tx = context.store.begin().await?;
    for delivery in waiting {
        deliveries::failed_in_tx(&mut tx, delivery.id, &why, None, now).await?;
    }
    tx.commit().await?;
    Ok(())
}
