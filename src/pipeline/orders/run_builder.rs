//! How a run is made of a list, whatever its kind: the list is looked up and its making locked, the run is opened with what all its
//! orders share, and closed with what follows from them. What a kind adds stands between these three.
//!
//! Guarantee: nobody else makes a run of the programme, or one of its month, until the transaction ends.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::OrderError;
use super::barring::Barring;
use super::book::book;
use super::changed::{self, Flagged, hold_changed, last_change};
use super::maker::{Computed, Inputs};
use crate::config::ConfiguredProgramme;
use crate::domain::ids::{HouseholdId, RunId, SnapshotId};
use crate::domain::not_found::Entity;
use crate::domain::run::RunKind;
use crate::pipeline::exceptions::recovery;
use crate::pipeline::{Context, Refusal, person};
use crate::store::access::operators::Role;
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks;
use crate::store::orders;
use crate::store::orders::questions::{self, Questions};
use crate::store::registry::reference;
use crate::store::registry::snapshots::{self, Snapshot};
use crate::store::runs::{self, NewRun, Run, rule_sets};
use crate::store::{StoreError, Tx};

/// A list and its programme, under the locks of making runs.
pub(super) struct RunBuilder<'a> {
    pub context: &'a Context,
    pub snapshot: Snapshot,
    pub programme: &'a ConfiguredProgramme,
    pub programme_id: i16,
    by: &'a str,
}

impl<'a> RunBuilder<'a> {
    /// Begins to make a run of a list. `may` says whether one can be made at all, before anything is locked.
    ///
    /// # Errors
    /// No such list or programme, what `may` says, or somebody who is no preparer.
    pub async fn begin(
        context: &'a Context,
        snapshot: SnapshotId,
        by: &'a str,
        may: impl FnOnce(&Snapshot, &ConfiguredProgramme) -> Result<(), OrderError>,
    ) -> Result<(Tx, Self), OrderError> {
        let found = snapshots::find(&context.store, snapshot).await?;
        let snapshot = found.ok_or_else(|| Refusal::not_found(Entity::Snapshot, snapshot))?;
        let known = context.config.programme(&snapshot.programme);
        let programme = known.ok_or_else(|| Refusal::not_found(Entity::Programme, &snapshot.programme))?;
        may(&snapshot, programme)?;
        let mut tx = context.store.begin().await?;
        person(&mut tx, by, Role::Preparer).await?;
        let programme_id = reference::programme_id_in_tx(&mut tx, programme.rules.code().as_str()).await?;
        // The first of these is the programme's own: two runs for two months are made one after the other.
        locks::take_in_tx(&mut tx, Lock::Making(programme_id)).await?;
        locks::take_in_tx(&mut tx, Lock::Month(programme_id, snapshot.period)).await?;
        Ok((tx, Self { context, snapshot, programme, programme_id, by }))
    }

    /// Opens the run: its row and leaves, and what all orders share.
    pub async fn open_in_tx(
        self,
        tx: &mut PgConnection,
        kind: RunKind,
        purpose: &str,
    ) -> Result<OpenRun<'a>, StoreError> {
        let Self { context, snapshot, programme, programme_id, by } = self;
        let last_change = last_change(context, programme_id).await?;
        // What is paid for children keeps nothing back, so that cases may change meanwhile.
        if !kind.is_of_children() {
            recovery::follow(context).await?;
            locks::take_in_tx(tx, Lock::CasesOfRunBeingMade(programme_id)).await?;
        }
        let now = context.clock.now();
        let new = NewRun {
            programme_id,
            period: snapshot.period,
            kind,
            snapshot: snapshot.id,
            rules_sha256: &programme.sha256,
            created_by: by,
            created_at: now,
        };
        let run = runs::insert_in_tx(tx, new).await?;
        // A correction is judged by the rules of the months that it looks at.
        if kind != RunKind::Correction {
            let rules = &programme.rules;
            let text = rules.fingerprint_input();
            rule_sets::keep_in_tx(tx, &programme.sha256, rules.code().as_str(), text).await?;
        }
        orders::create_leaves_in_tx(tx, run).await?;
        let codes: Vec<String> =
            context.config.router.providers().iter().map(|p| p.code.to_string()).collect();
        Ok(OpenRun {
            run,
            purpose: reference::purpose_id_in_tx(tx, purpose).await?,
            providers: reference::provider_ids_in_tx(tx, &codes).await?,
            previous: None,
            barring: Vec::new(),
            doubted: breaks::doubted_households_in_tx(tx).await?,
            questions: questions::of_programme_in_tx(tx, programme_id).await?,
            flagged: changed::flagged(context, tx, programme_id, snapshot.id).await?,
            context,
            snapshot,
            programme,
            programme_id,
            kind,
            last_change,
            now,
        })
    }
}

/// A run that is being made, and what all its orders share.
pub(super) struct OpenRun<'a> {
    context: &'a Context,
    snapshot: Snapshot,
    programme: &'a ConfiguredProgramme,
    programme_id: i16,
    kind: RunKind,
    pub run: RunId,
    purpose: i16,
    providers: HashMap<String, i16>,
    /// The run that it is compared with, where there is one.
    pub previous: Option<Run>,
    /// Runs whose orders bar those of this one.
    pub barring: Vec<Barring>,
    doubted: HashSet<HouseholdId>,
    questions: Questions,
    flagged: Flagged,
    last_change: i64,
    pub now: OffsetDateTime,
}

impl OpenRun<'_> {
    /// What orders are computed from.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            context: self.context,
            run: self.run,
            programme_id: self.programme_id,
            period: self.snapshot.period,
            purpose: self.purpose,
            snapshot: &self.snapshot,
            programme: self.programme,
            providers: &self.providers,
            previous: self.previous.as_ref(),
            barring: &self.barring,
            doubted: &self.doubted,
            correction: self.kind == RunKind::Correction,
            questions: &self.questions,
            flagged: &self.flagged,
            now: self.now,
        }
    }

    /// Writes what follows from the orders, which are all in their leaf by now; orders of households that changed meanwhile are
    /// held.
    pub async fn close_in_tx(&self, tx: &mut PgConnection, computed: Computed) -> Result<(), StoreError> {
        let inputs = self.inputs();
        book(tx, &inputs, &computed).await?;
        hold_changed(tx, &inputs, self.last_change).await
    }
}
