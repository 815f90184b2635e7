//! One provider's bank: its folders, its memory, the plan it works on, and the delivery of its answers.
//!
//! Input: a provider's outbox folder. Output: a committed [`Plan`], and answers that appear under their final name
//! whole or not at all. Guarantee: a plan left by a kill is taken up again with its own clock. Limit: a file is
//! known by its name; one that is replaced after its answer is not answered again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::domain::ids::Code;
use crate::iso20022::values::MessageHeader;
use crate::sandbox::SandboxError;
use crate::sandbox::chance::Dice;
use crate::sandbox::state_file::{load, save};
use crate::sandbox::wire::pain001::{Order, Pain001Reader};

use super::options::{SandboxOptions, StatusStyle};
use super::state::{Memory, Plan, PlannedFile};

/// A bank with something to do.
pub(super) struct Bank<'a> {
    pub(super) options: &'a SandboxOptions,
    pub(super) provider: Code,
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    outbox: PathBuf,
    inbox: PathBuf,
    work: PathBuf,
}

impl<'a> Bank<'a> {
    /// Takes up the plan that was left, or makes one of the files without an answer; `None` if there are none.
    pub(super) fn open(options: &'a SandboxOptions, provider: Code) -> Result<Option<Self>, SandboxError> {
        let outbox = options.outbox.join(provider.as_str());
        let inbox = options.inbox.join(provider.as_str());
        let state = inbox.join(".sandbox");
        let memory: Memory = load(&state.join("memory.json"))?.unwrap_or_default();
        let ended = state.join(format!("plan-{}", memory.plans));
        if ended.exists() {
            fs::remove_dir_all(&ended).map_err(SandboxError::io(&ended))?;
        }
        let work = state.join(format!("plan-{}", memory.plans + 1));
        let plan = match load(&work.join("plan.json"))? {
            Some(plan) => plan,
            None => {
                let (files, recalls) = unanswered(&outbox, &memory)?;
                let today = options.now.date();
                let due: Vec<_> = memory.later.iter().filter(|later| later.due <= today).cloned().collect();
                if files.is_empty() && recalls.is_empty() && due.is_empty() {
                    return Ok(None);
                }
                fs::create_dir_all(&work).map_err(SandboxError::io(&work))?;
                let plan = Plan { number: memory.plans + 1, now: options.now, files, recalls, due };
                save(&work.join("plan.json"), &plan)?;
                plan
            }
        };
        Ok(Some(Self { options, provider, dice: Dice::new(options.seed), plan, outbox, inbox, work }))
    }

    /// An order file.
    pub(super) fn order_path(&self, file: &PlannedFile) -> PathBuf {
        self.outbox_path(&file.name)
    }

    /// A file of the outbox.
    pub(super) fn outbox_path(&self, name: &str) -> PathBuf {
        self.outbox.join(name)
    }

    /// The bank's reference for the return of an order, whatever tells of it.
    pub(super) fn return_reference(&self, end_to_end_id: &str) -> String {
        format!("R{:016X}", self.dice.number("reference", end_to_end_id))
    }

    /// A file of the plan about an order file; `kind` is `record` or `returns`.
    pub(super) fn work_path(&self, name: &str, kind: &str) -> PathBuf {
        self.work.join(format!("{name}.{kind}"))
    }

    /// The path of an answer.
    pub(super) fn answer_path(&self, name: &str) -> PathBuf {
        self.inbox.join(name)
    }

    /// The memory; empty at the first time.
    pub(super) fn memory(&self) -> Result<Memory, SandboxError> {
        Ok(load(&self.inbox.join(".sandbox").join("memory.json"))?.unwrap_or_default())
    }

    /// Ends the plan: the memory is replaced, then the plan's folder goes.
    pub(super) fn end_plan(&self, memory: &Memory) -> Result<(), SandboxError> {
        save(&self.inbox.join(".sandbox").join("memory.json"), memory)?;
        fs::remove_dir_all(&self.work).map_err(SandboxError::io(&self.work))
    }

    /// A key for draws about this bank's files.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.provider)
    }

    /// The header of an answer: its id derives from what it is and what it is about.
    pub(super) fn header(&self, kind: &str, about: &str) -> MessageHeader {
        let number = self.dice.number(kind, &self.key(about));
        MessageHeader { msg_id: format!("{kind}-{number:016X}"), created: Some(self.now()) }
    }

    /// The clock's reading when the plan was made.
    pub(super) fn now(&self) -> OffsetDateTime {
        self.plan.now
    }

    /// Whether this bank reports on every transaction.
    pub(super) fn reports_transactions(&self) -> bool {
        match self.options.statuses {
            StatusStyle::Group => false,
            StatusStyle::Transactions => true,
            StatusStyle::Mixed => self.dice.number("style", self.provider.as_str()).is_multiple_of(2),
        }
    }

    /// Writes an answer beside, then gives it its name; the names delivered, more than one with a fault.
    pub(super) fn deliver(
        &self,
        name: &str,
        write: impl FnOnce(File) -> Result<(), SandboxError>,
    ) -> Result<Vec<String>, SandboxError> {
        let part = self.work.join(format!("{name}.part"));
        write(File::create(&part).map_err(SandboxError::io(&part))?)?;
        let (faults, key) = (&self.options.faults, self.key(name));
        if self.dice.hits(faults.truncated, "truncated", &key) {
            cut_in_half(&part).map_err(SandboxError::io(&part))?;
        }
        let mut names = vec![self.shown_name(name)];
        if self.dice.hits(faults.duplicated, "duplicated", &key) {
            let copy = self.work.join(format!("{name}.copy"));
            fs::copy(&part, &copy).map_err(SandboxError::io(&copy))?;
            names.push(self.shown_name(&name.replace(".xml", "_copy.xml")));
            self.publish(&copy, &names[1])?;
        }
        self.publish(&part, &names[0])?;
        Ok(names)
    }

    fn publish(&self, part: &Path, name: &str) -> Result<(), SandboxError> {
        let path = self.inbox.join(name);
        fs::rename(part, &path).map_err(SandboxError::io(&path))
    }

    fn shown_name(&self, name: &str) -> String {
        if self.options.faults.shuffled_names {
            format!("{:04x}_{name}", self.dice.number("shuffle", &self.key(name)) & 0xFFFF)
        } else {
            name.to_owned()
        }
    }
}

/// The complete order files of a folder that have no answer, by name, each with its message id; and the names of such recalls.
fn unanswered(outbox: &Path, memory: &Memory) -> Result<(Vec<PlannedFile>, Vec<String>), SandboxError> {
    let (mut names, mut recalls) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(outbox).map_err(SandboxError::io(outbox))? {
        let entry = entry.map_err(SandboxError::io(outbox))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let complete = !name.starts_with('.')
            && name.ends_with(".xml")
            && outbox.join(format!("{name}.sha256")).is_file();
        let recall = name.starts_with("camt055_");
        if complete && recall && !memory.recalls.contains(&name) {
            recalls.push(name);
        } else if complete && !recall && !memory.answered.contains_key(&name) {
            names.push(name);
        }
    }
    names.sort_unstable();
    recalls.sort_unstable();
    let mut files: Vec<PlannedFile> = Vec::with_capacity(names.len());
    for name in names {
        let msg_id = message_id(&outbox.join(&name), &name)?;
        let before = memory.answered.values().filter(|seen| **seen == msg_id).count()
            + files.iter().filter(|file| file.msg_id == msg_id).count();
        files.push(PlannedFile { name, msg_id, occurrence: before as u64 + 1 });
    }
    Ok((files, recalls))
}

/// The message id of a file; the start of its name, if it has none that can be read.
fn message_id(path: &Path, name: &str) -> Result<String, SandboxError> {
    let file = File::open(path).map_err(SandboxError::io(path))?;
    let mut reader = Pain001Reader::new(std::io::BufReader::new(file));
    // What is wrong with the file shows when it is answered; here only the head matters.
    let _ = reader.next(&mut Order::default());
    let msg_id = &reader.head().msg_id;
    Ok(if msg_id.is_empty() {
        name.trim_end_matches(".xml").chars().take(35).collect()
    } else {
        msg_id.clone()
    })
}

/// An id as part of a file name: what may not stand there becomes `.` and two hexadecimal digits, so that two ids
/// never give the same name.
pub(super) fn in_file_name(id: &str) -> String {
    id.bytes().fold(String::with_capacity(id.len()), |mut name, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!(".{byte:02X}"));
        }
        name
    })
}

fn cut_in_half(path: &Path) -> std::io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(file.metadata()?.len() / 2)
}
