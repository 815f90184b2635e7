//! What is ordered in a month of a simulation: the regular run, corrections, reissues, and holds that are let go.

use anyhow::Context as _;

use super::{ACCOUNTANT, APPROVER, PREPARER, Progress, Simulation, queries};
use crate::domain::ids::{Code, RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::dispatch::files;
use crate::pipeline::intake;
use crate::pipeline::orders::reissue::{self, ReissueError};
use crate::pipeline::orders::{correction, holds, regular};
use crate::pipeline::runs::{approve, fund};
use crate::sandbox::registry::{GenerateOptions, generate_with_progress};
use crate::store::runs;

const PROGRAMME: &str = "dss";
/// Holds that people look into and let go.
const LET_GO: [&str; 5] =
    ["shared_phone", "shared_account", "shared_person", "shared_payee", "member_rejected"];

impl Simulation<'_> {
    /// Orders and sends the month; gives the runs.
    pub(super) async fn pay(&mut self, month: usize, period: Period) -> anyhow::Result<Vec<RunId>> {
        let list = self.list(period).await?;
        let mut runs = vec![self.regular(month, list).await?];
        runs.extend(self.correct(list).await?);
        runs.extend(self.reissue().await?);
        for run in &runs {
            files::dispatch(&self.context, *run).await.with_context(|| format!("run {run} leaves"))?;
        }
        self.let_go(month, runs[0]).await?;
        Ok(runs)
    }

    async fn list(&self, period: Period) -> anyhow::Result<SnapshotId> {
        let context = &self.context;
        let folder = context.home.join("snapshots").join(period.to_string());
        let (households, seed) = (self.options.households, self.options.seed);
        let mut options =
            GenerateOptions::new(households, period, Code::parse(PROGRAMME)?, seed, folder.clone());
        // More is told late than registries do, so that small countries see it.
        (options.churn.late_death_ppm, options.churn.late_birth_ppm) = (500_000, 400_000);
        options.rates.split_household_ppm = 4_000;
        tokio::task::block_in_place(|| generate_with_progress(&options, &context.telemetry))?;
        let imported = intake::import(context, &folder).await?.into_inner();
        self.say(&Progress::List { households: imported.counts.households });
        Ok(imported.id)
    }

    async fn regular(&self, month: usize, list: SnapshotId) -> anyhow::Result<RunId> {
        let context = &self.context;
        let make = async || regular::create(context, list, RunKind::Regular, PREPARER).await;
        let mut run = make().await?.into_inner();
        let mut given_up = None;
        if self.plan.gives_up(month) {
            self.approved(run).await?;
            fund::cancel(context, run, APPROVER).await?;
            given_up = Some(run);
            run = make().await?.into_inner();
        }
        self.approved(run).await?;
        self.released(run).await?;
        self.told(RunKind::Regular, run, given_up, None).await?;
        Ok(run)
    }

    async fn correct(&self, list: SnapshotId) -> anyhow::Result<Option<RunId>> {
        let made = correction::create(&self.context, list, None, PREPARER).await?.into_inner();
        let correction::Found::Run(run) = made else { return Ok(None) };
        self.approved(run).await?;
        self.released(run).await?;
        self.told(RunKind::Correction, run, None, None).await?;
        Ok(Some(run))
    }

    async fn reissue(&self) -> anyhow::Result<Option<RunId>> {
        let made = match reissue::create(&self.context, PROGRAMME, None, PREPARER).await {
            Ok(made) => made.into_inner(),
            Err(ReissueError::Nothing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // What was made before stands where it stands.
        if self.open.iter().any(|open| open.run == made.run)
            || self.find(made.run).await?.state != RunState::Computed
        {
            return Ok(None);
        }
        self.approved(made.run).await?;
        self.released(made.run).await?;
        let waiting: u64 = made.left.iter().map(|left| left.orders).sum();
        self.told(RunKind::Reissue, made.run, None, Some(waiting)).await?;
        Ok(Some(made.run))
    }

    /// People look into held orders and let some go; these leave in files of their own.
    async fn let_go(&self, month: usize, run: RunId) -> anyhow::Result<()> {
        let (context, most) = (&self.context, self.plan.let_go(month));
        let held = queries::held(&context.store, run, &LET_GO, self.options.seed, most).await?;
        for order in &held {
            holds::set(context, *order, false, PREPARER, "looked into: the household is sound").await?;
            holds::confirm(context, *order, APPROVER).await?;
        }
        if !held.is_empty() {
            fund::release(context, run, None, ACCOUNTANT).await?;
            files::dispatch(context, run).await?;
            self.say(&Progress::LetGo(held.len()));
        }
        Ok(())
    }

    /// Through its checks and two people's hands.
    async fn approved(&self, run: RunId) -> anyhow::Result<()> {
        let context = &self.context;
        approve::acknowledge(context, run, PREPARER, "seen in the simulation").await?;
        approve::submit(context, run, PREPARER).await?;
        approve::approve(context, run, APPROVER).await?;
        Ok(())
    }

    async fn released(&self, run: RunId) -> anyhow::Result<()> {
        fund::fund(&self.context, run, ACCOUNTANT).await?;
        fund::release(&self.context, run, None, ACCOUNTANT).await?;
        Ok(())
    }

    async fn told(
        &self,
        kind: RunKind,
        run: RunId,
        given_up: Option<RunId>,
        waiting: Option<u64>,
    ) -> anyhow::Result<()> {
        let made = self.find(run).await?;
        let (orders, ordered) = (made.orders as u64, made.ordered);
        self.say(&Progress::Run { kind, run, orders, ordered, given_up, waiting });
        Ok(())
    }

    pub(super) async fn find(&self, run: RunId) -> anyhow::Result<runs::Run> {
        let mut tx = self.context.store.begin().await?;
        let found = runs::find_in_tx(&mut tx, run, false).await?;
        tx.rollback().await?;
        found.with_context(|| format!("run {run}"))
    }
}
