//! `sarf run create --kind correction` and `sarf run corrections`.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::app::App;
use super::run_show;
use super::ui::{Align, Exit, format};
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::files::Draft;
use crate::files::csv::write_line;
use crate::pipeline::orders::correction::{self, Found};
use crate::store::runs::corrections::{self, Correction, Part};

/// Rows read at a time.
const PAGE: i64 = 10_000;

/// What a correction run puts right, household by household.
#[derive(Args)]
pub struct Corrections {
    /// Number of the run
    id: RunId,
    /// Of this household only
    #[arg(long)]
    household: Option<String>,
    /// Write all of them to a CSV file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// How many to print at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
}

pub async fn create(app: &App, snapshot: SnapshotId, months: Option<u8>, by: &str) -> anyhow::Result<Exit> {
    let applied = correction::create(&app.context, snapshot, months, by).await?;
    let now = applied.is_now();
    match applied.into_inner() {
        Found::Nothing(months) if app.output.is_json() => {
            app.output.json(&serde_json::json!({ "run": null, "months": months }))?;
        }
        Found::Nothing(months) => {
            app.output.line(&format!("nothing differs in {months} earlier months; no run was made"));
        }
        Found::Run(id) if app.output.is_json() => {
            app.output.json(&serde_json::json!({ "run": id, "made_now": now }))?;
        }
        Found::Run(id) => {
            if !now {
                app.output.note(&format!("run {id} was made of this list before; nothing else differs"));
            }
            return run_show::show(app, id).await;
        }
    }
    Ok(Exit::Done)
}

/// Prints what a run puts right, by month, reason and direction.
pub fn print_parts(app: &App, parts: &[Part]) {
    if parts.is_empty() {
        return;
    }
    let columns = [
        ("month", Align::Left),
        ("put right", Align::Left),
        ("reason", Align::Left),
        ("households", Align::Right),
        ("¤", Align::Right),
        ("of it off cases", Align::Right),
    ];
    let off = |amount: Centimes| if amount.is_zero() { String::new() } else { format::figure(amount) };
    let mut rows: Vec<Vec<String>> = parts
        .iter()
        .map(|p| {
            let what = if p.arrears { "arrears" } else { "undue, to recover" };
            let (count, amount) = (format::count(p.households as u64), format::figure(p.amount));
            vec![p.period.to_string(), what.into(), p.reason.clone(), count, amount, off(p.off_cases)]
        })
        .collect();
    for (arrears, what) in [(true, "arrears"), (false, "undue, to recover")] {
        let of_kind = || parts.iter().filter(|p| p.arrears == arrears);
        let households: i64 = of_kind().map(|p| p.households).sum();
        let amount: Centimes = of_kind().map(|p| p.amount).sum();
        let off_cases = off(of_kind().map(|p| p.off_cases).sum());
        let (count, amount) = (format::count(households as u64), format::figure(amount));
        rows.push(vec!["all".into(), what.into(), String::new(), count, amount, off_cases]);
    }
    app.output.table(&columns, &rows);
}

impl Corrections {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        if let Some(path) = &self.csv {
            let rows = self.write(app, path).await.with_context(|| path.display().to_string())?;
            app.output.note(&format!("{} corrections written", format::count(rows)));
            return Ok(Exit::Done);
        }
        let store = &app.context.store;
        let found = corrections::list(store, self.id, self.household.as_deref(), None, self.limit).await?;
        if app.output.is_json() {
            app.output.json(&found)?;
            return Ok(Exit::Done);
        }
        let columns = [
            ("household", Align::Left),
            ("month", Align::Left),
            ("reason", Align::Left),
            ("¤ was", Align::Right),
            ("due", Align::Right),
            ("difference", Align::Right),
            ("off cases", Align::Right),
        ];
        let row = |c: &Correction| {
            let amounts = [c.was, c.due, c.difference, c.off_case].map(format::figure);
            let mut row = vec![c.household_id.clone(), c.period.to_string(), c.reason.clone()];
            row.extend(amounts);
            row
        };
        app.output.table(&columns, &found.iter().map(row).collect::<Vec<_>>());
        if found.len() as i64 == self.limit {
            app.output.note("there may be more: raise --limit, or write all with --csv FILE");
        }
        Ok(Exit::Done)
    }

    async fn write(&self, app: &App, path: &std::path::Path) -> anyhow::Result<u64> {
        let draft = Draft::begin(path)?;
        let mut out = BufWriter::new(draft.file());
        write_line(
            &mut out,
            ["household", "month", "reason", "was", "due", "difference", "order", "off_cases"],
        )?;
        let (mut written, mut last) = (0, None::<(String, Period)>);
        loop {
            let after = last.as_ref().map(|(household, period)| (household.as_str(), *period));
            let page = corrections::list(&app.context.store, self.id, self.household.as_deref(), after, PAGE)
                .await?;
            for c in &page {
                let [was, due, difference, off] =
                    [c.was, c.due, c.difference, c.off_case].map(|a| a.to_string());
                let order = c.order_id.map_or_else(String::new, |id| id.to_string());
                let month = c.period.to_string();
                write_line(
                    &mut out,
                    [&*c.household_id, &month, &c.reason, &was, &due, &difference, &order, &off],
                )?;
            }
            written += page.len() as u64;
            match page.into_iter().next_back() {
                Some(c) => last = Some((c.household_id, c.period)),
                None => break,
            }
        }
        out.flush()?;
        drop(out);
        draft.keep()?;
        Ok(written)
    }
}
