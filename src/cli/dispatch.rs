//! `sarf dispatch RUN`.

use clap::Args;
use time::OffsetDateTime;

use super::app::App;
use super::interrupt;
use super::ui::{Exit, format};
use crate::domain::ids::RunId;
use crate::domain::order::OrderState;
use crate::engine::worker::{self, LeftAlone, WorkerOptions};
use crate::pipeline::dispatch::files as dispatch;
use crate::pipeline::dispatch::files::{Again, Dispatched};
use crate::store::batches::shards::{self, Left};
use crate::store::runs;

/// Write and deliver what is released: bank files, and orders over HTTP.
#[derive(Args)]
pub struct Dispatch {
    /// Number of the run
    id: RunId,
    /// Leave the orders of the stream lane to `sarf worker`
    #[arg(long)]
    queue_only: bool,
    /// Write a file again that is missing from the outbox and that its bank did not take
    #[arg(long, value_name = "FILE", requires = "by")]
    again: Vec<String>,
    /// The accountant who says that its bank did not take it
    #[arg(long = "as", env = "SARF_OPERATOR", value_name = "NAME")]
    by: Option<String>,
}

impl Dispatch {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let again = Again { files: self.again.clone(), by: self.by.clone().unwrap_or_default() };
        let work = async { Ok(dispatch::dispatch_again(&app.context, self.id, &again).await?) };
        let done = interrupt::unless(&app.stop, Some(app.context.store.commits()), work).await?;
        if !app.output.is_json() {
            print(app, &done);
        }
        let mut worked = Ok(Vec::new());
        if done.queued > 0 && !self.queue_only && !app.stop.is_requested() {
            let options = WorkerOptions { run: Some(self.id), ..WorkerOptions::default() };
            worked = worker::work(&app.context, &options, &app.stop).await;
        }
        let left_alone = worked?;
        let now = app.context.clock.now();
        let left = shards::left_of_run(&app.context.store, self.id, now).await?;
        if app.output.is_json() {
            let mut printed = serde_json::to_value(&done)?;
            printed["shards_left"] = left.all().into();
            printed["left"] = serde_json::to_value(&left)?;
            printed["providers_left_alone"] = serde_json::to_value(&left_alone)?;
            app.output.json(&printed)?;
        } else {
            self.print_left(app, &done, &left, &left_alone).await?;
        }
        let waits = left.all() > 0 && !self.queue_only;
        Ok(if waits || !done.missing.is_empty() { Exit::NeedsPerson } else { Exit::Done })
    }

    async fn print_left(
        &self,
        app: &App,
        done: &Dispatched,
        left: &Left,
        left_alone: &[LeftAlone],
    ) -> anyhow::Result<()> {
        for provider in left_alone {
            app.output.line(&format!(
                "{} did not answer for {}: what is left for it goes out with `sarf worker`, or with this command once it answers",
                provider.code,
                format::duration(provider.silent_for)
            ));
        }
        for line in left_lines(left, app.context.clock.now()) {
            app.output.line(&line);
        }
        if left.all() == 0 && done.queued > 0 {
            app.output.line(&format!("{} orders handed over one by one", format::count(done.queued)));
        }
        let unknown = if done.queued > 0 { unknown_orders(app, self.id).await? } else { 0 };
        if unknown > 0 {
            app.output
                .note(&format!("of {unknown} it is not known whether they were taken: `sarf worker` asks"));
        }
        Ok(())
    }
}

/// What is left of the stream lane, by why.
fn left_lines(left: &Left, now: OffsetDateTime) -> Vec<String> {
    let pieces = |n: i64| if n == 1 { "1 piece of work".to_owned() } else { format!("{n} pieces of work") };
    let mut lines = Vec::new();
    if left.free > 0 {
        lines.push(format!("{} for `sarf worker`, or for this command again", pieces(left.free)));
    }
    if left.leased > 0 {
        let seconds = left.leased_s.max(1);
        lines.push(format!(
            "{} in the hands of another worker ({}): if it was killed, they are free in {seconds} s; give the command again then",
            pieces(left.leased),
            left.workers.join(", ")
        ));
    }
    if let Some(at) = left.later_at.filter(|_| left.later > 0) {
        let wait = (at - now).max(time::Duration::ZERO).unsigned_abs();
        lines.push(format!(
            "{} until a provider takes orders again, from {} ({})",
            pieces(left.later),
            format::moment(at),
            format::duration(wait)
        ));
    }
    lines
}

async fn unknown_orders(app: &App, run: RunId) -> anyhow::Result<i64> {
    let mut tx = app.context.store.begin().await?;
    let totals = runs::totals_in_tx(&mut tx, run).await?;
    tx.rollback().await?;
    Ok(totals.iter().filter(|t| t.state == OrderState::Unknown).map(|t| t.orders).sum())
}

fn print(app: &App, done: &Dispatched) {
    let before =
        if done.already > 0 { format!("; {} delivered before", done.already) } else { String::new() };
    let picked_up =
        if done.picked_up > 0 { format!(", {} of them picked up", done.picked_up) } else { String::new() };
    app.output.line(&format!(
        "{} files with {} orders, {} in {}{before}{picked_up}",
        done.files,
        format::count(done.orders),
        format::bytes(done.bytes),
        app.context.home.join("outbox").display()
    ));
    if done.restored > 0 {
        app.output.line(&format!(
            "{} files that had left were not whole in the outbox: they are again, byte for byte",
            done.restored
        ));
    }
    for file in &done.missing {
        app.output.line(&format!(
            "{file} is missing from the outbox, its hash is not: ask its bank whether it took the file; if not, write it again with \
             `--again {file} --as ACCOUNTANT`"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_says_why_and_for_how_long() {
        let now = time::macros::datetime!(2026-11-24 09:00 UTC);
        let none = Left::default();
        for (left, expected) in [
            (none.clone(), vec![]),
            (Left { free: 2, ..none.clone() }, vec!["2 pieces of work for `sarf worker`"]),
            (
                Left { leased: 1, leased_s: 28, workers: vec!["12-ab".into()], ..none.clone() },
                vec![
                    "1 piece of work in the hands of another worker (12-ab): if it was killed, they are free in 28 s",
                ],
            ),
            (
                Left {
                    later: 3,
                    later_at: Some(time::macros::datetime!(2026-11-24 10:00 UTC)),
                    ..none.clone()
                },
                vec![
                    "3 pieces of work until a provider takes orders again, from 2026-11-24 10:00:00 UTC (1 h 00 min)",
                ],
            ),
        ] {
            let lines = left_lines(&left, now);
            assert_eq!(lines.len(), expected.len(), "{lines:?}");
            for (line, expected) in lines.iter().zip(expected) {
                assert!(line.starts_with(expected), "{line}");
            }
        }
    }
}
