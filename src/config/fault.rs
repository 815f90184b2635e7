//! What is wrong with a setting: which file, where in it, what, and what to do.

use std::fmt;
use std::path::PathBuf;

use crate::domain::shown;

/// Most faults that one reading tells of.
const SHOWN_MAX: usize = 20;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// The line, where it is known.
    pub line: Option<usize>,
    /// The key, with the code of what it belongs to (`provider.awb.fees.1.fee`).
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ", `{}`: {}", shown::on_one_line(&self.place), shown::on_one_line(&self.problem))
    }
}

/// All that one reading found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Nothing where there is none.
    ///
    /// # Errors
    /// Itself, where there is one.
    pub fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The hint of the first one.
    pub fn hint(&self) -> &str {
        self.0.first().map_or("", |fault| &fault.hint)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.0.iter().take(SHOWN_MAX).enumerate() {
            if place > 0 {
                f.write_str("\n  ")?;
            }
            write!(f, "{fault}")?;
            if self.0.len() > 1 {
                write!(f, " ({})", fault.hint)?;
            }
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}
