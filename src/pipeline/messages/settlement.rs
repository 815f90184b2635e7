//! A provider's daily settlement file (`docs/settlement-file.md`): what it paid out, order by order, and the sum that the
//! account statement debits.
//!
//! Input: CSV lines `H`, `D`…, `T`, also as spreadsheet programs save them (byte order mark, UTF-16, semicolons, quotation marks,
//! blank lines). Output: the same pieces that the banks' messages are read into.
//! Guarantee: a file without its last line, or that is no settlement file, changes nothing; a faulty line opens a break.
//! Limit: 1 KiB a line; constant memory.

use std::io::{BufRead, Read as _};

use tokio::sync::mpsc;

use super::parse::{Line, Parsed};
use crate::domain::country;
use crate::domain::ids::Code;
use crate::domain::money::Centimes;
use crate::domain::order::OrderEvent;
use crate::domain::provider::Provider;
use crate::domain::reason::BreakKind;
use crate::domain::references::{NameKind, Names};
use crate::iso20022::xml::encoding::Transcoded;
use crate::snapshot::dialect::Dialect;

const LINES_AT_ONCE: usize = 20_000;
const LINE_BYTES_MAX: usize = 1024;

/// Why a settlement file is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum SettlementError {
    /// The disk.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// A line that the whole rests on is not as it must be.
    #[error("line {line}: {what}")]
    Line {
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub provider: Code,
    pub reference: String,
    pub date: time::Date,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub orders: u64,
    pub amount: Centimes,
    pub fees: Centimes,
}

/// Whether a file begins as a settlement file does, in whatever dialect a spreadsheet program saved it.
pub(super) fn is_settlement(first_bytes: &[u8]) -> bool {
    let mut text = String::new();
    // The first bytes may end in the middle of a character.
    let _ = Transcoded::new(first_bytes.get(..64).unwrap_or(first_bytes)).read_to_string(&mut text);
    if text.is_empty() {
        text = String::from_utf8_lossy(first_bytes.get(..64).unwrap_or(first_bytes)).into_owned();
    }
    Dialect::of(&text, "H").is_some()
}

/// Reads a settlement file; `find` gives the configured provider, for its fees.
pub(super) fn parse(
    input: impl BufRead,
    find: impl Fn(&Code) -> Option<Provider>,
    sender: &mpsc::Sender<Parsed>,
) -> Result<(), SettlementError> {
    let mut reader = Reader { input: Transcoded::new(input), line: 0, text: String::new() };
    let fault = |line, what| SettlementError::Line { line, what };
    if !reader.next()? {
        return Err(fault(1, "the file is empty"));
    }
    let line = reader.line;
    let no_head = || SettlementError::Line { line, what: "not `H,provider,reference,YYYY-MM-DD,currency,1`" };
    let dialect = Dialect::of(&reader.text, "H").ok_or_else(no_head)?;
    let head = head(&dialect.fields(&reader.text)).ok_or_else(no_head)?;
    let provider = find(&head.provider).ok_or(fault(1, "the provider is not configured"))?;
    let send = |parsed| sender.blocking_send(parsed).is_ok();
    // When nobody listens any more, the import has failed elsewhere.
    let send_all = |problems: Vec<Parsed>| problems.into_iter().all(send);
    if !send(Parsed::SettlementBegin(head)) {
        return Ok(());
    }
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    let (mut count, mut sum, mut fees) = (0, Centimes::ZERO, Centimes::ZERO);
    loop {
        if !reader.next()? {
            return Err(fault(reader.line + 1, "the last line `T,…` is missing"));
        }
        let fields = dialect.fields(&reader.text);
        if fields[0] == "T" {
            let trailer = trailer(dialect, &fields).ok_or(fault(reader.line, "not `T,count,sum,fees`"))?;
            if reader.next()? {
                return Err(fault(reader.line, "lines after the last"));
            }
            send(Parsed::Lines(lines));
            send_all(problems);
            let differs = (trailer.orders, trailer.amount, trailer.fees) != (count, sum, fees);
            send(Parsed::SettlementEnd(trailer, differs));
            send(Parsed::End { warnings: Vec::new(), documents: 1 });
            return Ok(());
        }
        let entry = count + 1;
        match detail(dialect, &fields, entry) {
            Some((line, amount, fee)) => {
                sum += amount;
                fees += fee;
                let due = provider.fee(amount);
                if fee != due {
                    let detail = format!("line {}: the fee is {fee}, {due} is agreed", reader.line);
                    problems.push(Parsed::Problem { kind: BreakKind::FeeDiffers, entry, cash: None, detail });
                }
                lines.push(line);
            }
            None => problems.push(Parsed::Problem {
                kind: BreakKind::FaultyEntry,
                entry,
                cash: None,
                detail: format!("line {} is not `D,key,collected|credited,amount,fee,time`", reader.line),
            }),
        }
        count = entry;
        if lines.len() == LINES_AT_ONCE && !send(Parsed::Lines(std::mem::take(&mut lines))) {
            return Ok(());
        }
        if problems.len() >= LINES_AT_ONCE && !send_all(std::mem::take(&mut problems)) {
            return Ok(());
        }
    }
}

struct Reader<R> {
    input: R,
    line: u64,
    text: String,
}

impl<R: BufRead> Reader<R> {
    /// Reads the next line that is not blank; `false` at the end.
    fn next(&mut self) -> Result<bool, SettlementError> {
        loop {
            let mut bytes = Vec::with_capacity(128);
            let limited = &mut self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            limited.read_until(b'\n', &mut bytes).map_err(SettlementError::Read)?;
            self.line += u64::from(!bytes.is_empty());
            if bytes.len() > LINE_BYTES_MAX {
                return Err(SettlementError::Line { line: self.line, what: "longer than 1 KiB" });
            }
            // A line that is not UTF-8 reads as a faulty one.
            self.text = String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
            let blank = |c: char| matches!(c, ',' | ';' | '\t' | ' ' | '\u{feff}');
            if bytes.is_empty() || !self.text.trim_matches(blank).is_empty() {
                return Ok(!bytes.is_empty());
            }
        }
    }
}

fn head(fields: &[String]) -> Option<Head> {
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let ["H", provider, reference, date, currency, "1"] = fields[..] else { return None };
    if currency != country::currency() {
        return None;
    }
    let named = (1..=35).contains(&reference.len())
        && reference.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Some(Head {
        provider: Code::parse(provider).ok()?,
        reference: named.then(|| reference.to_owned())?,
        date: time::Date::parse(date, format).ok()?,
    })
}

fn detail(dialect: Dialect, fields: &[String], entry: u64) -> Option<(Line, Centimes, Centimes)> {
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let ["D", key, event, amount, fee, at] = fields[..] else { return None };
    let event = match event {
        "collected" => OrderEvent::Collect,
        "credited" => OrderEvent::Settle,
        _ => return None,
    };
    time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339).ok()?;
    let money = |text: &str| dialect.amount(text).parse::<Centimes>().ok();
    let (amount, fee) = (money(amount)?, money(fee)?);
    let line = Line {
        entry,
        names: Names::default().with(NameKind::EndToEnd, key),
        event: Some(event),
        booked: true,
        amount: Some(amount),
        ..Line::default()
    };
    Some((line, amount, fee))
}

fn trailer(dialect: Dialect, fields: &[String]) -> Option<Trailer> {
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let ["T", orders, amount, fees] = fields[..] else { return None };
    let money = |text: &str| dialect.amount(text).parse::<Centimes>().ok();
    Some(Trailer { orders: orders.parse().ok()?, amount: money(amount)?, fees: money(fees)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is read into, in short: lines and problems, or the fault.
    fn check(text: &str) -> Result<(usize, usize, bool), String> {
        let (sender, mut receiver) = mpsc::channel(1_000);
        let provider: Provider = toml::from_str(
            "code = \"cashplus\"\nname = \"x\"\nbank_codes = []\nverified = false\nmeans = [\"cash\"]\n\
             account_format = \"rib\"\ndebtor_account = \"802810000000000000910164\"\ndaily_capacity = 10\n\
             cutoff = \"15:00\"\nlead_days = 1\nfees = [{ up_to = \"500.00\", fee = \"8.00\" }]",
        )
        .unwrap();
        let find = |code: &Code| (code.as_str() == "cashplus").then(|| provider.clone());
        parse(text.as_bytes(), find, &sender).map_err(|e| e.to_string())?;
        drop(sender);
        let (mut lines, mut problems, mut ends) = (0, 0, None);
        while let Ok(parsed) = receiver.try_recv() {
            match parsed {
                Parsed::Lines(l) => lines += l.len(),
                Parsed::Problem { .. } => problems += 1,
                Parsed::SettlementEnd(_, differs) => ends = Some(differs),
                _ => {}
            }
        }
        Ok((lines, problems, ends.expect("a file that is taken has an end")))
    }

    #[test]
    fn whole_files_are_read_and_faults_stay_where_they_are() {
        let head = "H,cashplus,STL1,2026-11-24,MAD,1\n";
        let line = "D,DSS2611X,collected,500.00,8.00,2026-11-24T10:00:00Z\n";
        for (text, expected) in [
            (format!("{head}{line}T,1,500.00,8.00\n"), Ok((1, 0, false))),
            (format!("{head}T,0,0.00,0.00"), Ok((0, 0, false))),
            (format!("{head}{line}T,2,500.00,8.00\n"), Ok((1, 0, true))),
            (format!("{head}{line}rubbish\nT,2,500.00,8.00\n"), Ok((1, 1, false))),
            (format!("{head}{}T,1,500.00,9.00\n", line.replace("8.00", "9.00")), Ok((1, 1, false))),
            (format!("{head}{}T,1,500.00,8.00\n", line.replace("collected", "lost")), Ok((0, 1, true))),
            (format!("{head}{line}"), Err("line 3: the last line `T,…` is missing")),
            (format!("{head}T,0,0.00,0.00\n{line}"), Err("line 3: lines after the last")),
            (head.replace("cashplus", "nobody"), Err("line 1: the provider is not configured")),
            ("H,x".into(), Err("line 1: not `H,provider,reference,YYYY-MM-DD,currency,1`")),
            (String::new(), Err("line 1: the file is empty")),
            // As spreadsheet programs save it.
            (format!("\u{feff}{head}{line}T,1,500.00,8.00\n\n\r\n"), Ok((1, 0, false))),
            (format!("{head}{line}T,1,500.00,8.00\n").replace(',', ";").replace('.', ","), Ok((1, 0, false))),
            (
                format!("{head}\n{line}T,1,500.00,8.00\n,,,\n").replace("DSS2611X", "\"DSS2611X\""),
                Ok((1, 0, false)),
            ),
            (format!("{head}{}", "D".repeat(2_000)), Err("line 2: longer than 1 KiB")),
        ] {
            assert_eq!(check(&text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
