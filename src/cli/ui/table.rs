//! Tables that fit the terminal they are read on.
//!
//! Input: columns, rows of text, the width there is. Output: aligned text.
//! Guarantee: a table is never wider than the terminal; counts, amounts and codes are never broken; what was left out is
//! named; nothing that stands in a cell acts on the terminal.
//! Limit: where the columns that cannot be spared do not fit side by side, each row is a block of `name: value` lines, which
//! the terminal wraps.

use comfy_table::{Attribute, Cell as TableCell, CellAlignment, Color, ColumnConstraint, ContentArrangement};
use comfy_table::{Table, Width, presets};

use crate::domain::{country, shown};

/// Between two columns.
const GAP: u16 = 2;
/// Sentences are not wrapped into less.
const TEXT_WIDTH_MIN: u16 = 22;

/// How a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Codes, dates, single words: never broken.
    Left,
    /// Counts and amounts: never broken.
    Right,
    /// Sentences: wrapped within their cell where room is short.
    Text,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    name: &'a str,
    align: Align,
    /// The higher, the sooner the column is left out where room is short; 0 stays.
    spare: u8,
}

impl<'a> From<(&'a str, Align)> for Column<'a> {
    fn from((name, align): (&'a str, Align)) -> Self {
        Self { name, align, spare: 0 }
    }
}

impl<'a> From<(&'a str, Align, u8)> for Column<'a> {
    fn from((name, align, spare): (&'a str, Align, u8)) -> Self {
        Self { name, align, spare }
    }
}

/// What a value tells beyond its words; shown by colour where there is colour, and by the words everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Waits for a person.
    Warning,
    /// Wrong.
    Bad,
}

/// The text of a cell, and its tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text that is shown in a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: shown::on_terminal(&text.into()).into_owned(), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// A table as it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The lines.
    pub text: String,
    /// Names of the columns that found no room.
    pub left_out: Vec<String>,
}

/// Lays a table out; columns that can be spared and hold nothing are not shown. `width` is that of the terminal, `None` where whole lines are wanted.
pub fn render(columns: &[Column<'_>], rows: &[Vec<Cell>], color: bool, width: Option<u16>) -> Rendered {
    let names: Vec<_> = columns.iter().map(|column| country::with_currency(column.name)).collect();
    let named = columns.iter().zip(&names).map(|(column, name)| Column { name, ..*column });
    let columns: &[Column<'_>] = &named.collect::<Vec<_>>();
    let natural = natural_widths(columns, rows);
    let told = |at: &usize| {
        columns[*at].spare == 0
            || rows.iter().any(|row| row.get(*at).is_some_and(|cell| !cell.text.is_empty()))
    };
    let all: Vec<usize> = (0..columns.len()).filter(told).collect();
    let Some(width) = width else {
        return Rendered { text: side_by_side(columns, rows, &all, color, None), left_out: Vec::new() };
    };
    let kept = keep(columns, &natural, &all, width);
    let left_out =
        all.iter().filter(|at| !kept.contains(at)).map(|&at| columns[at].name.to_owned()).collect();
    let text = if needed(columns, &natural, &kept) <= u32::from(width) {
        side_by_side(columns, rows, &kept, color, Some(width))
    } else {
        return Rendered { text: one_by_one(columns, rows, color), left_out: Vec::new() };
    };
    Rendered { text, left_out }
}

/// Columns that are shown: those that can be spared go first, of equals the last.
fn keep(columns: &[Column<'_>], natural: &[u16], all: &[usize], width: u16) -> Vec<usize> {
    let mut kept = all.to_vec();
    while needed(columns, natural, &kept) > u32::from(width) {
        let Some(&least) =
            kept.iter().filter(|&&at| columns[at].spare > 0).max_by_key(|&&at| (columns[at].spare, at))
        else {
            break;
        };
        kept.retain(|&at| at != least);
    }
    kept
}

/// The least width in which columns can stand side by side.
fn needed(columns: &[Column<'_>], natural: &[u16], kept: &[usize]) -> u32 {
    let least = |at: usize| match columns[at].align {
        Align::Text => natural[at].min(TEXT_WIDTH_MIN),
        Align::Left | Align::Right => natural[at],
    };
    kept.iter().map(|&at| u32::from(least(at)) + u32::from(GAP)).sum::<u32>().saturating_sub(u32::from(GAP))
}

fn natural_widths(columns: &[Column<'_>], rows: &[Vec<Cell>]) -> Vec<u16> {
    let mut table = Table::new();
    table.set_header(columns.iter().map(|c| TableCell::new(c.name)));
    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| TableCell::new(&cell.text))));
    table.column_max_content_widths()
}

fn side_by_side(
    columns: &[Column<'_>],
    rows: &[Vec<Cell>],
    kept: &[usize],
    color: bool,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    let shown = |row: &Vec<Cell>| -> Vec<TableCell> {
        kept.iter().filter_map(|&at| row.get(at)).map(painted).collect()
    };
    table.set_header(kept.iter().map(|&at| TableCell::new(columns[at].name).add_attribute(Attribute::Bold)));
    table.add_rows(rows.iter().map(shown));
    for (&at, column) in kept.iter().zip(table.column_iter_mut()) {
        // Nothing follows the last column: a gap there would wrap in the terminal.
        column.set_padding((0, if kept.last() == Some(&at) { 0 } else { GAP }));
        column.set_cell_alignment(match columns[at].align {
            Align::Left | Align::Text => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
        if width.is_some() {
            column.set_constraint(match columns[at].align {
                Align::Text => ColumnConstraint::LowerBoundary(Width::Fixed(GAP + 1)),
                Align::Left | Align::Right => ColumnConstraint::ContentWidth,
            });
        }
    }
    table.trim_fmt()
}

/// A block of lines for each row, apart by an empty line; what is empty is passed over.
fn one_by_one(columns: &[Column<'_>], rows: &[Vec<Cell>], color: bool) -> String {
    let bold = |name: &str| if color { format!("\x1b[1m{name}\x1b[0m") } else { name.to_owned() };
    let block = |row: &Vec<Cell>| {
        let lines = columns.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty());
        let line = |(column, cell): (&Column<'_>, &Cell)| match column.name {
            "" => cell.text.clone(),
            name => format!("{}: {}", bold(name), cell.text),
        };
        lines.map(line).collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

/// Breaks lines that are longer than the terminal is wide between words; a word that is longer stays whole.
pub fn wrap(text: &str, width: Option<u16>) -> String {
    let Some(width) = width.map(usize::from) else { return text.to_owned() };
    let wrapped = |line: &str| {
        let (mut out, mut used) = (String::with_capacity(line.len()), 0);
        for (at, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if at > 0 {
                let fits = used + 1 + length <= width;
                out.push(if fits { ' ' } else { '\n' });
                used = if fits { used + 1 } else { 0 };
            }
            out.push_str(word);
            used += length;
        }
        out
    };
    text.lines().map(wrapped).collect::<Vec<_>>().join("\n")
}

fn painted(cell: &Cell) -> TableCell {
    let shown = TableCell::new(&cell.text);
    match cell.tone {
        Tone::Plain => shown,
        Tone::Good => shown.fg(Color::Green),
        Tone::Warning => shown.fg(Color::Yellow),
        Tone::Bad => shown.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [(&str, Align, u8); 5] = [
        ("provider", Align::Left, 0),
        ("message", Align::Right, 2),
        ("entry", Align::Right, 1),
        ("¤", Align::Right, 0),
        ("found", Align::Text, 0),
    ];

    fn check(width: Option<u16>, expected: &[&str], left_out: &[&str]) {
        let columns = COLUMNS.map(Column::from);
        let row = |fields: [&str; 5]| fields.map(|f| Cell::from(f.to_owned())).to_vec();
        let rows = [
            row(["011", "12", "3", "1 234 567.00", "debited for a file that is not one of ours"]),
            row(["barid_bank", "7", "140", "-7.50", "fee"]),
        ];
        let rendered = render(&columns, &rows, false, width);
        assert_eq!(rendered.text.lines().collect::<Vec<_>>(), expected, "{width:?}");
        assert_eq!(rendered.left_out, left_out, "{width:?}");
        for line in rendered.text.lines().filter(|line| !line.contains(": ")) {
            assert!(width.is_none_or(|w| line.chars().count() <= usize::from(w)), "{width:?}: {line}");
        }
    }

    #[test]
    fn whole_lines_where_no_width_is_given() {
        check(
            None,
            &[
                "provider    message  entry           MAD  found",
                "011              12      3  1 234 567.00  debited for a file that is not one of ours",
                "barid_bank        7    140         -7.50  fee",
            ],
            &[],
        );
    }

    #[test]
    fn sentences_wrap_and_numbers_do_not() {
        check(
            Some(72),
            &[
                "provider    message  entry           MAD  found",
                "011              12      3  1 234 567.00  debited for a file that is not",
                "                                          one of ours",
                "barid_bank        7    140         -7.50  fee",
            ],
            &[],
        );
    }

    #[test]
    fn columns_that_can_be_spared_and_hold_nothing_are_not_shown() {
        let columns = [("break", Align::Right, 0), ("decided", Align::Text, 1)].map(Column::from);
        let row = |decided: &str| vec![Cell::from("7".to_owned()), Cell::from(decided.to_owned())];
        let shown = |rows: &[Vec<Cell>]| render(&columns, rows, false, Some(80)).text;
        assert_eq!(shown(&[row(""), row("")]), "break\n    7\n    7");
        assert_eq!(shown(&[row(""), row("paid by hand")]), "break  decided\n    7\n    7  paid by hand");
    }

    #[test]
    fn columns_that_can_be_spared_go_first() {
        check(
            Some(55),
            &[
                "provider    entry           MAD  found",
                "011             3  1 234 567.00  debited for a file",
                "                                 that is not one of",
                "                                 ours",
                "barid_bank    140         -7.50  fee",
            ],
            &["message"],
        );
    }

    #[test]
    fn where_nothing_can_be_spared_each_row_is_a_block() {
        check(
            Some(44),
            &[
                "provider: 011",
                "message: 12",
                "entry: 3",
                "MAD: 1 234 567.00",
                "found: debited for a file that is not one of ours",
                "",
                "provider: barid_bank",
                "message: 7",
                "entry: 140",
                "MAD: -7.50",
                "found: fee",
            ],
            &[],
        );
    }

    #[test]
    fn prose_breaks_between_words() {
        let check = |text: &str, width, expected: &str| assert_eq!(wrap(text, width), expected, "{width:?}");
        check("say where its money goes", None, "say where its money goes");
        check("say where its money goes", Some(24), "say where its money goes");
        check("say where its money goes", Some(12), "say where\nits money\ngoes");
        check("  indented\n\nand apart", Some(11), "  indented\n\nand apart");
        check("a word-that-is-longer stays", Some(8), "a\nword-that-is-longer\nstays");
    }

    #[test]
    fn colour_comes_with_words_and_only_where_wanted() {
        let columns = [Column::from(("result", Align::Left))];
        let rows = [vec![Cell::toned("FAILS", Tone::Bad)]];
        assert_eq!(render(&columns, &rows, false, None).text, "result\nFAILS");
        let painted = render(&columns, &rows, true, None).text;
        assert!(painted.contains("\x1b[") && painted.contains("FAILS"), "{painted:?}");
    }
}
