//! `sarf feedback import`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::app::App;
use super::ui::{Align, Exit, format};
use crate::iso20022::values::MessageKind;
use crate::pipeline::feedback::{self, FeedbackError, Imported};

/// Feedback.
#[derive(Subcommand)]
pub enum Feedback {
    /// Import pain.002, camt.054, camt.053, pacs.004 and camt.029 files, or folders of them; safe to repeat, in any order
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
}

impl Feedback {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let paths = match self {
            Self::Import { paths } => paths,
            Self::Watch { folder, every } => return watch(app, &folder, every).await,
        };
        let mut files = Vec::new();
        for path in &paths {
            collect(path, &mut files)?;
        }
        let results = feedback::import(&app.context, files).await?;
        print(app, &results)
    }
}

/// Looks for new files again and again. A file is taken once its size stands still from one look to the next.
async fn watch(app: &App, folder: &Path, every: u64) -> anyhow::Result<Exit> {
    let (mut sizes, mut done) = (HashMap::new(), HashSet::new());
    app.output.note(&format!("watching {}; Ctrl-C ends it", folder.display()));
    loop {
        let mut found = Vec::new();
        collect(folder, &mut found)?;
        let mut ready = Vec::new();
        for path in found {
            let size = path.metadata().map_or(0, |m| m.len());
            if sizes.insert(path.clone(), size) == Some(size) && done.insert((path.clone(), size)) {
                ready.push(path);
            }
        }
        if !ready.is_empty() {
            let results = feedback::import(&app.context, ready).await?;
            print(app, &results)?;
        }
        tokio::time::sleep(std::time::Duration::from_secs(every)).await;
    }
}

/// The messages of a path (`.xml`, and settlement files, `.csv`), by name.
pub fn collect(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    // A link to a folder is no folder of messages: it could lead anywhere.
    if !path.is_dir() || path.is_symlink() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && (entry.is_dir() || entry.extension().is_some_and(|e| e == "xml" || e == "csv")) {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn print(app: &App, results: &[(PathBuf, Result<Imported, FeedbackError>)]) -> anyhow::Result<Exit> {
    let name = |path: &Path| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let chain = |error: &FeedbackError| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        text
    };
    // Banks send other messages too; those are told of, not refused.
    let unread = |e: &FeedbackError| matches!(e, FeedbackError::Kind(kind) if *kind != MessageKind::Unknown);
    let failed = results.iter().any(|(_, r)| r.as_ref().is_err_and(|e| !unread(e)));
    let broken = results.iter().any(|(_, r)| r.as_ref().is_ok_and(|i| i.counts.breaks > 0));
    if app.output.is_json() {
        let lines: Vec<serde_json::Value> = results
            .iter()
            .map(|(path, result)| match result {
                Ok(imported) => serde_json::json!({ "file": name(path), "imported": imported }),
                Err(error) => serde_json::json!({ "file": name(path), "error": chain(error) }),
            })
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
                    let note = if i.already {
                        "imported before".to_owned()
                    } else {
                        i.warnings.first().map_or_else(String::new, |w| format!("warning: {w}"))
                    };
                    vec![
                        name(path),
                        i.kind.into(),
                        format::count(c.entries),
                        format::count(c.applied),
                        format::count(c.already),
                        format::count(c.noted),
                        format::count(c.breaks),
                        note,
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
    }
    Ok(match (failed, broken) {
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
        _ => Exit::Done,
    })
}
