//! One pass over a run's orders: `orders.csv`, `orders.parquet` and the figures.
//!
//! Rows come over an async connection and go, a few thousand at a time, to a thread that works out names and writes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::ReportError;
use super::columns::Columns;
use super::figures::Figures;
use super::files::{self, Drafts};
use crate::domain::household::Place;
use crate::domain::ids::Code;
use crate::domain::order::{OrderKey, OrderNames};
use crate::files::csv::push_cell;
use crate::store::StoreError;
use crate::store::copy::CopyRow;
use crate::store::orders::extracts::{self, ExtractedOrder, Extracts};
use crate::store::runs::Run;
use crate::telemetry::StageGuard;

const ROWS_AT_ONCE: usize = 4_000;
const CHUNKS_WAITING: usize = 4;
const HEADER: &str = "household_id,purpose,amount,state,reason,provider,end_to_end_id\n";

/// What the numbers in orders stand for.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    pub programme: Code,
    /// By number; `None` where a number is not given.
    pub providers: Vec<Option<String>>,
    pub purposes: Vec<Option<Code>>,
    /// By index.
    pub places: Vec<Place>,
}

impl Codes {
    pub(super) fn new(
        programme: &str,
        providers: Vec<(i16, String)>,
        purposes: Vec<(i16, String)>,
        places: Vec<Place>,
    ) -> Result<Self, ReportError> {
        let code = |text: &str| Code::parse(text).map_err(|_| StoreError::Corrupt("code"));
        let mut by_number = Vec::new();
        for (number, text) in purposes {
            by_number.push((number, code(&text)?));
        }
        Ok(Self {
            programme: code(programme)?,
            providers: numbered(providers)?,
            purposes: numbered(by_number)?,
            places,
        })
    }

    pub(super) fn provider(&self, number: i16) -> Result<&str, StoreError> {
        let found = usize::try_from(number).ok().and_then(|n| self.providers.get(n)?.as_deref());
        found.ok_or(StoreError::Corrupt("provider of an order"))
    }

    fn purpose(&self, number: i16) -> Result<&Code, StoreError> {
        let found = usize::try_from(number).ok().and_then(|n| self.purposes.get(n)?.as_ref());
        found.ok_or(StoreError::Corrupt("purpose of an order"))
    }
}

fn numbered<T: Clone>(pairs: Vec<(i16, T)>) -> Result<Vec<Option<T>>, StoreError> {
    let mut list = Vec::new();
    for (number, value) in pairs {
        let at = usize::try_from(number).map_err(|_| StoreError::Corrupt("number of a code"))?;
        if list.len() <= at {
            list.resize(at + 1, None);
        }
        list[at] = Some(value);
    }
    Ok(list)
}

/// Writes the orders and counts them.
pub(super) async fn write_orders(
    extracts: &mut Extracts,
    run: &Run,
    codes: Codes,
    drafts: &mut Drafts,
    stage: &StageGuard,
) -> Result<Figures, ReportError> {
    let mut writer = Writer::create(codes, drafts)?;
    let mut rows = extracts.orders(run.id).await?;
    let (sender, mut receiver) = mpsc::channel::<Vec<CopyRow>>(CHUNKS_WAITING);
    let thread = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = receiver.blocking_recv() {
            for mut row in chunk {
                writer.write(&extracts::read_order(&mut row)?)?;
            }
        }
        writer.finish()
    });
    let mut chunk = Vec::with_capacity(ROWS_AT_ONCE);
    loop {
        let row = rows.next().await?;
        let ended = row.is_none();
        chunk.extend(row);
        if ended || chunk.len() == ROWS_AT_ONCE {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(ROWS_AT_ONCE));
            let count = full.len() as u64;
            // When nobody takes them, the writer has failed: its error is the one to tell.
            if sender.send(full).await.is_err() || ended {
                break;
            }
            stage.add(count);
        }
    }
    drop(sender);
    thread.await.map_err(|_| ReportError::Stopped)?
}

/// The two files of orders, and the figures.
struct Writer {
    codes: Codes,
    csv: BufWriter<File>,
    path: PathBuf,
    columns: Columns,
    figures: Figures,
    line: Vec<u8>,
    end_to_end: String,
}

impl Writer {
    fn create(codes: Codes, drafts: &mut Drafts) -> Result<Self, ReportError> {
        let path = drafts.path("orders.csv")?;
        let mut csv = files::create(&path)?;
        csv.write_all(HEADER.as_bytes()).map_err(ReportError::io(&path))?;
        let columns = Columns::create(&drafts.path("orders.parquet")?, &codes)?;
        Ok(Self {
            codes,
            csv,
            path,
            columns,
            figures: Figures::default(),
            line: Vec::new(),
            end_to_end: String::new(),
        })
    }

    fn write(&mut self, order: &ExtractedOrder) -> Result<(), ReportError> {
        end_to_end(&self.codes, order, &mut self.end_to_end)?;
        self.line.clear();
        write_line(&self.codes, order, &self.end_to_end, &mut self.line)?;
        self.csv
            .write_all(&self.line)
            .map_err(|source| ReportError::Io { path: self.path.clone(), source })?;
        self.columns.push(order, &self.end_to_end)?;
        self.figures.count(order);
        Ok(())
    }

    fn finish(mut self) -> Result<Figures, ReportError> {
        self.csv.flush().map_err(ReportError::io(&self.path))?;
        self.columns.finish()?;
        Ok(self.figures)
    }
}

/// The name that the order has, or would have, in a bank file.
fn end_to_end(codes: &Codes, order: &ExtractedOrder, out: &mut String) -> Result<(), StoreError> {
    out.clear();
    let purpose = codes.purpose(order.purpose)?;
    let key = OrderKey {
        programme: &codes.programme,
        period: order.period,
        household: order.household,
        purpose,
        attempt: order.attempt,
    };
    OrderNames::of(&key).write_end_to_end(&codes.programme, order.period, order.id, out);
    Ok(())
}

/// Appends a line of `orders.csv`. Every field is a code, an identifier or an amount; only a reason, which a provider
/// may have written, can need quotation marks.
fn write_line(
    codes: &Codes,
    order: &ExtractedOrder,
    end_to_end: &str,
    line: &mut Vec<u8>,
) -> Result<(), StoreError> {
    line.extend_from_slice(order.household.as_str().as_bytes());
    line.push(b',');
    line.extend_from_slice(codes.purpose(order.purpose)?.as_str().as_bytes());
    line.push(b',');
    order.amount.write_iso(line);
    line.push(b',');
    line.extend_from_slice(order.state.as_str().as_bytes());
    line.push(b',');
    push_cell(&order.reason, line);
    line.push(b',');
    line.extend_from_slice(codes.provider(order.provider)?.as_bytes());
    line.push(b',');
    line.extend_from_slice(end_to_end.as_bytes());
    line.push(b'\n');
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::ids::{HouseholdId, OrderId, RunId};
    use crate::domain::money::Centimes;
    use crate::domain::order::{EndToEndRef, OrderState};

    pub(in super::super) fn codes() -> Codes {
        let place = |region: &str, province: &str| Place {
            region: region.into(),
            province: province.into(),
            commune: "C".into(),
        };
        let providers = vec![(0, "none".into()), (1, "bank".into()), (2, "wallet".into())];
        Codes::new("dss", providers, vec![(1, "dss".into())], vec![place("R1", "P1"), place("R1", "P2")])
            .unwrap()
    }

    pub(in super::super) fn order(
        provider: i16,
        place: u32,
        state: OrderState,
        amount: i64,
        reason: &str,
    ) -> ExtractedOrder {
        ExtractedOrder {
            id: OrderId::compose(RunId::new(1), 7),
            household: HouseholdId::parse(b"H7").unwrap(),
            period: "2026-11".parse().unwrap(),
            purpose: 1,
            attempt: 1,
            provider,
            place,
            entitled: Centimes::new(amount),
            offset: Centimes::ZERO,
            amount: Centimes::new(amount),
            state,
            reason: reason.into(),
        }
    }

    #[test]
    fn lines_are_as_described() {
        for (provider, state, amount, reason, expected) in [
            (1, OrderState::Settled, 50_005, "", "H7,dss,500.05,settled,,bank,"),
            (
                0,
                OrderState::Held,
                0,
                "no_provider+shared_phone",
                "H7,dss,0.00,held,no_provider+shared_phone,none,",
            ),
            (2, OrderState::Returned, 135_000, "AC04", "H7,dss,1350.00,returned,AC04,wallet,"),
            (2, OrderState::Rejected, 100, "=A1,\"x\"", "H7,dss,1.00,rejected,\"'=A1,\"\"x\"\"\",wallet,"),
        ] {
            let (codes, order) = (codes(), order(provider, 0, state, amount, reason));
            let (mut name, mut line) = (String::new(), Vec::new());
            end_to_end(&codes, &order, &mut name).unwrap();
            write_line(&codes, &order, &name, &mut line).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}{name}\n"));
            assert_eq!(EndToEndRef::parse(&name).unwrap().order, order.id);
        }
    }

    #[test]
    fn a_number_without_a_code_is_a_fault() {
        for (provider, known) in [(0, true), (2, true), (3, false), (-1, false)] {
            assert_eq!(codes().provider(provider).is_ok(), known, "{provider}");
        }
    }
}
