//! What a command prints.
//!
//! Input: results, notes, errors. Output: tables or JSON on stdout; notes, progress and errors on stderr.
//! Guarantee: stdout holds results only, so that it can be piped; `--json` prints JSON and nothing else there; colour
//! only underlines what words already say, and is off with `NO_COLOR` or away from a terminal.
//! Limit: a reader that goes away (`| head`) ends the printing silently, not the command.

pub mod format;
mod progress;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use indicatif::MultiProgress;
use serde::Serialize;

use crate::telemetry::{Silent, StageObserver};
use progress::{Lines, TerminalBars};

/// Tables wrap within the terminal from this many columns on.
const WRAP_WIDTH_MIN: u16 = 60;

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

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words, codes, dates.
    Left,
    /// Counts and amounts.
    Right,
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

    /// Prints a table on stdout; nothing under `--json`.
    pub fn table(&self, columns: &[(&str, Align)], rows: &[Vec<String>]) {
        if !self.json {
            let width = io::stdout().is_terminal();
            self.out(&render_table(columns, rows, self.color_out, width));
        }
    }

    /// Prints a line of a result on stdout; nothing under `--json`.
    pub fn line(&self, text: &str) {
        if !self.json {
            self.out(text);
        }
    }

    /// Prints `value` as JSON on stdout under `--json`; nothing otherwise.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn json(&self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        if self.json {
            self.out(&serde_json::to_string_pretty(value)?);
        }
        Ok(())
    }

    /// Says something by the way, on stderr; nothing under `--json` or `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            self.err(text);
        }
    }

    /// Says what went wrong (values in backticks, no full stop) and the next step, on stderr; as JSON under `--json`.
    pub fn error(&self, what: &str, hint: Option<&str>) {
        let text = if self.json {
            serde_json::json!({ "error": what, "hint": hint }).to_string()
        } else {
            render_error(what, hint, self.color_err)
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

fn render_table(columns: &[(&str, Align)], rows: &[Vec<String>], color: bool, fit_terminal: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A terminal that does not know its width, or is too narrow to wrap in, gets whole lines.
    let fit = fit_terminal && table.width().is_some_and(|width| width >= WRAP_WIDTH_MIN);
    table.set_content_arrangement(if fit {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    if color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table.set_header(columns.iter().map(|(name, _)| Cell::new(name).add_attribute(Attribute::Bold)));
    table.add_rows(rows);
    for ((_, align), column) in columns.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    table.trim_fmt()
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
    fn tables_align_and_carry_no_colour_when_piped() {
        let columns = [("Provider", Align::Left), ("Orders", Align::Right)];
        let rows =
            [vec!["011".to_owned(), "1 234".to_owned()], vec!["Barid Cash".to_owned(), "7".to_owned()]];
        let expected = "Provider    Orders\n011          1 234\nBarid Cash       7";
        assert_eq!(render_table(&columns, &rows, false, false), expected);
        assert!(render_table(&columns, &rows, true, false).contains("\x1b["));
    }

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
