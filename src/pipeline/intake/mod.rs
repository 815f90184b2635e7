//! Intake: a snapshot folder becomes an immutable, indexed list of households.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | manifest read; a content that was imported before ends here | manifest |
//! | stream | parts are hashed, parsed, merged; rows go into the leaf by COPY FREEZE, what could be shared into spools | a few chunks |
//! | prove | hashes, counts and control totals of the reader against the manifest | – |
//! | index | unique index on the household id; shared accounts, phones, persons told meanwhile | one spool |
//! | attach | leaf, places, rejections, head row, audit record; one commit | – |
//!
//! Guarantee: one transaction: a fault in the whole file changes nothing; a fault in a row is a rejection with its row.
//! Limit: 65,535 places, 64 members a household.

mod sharing;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Applied, Context};
use crate::domain::child::{BirthClaim, ChildInCare};
use crate::domain::hex;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::household::{Household, Means, Place, PlaceId};
use crate::domain::ids::{Code, SnapshotId};
use crate::domain::not_found::{Entity, NotFound};
use crate::domain::programme::{CodeRule, Eligibility};
use crate::domain::rib::Rib;
use crate::snapshot::{
    ChildSink, Chunk, Fault, Manifest, ReadOptions, Rejection, SnapshotError, SnapshotReader, Thing,
    read_children,
};
use crate::store::StoreError;
use crate::store::audit::chain::{self, Decision};
use crate::store::copy::CopyBuffer;
use crate::store::registry::children;
use crate::store::registry::households::{self, Scratch};
use crate::store::registry::snapshots::{self, NewSnapshot, SnapshotCounts};
use sharing::{Share, Sharing};

/// Why a snapshot was refused.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The folder does not hold to the contract.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Scratch files cannot be written.
    #[error("cannot write scratch files below `{0}`")]
    Scratch(std::path::PathBuf, #[source] std::io::Error),
    /// Its programme is not configured.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for IntakeError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Snapshot(e) => e.hint(),
            Self::NotFound(_) => {
                Some("add its rules below config/programmes, or correct the manifest".into())
            }
            Self::Scratch(..) => {
                Some("free space or correct the owner of the folder, then start again".into())
            }
            Self::Store(e) => e.hint(),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(IntakeError {
    Self::Snapshot(_) => Self::Snapshot(Fault::MissingFile.whole()),
    Self::Scratch(..) => Self::Scratch("scratch".into(), std::io::ErrorKind::Other.into()),
    Self::NotFound(_) => Self::NotFound(Entity::Programme.not_found("asd")),
    Self::Store(_) => Self::Store(StoreError::Corrupt("snapshot")),
});

/// Bytes of rows that travel to the database at once.
const COPY_BYTES: usize = 1 << 20;

struct RowBuffers {
    households: CopyBuffer,
    rejections: CopyBuffer,
}

enum Sent {
    RowBuffers(RowBuffers),
    Children(Box<ChildRows>),
    Read(Box<Finished>),
    Shares(CopyBuffer),
}

struct Finished {
    counts: SnapshotCounts,
    places: Vec<Place>,
    warnings: Vec<String>,
    codes: BTreeMap<Code, i64>,
}

/// What an import came to.
#[derive(Debug, serde::Serialize)]
pub struct Imported {
    /// The snapshot.
    pub id: SnapshotId,
    /// Rows read and kept.
    pub counts: SnapshotCounts,
    /// What was passed over.
    pub warnings: Vec<String>,
    /// Codes of exclusion that the programme does not list.
    pub unlisted_codes: Vec<UnlistedCode>,
}

/// Imports the snapshot in `folder`.
///
/// # Errors
/// See [`IntakeError`]; the database is then as it was.
pub async fn import(context: &Context, folder: &Path) -> Result<Applied<Imported>, IntakeError> {
    let manifest = Manifest::load(folder)?;
    let programme = context.config.programme(manifest.programme.as_str());
    let rules = &programme.ok_or_else(|| Entity::Programme.not_found(&manifest.programme))?.rules;
    let options = ReadOptions {
        check_digit: context.config.settings.registry.idcs_check_digit,
        attributes: Arc::new(rules.attributes().clone()),
        ..ReadOptions::default()
    };
    let reader = SnapshotReader::open(folder, manifest.clone(), &options)?;
    let programme = rules.code();
    let sha256 = manifest.content_sha256();
    if let Some(id) = snapshots::find_by_hash(&context.store, &sha256).await? {
        let known = snapshots::find(&context.store, id).await?.ok_or(StoreError::Corrupt("snapshot"))?;
        return Ok(Applied::Already(Imported {
            id,
            counts: known.counts(),
            warnings: Vec::new(),
            unlisted_codes: Vec::new(),
        }));
    }
    let scratch = context.home.join("tmp");
    let opened = crate::files::home_folder(&scratch).and_then(|()| Sharing::begin(&scratch));
    let sharing = opened.map_err(|e| IntakeError::Scratch(scratch.clone(), e))?;

    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let id = snapshots::insert_in_tx(
        &mut tx,
        NewSnapshot {
            sha256: &sha256,
            programme: programme.as_str(),
            period: manifest.period,
            source: &manifest.source,
            created_at: manifest.created_at,
            imported_at: now,
        },
    )
    .await?;
    households::create_leaf_in_tx(&mut tx, id).await?;

    let stage = context.telemetry.stage(
        "intake",
        "households",
        Some(manifest.rows(crate::snapshot::Kind::Households)),
    );
    let (sender, mut filled) = mpsc::channel(4);
    let telemetry = context.telemetry.clone();
    let source = (folder.to_owned(), options);
    let worker = std::thread::spawn(move || {
        let encoder = Encoder {
            snapshot: id,
            source,
            sharing,
            telemetry,
            scratch: Scratch::default(),
            codes: BTreeMap::new(),
        };
        let told = encoder.run(reader, &sender, stage);
        told.map_err(|e| e.at(&scratch))
    });
    let finished = receive(&mut tx, id, &mut filled).await;
    drop(filled);
    let joined = tokio::task::spawn_blocking(move || worker.join()).await;
    // The reader's own fault says more than the stream that broke off because of it.
    joined.expect("the waiting task is not cancelled").expect("the intake thread does not panic")?;
    let finished = finished?.expect("a reader that did not fail tells its totals");

    snapshots::finish_in_tx(&mut tx, id, finished.counts, &finished.places).await?;
    snapshots::insert_codes_in_tx(&mut tx, id, &finished.codes).await?;
    for (part, reason, rows) in children::settle_in_tx(&mut tx, id).await? {
        context.telemetry.metrics.add_rejections(&part, &reason, rows as u64);
    }
    let detail = format!(
        "sha256 {} households {} members {}",
        hex(&sha256),
        finished.counts.households,
        finished.counts.members
    );
    let decision = Decision {
        actor: "sarf",
        action: "snapshot.import",
        subject: &format!("snapshot {id}"),
        detail: &detail,
        at: now,
    };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    let unlisted_codes = unlisted(rules.eligibility(), finished.codes);
    Ok(Applied::Now(Imported { id, counts: finished.counts, warnings: finished.warnings, unlisted_codes }))
}

/// Codes of exclusion that a programme does not list, and what it makes of them.
pub fn unlisted(eligibility: &Eligibility, codes: BTreeMap<Code, i64>) -> Vec<UnlistedCode> {
    let told = |(code, households): (Code, i64)| match eligibility.code_rule(&code) {
        CodeRule::Unlisted { excludes } => Some(UnlistedCode { code, households, excludes }),
        CodeRule::Excludes | CodeRule::Passes => None,
    };
    codes.into_iter().filter_map(told).collect()
}

/// A code of exclusion that stands in a list and not in the programme's rules.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnlistedCode {
    /// The code.
    pub code: Code,
    /// Households that bear it.
    pub households: i64,
    /// Whether it excludes them.
    pub excludes: bool,
}

impl std::fmt::Display for UnlistedCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, households, excludes } = self;
        let does = if *excludes { "excludes them" } else { "does not exclude them" };
        write!(f, "excluded_by `{code}` of {households} households is not listed in the programme: it {does}")
    }
}

/// Takes what the encoding thread sends into the database; indexes once the last row is in.
async fn receive(
    tx: &mut crate::store::Tx,
    id: SnapshotId,
    filled: &mut mpsc::Receiver<Sent>,
) -> Result<Option<Finished>, StoreError> {
    let (leaf, mut finished) = (format!("{} ({})", households::leaf(id), households::COLUMNS), None);
    let rejection =
        "snapshot_rejection (snapshot_id, part, row_number, household_id, field, value_masked, reason)";
    while let Some(sent) = filled.recv().await {
        match sent {
            Sent::Children(mut rows) => {
                rows.claims.send_in_tx(tx, children::CLAIMS, "").await?;
                rows.in_care.send_in_tx(tx, children::IN_CARE, "").await?;
                rows.rejections.send_in_tx(tx, rejection, "").await?;
            }
            Sent::RowBuffers(mut buffers) => {
                buffers.households.send_in_tx(tx, &leaf, ", FREEZE").await?;
                buffers.rejections.send_in_tx(tx, rejection, "").await?;
            }
            Sent::Read(totals) => {
                households::attach_leaf_in_tx(tx, id).await?;
                finished = Some(*totals);
            }
            Sent::Shares(mut shares) => {
                shares.send_in_tx(tx, "snapshot_share (household_key, kind, households)", "").await?;
            }
        }
    }
    Ok(finished)
}

enum EncodeError {
    Snapshot(SnapshotError),
    Scratch(std::io::Error),
}

impl EncodeError {
    fn at(self, scratch: &Path) -> IntakeError {
        match self {
            Self::Snapshot(error) => error.into(),
            Self::Scratch(error) => IntakeError::Scratch(scratch.into(), error),
        }
    }
}

struct Encoder {
    snapshot: SnapshotId,
    /// The folder, and how it is read.
    source: (std::path::PathBuf, ReadOptions),
    sharing: Sharing,
    telemetry: crate::telemetry::Telemetry,
    scratch: Scratch,
    /// Codes of exclusion, with how many households bear each.
    codes: BTreeMap<Code, i64>,
}

/// So many different codes are counted; a list with more has something else in that column.
const CODES_MAX: usize = 1_000;

impl Encoder {
    /// Reads to the end; returns early without a fault when the receiver has given up.
    fn run(
        mut self,
        mut reader: SnapshotReader,
        sender: &mpsc::Sender<Sent>,
        stage: crate::telemetry::StageGuard,
    ) -> Result<(), EncodeError> {
        let manifest = reader.manifest().clone();
        let (mut chunk, mut places) = (Chunk::default(), Vec::new());
        let mut buffers = new_buffers();
        while reader.next_chunk(&mut chunk).map_err(EncodeError::Snapshot)? {
            places.extend(chunk.new_places.drain(..).map(|(_, place)| place));
            for household in &chunk.households {
                households::push(&mut buffers.households, self.snapshot, household, &mut self.scratch);
                self.note(household).map_err(EncodeError::Scratch)?;
                self.count_code(household);
            }
            for seen in &chunk.sightings {
                let noted = match seen.of_taken {
                    true => self.sharing.note(&seen.thing, seen.row),
                    false => self.sharing.note_rejected(&seen.thing, seen.row),
                };
                noted.map_err(EncodeError::Scratch)?;
            }
            for rejection in &chunk.rejections {
                self.push_rejection(&mut buffers.rejections, rejection);
            }
            stage.add(chunk.households.len() as u64);
            if buffers.households.row_bytes().len() > COPY_BYTES {
                let full = std::mem::replace(&mut buffers, new_buffers());
                if sender.blocking_send(Sent::RowBuffers(full)).is_err() {
                    return Ok(());
                }
            }
        }
        let mut totals = reader.finish().map_err(EncodeError::Snapshot)?;
        let Some(places) = self.children(&manifest, places, &mut totals.warnings, sender)? else {
            return Ok(());
        };
        let counts = SnapshotCounts {
            household_rows: totals.households.rows,
            member_rows: totals.members.rows,
            households: totals.households_accepted,
            members: totals.members_joined,
        };
        let codes = std::mem::take(&mut self.codes);
        let finished = Finished { counts, places, warnings: totals.warnings, codes };
        let gone = sender.blocking_send(Sent::RowBuffers(buffers)).is_err()
            || sender.blocking_send(Sent::Read(Box::new(finished))).is_err();
        if gone {
            return Ok(());
        }
        let mut shares = CopyBuffer::default();
        let snapshot = self.snapshot;
        let told = self.sharing.finish(|share| {
            push_share(&mut shares, snapshot, share);
            if shares.row_bytes().len() > COPY_BYTES {
                // When the receiver is gone the transaction is lost anyway.
                let _ = sender.blocking_send(Sent::Shares(std::mem::take(&mut shares)));
            }
        });
        told.map_err(EncodeError::Scratch)?;
        let _ = sender.blocking_send(Sent::Shares(shares));
        Ok(())
    }

    fn count_code(&mut self, household: &Household) {
        let Some(code) = &household.excluded_by else { return };
        if let Some(count) = self.codes.get_mut(code) {
            *count += 1;
        } else if self.codes.len() < CODES_MAX {
            self.codes.insert(code.clone(), 1);
        }
    }

    /// Reads the parts about children; `None` when the receiver has given up.
    fn children(
        &self,
        manifest: &Manifest,
        places: Vec<Place>,
        warnings: &mut Vec<String>,
        sender: &mpsc::Sender<Sent>,
    ) -> Result<Option<Vec<Place>>, EncodeError> {
        let (folder, options) = &self.source;
        let limit = options.limits.places_max;
        let mut sink = ChildRowSink {
            encoder: self,
            sender,
            rows: ChildRows::default(),
            places,
            numbers: HashMap::new(),
            limit,
            gone: false,
        };
        let read = read_children(folder, manifest, options, &mut sink);
        if sink.gone {
            return Ok(None);
        }
        warnings.extend(read.map_err(EncodeError::Snapshot)?.warnings);
        let ChildRowSink { rows, places, .. } = sink;
        let sent = sender.blocking_send(Sent::Children(Box::new(rows)));
        Ok(sent.is_ok().then_some(places))
    }

    fn note(&mut self, household: &Household) -> std::io::Result<()> {
        let (payee, row) = (&household.payee, household.row);
        if matches!(household.means, Means::BankAccount | Means::PaymentAccount)
            && let Ok(rib) = Rib::parse(&payee.account)
        {
            self.sharing.note(&Thing::Account(rib), row)?;
        }
        if let Some(phone) = payee.phone {
            self.sharing.note(&Thing::Phone(phone), row)?;
        }
        if let Some(card) = &payee.cin {
            self.sharing.note(&Thing::Card(card.clone()), row)?;
        }
        if payee.idcs == household.head_idcs {
            self.sharing.note(&Thing::PaidPerson(payee.idcs), row)?;
        } else {
            self.sharing.note(&Thing::Payee(payee.idcs), row)?;
            self.sharing.note(&Thing::Person(household.head_idcs), row)?;
        }
        for member in household.members.iter().filter(|m| m.idcs != household.head_idcs) {
            self.sharing.note(&Thing::Person(member.idcs), row)?;
        }
        Ok(())
    }

    fn push_rejection(&self, buffer: &mut CopyBuffer, rejection: &Rejection) {
        let (part, reason) = (rejection.kind.as_str(), rejection.reason.as_str());
        self.telemetry.metrics.add_rejections(part, reason, 1);
        buffer
            .row(7)
            .i64(self.snapshot.get())
            .text(part)
            .i64(i64::from(rejection.row))
            .text_or_null(rejection.household.as_ref().map(|id| id.as_str()))
            .text(&rejection.field)
            .text(&rejection.value_masked)
            .text(reason);
    }
}

/// Rows about children on their way to the database.
#[derive(Default)]
struct ChildRows {
    claims: CopyBuffer,
    in_care: CopyBuffer,
    rejections: CopyBuffer,
}

struct ChildRowSink<'e> {
    encoder: &'e Encoder,
    sender: &'e mpsc::Sender<Sent>,
    rows: ChildRows,
    places: Vec<Place>,
    /// Their numbers, once there is a row with a place.
    numbers: HashMap<Place, usize>,
    limit: usize,
    /// The receiver has given up.
    gone: bool,
}

impl ChildRowSink<'_> {
    fn send_when_full(&mut self) -> Result<(), Fault> {
        let rows = &self.rows;
        let bytes = [&rows.claims, &rows.in_care, &rows.rejections].map(|b| b.row_bytes().len());
        if bytes.iter().sum::<usize>() > COPY_BYTES {
            let full = Box::new(std::mem::take(&mut self.rows));
            self.gone = self.sender.blocking_send(Sent::Children(full)).is_err();
        }
        if self.gone { Err(Fault::Stopped) } else { Ok(()) }
    }
}

impl ChildSink for ChildRowSink<'_> {
    fn claim(&mut self, claim: BirthClaim) -> Result<(), Fault> {
        children::push_claim(&mut self.rows.claims, self.encoder.snapshot, &claim);
        self.send_when_full()
    }

    fn in_care(&mut self, mut child: ChildInCare, place: Place) -> Result<(), Fault> {
        if self.numbers.is_empty() {
            self.numbers.extend(self.places.iter().cloned().zip(0..));
        }
        let places = &mut self.places;
        let number = *self.numbers.entry(place).or_insert_with_key(|place| {
            places.push(place.clone());
            places.len() - 1
        });
        if number >= self.limit {
            return Err(Fault::TooManyPlaces { limit: self.limit });
        }
        child.place = PlaceId(u16::try_from(number).map_err(|_| Fault::TooManyPlaces { limit: self.limit })?);
        children::push_in_care(&mut self.rows.in_care, self.encoder.snapshot, &child);
        self.send_when_full()
    }

    fn rejected(&mut self, rejection: Rejection) -> Result<(), Fault> {
        self.encoder.push_rejection(&mut self.rows.rejections, &rejection);
        self.send_when_full()
    }
}

fn new_buffers() -> RowBuffers {
    RowBuffers {
        households: CopyBuffer::with_capacity(COPY_BYTES + COPY_BYTES / 2),
        rejections: CopyBuffer::default(),
    }
}

fn push_share(buffer: &mut CopyBuffer, snapshot: SnapshotId, share: Share) {
    let households = i32::try_from(share.households).unwrap_or(i32::MAX);
    buffer.row(3).i64(households::key(snapshot, share.row)).text(share.thing.as_str()).i32(households);
}
