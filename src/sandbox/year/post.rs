//! The post of a simulation: what banks answer, what of it comes late, twice or torn.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::lanes::Lanes;
use super::plan::Plan;
use super::progress::{Progress, Received};
use super::{Kept, Simulation, queries};
use crate::domain::ids::RunId;
use crate::pipeline::dispatch::files as dispatch;
use crate::pipeline::messages;
use crate::sandbox::banks::{Sandbox, SandboxOptions, StatusStyle};

impl Simulation<'_> {
    /// Lets the banks answer and imports what arrives: early in the month what was kept back until now, too.
    pub(super) async fn post(&mut self, month: usize, early: bool) -> anyhow::Result<Received> {
        let mut received = Received::default();
        let mut files = Vec::new();
        if early {
            let (due, rest) = std::mem::take(&mut self.kept).into_iter().partition(|kept| kept.due <= month);
            self.kept = rest;
            let due: Vec<Kept> = due;
            received.late = due.len();
            files.extend(due.into_iter().map(|kept| kept.path));
        }
        let banks = SandboxOptions {
            outbox: self.context.home.join("outbox"),
            inbox: self.context.home.join("inbox"),
            seed: self.options.seed,
            now: self.context.clock.now(),
            rates: Plan::rates(),
            statuses: StatusStyle::Mixed,
            faults: self.plan.faults(month),
        };
        let answers = Sandbox::new(banks).answer_with_progress(&self.context.telemetry).await?;
        (received.returned_late, received.recalls) = (answers.late, answers.recalls);
        let mut again = Vec::new();
        for path in answers.files {
            let delivery = self.plan.delivery(&name_of(&path));
            if delivery.torn {
                self.refuse_half(&path).await?;
                received.torn += 1;
            }
            if delivery.twice {
                again.push(path.clone());
            }
            // After the last month nothing is kept back any more.
            if delivery.late_by > 0 && month < usize::from(self.options.months) {
                received.kept_back += 1;
                self.kept.push(Kept { due: month + usize::from(delivery.late_by), path });
            } else {
                files.push(path);
            }
        }
        received.twice = again.len();
        // Each copy right after all of the others; of one that is late, the copy may come first.
        files.extend(again);
        received.files = files.len();
        self.import(files, &mut received).await?;
        Ok(received)
    }

    async fn import(&self, files: Vec<PathBuf>, received: &mut Received) -> anyhow::Result<()> {
        let (_, last) = queries::breaks_after(&self.context.store, 0).await?;
        for (path, result) in messages::import(&self.context, files).await? {
            let imported = result.with_context(|| path.display().to_string())?;
            received.entries += imported.counts.entries;
        }
        // Which of two messages is read first is chance, and so is what the second explains of the first.
        (received.breaks, _) = queries::breaks_after(&self.context.store, last).await?;
        Ok(())
    }

    /// The first half of a message must be refused, and must change nothing.
    async fn refuse_half(&self, path: &Path) -> anyhow::Result<()> {
        let folder = self.context.home.join("torn").join(
            path.parent().and_then(Path::file_name).context("messages lie in their provider's folder")?,
        );
        std::fs::create_dir_all(&folder)?;
        let (half, bytes) = (folder.join(name_of(path)), std::fs::read(path)?);
        std::fs::write(&half, &bytes[..bytes.len() / 2])?;
        for (path, result) in messages::import(&self.context, vec![half]).await? {
            anyhow::ensure!(result.is_err(), "half of a message was taken: {}", path.display());
        }
        Ok(())
    }

    /// The stream lane's part of a month.
    pub(super) async fn points(&self, lanes: &Lanes, runs: &[RunId]) -> anyhow::Result<()> {
        let context = &self.context;
        let at_hand = lanes.settle_down(context, runs).await?;
        let drawn = lanes.draw(context, runs).await?;
        let files = lanes.end_day()?;
        let mut received = Received { files: files.len(), ..Received::default() };
        self.import(files, &mut received).await?;
        for run in runs {
            dispatch::finish(context, *run).await?;
        }
        self.say(&Progress::Points { at_hand: at_hand as u64, drawn, received });
        Ok(())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
