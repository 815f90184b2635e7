//! How files travel to a provider and from it, and what an attempt to bring one there does next.
//!
//! - **Input**: what is agreed with the provider, how far the file came, what lies at the provider.
//! - **Output**: the next step.
//! - **Guarantee**: pure. A file is given its name at the provider once: where that may have happened and nothing lies there any
//!   more, a person is asked. What lies there with other bytes is never written over.
//! - **Limit**: whether a file that was taken away was read by the bank is not known here; its answer says so.

use serde::Deserialize;

use super::listed::listed;

/// What is agreed of the transport by SFTP; what concerns the server is said by whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryTerms {
    /// Addresses `HOST:PORT`, tried in turn.
    pub hosts: Vec<String>,
    /// Name to log in with; the key lies in `secrets/CODE.ssh` below the home.
    pub user: String,
    /// Fingerprints `SHA256:…` of the host keys that are believed; two of them while a key is rolled over.
    pub host_keys: Vec<String>,
    /// Folder that files are brought into.
    pub upload: String,
    /// Folder that messages are fetched from; without, none are.
    #[serde(default)]
    pub download: Option<String>,
    /// What becomes of a message there once it is here.
    #[serde(default)]
    pub after_fetch: AfterFetch,
    /// Folder that fetched messages are moved into, where they are moved.
    #[serde(default)]
    pub archive: Option<String>,
    /// Whether a file may be renamed there: it then has its name only once it is whole.
    #[serde(default = "yes")]
    pub renames: bool,
    /// Whether what was brought may be read: it is then compared byte by byte.
    #[serde(default = "yes")]
    pub reads_back: bool,
    /// Whether `NAME.sha256` is laid beside a file, as in the outbox.
    #[serde(default = "yes")]
    pub sends_hash: bool,
    /// Whether a signature of ours, `NAME.sig`, is laid beside a file.
    #[serde(default)]
    pub signs: bool,
    /// Whether files are sealed to the provider's keys on their way.
    #[serde(default)]
    pub seals: bool,
    /// Whether a message is believed only with the provider's signature beside it.
    #[serde(default)]
    pub expects_signed: bool,
    /// Files under way at once.
    #[serde(default = "four")]
    pub files_at_once: u8,
    /// After this long without an answer the connection counts as gone.
    #[serde(default = "thirty")]
    pub timeout_s: u16,
    /// Whether the bank holds a file until signatories release it there.
    #[serde(default)]
    pub awaits_signature: bool,
}

const fn yes() -> bool {
    true
}

const fn four() -> u8 {
    4
}

const fn thirty() -> u16 {
    30
}

listed! {
    /// What becomes of a message at the provider once it is here.
    #[derive(Default)]
    AfterFetch {
        /// Nothing.
        #[default]
        Leave = "leave",
        /// It is moved into the archive.
        Archive = "archive",
        /// It is deleted.
        Delete = "delete",
    }
}

listed! {
    /// How far a file came on its way to a provider.
    DeliveryState {
        /// It waits, or part of it was brought under a name that nobody picks up.
        Waiting = "waiting",
        /// It may have been given its name: that was begun, and its end was not seen.
        Naming = "naming",
        /// It lies there, or lay there, whole and under its name.
        Delivered = "delivered",
        /// A person decides.
        Stopped = "stopped",
    }
}

/// What lies at a provider under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// Nothing.
    Nothing,
    /// The first so many bytes of ours.
    Part(u64),
    /// All of ours.
    Whole,
    /// Other bytes, or some that cannot be compared.
    Other,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bring the bytes from here on, under the name for what is not whole.
    Bring(u64),
    /// Give it its name.
    Name,
    /// It is there.
    Done,
    /// Ask a person.
    Stop(StopReason),
}

listed! {
    /// Why a person is asked.
    StopReason {
        /// Other bytes lie there under its name.
        NameTaken = "name_taken",
        /// It may have been given its name, and nothing lies there: it may have been picked up.
        MayBeTaken = "may_be_taken",
        /// The server refuses what is agreed.
        Refused = "refused",
    }
}

/// What comes next for a file, by what lies under its own name and under the name for what is not whole.
pub const fn next(state: DeliveryState, named: Lies, draft: Lies, renames: bool) -> Step {
    if renames { next_by_rename(state, named, draft) } else { next_under_name(state, named) }
}

const fn next_by_rename(state: DeliveryState, named: Lies, draft: Lies) -> Step {
    match (state, named, draft) {
        (_, Lies::Whole, _) => Step::Done,
        (_, Lies::Part(_) | Lies::Other, _) => Step::Stop(StopReason::NameTaken),
        (_, Lies::Nothing, Lies::Whole) => Step::Name,
        (DeliveryState::Naming | DeliveryState::Delivered, Lies::Nothing, _) => {
            Step::Stop(StopReason::MayBeTaken)
        }
        (_, Lies::Nothing, Lies::Part(bytes)) => Step::Bring(bytes),
        (_, Lies::Nothing, Lies::Nothing | Lies::Other) => Step::Bring(0),
    }
}

/// Where nothing may be renamed the file grows under its own name, and may be picked up as soon as it is whole.
const fn next_under_name(state: DeliveryState, named: Lies) -> Step {
    match (state, named) {
        (_, Lies::Whole) => Step::Done,
        (_, Lies::Other) => Step::Stop(StopReason::NameTaken),
        (_, Lies::Part(bytes)) => Step::Bring(bytes),
        (DeliveryState::Naming | DeliveryState::Delivered, Lies::Nothing) => {
            Step::Stop(StopReason::MayBeTaken)
        }
        (DeliveryState::Waiting | DeliveryState::Stopped, Lies::Nothing) => Step::Bring(0),
    }
}

/// The name that a file bears while it is not whole: hidden, and with an ending that watchers pass over. A server that lets
/// nothing be written over gets a new one each time.
pub fn draft_name(name: &str, attempt: u8) -> String {
    if attempt == 0 { format!(".{name}.part") } else { format!(".{name}.{attempt}.part") }
}

/// Whether a name at a provider is one of a file that is not whole yet.
pub fn is_draft(name: &str) -> bool {
    const ENDINGS: [&str; 6] = [".part", ".tmp", ".temp", ".filepart", ".partial", ".writing"];
    let lower = name.to_ascii_lowercase();
    name.starts_with('.') || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// Endings of what lies beside a message and is none.
const COMPANIONS: [&str; 4] = [".sig", ".asc", ".sha256", ".md5"];

/// Endings of a signature that lies beside a message.
pub const SIGNATURES: [&str; 2] = [".sig", ".asc"];

/// The name of the message that a file lies beside, where its name says so.
pub fn companion_of(name: &str) -> Option<&str> {
    COMPANIONS.iter().find_map(|ending| name.strip_suffix(ending)).filter(|base| !base.is_empty())
}

#[cfg(test)]
mod tests {
    use super::DeliveryState::{Delivered, Naming, Stopped, Waiting};
    use super::Lies::{Nothing, Other, Part, Whole};
    use super::Step::{Bring, Done, Name, Stop};
    use super::StopReason::{MayBeTaken, NameTaken};
    use super::*;

    #[test]
    fn a_file_is_named_once() {
        for (state, named, draft, step) in [
            (Waiting, Nothing, Nothing, Bring(0)),
            (Waiting, Nothing, Part(7), Bring(7)),
            (Waiting, Nothing, Other, Bring(0)),
            (Waiting, Nothing, Whole, Name),
            (Waiting, Whole, Nothing, Done),
            (Waiting, Other, Whole, Stop(NameTaken)),
            (Waiting, Part(7), Nothing, Stop(NameTaken)),
            (Naming, Nothing, Whole, Name),
            (Naming, Whole, Nothing, Done),
            (Naming, Nothing, Nothing, Stop(MayBeTaken)),
            (Naming, Nothing, Part(7), Stop(MayBeTaken)),
            (Naming, Other, Nothing, Stop(NameTaken)),
            (Delivered, Nothing, Nothing, Stop(MayBeTaken)),
            (Stopped, Nothing, Nothing, Bring(0)),
        ] {
            assert_eq!(next(state, named, draft, true), step, "{state} {named:?} {draft:?}");
        }
    }

    #[test]
    fn without_renaming_it_grows_under_its_name() {
        for (state, named, step) in [
            (Waiting, Nothing, Bring(0)),
            (Waiting, Part(3), Bring(3)),
            (Naming, Part(3), Bring(3)),
            (Naming, Whole, Done),
            (Naming, Nothing, Stop(MayBeTaken)),
            (Waiting, Other, Stop(NameTaken)),
        ] {
            assert_eq!(next(state, named, Nothing, false), step, "{state} {named:?}");
        }
    }

    #[test]
    fn what_is_not_whole_bears_a_name_of_its_own() {
        assert!(is_draft(&draft_name("a.xml", 0)) && is_draft(&draft_name("a.xml", 2)));
        assert!(is_draft("a.xml.filepart") && !is_draft("camt053.xml"));
        assert_ne!(draft_name("a.xml", 0), draft_name("a.xml", 1));
        assert_eq!((companion_of("a.xml.sig"), companion_of("a.xml")), (Some("a.xml"), None));
    }
}
