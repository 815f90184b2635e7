//! The end of a simulation: where every centime is, and a digest of how everything stands.
//!
//! Input: the books. Output: balances by place, in blocks that each add up to zero, a SHA-256 over states and balances, and
//! these in a file.
//! Guarantee: times and numbers that hang on chance are left out, so that the same seed gives the same digest.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use sha2::{Digest as _, Sha256};

use super::queries;
use crate::domain::hex;
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::pipeline::Context;

/// Where money is, of one kind.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Place {
    /// The accounts.
    pub kind: AccountKind,
    /// In words.
    pub words: &'static str,
    /// Debits less credits.
    pub balance: Centimes,
}

/// Places that belong together.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Block {
    /// What they say.
    pub title: &'static str,
    /// The places.
    pub places: Vec<Place>,
    /// Their sum.
    pub sum: Centimes,
}

/// How it ended.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Closing {
    /// Where every centime is.
    pub blocks: Vec<Block>,
    /// SHA-256 over states and balances, in hexadecimal digits.
    pub digest: String,
    /// Facts that went into it.
    pub facts: u64,
}

impl Closing {
    /// What does not add up, in words.
    pub fn failures(&self) -> Vec<String> {
        let of = |titles: &[&str]| -> Centimes {
            self.blocks.iter().filter(|b| titles.contains(&b.title)).map(|b| b.sum).sum()
        };
        // Repayments go from the banks' books to those of undue payments: the two add up together.
        [vec![DUE], vec![BANKS, UNDUE], vec![BUDGET], vec![DUE, BANKS, UNDUE, BUDGET]]
            .into_iter()
            .map(|titles| (of(&titles), titles))
            .filter(|(sum, _)| !sum.is_zero())
            .map(|(sum, titles)| format!("{} come to {sum}, not to zero", titles.join(" and ")))
            .collect()
    }
}

/// The facts that went into the digest, a line each, below the home folder: two runs that differ are compared by them.
const FACTS: &str = "closing.txt";

const DUE: &str = "what households are due";
const BANKS: &str = "what banks booked";
const UNDUE: &str = "what was paid unduly";
const BUDGET: &str = "the budget";

/// The block and the words of an account kind.
const fn place(kind: AccountKind) -> (&'static str, &'static str) {
    use AccountKind as K;
    match kind {
        K::Entitled => (DUE, "found due"),
        K::Offset => (DUE, "kept back against undue payments"),
        K::Planned => (DUE, "ordered, not sent"),
        K::Held => (DUE, "held"),
        K::InFlight => (DUE, "on its way"),
        K::Unknown => (DUE, "not known whether it left"),
        K::Settled => (DUE, "paid and kept by households"),
        K::Rejected => (DUE, "unpaid: rejected"),
        K::Returned => (DUE, "unpaid: came back"),
        K::Expired => (DUE, "unpaid: not collected"),
        K::Reissued => (DUE, "ordered again in a later run"),
        K::Cancelled => (DUE, "of runs that were given up"),
        K::PaidOut => (BANKS, "paid out, net of returns"),
        K::Bank => (BANKS, "gone from the accounts"),
        K::Suspense => (BANKS, "in open breaks"),
        K::BankClaim => (BANKS, "claimed from banks"),
        K::WrittenOff => (BANKS, "lost or gained for good"),
        K::Undue => (UNDUE, "found undue"),
        K::Receivable => (UNDUE, "owed by households"),
        K::Recovered => (UNDUE, "recovered by keeping back"),
        K::GivenUp => (UNDUE, "given up"),
        K::Envelope => (BUDGET, "taken from envelopes"),
        K::Reserved => (BUDGET, "reserved for runs"),
    }
}

/// Adds the books up.
///
/// # Errors
/// When the database is gone, or the file of facts cannot be written.
pub async fn close(context: &Context) -> anyhow::Result<Closing> {
    let mut blocks: Vec<Block> = [DUE, BANKS, UNDUE, BUDGET]
        .map(|title| Block { title, places: Vec::new(), sum: Centimes::ZERO })
        .into();
    let balances = queries::balances(&context.store).await?;
    for &kind in AccountKind::ALL {
        let Some((_, balance)) = balances.iter().find(|(known, _)| *known == kind) else { continue };
        let (title, words) = place(kind);
        for block in blocks.iter_mut().filter(|block| block.title == title) {
            block.places.push(Place { kind, words, balance: *balance });
            block.sum += *balance;
        }
    }
    let path = context.home.join(FACTS);
    let (mut hash, mut facts) = (Sha256::new(), 0);
    let mut file = BufWriter::new(File::create(&path)?);
    let mut written = Ok(());
    queries::lines(&context.store, |line| {
        hash.update(line);
        hash.update("\n");
        facts += 1;
        if written.is_ok() {
            written = writeln!(file, "{line}");
        }
    })
    .await?;
    written.and_then(|()| file.flush())?;
    Ok(Closing { blocks, digest: hex(&hash.finalize()), facts })
}
