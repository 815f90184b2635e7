//! Joins households with their members in one pass and hands them out in chunks.
//!
//! Input: the folder of a snapshot. Output: chunks of households with their members, rejections and places, then the
//! totals. Guarantee: hashes, row counts and control totals have been verified when [`SnapshotReader::finish`] gives
//! totals, and each row read is then accounted for; before, nothing may be relied on. Limit: memory for a few batches
//! and one chunk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::vec;

use rust_decimal::Decimal;

use super::error::{Fault, SnapshotError};
use super::intake::{Batch, Keyed, KindOutcome, Message, Task, read_households, read_members};
use super::manifest::{ControlTotals, Kind, MANIFEST_FILE, Manifest};
use super::part::Limits;
use super::rejection::{RejectReason, Rejection, mask};
use super::row::{RowRules, Sighting, Thing};
use crate::domain::attribute::AttributeTypes;
use crate::domain::household::{Household, Means, Member, Place, PlaceId};
use crate::domain::ids::HouseholdId;

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Whether the check digit of an IDCS must be right.
    pub check_digit: bool,
    /// Limits that protect this machine.
    pub limits: Limits,
    /// What the list's programme asks of households beside the contract's columns.
    pub attributes: Arc<AttributeTypes>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { check_digit: true, limits: Limits::default(), attributes: Arc::default() }
    }
}

/// Households in a chunk, and about the most rejections.
pub const CHUNK_HOUSEHOLDS: usize = 2_000;

/// A piece of the snapshot.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Accepted households in ascending order of id, their members joined in.
    pub households: Vec<Household>,
    /// Rejected rows, in no particular order.
    pub rejections: Vec<Rejection>,
    /// What other households may have too, of rows that were rejected.
    pub sightings: Vec<Sighting>,
    /// Places not named by an earlier chunk; those of this chunk's households are here or were before.
    pub new_places: Vec<(PlaceId, Place)>,
}

impl Chunk {
    fn clear(&mut self) {
        self.households.clear();
        self.rejections.clear();
        self.sightings.clear();
        self.new_places.clear();
    }

    fn is_full(&self) -> bool {
        self.households.len() >= CHUNK_HOUSEHOLDS || self.rejections.len() >= CHUNK_HOUSEHOLDS
    }
}

/// Rows of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindTotals {
    /// Data rows read.
    pub rows: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// Text they came from, unpacked, in bytes (for Parquet: as its metadata says).
    pub bytes: u64,
}

/// What a whole snapshot came to. Each row is accounted for: household rows are accepted or rejected; member rows
/// are joined, rejected, or follow a rejected household.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Household rows.
    pub households: KindTotals,
    /// Member rows.
    pub members: KindTotals,
    /// Households handed out.
    pub households_accepted: u64,
    /// Members handed out with their household.
    pub members_joined: u64,
    /// Good member rows whose household row was rejected.
    pub members_following: u64,
    /// The control totals, worked out over the rows as they lie.
    pub control: ControlTotals,
    /// What the operator should know, such as columns passed over.
    pub warnings: Vec<String>,
}

/// Reads one snapshot.
pub struct SnapshotReader {
    manifest: Manifest,
    members_max: usize,
    households: Stream<Household>,
    members: Stream<Member>,
    current: Option<Keyed<Household>>,
    /// The last household that has members and no row, with the row of the first of these.
    orphans: Option<(HouseholdId, u32)>,
    totals: Totals,
    ended: bool,
}

impl SnapshotReader {
    /// Starts reading the parts of a manifest, in a thread for each kind. Dropping the reader stops them.
    ///
    /// # Errors
    /// A thread cannot start.
    pub fn open(dir: &Path, manifest: Manifest, options: &ReadOptions) -> Result<Self, SnapshotError> {
        let rules = RowRules { check_digit: options.check_digit, period_end: manifest.period.last_day() };
        let task = |kind| Task {
            dir: dir.to_owned(),
            parts: manifest.parts.iter().filter(|p| p.kind == kind).cloned().collect(),
            limits: options.limits,
            rules,
            attributes: Arc::clone(&options.attributes),
        };
        let households = read_households(task(Kind::Households)).map_err(Fault::whole)?;
        let members = read_members(task(Kind::Members)).map_err(Fault::whole)?;
        Ok(Self {
            members_max: options.limits.members_max,
            households: Stream::new(households),
            members: Stream::new(members),
            current: None,
            orphans: None,
            totals: Totals::default(),
            ended: false,
            manifest,
        })
    }

    /// The manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Fills the chunk with what comes next; what was in it is dropped. `false` when there is no more and the chunk
    /// is empty.
    ///
    /// # Errors
    /// Any fault of a part. What earlier chunks held must then be dropped too.
    pub fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SnapshotError> {
        chunk.clear();
        while !chunk.is_full() && !self.ended {
            if self.current.is_none() {
                self.current = self.households.next(chunk)?;
            }
            self.join(chunk)?;
        }
        for rejection in &chunk.rejections {
            self.totals.of(rejection.kind).rejected += 1;
        }
        Ok(!self.ended || !chunk.households.is_empty() || !chunk.rejections.is_empty())
    }

    /// Takes members up to those of the current household, or to the end, or until the chunk is full.
    fn join(&mut self, chunk: &mut Chunk) -> Result<(), SnapshotError> {
        while !chunk.is_full() {
            let Some(member) = self.members.next(chunk)? else {
                self.ended = self.current.is_none();
                self.hand_out(chunk);
                return Ok(());
            };
            match &mut self.current {
                Some(household) if member.id == household.id => {
                    self.totals.take_member(household, member, self.members_max, chunk);
                }
                Some(household) if member.id > household.id => {
                    self.members.put_back(member);
                    self.hand_out(chunk);
                    return Ok(());
                }
                _ => {
                    let first =
                        self.orphans.filter(|(id, _)| *id == member.id).map_or(member.row, |(_, row)| row);
                    self.orphans = Some((member.id, first));
                    chunk
                        .sightings
                        .extend(member.person.map(|idcs| Sighting::without_household(first, idcs)));
                    // A row that was rejected for itself is not rejected a second time.
                    let orphan = member_rejection(&member, "household_id", RejectReason::OrphanMember);
                    chunk.rejections.extend(member.value.is_some().then_some(orphan));
                }
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, chunk: &mut Chunk) {
        if let Some(household) = self.current.take().and_then(|k| k.value) {
            self.totals.households_accepted += 1;
            self.totals.members_joined += household.members.len() as u64;
            chunk.households.push(household);
        }
    }

    /// Verifies the control totals and gives the sums; the snapshot may be accepted after this and not before.
    ///
    /// # Errors
    /// Chunks are left, or a control total does not agree.
    ///
    /// # Panics
    /// When a row is not accounted for, which would be a defect of this module.
    pub fn finish(self) -> Result<Totals, SnapshotError> {
        let (true, Some(households), Some(members)) =
            (self.ended, self.households.outcome, self.members.outcome)
        else {
            return Err(Fault::NotReadToEnd.whole());
        };
        let mut totals = self.totals;
        (totals.households.rows, totals.households.bytes) = (households.rows, households.bytes);
        (totals.members.rows, totals.members.bytes) = (members.rows, members.bytes);
        totals.control = control_totals(&households, &members);
        totals.warnings = households.warnings;
        totals.warnings.extend(members.warnings);
        assert_eq!(totals.households.rows, totals.households_accepted + totals.households.rejected);
        let members_told = totals.members_joined + totals.members_following + totals.members.rejected;
        assert_eq!(totals.members.rows, members_told);
        if let Some(declared) = &self.manifest.control_totals {
            compare(declared, &totals.control).map_err(|f| f.of_part(MANIFEST_FILE, None))?;
        }
        Ok(totals)
    }
}

impl Totals {
    fn of(&mut self, kind: Kind) -> &mut KindTotals {
        match kind {
            Kind::Households => &mut self.households,
            // Of the other kinds no row passes through this reader.
            Kind::Members | Kind::Claims | Kind::Deposits => &mut self.members,
        }
    }

    /// Puts a member into its household, or says why not.
    fn take_member(
        &mut self,
        household: &mut Keyed<Household>,
        member: Keyed<Member>,
        members_max: usize,
        chunk: &mut Chunk,
    ) {
        let (row, of_taken) = (household.row, household.value.is_some());
        let seen = member.person.map(|idcs| Sighting { row, of_taken, thing: Thing::Person(idcs) });
        let Some(household) = &mut household.value else {
            self.members_following += u64::from(member.value.is_some());
            chunk.sightings.extend(seen);
            return;
        };
        let refused = match member.value {
            None => None,
            Some(m) if household.members.iter().any(|known| known.idcs == m.idcs) => {
                Some(member_rejection(&member, "idcs", RejectReason::DuplicateMember))
            }
            Some(_) if household.members.len() >= members_max => {
                Some(member_rejection(&member, "household_id", RejectReason::TooMany))
            }
            Some(m) => return household.members.push(m),
        };
        household.members_rejected = household.members_rejected.saturating_add(1);
        chunk.sightings.extend(seen);
        chunk.rejections.extend(refused);
    }
}

/// The rejection of a good row for what other rows say; the field's value is shown by its form.
fn member_rejection(member: &Keyed<Member>, field: &'static str, reason: RejectReason) -> Rejection {
    let value_masked = match reason {
        RejectReason::DuplicateMember => "9999999999".to_owned(),
        _ => mask(member.id.as_str()),
    };
    Rejection {
        kind: Kind::Members,
        row: member.row,
        household: Some(member.id),
        field: field.into(),
        value_masked,
        reason,
    }
}

/// The rows of a thread, one by one.
struct Stream<T> {
    receiver: Receiver<Message<T>>,
    rows: vec::IntoIter<Keyed<T>>,
    put_back: Option<Keyed<T>>,
    outcome: Option<KindOutcome>,
}

impl<T> Stream<T> {
    fn new(receiver: Receiver<Message<T>>) -> Self {
        Self { receiver, rows: Vec::new().into_iter(), put_back: None, outcome: None }
    }

    /// The next row; rejections and places of its batch go into the chunk.
    fn next(&mut self, chunk: &mut Chunk) -> Result<Option<Keyed<T>>, SnapshotError> {
        if let Some(row) = self.put_back.take().or_else(|| self.rows.next()) {
            return Ok(Some(row));
        }
        while self.outcome.is_none() {
            match self.receiver.recv().map_err(|_| Fault::Stopped.whole())? {
                Message::Rows(Batch { rows, rejections, new_places, sightings }) => {
                    chunk.rejections.extend(rejections);
                    chunk.sightings.extend(sightings);
                    chunk.new_places.extend(new_places);
                    self.rows = rows.into_iter();
                    if let Some(row) = self.rows.next() {
                        return Ok(Some(row));
                    }
                }
                Message::End(outcome) => self.outcome = Some(outcome?),
            }
        }
        Ok(None)
    }

    fn put_back(&mut self, row: Keyed<T>) {
        self.put_back = Some(row);
    }
}

fn control_totals(households: &KindOutcome, members: &KindOutcome) -> ControlTotals {
    let sums = &households.sums;
    let by_means = Means::ALL.iter().map(|m| (*m, sums.by_means[usize::from(m.number())])).collect();
    ControlTotals {
        households: Some(households.rows),
        members: Some(members.rows),
        claims: None,
        deposits: None,
        deceased_payees: Some(sums.deceased_payees),
        rsu_score_sum: Some(Decimal::from_i128_with_scale(sums.rsu_score, 6)),
        by_means: Some(by_means),
    }
}

/// Holds each total that the manifest declares against the one found.
fn compare(declared: &ControlTotals, found: &ControlTotals) -> Result<(), Fault> {
    fn same<T: PartialEq + ToString>(
        name: &'static str,
        declared: Option<T>,
        found: Option<T>,
    ) -> Result<(), Fault> {
        match (declared, found) {
            (Some(declared), Some(found)) if declared != found => Err(Fault::ControlTotal {
                name,
                declared: declared.to_string().into(),
                found: found.to_string().into(),
            }),
            _ => Ok(()),
        }
    }
    same("households", declared.households, found.households)?;
    same("members", declared.members, found.members)?;
    same("deceased_payees", declared.deceased_payees, found.deceased_payees)?;
    same("rsu_score_sum", declared.rsu_score_sum, found.rsu_score_sum)?;
    let count =
        |means: &Option<BTreeMap<Means, u64>>, m: &Means| means.as_ref().and_then(|b| b.get(m)).copied();
    Means::ALL.iter().try_for_each(|m| {
        let name = match m {
            Means::BankAccount => "by_means.bank_account",
            Means::PaymentAccount => "by_means.payment_account",
            Means::Wallet => "by_means.wallet",
            Means::Cash => "by_means.cash",
        };
        same(name, count(&declared.by_means, m), count(&found.by_means, m))
    })
}
