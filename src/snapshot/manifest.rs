//! `manifest.json`: what the registry says it sent, and the identity of a snapshot.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::error::{Fault, SnapshotError};
use crate::domain::household::Means;
use crate::domain::ids::Code;
use crate::domain::period::Period;
use crate::files;

/// The contract that this module reads and writes.
pub const FORMAT: &str = "sarf-snapshot/1";
/// Name of the manifest in the folder.
pub const MANIFEST_FILE: &str = "manifest.json";
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A row for each household.
    Households,
    /// A row for each member of a household.
    Members,
    /// A row for each claim of a birth grant.
    Claims,
    /// A row for each child in the care of an institution for whom deposits are paid in.
    Deposits,
}

impl Kind {
    /// The spelling in manifests and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Households => "households",
            Self::Members => "members",
            Self::Claims => "claims",
            Self::Deposits => "deposits",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Hex(pub [u8; 32]);

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nibble = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
        let bytes: Option<Vec<u8>> =
            text.as_bytes().chunks(2).map(|p| Some(nibble(p[0])? << 4 | nibble(*p.get(1)?)?)).collect();
        bytes
            .and_then(|b| b.try_into().ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("sha256 is not 64 hexadecimal digits"))
    }
}

/// One file of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Plain name of a file beside the manifest.
    pub file: String,
    /// What it holds.
    pub kind: Kind,
    /// Its data rows.
    pub rows: u64,
    /// SHA-256 of the file as it lies, so of the compressed bytes.
    pub sha256: Sha256Hex,
}

/// Sums over all data rows as they lie, rejected ones included. Each is optional; one that is there must agree.
/// A row whose score, means or mark cannot be read counts in none of them. A name not listed here is refused, since a
/// control total that nobody checks controls nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlTotals {
    /// Household rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub households: Option<u64>,
    /// Member rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// Claim rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<u64>,
    /// Deposit rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposits: Option<u64>,
    /// Household rows whose `payee_deceased` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deceased_payees: Option<u64>,
    /// Sum of `rsu_score`, a decimal written as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsu_score_sum: Option<Decimal>,
    /// Household rows by `means`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_means: Option<BTreeMap<Means, u64>>,
}

/// The manifest, checked: its format is this one, its file names are safe, households and members have one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// The programme the list is for.
    pub programme: Code,
    /// The month the list is for.
    pub period: Period,
    /// Who wrote it, for people.
    pub source: String,
    /// When it was written.
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// The files, in the order in which they are read.
    pub parts: Vec<Part>,
    /// Sums to check the rows against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_totals: Option<ControlTotals>,
}

impl Manifest {
    /// Reads and checks `manifest.json` of a folder; parts are not opened.
    ///
    /// # Errors
    /// The file is missing, too large, not of the contract's shape, or names unsafe, repeated or too few parts.
    pub fn load(dir: &Path) -> Result<Self, SnapshotError> {
        let fault = |f: Fault| f.of_part(MANIFEST_FILE, None);
        let file = files::open(&dir.join(MANIFEST_FILE)).map_err(|e| fault(open_fault(e)))?;
        let mut text = Vec::new();
        file.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut text).map_err(|e| fault(Fault::Io(e)))?;
        if text.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(fault(Fault::ManifestTooLarge { limit_bytes: MANIFEST_BYTES_MAX }));
        }
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
        // The format is read first, so that another version is called that, and not a missing field.
        let head: Head = serde_json::from_slice(text).map_err(|e| fault(Fault::Manifest(e)))?;
        if head.format != FORMAT {
            let found = head.format.chars().take(40).collect::<String>().into();
            return Err(fault(Fault::Format { found }));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|e| fault(Fault::Manifest(e)))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Writes `manifest.json` into a folder, over one that is there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn store(&self, dir: &Path) -> Result<(), SnapshotError> {
        let fault = |f: Fault| f.of_part(MANIFEST_FILE, None);
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| fault(Fault::Manifest(e)))?;
        text.push(b'\n');
        files::replace(&dir.join(MANIFEST_FILE), &text).map_err(|e| fault(Fault::Write(e)))
    }

    /// The snapshot's identity: SHA-256 over format, programme, period and each part's kind, rows and hash, in order.
    /// Who wrote it, when, and the names of files do not count: the same content is the same snapshot.
    pub fn content_sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{}\n{}\n", self.format, self.programme, self.period));
        for part in &self.parts {
            hash.update(format!("{} {} {}\n", part.kind, part.rows, part.sha256));
        }
        hash.finalize().into()
    }

    /// Rows of a kind, over its parts.
    pub fn rows(&self, kind: Kind) -> u64 {
        self.parts.iter().filter(|p| p.kind == kind).fold(0, |sum, p| sum.saturating_add(p.rows))
    }

    fn check(&self) -> Result<(), SnapshotError> {
        for (i, part) in self.parts.iter().enumerate() {
            if !is_plain_name(&part.file) {
                let file = part.file.chars().take(80).collect::<String>().into();
                return Err(Fault::UnsafeName { file }.whole());
            }
            if self.parts[..i].iter().any(|p| p.file == part.file) {
                return Err(Fault::RepeatedFile.of_part(&part.file, None));
            }
        }
        for kind in [Kind::Households, Kind::Members, Kind::Claims, Kind::Deposits] {
            let needed = matches!(kind, Kind::Households | Kind::Members);
            if needed && !self.parts.iter().any(|p| p.kind == kind) {
                return Err(Fault::NoPart(kind).whole());
            }
            if self.rows(kind) > u64::from(u32::MAX) {
                return Err(Fault::TooManyDeclared(kind).whole());
            }
        }
        Ok(())
    }
}

impl Part {
    /// Opens the part's file, which must be a plain file: a link could lead out of the folder.
    pub(super) fn open(&self, dir: &Path) -> Result<(fs::File, u64), Fault> {
        let path: PathBuf = dir.join(&self.file);
        let file = files::open(&path).map_err(|error| match files::PathFault::of(&error) {
            Some(_) => Fault::UnsafeName { file: self.file.as_str().into() },
            None => open_fault(error),
        })?;
        let bytes = file.metadata().map_err(open_fault)?.len();
        Ok((file, bytes))
    }
}

#[derive(Deserialize)]
struct Head {
    format: String,
}

fn open_fault(error: std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::NotFound => Fault::MissingFile,
        _ => Fault::Io(error),
    }
}

/// Whether the name can only be that of a file in the folder itself, on any system.
fn is_plain_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(allowed)
}

/// RFC 3339 in JSON.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    pub(super) fn serialize<S: Serializer>(value: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.format(&Rfc3339).map_err(serde::ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)
    }
}
