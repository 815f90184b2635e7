//! The reading threads: one for each kind takes its parts in order, splits, parses, and sends batches.
//!
//! Guarantee: ids ascend strictly within what is sent for households, and do not descend for members. Limit: a few
//! batches of rows wait between a thread and the reader, whatever the size of the snapshot.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::error::{Fault, SnapshotError};
use super::manifest::{Kind, Part};
use super::part::{Columns, Cursor, Limits, RowSink, read_part};
use super::rejection::{RejectReason, Rejection, mask};
use super::row::{self, Refusal, RowRules, Sighting};
use crate::domain::attribute::{self, AttributeTypes};
use crate::domain::household::{Household, Means, Member, Place, PlaceId, Score};
use crate::domain::ids::HouseholdId;
use crate::domain::person::Idcs;

const BATCH_ROWS: usize = 1_000;
const BATCHES_WAITING: usize = 4;

/// A row whose household is known; `value` is `None` where the row itself was rejected.
pub(super) struct Keyed<T> {
    pub row: u32,
    pub id: HouseholdId,
    pub value: Option<T>,
    /// The person of a member row, where the number can be read.
    pub person: Option<Idcs>,
}

/// Rows on their way to the reader.
pub(super) struct Batch<T> {
    pub rows: Vec<Keyed<T>>,
    pub rejections: Vec<Rejection>,
    pub new_places: Vec<(PlaceId, Place)>,
    pub sightings: Vec<Sighting>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            rows: Vec::with_capacity(BATCH_ROWS),
            rejections: Vec::new(),
            new_places: Vec::new(),
            sightings: Vec::new(),
        }
    }
}

/// What a thread says.
pub(super) enum Message<T> {
    Rows(Batch<T>),
    /// The last message.
    End(Result<KindOutcome, SnapshotError>),
}

/// What a thread found in all parts of its kind.
#[derive(Debug, Default)]
pub(super) struct KindOutcome {
    pub rows: u64,
    pub bytes: u64,
    pub warnings: Vec<String>,
    pub sums: Sums,
}

/// Sums over household rows as they lie, for the control totals.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub rsu_score: i128,
    pub deceased_payees: u64,
    pub by_means: [u64; Means::ALL.len()],
}

/// A thread's task.
pub(super) struct Task {
    pub dir: PathBuf,
    pub parts: Vec<Part>,
    pub limits: Limits,
    pub rules: RowRules,
    pub attributes: Arc<AttributeTypes>,
}

/// Starts reading households.
pub(super) fn read_households(task: Task) -> Result<Receiver<Message<Household>>, Fault> {
    start("households", move |sender| {
        let sink = HouseholdSink {
            sender: Sender::new(sender),
            rules: task.rules,
            attributes: Arc::clone(&task.attributes),
            previous: None,
            places: Places::new(task.limits.places_max),
            sums: Sums::default(),
        };
        run(&task, Kind::Households, sink, |s| &mut s.sender, |s| s.sums.clone());
    })
}

/// Starts reading members.
pub(super) fn read_members(task: Task) -> Result<Receiver<Message<Member>>, Fault> {
    start("members", move |sender| {
        let sink = MemberSink { sender: Sender::new(sender), rules: task.rules, previous: None };
        run(&task, Kind::Members, sink, |s| &mut s.sender, |_| Sums::default());
    })
}

fn start<T: Send + 'static>(
    name: &str,
    body: impl FnOnce(SyncSender<Message<T>>) + Send + 'static,
) -> Result<Receiver<Message<T>>, Fault> {
    let (sender, receiver) = sync_channel(BATCHES_WAITING);
    let thread = thread::Builder::new().name(format!("snapshot-{name}"));
    thread.spawn(move || body(sender)).map_err(Fault::Io)?;
    Ok(receiver)
}

/// Reads all parts into the sink and says how it ended.
fn run<S: RowSink, T>(
    task: &Task,
    kind: Kind,
    mut sink: S,
    sender: fn(&mut S) -> &mut Sender<T>,
    sums: fn(&S) -> Sums,
) {
    let (mut cursor, columns) = (Cursor::default(), Columns::of(kind, &task.attributes));
    let outcome = task
        .parts
        .iter()
        .try_for_each(|part| read_part(&task.dir, part, &columns, &task.limits, &mut cursor, &mut sink))
        .and_then(|()| sender(&mut sink).flush().map_err(Fault::whole))
        .map(|()| KindOutcome {
            rows: cursor.row,
            bytes: cursor.bytes,
            warnings: cursor.warnings,
            sums: sums(&sink),
        });
    // A reader that has gone away wants no last word.
    let _ = sender(&mut sink).channel.send(Message::End(outcome));
}

/// Fills batches and sends them.
struct Sender<T> {
    channel: SyncSender<Message<T>>,
    batch: Batch<T>,
}

impl<T> Sender<T> {
    fn new(channel: SyncSender<Message<T>>) -> Self {
        Self { channel, batch: Batch::default() }
    }

    fn row(&mut self, row: Keyed<T>) -> Result<(), Fault> {
        self.batch.rows.push(row);
        if self.batch.rows.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn reject(
        &mut self,
        kind: Kind,
        row: u32,
        household: Option<HouseholdId>,
        refusal: &Refusal<'_>,
    ) -> Result<(), Fault> {
        let (field, value_masked, reason) = (refusal.field.clone(), mask(refusal.value), refusal.reason);
        self.batch.rejections.push(Rejection { kind, row, household, field, value_masked, reason });
        if self.batch.rejections.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let batch = std::mem::take(&mut self.batch);
        self.channel.send(Message::Rows(batch)).map_err(|_| Fault::Stopped)
    }
}

fn unsorted(id: HouseholdId, before: HouseholdId) -> Fault {
    Fault::Unsorted { household: id.as_str().into(), before: before.as_str().into() }
}

struct HouseholdSink {
    sender: Sender<Household>,
    rules: RowRules,
    attributes: Arc<AttributeTypes>,
    /// The id before, and the first row that bore it.
    previous: Option<(HouseholdId, u32)>,
    places: Places,
    sums: Sums,
}

impl HouseholdSink {
    /// Keeps what can be read of a rejected row, as of the household of `row`.
    fn sight(&mut self, row: u32, fields: &[&str]) {
        let seen = row::readable(fields, &self.rules).map(|thing| Sighting { row, of_taken: false, thing });
        self.sender.batch.sightings.extend(seen);
    }
}

impl RowSink for HouseholdSink {
    fn row(&mut self, row: u32, fields: &[&str]) -> Result<(), Fault> {
        self.sums.add(fields);
        let id = match row::household_id(fields[0]) {
            Ok(id) => id,
            Err(refusal) => {
                self.sight(row, fields);
                return self.sender.reject(Kind::Households, row, None, &refusal);
            }
        };
        if let Some((before, first)) = self.previous {
            if id < before {
                return Err(unsorted(id, before));
            }
            if id == before {
                self.sight(first, fields);
                let reason = RejectReason::DuplicateHousehold;
                let refusal = Refusal { field: "household_id".into(), value: fields[0], reason };
                return self.sender.reject(Kind::Households, row, Some(id), &refusal);
            }
        }
        self.previous = Some((id, row));
        match row::household(fields, row, id, &self.rules, &self.attributes) {
            Ok(mut household) => {
                household.place = self.places.number(&fields[1..4], &mut self.sender.batch.new_places)?;
                self.sender.row(Keyed { row, id, value: Some(household), person: None })
            }
            Err(refusal) => {
                self.sight(row, fields);
                self.sender.reject(Kind::Households, row, Some(id), &refusal)?;
                self.sender.row(Keyed { row, id, value: None, person: None })
            }
        }
    }
}

struct MemberSink {
    sender: Sender<Member>,
    rules: RowRules,
    previous: Option<HouseholdId>,
}

impl RowSink for MemberSink {
    fn row(&mut self, row: u32, fields: &[&str]) -> Result<(), Fault> {
        let id = match row::household_id(fields[0]) {
            Ok(id) => id,
            Err(refusal) => {
                let person = row::readable_person(fields, &self.rules);
                let seen = person.map(|idcs| Sighting::without_household(row, idcs));
                self.sender.batch.sightings.extend(seen);
                return self.sender.reject(Kind::Members, row, None, &refusal);
            }
        };
        if let Some(before) = self.previous.replace(id).filter(|before| id < *before) {
            return Err(unsorted(id, before));
        }
        match row::member(fields, &self.rules) {
            Ok(member) => {
                let person = Some(member.idcs);
                self.sender.row(Keyed { row, id, value: Some(member), person })
            }
            Err(refusal) => {
                self.sender.reject(Kind::Members, row, Some(id), &refusal)?;
                let person = row::readable_person(fields, &self.rules);
                self.sender.row(Keyed { row, id, value: None, person })
            }
        }
    }
}

impl Sums {
    fn add(&mut self, fields: &[&str]) {
        // Columns of `HOUSEHOLD_COLUMNS`: rsu_score, payee_deceased, means.
        let (score, deceased, means) = (fields[4], fields[13], fields[15]);
        self.rsu_score += Score::parse(score.as_bytes()).map_or(0, |s| i128::from(s.0));
        self.deceased_payees += u64::from(attribute::boolean(deceased) == Some(true));
        if let Some(means) = Means::parse(means) {
            self.by_means[usize::from(means.number())] += 1;
        }
    }
}

/// Numbers places in the order of their first accepted row.
struct Places {
    known: HashMap<String, PlaceId>,
    key: String,
    limit: usize,
}

impl Places {
    fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), key: String::new(), limit: limit.min(usize::from(u16::MAX)) }
    }

    fn number(&mut self, names: &[&str], new: &mut Vec<(PlaceId, Place)>) -> Result<PlaceId, Fault> {
        self.key.clear();
        for name in names {
            // A control character, so part of no name.
            self.key.push('\u{1f}');
            self.key.push_str(name.trim());
        }
        if let Some(id) = self.known.get(self.key.as_str()) {
            return Ok(*id);
        }
        if self.known.len() >= self.limit {
            return Err(Fault::TooManyPlaces { limit: self.limit });
        }
        let id = PlaceId(u16::try_from(self.known.len()).expect("the limit fits 16 bits"));
        self.known.insert(self.key.clone(), id);
        let [region, province, commune] = [0, 1, 2].map(|i| names[i].trim().to_owned());
        new.push((id, Place { region, province, commune }));
        Ok(id)
    }
}
