//! What comes back after the month is closed: returns, what is paid again, and what a later list puts right.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sarf::domain::ids::RunId;
use sarf::domain::money::Centimes;
use sarf::iso20022::pacs004::{ReturnHeader, ReturnedTransaction};
use sarf::iso20022::pacs004_writer::Pacs004Writer;
use sarf::iso20022::values::{MessageHeader, Reason};
use sarf::pipeline::Context;

use crate::month::xml_below;

/// Most orders that come back.
pub const RETURNS: usize = 100_000;

/// Writes a return for the first orders of the outbox, one provider's files being one message: whose accounts moved to
/// another bank, so that each may be paid again.
pub fn returns(context: &Context, run: RunId) -> anyhow::Result<(Vec<PathBuf>, usize)> {
    let (mut messages, mut written) = (Vec::new(), 0);
    for file in xml_below(&context.home.join("outbox"))? {
        if written == RETURNS {
            break;
        }
        let orders = orders(&file, RETURNS - written).with_context(|| file.display().to_string())?;
        written += orders.len();
        let path = context.home.join(format!("returns-{run}-{}.xml", messages.len()));
        write(&path, messages.len(), &orders, context.clock.now())
            .with_context(|| path.display().to_string())?;
        messages.push(path);
    }
    Ok((messages, written))
}

/// End-to-end ids, references and amounts of a file's first orders.
fn orders(file: &Path, most: usize) -> anyhow::Result<Vec<(String, Centimes)>> {
    let mut found = Vec::new();
    for line in BufReader::new(File::open(file)?).lines() {
        let line = line?;
        if let (Some(id), Some(amount)) =
            (between(&line, "<EndToEndId>"), between(&line, "<InstdAmt Ccy=\"MAD\">"))
        {
            found.push((id.to_owned(), amount.parse().context("an amount")?));
            if found.len() == most {
                break;
            }
        }
    }
    Ok(found)
}

fn between<'a>(line: &'a str, tag: &str) -> Option<&'a str> {
    let from = line.find(tag)? + tag.len();
    line[from..].split('<').next()
}

fn write(
    path: &Path,
    number: usize,
    orders: &[(String, Centimes)],
    now: time::OffsetDateTime,
) -> anyhow::Result<()> {
    let header = ReturnHeader {
        message: MessageHeader { msg_id: format!("RETURN{number}"), created: Some(now) },
        orders: Some(orders.len() as u64),
        ..ReturnHeader::default()
    };
    let mut writer = Pacs004Writer::begin(BufWriter::new(File::create(path)?), &header, None)?;
    for (id, amount) in orders {
        writer.transaction(&ReturnedTransaction {
            original_end_to_end_id: id.clone(),
            amount: Some(*amount),
            currency: "MAD".into(),
            reason: Reason { code: "MS03".into(), info: String::new() },
            ..ReturnedTransaction::default()
        })?;
    }
    writer.finish()?;
    Ok(())
}
