//! Draws the sheets of `summary.xlsx`.

use std::path::Path;

use rust_xlsxwriter::{
    Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};
use time::OffsetDateTime;

use super::ReportError;
use super::sheets::{Cell, Sheet};
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::domain::shown::in_cell;

const WIDTH_MIN: usize = 10;
const WIDTH_MAX: usize = 68;

/// Writes the workbook; `now` is its date of creation.
pub(super) fn save(sheets: &[Sheet], path: &Path, now: OffsetDateTime) -> Result<(), ReportError> {
    draw(sheets, now)
        .and_then(|mut book| book.save(path))
        .map_err(|source| ReportError::Workbook { path: path.to_owned(), source })
}

fn draw(sheets: &[Sheet], now: OffsetDateTime) -> Result<Workbook, XlsxError> {
    let mut book = Workbook::new();
    let created = ExcelDateTime::from_timestamp(now.unix_timestamp())?;
    book.set_properties(
        &DocProperties::new()
            .set_title("Payment run · Paie")
            .set_author("sarf")
            .set_creation_datetime(&created),
    );
    let styles = Styles::new();
    for sheet in sheets {
        draw_sheet(book.add_worksheet(), sheet, &styles)?;
    }
    Ok(book)
}

struct Styles {
    heading: Format,
    bold: Format,
    count: Format,
    money: Format,
    date: Format,
    total_text: Format,
    total_count: Format,
    total_money: Format,
}

impl Styles {
    fn new() -> Self {
        // The comma stands for the reader's own separator: French spreadsheets show `1 234 567,50`.
        let (count, money) =
            (Format::new().set_num_format("#,##0"), Format::new().set_num_format("#,##0.00"));
        let total = |format: Format| format.set_bold().set_border_top(FormatBorder::Thin);
        Self {
            heading: Format::new()
                .set_bold()
                .set_text_wrap()
                .set_align(FormatAlign::VerticalCenter)
                .set_background_color(Color::RGB(0x00DC_E6F1))
                .set_border_bottom(FormatBorder::Thin),
            bold: Format::new().set_bold(),
            date: Format::new().set_num_format("yyyy-mm-dd"),
            total_text: total(Format::new()),
            total_count: total(count.clone()),
            total_money: total(money.clone()),
            count,
            money,
        }
    }
}

/// Dirhams as a workbook's number. The format knows no other number than a float; up to 90 thousand billion it shows
/// every centime right. This is the only place where money becomes one, and nothing is computed with it.
#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "the file format stores floats")]
fn workbook_number(amount: Centimes) -> f64 {
    amount.get() as f64 / 100.0
}

fn draw_sheet(page: &mut Worksheet, sheet: &Sheet, styles: &Styles) -> Result<(), XlsxError> {
    page.set_name(sheet.name)?.set_landscape().set_print_fit_to_pages(1, 0);
    for (row, (label, value)) in (0u32..).zip(&sheet.facts) {
        page.write_string_with_format(row, 0, country::with_currency(label), &styles.bold)?;
        put(page, row, 1, value, styles, false)?;
    }
    let head = if sheet.facts.is_empty() { 0 } else { sheet.facts.len() as u32 + 1 };
    page.set_row_height(head, 32)?;
    for (column, (english, french)) in (0u16..).zip(&sheet.headings) {
        let text = if english == french { english.clone() } else { format!("{english}\n{french}") };
        page.write_string_with_format(head, column, country::with_currency(&text), &styles.heading)?;
        page.set_column_width(column, width(sheet, usize::from(column)))?;
    }
    for (row, cells) in (head + 1..).zip(&sheet.rows) {
        for (column, cell) in (0u16..).zip(cells) {
            put(page, row, column, cell, styles, false)?;
        }
    }
    let last = head + sheet.rows.len() as u32;
    let last_column = (sheet.headings.len() as u16).saturating_sub(1);
    if let Some(totals) = &sheet.totals {
        for (column, cell) in (0u16..).zip(totals) {
            put(page, last + 1, column, cell, styles, true)?;
        }
    }
    page.autofilter(head, 0, last, last_column)?;
    if sheet.facts.is_empty() {
        page.set_freeze_panes(1, 0)?;
        page.set_repeat_rows(0, 0)?;
    }
    Ok(())
}

fn put(
    page: &mut Worksheet,
    row: u32,
    column: u16,
    cell: &Cell,
    styles: &Styles,
    total: bool,
) -> Result<(), XlsxError> {
    let pick = |plain, totals| if total { totals } else { plain };
    match cell {
        Cell::Text(text) if total => {
            page.write_string_with_format(row, column, in_cell(text), &styles.total_text)?
        }
        Cell::Text(text) => page.write_string(row, column, in_cell(text))?,
        #[expect(clippy::cast_precision_loss, reason = "counts of a run fit 32 bits")]
        Cell::Count(count) => page.write_number_with_format(
            row,
            column,
            *count as f64,
            pick(&styles.count, &styles.total_count),
        )?,
        Cell::Money(amount) => page.write_number_with_format(
            row,
            column,
            workbook_number(*amount),
            pick(&styles.money, &styles.total_money),
        )?,
        Cell::Date(date) => {
            let year = u16::try_from(date.year()).unwrap_or(1900);
            let day = ExcelDateTime::from_ymd(year, date.month().into(), date.day())?;
            page.write_datetime_with_format(row, column, day, &styles.date)?
        }
        Cell::Empty if total => page.write_blank(row, column, &styles.total_text)?,
        Cell::Empty => page,
    };
    Ok(())
}

/// Wide enough for the longest cell and heading, within reason.
fn width(sheet: &Sheet, column: usize) -> u32 {
    let heading = sheet.headings.get(column).map_or(0, |(e, f)| e.chars().count().max(f.chars().count()) + 3);
    // Labels of facts stand in the first column; their texts may run over the columns beside them, numbers may not.
    let facts = sheet.facts.iter().map(|(label, value)| match (column, value) {
        (0, _) => label.chars().count(),
        (1, Cell::Count(_) | Cell::Money(_)) => length(value),
        _ => 0,
    });
    let rows = sheet.rows.iter().chain(&sheet.totals).filter_map(|row| row.get(column)).map(length);
    let longest = rows.chain(facts).max().unwrap_or(0) + 2;
    longest.max(heading).clamp(WIDTH_MIN, WIDTH_MAX) as u32
}

/// Characters that a cell shows.
fn length(cell: &Cell) -> usize {
    match cell {
        Cell::Text(text) => text.chars().count(),
        Cell::Count(count) => spaced(count.to_string().len()),
        Cell::Money(amount) => spaced(amount.to_string().len()),
        Cell::Date(_) => 10,
        Cell::Empty => 0,
    }
}

/// With a separator every three digits.
const fn spaced(digits: usize) -> usize {
    digits + digits / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(rows: Vec<Vec<Cell>>) -> Sheet {
        let headings = vec![("Region".into(), "Région".into()), ("¤".into(), "¤".into())];
        Sheet { name: "By region", facts: Vec::new(), headings, rows, totals: None }
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        for (cell, expected) in [
            (Cell::Empty, 10),
            ("Casablanca-Settat".into(), 19),
            (Cell::Text("x".repeat(200)), 68),
            (Cell::Money(Centimes::new(248_000_000_000)), 19),
        ] {
            assert_eq!(width(&sheet(vec![vec![cell.clone()]]), 0), expected, "{cell:?}");
        }
    }

    #[test]
    fn workbooks_are_drawn_whole_and_empty() {
        let date = Cell::Date(time::macros::date!(2026 - 11 - 27));
        for rows in
            [vec![], vec![vec!["a".into(), Cell::Money(Centimes::new(1))], vec![date, Cell::Count(3)]]]
        {
            let mut book = draw(&[sheet(rows)], OffsetDateTime::UNIX_EPOCH).unwrap();
            assert!(book.save_to_buffer().unwrap().starts_with(b"PK"));
        }
    }

    #[test]
    fn centimes_become_dirhams() {
        for (centimes, shown) in
            [(0, "0.00"), (50_005, "500.05"), (-1, "-0.01"), (248_000_000_001, "2480000000.01")]
        {
            assert_eq!(format!("{:.2}", workbook_number(Centimes::new(centimes))), shown);
        }
    }
}
