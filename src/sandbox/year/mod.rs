//! The year: months in a row with all that goes wrong, from a seed: `sarf demo --months 12`, and the same in a test.
//!
//! | in each month | what |
//! |---|---|
//! | day 2 | banks send what comes back by itself and decide recalls; messages kept back until now arrive; households appeal |
//! | day 20 | the list; the regular run (now and then given up and made again), the correction run, the reissue run; files leave; holds are let go |
//! | day 28 | banks and payment points answer, with the month's faults; payments are asked back; people find, decide and give up undue payments, households repay some; people work off breaks; what is explained is closed, what is old is carried forward by name and reason |
//!
//! Guarantee: the same seed, households and months end in the same digest. Nothing is mended behind the engine's back: what
//! happens, happens by messages and by people's commands. Limit: one at a time on a database, which must be empty.

mod closing;
mod desk;
mod lanes;
mod pay;
mod plan;
mod post;
mod progress;
mod queries;
mod recover;

use std::path::PathBuf;

use anyhow::Context as _;
use time::{Date, OffsetDateTime};

use crate::clock::{Clock, ClockSetter};
use crate::domain::ids::RunId;
use crate::domain::period::Period;
use crate::pipeline::Context;
use crate::pipeline::access::people::Office;
use crate::pipeline::reports::verify::{self, Proof};
use crate::store::access::operators::Role;

use plan::Plan;

pub use closing::{Block, Closing, Place};
pub use lanes::{LaneOptions, Lanes};
pub use progress::{Progress, Received, Undue};

/// Makes runs.
pub const PREPARER: &str = "amina";
/// Enrols the others.
pub const ADMINISTRATOR: &str = "sara";
/// Approves them.
pub const APPROVER: &str = "brahim";
/// Answers appeals: whoever replied does not.
const SECOND_APPROVER: &str = "driss";
/// Funds and releases them, and closes the books.
pub const ACCOUNTANT: &str = "chafik";

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many households.
    pub households: u64,
    /// What everything is drawn from.
    pub seed: u64,
    /// How many months.
    pub months: u8,
    /// The last of them.
    pub last: Period,
}

/// How it ended.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// Where every centime is, and the digest.
    #[serde(flatten)]
    pub closing: Closing,
    /// What was proven.
    pub proofs: Vec<Proof>,
}

impl Outcome {
    /// What does not hold, in words.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.proofs.iter().filter(|p| !p.holds);
        let proofs = failed.map(|p| format!("{}: {} ({})", p.scope, p.claim, p.figures));
        proofs.chain(self.closing.failures()).collect()
    }
}

/// A message that is kept back.
struct Kept {
    /// Number of the month in which it arrives.
    due: usize,
    /// The file.
    path: PathBuf,
}

/// A run whose books are open.
struct Open {
    run: RunId,
    /// Number of the month in which it was made.
    since: usize,
}

/// A simulation under way.
pub struct Simulation<'a> {
    context: Context,
    lanes: Option<&'a Lanes>,
    options: Options,
    plan: Plan,
    tell: &'a (dyn Fn(&Progress) + Sync),
    kept: Vec<Kept>,
    open: Vec<Open>,
    /// The regular runs, by month.
    regular: Vec<RunId>,
    hands: ClockSetter,
}

/// A clock for a simulation: it stands at the beginning of the first month.
///
/// # Errors
/// When there is no such month.
pub fn clock(options: &Options) -> anyhow::Result<(Clock, ClockSetter)> {
    Ok(Clock::settable(at(options.period(0)?, 1)?))
}

/// Nine o'clock of a day.
fn at(period: Period, day: u8) -> anyhow::Result<OffsetDateTime> {
    let first = period.first_day();
    Ok(Date::from_calendar_date(first.year(), first.month(), day)?.with_hms(9, 0, 0)?.assume_utc())
}

impl Options {
    /// The month with this number, from 0; those after the last too.
    fn period(&self, month: usize) -> anyhow::Result<Period> {
        let back = i32::from(self.months) - 1 - i32::try_from(month)?;
        Ok(Period::from_index(self.last.index() - back)?)
    }

    /// The command that does it again.
    pub fn command(&self) -> String {
        let Self { households, seed, months, last } = self;
        format!(
            "sarf demo --months {months} --households {households} --seed {seed} --period {last} --faults"
        )
    }
}

impl<'a> Simulation<'a> {
    /// A simulation in a database that is migrated and has the demo's people; `hands` are those of the context's clock. Without
    /// `lanes` all providers must be in the file lane. `tell` is told what happens.
    pub fn new(
        context: &Context,
        lanes: Option<&'a Lanes>,
        hands: ClockSetter,
        options: Options,
        tell: &'a (dyn Fn(&Progress) + Sync),
    ) -> Self {
        let (context, plan) = (context.clone(), Plan::new(options.seed));
        let (kept, open, regular) = (Vec::new(), Vec::new(), Vec::new());
        Self { context, lanes, options, plan, tell, kept, open, regular, hands }
    }

    /// All months, and the two after them in which the last messages come and the books are closed.
    ///
    /// # Errors
    /// When a step fails that must not; the message names the command that does it all again.
    pub async fn run(mut self) -> anyhow::Result<Outcome> {
        let command = self.options.command();
        self.all().await.with_context(|| format!("repeat it with `{command}`"))
    }

    async fn all(&mut self) -> anyhow::Result<Outcome> {
        let months = usize::from(self.options.months);
        Office::of(&self.context).establish(ADMINISTRATOR, &[(SECOND_APPROVER, Role::Approver)]).await?;
        // Banks look into it before anything was sent.
        std::fs::create_dir_all(self.context.home.join("outbox"))?;
        for month in 0..months {
            let period = self.options.period(month)?;
            self.month(month, period).await.with_context(|| format!("month {period}"))?;
        }
        for month in months..months + 3 {
            let period = self.options.period(month)?;
            self.after(month, period).await.with_context(|| format!("after the last month, {period}"))?;
        }
        let proofs = verify::verify(&self.context, None).await?;
        let closing = closing::close(&self.context).await?;
        Ok(Outcome { closing, proofs })
    }

    async fn month(&mut self, month: usize, period: Period) -> anyhow::Result<()> {
        self.say(&Progress::Month(period));
        self.hands.set(at(period, 2)?);
        let early = self.post(month, true).await?;
        let appeals = self.appeal().await?;
        self.hands.set(at(period, 20)?);
        if let Some(lanes) = self.lanes {
            lanes.switch(self.plan.point_faults(month));
        }
        let runs = self.pay(month, period).await?;
        if let Some(lanes) = self.lanes {
            // Nothing is left in the air when the clock goes on: hours would pass for whoever waits for an answer.
            lanes.settle_down(&self.context, &runs).await?;
        }
        self.regular.push(runs[0]);
        self.hands.set(at(period, 28)?);
        let late = self.post(month, false).await?;
        if let Some(lanes) = self.lanes {
            self.points(lanes, &runs).await?;
        }
        self.open.extend(runs.into_iter().map(|run| Open { run, since: month }));
        self.say(&Progress::Messages(early.and(late)));
        let asked = self.recalls(month).await?;
        self.say(&Progress::Recalls(asked));
        self.recover(month, appeals).await?;
        self.desk(month).await
    }

    /// A month after the last: nothing is ordered any more.
    async fn after(&mut self, month: usize, period: Period) -> anyhow::Result<()> {
        self.say(&Progress::Quiet(period));
        self.hands.set(at(period, 2)?);
        let early = self.post(month, true).await?;
        let appeals = self.appeal().await?;
        self.hands.set(at(period, 28)?);
        let late = self.post(month, false).await?;
        self.say(&Progress::Messages(early.and(late)));
        self.recover(month, appeals).await?;
        self.desk(month).await
    }

    fn say(&self, told: &Progress) {
        (self.tell)(told);
    }
}
