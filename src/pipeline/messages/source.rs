//! What a file is that should hold messages: told by its content, whatever its name.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{FeedbackError, settlement};
use crate::files;
use crate::iso20022::sniff::{sniff, sniff_message};
use crate::iso20022::values::MessageKind;
use crate::iso20022::xml::fault::{Limits, XmlFault};
use crate::snapshot::dialect::{Looks, looks};

/// What is read here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Xml(MessageKind),
    Settlement,
}

impl Kind {
    /// Its name, where it is read.
    pub(super) fn name(self) -> Result<&'static str, FeedbackError> {
        use MessageKind::{Camt029, Camt052, Camt053, Camt054, Camt086, Pacs002, Pacs004, Pain002};
        match self {
            Self::Xml(
                kind @ (Pain002 | Pacs002 | Camt052 | Camt053 | Camt054 | Pacs004 | Camt029 | Camt086),
            ) => Ok(kind.family()),
            Self::Xml(other) => Err(FeedbackError::Kind(other)),
            Self::Settlement => Ok("settlement"),
        }
    }
}

/// Why a file of a folder is left alone; `None` for one that may be a message, whole or not.
pub fn left_alone(path: &Path) -> Option<&'static str> {
    let Ok(file) = files::open(path) else { return None };
    let mut first = [0; 512];
    let mut length = 0;
    let mut file = file.take(first.len() as u64);
    while length < first.len() {
        match file.read(&mut first[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(_) => return None,
        }
    }
    let first = &first[..length];
    // What is packed may be a message: it is refused by name, not passed over.
    if settlement::is_settlement(first) || looks(first) != Looks::Text {
        return None;
    }
    let text = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first).trim_ascii_start();
    if text.is_empty() {
        return Some("empty");
    }
    (!text.starts_with(b"<")).then_some("neither XML nor a settlement file")
}

/// What one message of a file is, and the hash and length of the file.
pub(super) struct Opened {
    pub sha256: [u8; 32],
    pub bytes: u64,
    pub kind: Kind,
}

/// Looks into a file, at the message of a place in it, from 0.
pub(super) fn open(path: &Path, limits: Limits) -> Result<Opened, FeedbackError> {
    let mut file = files::open(path).map_err(FeedbackError::Read)?;
    let mut first = BufReader::new(&file);
    let start = first.fill_buf().map_err(FeedbackError::Read)?;
    if let Looks::Packed(what) = looks(start) {
        return Err(FeedbackError::Packed(what));
    }
    let kind = if settlement::is_settlement(start) {
        Kind::Settlement
    } else if limits.message == 0 {
        Kind::Xml(sniff(first).map_err(FeedbackError::Xml)?)
    } else {
        Kind::Xml(sniff_message(first, limits).map_err(FeedbackError::Xml)?)
    };
    std::io::Seek::rewind(&mut file).map_err(FeedbackError::Read)?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 18], 0);
    loop {
        let read = file.read(&mut buffer).map_err(FeedbackError::Read)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    // A further message of an envelope is one of its own.
    if limits.message > 0 {
        hash.update(limits.message.to_be_bytes());
    }
    Ok(Opened { sha256: hash.finalize().into(), bytes, kind })
}

/// How many messages an XML file holds, of whatever kind.
pub(super) fn count(path: &Path, limits: Limits) -> Result<u32, FeedbackError> {
    let file = files::open(path).map_err(FeedbackError::Read)?;
    let reader = BufReader::with_capacity(1 << 18, file);
    crate::iso20022::sniff::count_messages(reader, limits).map_err(|error| match error.fault {
        XmlFault::NotThisMessage => FeedbackError::Kind(MessageKind::Unknown),
        _ => FeedbackError::Xml(error),
    })
}
