//! `sarf snapshot import | list | show | rejects | diff`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::app::App;
use super::ui::{Align, Exit, format};
use crate::domain::ids::SnapshotId;
use crate::domain::not_found::Entity;
use crate::files;
use crate::files::csv::push_line;
use crate::pipeline::intake::{self, Imported};
use crate::store::registry::snapshots;

/// Snapshots.
#[derive(Subcommand)]
pub enum Snapshot {
    /// Import the snapshot in a folder; safe to repeat
    Import {
        /// Folder with manifest.json and its parts
        folder: PathBuf,
    },
    /// All snapshots
    List,
    /// One snapshot, with its rejections by reason
    Show {
        /// Its number
        id: SnapshotId,
    },
    /// Rejected rows
    Rejects {
        /// Number of the snapshot
        id: SnapshotId,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: i64,
        /// Write all of them to this file instead
        #[arg(long)]
        csv: Option<PathBuf>,
    },
    /// Households that joined, left or changed between two snapshots
    Diff {
        /// The earlier
        before: SnapshotId,
        /// The later
        after: SnapshotId,
    },
}

impl Snapshot {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::Import { folder } => import(app, &folder).await,
            Self::List => list(app).await,
            Self::Show { id } => show(app, id).await,
            Self::Rejects { id, limit, csv } => rejects(app, id, limit, csv).await,
            Self::Diff { before, after } => diff(app, before, after).await,
        }
    }
}

async fn import(app: &App, folder: &std::path::Path) -> anyhow::Result<Exit> {
    let applied = intake::import(&app.context, folder).await?;
    let now = applied.is_now();
    let imported = applied.into_inner();
    let c = imported.counts;
    // A list of which nothing is left is no list, however well its files agree with the manifest, and however often it is sent.
    let nothing_left = c.households == 0 || (c.members == 0 && c.member_rows > 0);
    let exit = if nothing_left { Exit::NeedsPerson } else { Exit::Done };
    if app.output.is_json() {
        app.output.json(&serde_json::json!({ "snapshot": imported.id, "imported_now": now, "counts": c, "warnings": imported.warnings, "unlisted_codes": imported.unlisted_codes }))?;
        return Ok(exit);
    }
    if now {
        tell_imported(app, &imported).await?;
    } else {
        app.output.line(&format!("snapshot {} was imported before; nothing changed", imported.id));
    }
    if nothing_left && c.household_rows == 0 {
        app.output.note("the list names no household: ask the registry for the list again");
    } else if nothing_left {
        app.output.note(&format!(
            "every row of a part was set aside: sarf snapshot rejects {} says why; ask the registry for the list again",
            imported.id
        ));
    }
    Ok(exit)
}

async fn tell_imported(app: &App, imported: &Imported) -> anyhow::Result<()> {
    let c = imported.counts;
    for warning in &imported.warnings {
        app.output.note(&format!("warning: {warning}"));
    }
    for code in &imported.unlisted_codes {
        app.output.note(&format!("warning: {code}"));
    }
    app.output.line(&format!(
        "snapshot {}: {} households and {} members; {} household and {} member rows set aside",
        imported.id,
        format::count(c.households),
        format::count(c.members),
        format::count(c.household_rows - c.households),
        format::count(c.member_rows - c.members)
    ));
    let snapshot = snapshots::find(&app.context.store, imported.id).await?;
    if let Some(s) = snapshot.filter(|s| s.claims + s.deposits + s.rejected_claims + s.rejected_deposits > 0)
    {
        app.output.line(&children(&s));
    }
    Ok(())
}

/// The rows about children.
fn children(snapshot: &snapshots::Snapshot) -> String {
    let count = |n: i64| format::count(n as u64);
    format!(
        "{} claims of birth grants and {} children in institutions; {} claim and {} deposit rows set aside",
        count(snapshot.claims),
        count(snapshot.deposits),
        count(snapshot.rejected_claims),
        count(snapshot.rejected_deposits)
    )
}

async fn list(app: &App) -> anyhow::Result<Exit> {
    let snapshots = snapshots::list(&app.context.store).await?;
    if app.output.is_json() {
        app.output.json(&snapshots)?;
        return Ok(Exit::Done);
    }
    let columns = [
        ("id", Align::Right, 0),
        ("programme", Align::Left, 0),
        ("period", Align::Left, 0),
        ("households", Align::Right, 0),
        ("members", Align::Right, 2),
        ("rejected", Align::Right, 1),
        ("sha256", Align::Left, 3),
    ];
    let rows: Vec<Vec<String>> = snapshots
        .iter()
        .map(|s| {
            let rejected = (s.rejected_households + s.rejected_members) as u64;
            vec![
                s.id.to_string(),
                s.programme.clone(),
                s.period.to_string(),
                format::count(s.households as u64),
                format::count(s.members as u64),
                format::count(rejected),
                s.sha256[..12].to_owned(),
            ]
        })
        .collect();
    app.output.table(&columns, &rows);
    Ok(Exit::Done)
}

async fn show(app: &App, id: SnapshotId) -> anyhow::Result<Exit> {
    let snapshot =
        snapshots::find(&app.context.store, id).await?.ok_or_else(|| Entity::Snapshot.not_found(id))?;
    let counts = snapshots::rejection_counts(&app.context.store, id).await?;
    let codes = snapshots::codes(&app.context.store, id).await?;
    let programme = app.context.config.programme(&snapshot.programme);
    let unlisted =
        programme.map_or_else(Vec::new, |p| intake::unlisted(p.rules.eligibility(), codes.clone()));
    if app.output.is_json() {
        let figures = serde_json::json!({
            "snapshot": snapshot, "rejections": counts, "exclusion_codes": codes, "unlisted_codes": unlisted,
        });
        app.output.json(&figures)?;
        return Ok(Exit::Done);
    }
    app.output.line(&format!(
        "snapshot {id} · {} {} · {} · sha256 {}",
        snapshot.programme, snapshot.period, snapshot.source, snapshot.sha256
    ));
    app.output.line(&format!(
        "{} households, {} members",
        format::count(snapshot.households as u64),
        format::count(snapshot.members as u64)
    ));
    for code in &unlisted {
        app.output.note(&format!("warning: {code}"));
    }
    if snapshot.claims + snapshot.deposits + snapshot.rejected_claims + snapshot.rejected_deposits > 0 {
        app.output.line(&children(&snapshot));
    }
    let columns =
        [("part", Align::Left), ("field", Align::Left), ("reason", Align::Left), ("rows", Align::Right)];
    let rows: Vec<Vec<String>> = counts
        .into_iter()
        .map(|(part, field, reason, n)| vec![part, field, reason, format::count(n as u64)])
        .collect();
    app.output.table(&columns, &rows);
    Ok(Exit::Done)
}

async fn rejects(app: &App, id: SnapshotId, limit: i64, csv: Option<PathBuf>) -> anyhow::Result<Exit> {
    let limit = if csv.is_some() { i64::MAX } else { limit };
    let rejected = snapshots::rejections(&app.context.store, id, limit).await?;
    if let Some(path) = csv {
        let mut lines = Vec::new();
        push_line(["part", "row", "household_id", "field", "value", "reason"], &mut lines);
        for r in &rejected {
            let row = r.row.to_string();
            let household = r.household_id.as_deref().unwrap_or_default();
            push_line([&*r.part, &row, household, &r.field, &r.value, &r.reason], &mut lines);
        }
        files::replace(&path, &lines).with_context(|| path.display().to_string())?;
        app.output.note(&format!("{} rows in {}", format::count(rejected.len() as u64), path.display()));
    } else if app.output.is_json() {
        app.output.json(&rejected)?;
    } else {
        let columns = [
            ("part", Align::Left, 0),
            ("row", Align::Right, 0),
            ("household", Align::Left, 0),
            ("field", Align::Left, 0),
            ("value", Align::Left, 1),
            ("reason", Align::Text, 0),
        ];
        let rows: Vec<Vec<String>> = rejected
            .into_iter()
            .map(|r| {
                vec![
                    r.part,
                    r.row.to_string(),
                    r.household_id.unwrap_or_default(),
                    r.field,
                    r.value,
                    r.reason,
                ]
            })
            .collect();
        app.output.table(&columns, &rows);
    }
    Ok(Exit::Done)
}

async fn diff(app: &App, before: SnapshotId, after: SnapshotId) -> anyhow::Result<Exit> {
    for id in [before, after] {
        if snapshots::find(&app.context.store, id).await?.is_none() {
            return Err(Entity::Snapshot.not_found(id).into());
        }
    }
    let diff = crate::store::registry::households::diff(&app.context.store, before, after).await?;
    if app.output.is_json() {
        app.output.json(&diff)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> =
        diff.iter().map(|(what, n)| vec![(*what).to_owned(), format::count(*n as u64)]).collect();
    app.output.table(&[("households", Align::Left), ("count", Align::Right)], &rows);
    Ok(Exit::Done)
}
