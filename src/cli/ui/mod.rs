//! What a command prints.
//!
//! Input: results, notes, errors. Output: tables or JSON on stdout; notes, progress and errors on stderr.
//! Guarantee: stdout holds results only, so that it can be piped; `--json` prints JSON and nothing else there; colour
//! only underlines what words already say, and is off with `NO_COLOR` or away from a terminal.
//! Nothing that came from outside acts on the terminal: control characters and marks of direction are spelled out.
//! Limit: a reader that goes away (`| head`) ends the printing silently, not the command.

pub mod format;
mod progress;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::MultiProgress;
use serde::Serialize;

use crate::domain::shown;
use crate::telemetry::{Silent, StageObserver};
use progress::{Lines, TerminalBars};
pub use table::{Align, Cell, Column, Tone};

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Refused or failed; a hint was printed.
    Refused = 1,
    /// The command line was not understood.
    Usage = 2,
    /// Done, but something waits for a person.
    NeedsPerson = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The output of one command. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
    bars: MultiProgress,
}

impl Output {
    /// From the command's flags and the terminal.
    pub fn new(json: bool, quiet: bool) -> Self {
        let color = allowed(std::env::var_os("NO_COLOR").as_deref(), std::env::var_os("TERM").as_deref());
        Self {
            json,
            quiet,
            color_out: color && io::stdout().is_terminal(),
            color_err: color && io::stderr().is_terminal(),
            bars: MultiProgress::new(),
        }
    }

    /// True under `--json`.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// True where stderr takes colours: for the logs.
    pub fn color_err(&self) -> bool {
        self.color_err
    }

    /// The bars on stderr, for whatever else writes there.
    pub fn bars(&self) -> MultiProgress {
        self.bars.clone()
    }

    /// Who watches the stages: bars on a terminal, a line now and then elsewhere, nobody under `--json` or `--quiet`.
    pub fn observer(&self) -> Arc<dyn StageObserver> {
        if self.json || self.quiet {
            Arc::new(Silent)
        } else if io::stderr().is_terminal() {
            Arc::new(TerminalBars::new(self.bars.clone()))
        } else {
            Arc::new(Lines)
        }
    }

    /// Prints a table on stdout, fitted to the terminal where stdout is one; what found no room is named on stderr. Nothing
    /// under `--json`.
    pub fn table<'a, C, R>(&self, columns: &[C], rows: &[Vec<R>])
    where
        C: Copy + Into<Column<'a>>,
        R: Clone + Into<Cell>,
    {
        if self.json {
            return;
        }
        let columns: Vec<Column<'a>> = columns.iter().map(|c| (*c).into()).collect();
        let rows: Vec<Vec<Cell>> =
            rows.iter().map(|row| row.iter().map(|cell| cell.clone().into()).collect()).collect();
        let rendered = table::render(&columns, &rows, self.color_out, terminal_width());
        self.out(&rendered.text);
        if !rendered.left_out.is_empty() {
            let names = rendered.left_out.join(", ");
            self.note(&format!("no room for: {names}; see them in a wider terminal, or with --json"));
        }
    }

    /// Prints a line of a result on stdout, broken between words where the terminal is narrower; nothing under `--json`.
    pub fn line(&self, text: &str) {
        if !self.json {
            self.out(&table::wrap(&shown::on_terminal(text), terminal_width()));
        }
    }

    /// Prints `value` as JSON on stdout under `--json`; nothing otherwise.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn json(&self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        if self.json {
            self.out(&shown::in_json(&serde_json::to_string_pretty(value)?));
        }
        Ok(())
    }

    /// Says something by the way, on stderr; nothing under `--json` or `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            self.err(&table::wrap(&shown::on_terminal(text), terminal_width()));
        }
    }

    /// Says what went wrong (values in backticks, no full stop) and the next step, on stderr; as JSON under `--json`.
    pub fn error(&self, what: &str, hint: Option<&str>) {
        let text = if self.json {
            shown::in_json(&serde_json::json!({ "error": what, "hint": hint }).to_string()).into_owned()
        } else {
            let hint = hint.map(shown::on_terminal);
            render_error(&shown::on_terminal(what), hint.as_deref(), self.color_err)
        };
        self.err(&text);
    }

    fn out(&self, text: &str) {
        // A closed pipe is the reader's choice: not an error of the command.
        self.bars.suspend(|| drop(writeln!(io::stdout().lock(), "{text}")));
    }

    fn err(&self, text: &str) {
        self.bars.suspend(|| drop(writeln!(io::stderr().lock(), "{text}")));
    }
}

/// `NO_COLOR` set to anything but nothing, or a terminal that calls itself dumb, turns colour off.
fn allowed(no_color: Option<&std::ffi::OsStr>, term: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|term| term != "dumb")
}

/// Columns of the terminal that stdout is; `None` where it is none, so that pipes get whole lines.
fn terminal_width() -> Option<u16> {
    io::stdout().is_terminal().then(|| comfy_table::Table::new().width()).flatten()
}

fn render_error(what: &str, hint: Option<&str>, color: bool) -> String {
    let paint = |code: &str, word: &str| {
        if color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    };
    let hint = hint.map(|hint| format!("\n\n{} {hint}", paint("1;36", "hint:"))).unwrap_or_default();
    format!("{} {what}{hint}", paint("1;31", "error:"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn errors_say_what_happened_then_the_hint() {
        let check = |hint, color, expected: &str| {
            assert_eq!(render_error("run `12` is not approved", hint, color), expected);
        };
        check(None, false, "error: run `12` is not approved");
        let plain = "error: run `12` is not approved\n\nhint: `sarf run approve 12`";
        check(Some("`sarf run approve 12`"), false, plain);
        check(None, true, "\x1b[1;31merror:\x1b[0m run `12` is not approved");
    }

    #[test]
    fn colour_is_off_where_it_is_not_wanted() {
        let check = |no_color: Option<&str>, term: Option<&str>, expected| {
            assert_eq!(
                allowed(no_color.map(OsStr::new), term.map(OsStr::new)),
                expected,
                "{no_color:?} {term:?}"
            );
        };
        check(None, Some("xterm"), true);
        check(Some(""), None, true);
        check(Some("1"), Some("xterm"), false);
        check(None, Some("dumb"), false);
    }
}
