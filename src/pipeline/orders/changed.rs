//! What changes by events mean for sharing: an account or phone that is new somewhere passes the search of the month's list,
//! at once and again whenever orders are made.
//!
//! Guarantee: the same limits (`[holds]`) as for a list; who had the thing before is held too, since nobody knows whose it
//! is. Changes that came with too many others in an hour, of one sender or in one commune, hold their households' orders.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;

use super::change_effects::{self, Touched};
use super::judge::shared_reason;
use super::maker::Inputs;
use crate::config::Holds;
use crate::domain::ids::{HouseholdId, SnapshotId};
use crate::domain::reason::HoldReason;
use crate::pipeline::Context;
use crate::store::locks::{self, Lock};
use crate::store::registry::change_sharing::{self, Found, Held};
use crate::store::registry::changes;
use crate::store::{Store, StoreError};

/// Why orders of households are held, beside what the list itself says of them.
pub(in crate::pipeline) type Flagged = HashMap<HouseholdId, BTreeSet<HoldReason>>;

/// Makes a list ready to be asked, where anything changed since it was made: whether anything did.
pub(in crate::pipeline) async fn prepare(
    store: &Store,
    programme_id: i16,
    list: SnapshotId,
) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let any = change_sharing::any_in_tx(&mut tx, programme_id, list).await?;
    tx.rollback().await?;
    if any {
        change_sharing::prepare(store, list).await?;
    }
    Ok(any)
}

/// All households of a programme that must be held for what changed since a list was made.
pub(in crate::pipeline) async fn flagged(
    context: &Context,
    tx: &mut PgConnection,
    programme_id: i16,
    list: SnapshotId,
) -> Result<Flagged, StoreError> {
    if !prepare(&context.store, programme_id, list).await? {
        return Ok(Flagged::new());
    }
    let found = change_sharing::find_in_tx(tx, programme_id, list, None).await?;
    Ok(flag(&context.config.settings.holds, &found))
}

/// Those that hold one of some things, and those of some households whose changes are unusual.
pub(in crate::pipeline) async fn flagged_of_in_tx(
    limits: &Holds,
    tx: &mut PgConnection,
    programme_id: i16,
    list: SnapshotId,
    of: (&[Held], &[HouseholdId]),
) -> Result<Flagged, StoreError> {
    if of.0.is_empty() && of.1.is_empty() {
        return Ok(Flagged::new());
    }
    Ok(flag(limits, &change_sharing::find_in_tx(tx, programme_id, list, Some(of)).await?))
}

fn flag(limits: &Holds, found: &Found) -> Flagged {
    let mut flagged = Flagged::new();
    for (held, households) in &found.shared {
        let count = u32::try_from(households.len()).unwrap_or(u32::MAX);
        if let Some(reason) = shared_reason(limits, held.kind().as_str(), count) {
            for household in households {
                flagged.entry(*household).or_default().insert(reason);
            }
        }
    }
    for household in &found.unusual {
        flagged.entry(*household).or_default().insert(HoldReason::ManyChanges);
    }
    flagged
}

/// Adds what is flagged to households that are touched by changes.
pub(in crate::pipeline) fn touch(touched: &mut BTreeMap<HouseholdId, Touched>, flagged: &Flagged) {
    for (household, reasons) in flagged {
        let entry = touched.entry(*household).or_default();
        entry.shared_account |= reasons.contains(&HoldReason::SharedAccount);
        entry.shared_phone |= reasons.contains(&HoldReason::SharedPhone);
        entry.many |= reasons.contains(&HoldReason::ManyChanges);
    }
}

/// Number of the last change before the pass; none with a lower number is still to be committed.
pub(in crate::pipeline) async fn last_change(
    context: &Context,
    programme_id: i16,
) -> Result<i64, StoreError> {
    let mut tx = context.store.begin().await?;
    locks::take_in_tx(&mut tx, Lock::Changes(programme_id)).await?;
    let last = changes::last_in_tx(&mut tx).await?;
    tx.rollback().await?;
    Ok(last)
}

/// Holds orders of households that changed while the orders were made; from now to the commit none changes.
pub(in crate::pipeline) async fn hold_changed(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    last_change: i64,
) -> Result<(), StoreError> {
    let programme = inputs.programme_id;
    locks::take_in_tx(tx, Lock::Changes(programme)).await?;
    let mut touched: BTreeMap<HouseholdId, Touched> = BTreeMap::new();
    for (household, _, change) in changes::after_in_tx(tx, programme, inputs.snapshot.id, last_change).await?
    {
        touched.entry(household).or_default().note(&change);
    }
    if !touched.is_empty() {
        // What came while the orders were made may be shared with any of them.
        let flagged = flagged(inputs.context, tx, programme, inputs.snapshot.id).await?;
        touch(&mut touched, &flagged);
    }
    change_effects::hold_in_tx(tx, programme, &touched, &[inputs.run], inputs.now).await?;
    Ok(())
}
