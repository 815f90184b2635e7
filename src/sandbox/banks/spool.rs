//! The returns of a file on the disk, until they stand in a statement.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use super::answer::returned;
use super::bank::Bank;
use super::state::PlannedFile;
use crate::domain::money::Centimes;
use crate::sandbox::SandboxError;
use crate::sandbox::wire::pain001::Order;

/// The returns of a file on their way to the disk, those to be notified also apart.
pub(super) struct Spool {
    path: PathBuf,
    all: BufWriter<File>,
    notified: BufWriter<File>,
}

impl Spool {
    pub fn create(bank: &Bank<'_>, file: &PlannedFile) -> Result<Self, SandboxError> {
        let open = |kind| {
            let path = bank.work_path(&file.name, kind);
            File::create(&path).map(BufWriter::new).map_err(SandboxError::io(&path))
        };
        let path = bank.work_path(&file.name, "returns");
        Ok(Self { path, all: open("returns")?, notified: open("notified")? })
    }

    pub fn push(
        &mut self,
        bank: &Bank<'_>,
        order: &Order,
        amount: Centimes,
        reason: &str,
        notified: bool,
    ) -> Result<(), SandboxError> {
        let line = returned(bank, order, amount, reason);
        let path = &self.path;
        let mut bytes =
            serde_json::to_vec(&line).map_err(|source| SandboxError::State { path: path.clone(), source })?;
        bytes.push(b'\n');
        self.all.write_all(&bytes).map_err(SandboxError::io(path))?;
        if notified {
            self.notified.write_all(&bytes).map_err(SandboxError::io(path))?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), SandboxError> {
        let flushed = self.all.flush().and_then(|()| self.notified.flush());
        flushed.map_err(SandboxError::io(&self.path))
    }
}
