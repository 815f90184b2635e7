//! `sarf feedback import`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::app::App;
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::domain::hint::{Hint, chain};
use crate::iso20022::values::MessageKind;
use crate::pipeline::messages::{self, FeedbackError, Imported, set_aside};
use crate::store::messages::set_aside::{self as rows, SetAside};
use crate::telemetry::Job;

/// Feedback.
#[derive(Subcommand)]
pub enum Feedback {
    /// Import pain.002, pacs.002, camt.054, camt.053, pacs.004, camt.029 and camt.086 files, or folders of them; safe to repeat, in any order
    Import {
        /// Files and folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Import what arrives in a folder, until interrupted
    Watch {
        /// The folder, and those below it
        folder: PathBuf,
        /// How often to look, in seconds
        #[arg(long, default_value_t = 5)]
        every: u64,
    },
    /// Files that were refused or set aside, and wait
    List {
        /// Those that something came of too
        #[arg(long)]
        all: bool,
    },
    /// One of them, with a text for the bank
    Show {
        /// Its number
        id: i64,
    },
    /// Try one of them again, once the cause is mended
    Again {
        /// Its number
        id: i64,
        /// Apply it with all the breaks that it opens, as the accountant given by --as
        #[arg(long, requires = "as_name")]
        accept_breaks: bool,
        /// Name of the accountant
        #[arg(long = "as", id = "as_name", value_name = "NAME", env = "SARF_OPERATOR")]
        name: Option<String>,
    },
    /// Leave one of them for good
    Dismiss {
        /// Its number
        id: i64,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        actor: Actor,
    },
}

impl Feedback {
    /// Whether it goes on until it is interrupted.
    pub const fn watches(&self) -> bool {
        matches!(self, Self::Watch { .. })
    }

    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let paths = match self {
            Self::Import { paths } => paths,
            Self::Watch { folder, every } => return watch(app, &folder, every).await,
            Self::List { all } => return list(app, all).await,
            Self::Show { id } => return show(app, id).await,
            Self::Again { id, accept_breaks, name } => {
                let accepting = name.as_deref().filter(|_| accept_breaks);
                let results = set_aside::again(&app.context, id, accepting).await?;
                return print(app, &results, &[]);
            }
            Self::Dismiss { id, why, actor } => {
                set_aside::dismiss(&app.context, id, &actor.name, &why).await?;
                app.output.line(&format!("file {id}: dismissed"));
                app.output.json(&serde_json::json!({ "id": id, "settlement": "dismissed" }))?;
                return Ok(Exit::Done);
            }
        };
        let mut found = Collected::default();
        for path in &paths {
            collect(path, &mut found)?;
        }
        let results = messages::import(&app.context, found.files).await?;
        print(app, &results, &found.left_alone)
    }
}

/// Files that were set aside. Ends with 3 where one waits.
async fn list(app: &App, all: bool) -> anyhow::Result<Exit> {
    let files = rows::list(&app.context.store, all).await?;
    let waits = files.iter().any(|file| file.settlement.is_none());
    let exit = if waits { Exit::NeedsPerson } else { Exit::Done };
    if app.output.is_json() {
        app.output.json(&files)?;
        return Ok(exit);
    }
    if files.is_empty() {
        app.output.line("no file waits");
        return Ok(exit);
    }
    let row = |file: &SetAside| {
        vec![
            file.id.to_string(),
            file.file_name.clone(),
            format::moment(file.set_aside_at),
            file.tries.to_string(),
            file.settlement.clone().unwrap_or_else(|| "waits".into()),
            file.why.clone(),
        ]
    };
    let columns = [
        ("id", Align::Right, 0),
        ("file", Align::Left, 0),
        ("since", Align::Left, 2),
        ("tries", Align::Right, 3),
        ("", Align::Left, 0),
        ("why", Align::Text, 0),
    ];
    app.output.table(&columns, &files.iter().map(row).collect::<Vec<_>>());
    Ok(exit)
}

async fn show(app: &App, id: i64) -> anyhow::Result<Exit> {
    let file = set_aside::show(&app.context, id).await?;
    let text = set_aside::text_for_bank(&file);
    if app.output.is_json() {
        app.output.json(&serde_json::json!({ "file": file, "text_for_bank": text }))?;
        return Ok(Exit::Done);
    }
    let out = &app.output;
    out.line(&format!("file {id}: {}, set aside {}", file.file_name, format::moment(file.set_aside_at)));
    out.line(&format!("why: {}", file.why));
    out.line(&format!("for the bank: {text}"));
    match (&file.settlement, file.breaks) {
        (Some(settlement), _) => out.line(settlement),
        (None, Some(_)) => out.line(&format!(
            "to apply it all the same: sarf feedback again {id} --accept-breaks --as ACCOUNTANT; to leave it: sarf feedback dismiss {id}"
        )),
        (None, None) => out.line(&format!(
            "once the cause is mended: sarf feedback again {id}; to leave it: sarf feedback dismiss {id}"
        )),
    }
    Ok(Exit::Done)
}

/// Looks for new files again and again, until interrupted; messages that are being imported then are imported to their end. A file
/// is taken once its size stands still from one look to the next.
async fn watch(app: &App, folder: &Path, every: u64) -> anyhow::Result<Exit> {
    let (mut sizes, mut done) = (HashMap::new(), HashSet::new());
    app.output.note(&format!("watching {}; Ctrl-C ends it", folder.display()));
    let (metrics, clock) = (&app.context.telemetry.metrics, app.context.clock);
    loop {
        let mut found = Collected::default();
        collect(folder, &mut found)?;
        // Size and time of change: a file that is replaced by another of the same length is another.
        let mut still = |path: &PathBuf| {
            let Ok(now) = path.metadata().map(|m| (m.len(), m.modified().ok())) else { return false };
            sizes.insert(path.clone(), now) == Some(now) && done.insert((path.clone(), now))
        };
        let ready: Vec<PathBuf> = found.files.into_iter().filter(&mut still).collect();
        let left_alone: Vec<_> = found.left_alone.into_iter().filter(|(path, _)| still(path)).collect();
        if !ready.is_empty() || !left_alone.is_empty() {
            let results = messages::import(&app.context, ready).await?;
            print(app, &results, &left_alone)?;
        }
        metrics.succeeded(Job::FeedbackWatch, clock.now());
        if !app.stop.sleep(std::time::Duration::from_secs(every)).await {
            return Ok(Exit::Done);
        }
    }
}

/// Files that may hold messages, and those of folders that are left alone.
#[derive(Default)]
pub struct Collected {
    /// In the order of their names.
    pub files: Vec<PathBuf>,
    /// With why.
    pub left_alone: Vec<(PathBuf, &'static str)>,
}

/// The messages of a path, by content and in the order of names: what is named itself is always one.
pub fn collect(path: &Path, found: &mut Collected) -> anyhow::Result<()> {
    // A link to a folder is no folder of messages: it could lead anywhere.
    if !path.is_dir() || path.is_symlink() {
        found.files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            // Programs keep their own things so; what looks like a message is named, since nobody will read it.
            if entry.is_file() && messages::left_alone(&entry).is_none() {
                found.left_alone.push((entry, "its name begins with a point"));
            }
        } else if entry.is_dir() && !entry.is_symlink() {
            collect(&entry, found)?;
        } else if let Some(why) = messages::left_alone(&entry) {
            found.left_alone.push((entry, why));
        } else {
            found.files.push(entry);
        }
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

/// What became of messages, for machines.
pub(super) fn as_json(results: &[(PathBuf, Result<Imported, FeedbackError>)]) -> Vec<serde_json::Value> {
    let one = |(path, result): &(PathBuf, Result<Imported, FeedbackError>)| match result {
        Ok(imported) => serde_json::json!({ "file": name(path), "imported": imported }),
        Err(error) => serde_json::json!({ "file": name(path), "error": chain(error) }),
    };
    results.iter().map(one).collect()
}

/// Shows what became of messages.
pub(super) fn print(
    app: &App,
    results: &[(PathBuf, Result<Imported, FeedbackError>)],
    left_alone: &[(PathBuf, &'static str)],
) -> anyhow::Result<Exit> {
    // Banks send other messages too; those are told of, not refused.
    let unread = |e: &FeedbackError| matches!(e, FeedbackError::Kind(kind) if *kind != MessageKind::Unknown);
    let failed = results.iter().any(|(_, r)| r.as_ref().is_err_and(|e| !unread(e)));
    let broken = results.iter().any(|(_, r)| r.as_ref().is_ok_and(|i| !i.already && i.counts.breaks > 0));
    let empty = results.iter().any(|(_, r)| r.as_ref().is_ok_and(|i| i.empty.is_some()));
    if app.output.is_json() {
        let lines: Vec<serde_json::Value> = as_json(results)
            .into_iter()
            .chain(
                left_alone
                    .iter()
                    .map(|(path, why)| serde_json::json!({ "file": name(path), "left_alone": why })),
            )
            .collect();
        app.output.json(&lines)?;
    } else {
        let columns = [
            ("file", Align::Left, 0),
            ("kind", Align::Left, 0),
            ("entries", Align::Right, 2),
            ("applied", Align::Right, 0),
            ("known", Align::Right, 1),
            ("noted", Align::Right, 3),
            ("breaks", Align::Right, 0),
            ("", Align::Text, 0),
        ];
        let rows: Vec<Vec<String>> = results
            .iter()
            .map(|(path, result)| match result {
                Ok(i) => {
                    let c = i.counts;
                    let of_several = if i.documents > 1 {
                        format!(" ({} of {})", i.document, i.documents)
                    } else {
                        String::new()
                    };
                    vec![
                        name(path) + &of_several,
                        i.kind.into(),
                        format::count(c.entries),
                        format::count(c.applied),
                        format::count(c.already),
                        format::count(c.noted),
                        format::count(c.breaks),
                        note(i),
                    ]
                }
                Err(error) => vec![
                    name(path),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    if unread(error) { chain(error) } else { format!("REFUSED: {}", chain(error)) },
                ],
            })
            .collect();
        app.output.table(&columns, &rows);
        for (path, why) in left_alone {
            app.output.line(&format!("left alone: {} ({why})", path.display()));
        }
    }
    let of_store = results.iter().find_map(|(_, result)| match result {
        Err(FeedbackError::Store(error)) => Some(error),
        _ => None,
    });
    Ok(match (failed, broken) {
        (true, _) if of_store.is_some() => {
            let hint = of_store.and_then(Hint::hint);
            app.output.error("the database failed: nothing of what is refused was applied", hint.as_deref());
            Exit::Refused
        }
        (true, _) => {
            app.output.error(
                "some files were refused; nothing of them was applied",
                Some("ask the bank for them again; the others are imported"),
            );
            Exit::Refused
        }
        (false, true) => {
            app.output.note("some entries could not be matched: sarf breaks list");
            Exit::NeedsPerson
        }
        (false, false) if empty => {
            app.output.note("some messages say nothing: ask the bank whether they are whole");
            Exit::NeedsPerson
        }
        _ => Exit::Done,
    })
}

/// What is odd about a message that was taken.
fn note(imported: &Imported) -> String {
    if imported.already {
        let message = imported.message.map_or_else(String::new, |id| format!(" as message {id}"));
        let file = imported.first_file.as_ref().map_or_else(String::new, |file| format!(" (`{file}`)"));
        return format!("imported before{message}{file}");
    }
    let told = imported.warnings.iter().map(|w| format!("warning: {w}"));
    imported.empty.into_iter().map(str::to_owned).chain(told).collect::<Vec<_>>().join("; ")
}
