//! `sarf verify [RUN]`.

use clap::Args;

use super::app::App;
use super::ui::{Align, Cell, Exit, Tone};
use crate::domain::ids::RunId;
use crate::pipeline::reports::verify::{self, Proof};
use crate::store::audit::anchor;

/// Prove the guarantees.
#[derive(Args)]
pub struct Verify {
    /// One run only
    run: Option<RunId>,
    /// SHA-256 of a record of the audit chain that was written down: it must still be there
    #[arg(long, value_name = "HASH", value_parser = head)]
    head: Option<[u8; 32]>,
}

fn head(text: &str) -> Result<[u8; 32], String> {
    anchor::unhex(text).ok_or_else(|| "a SHA-256 has 64 hexadecimal digits".to_owned())
}

impl Verify {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let proofs = verify::verify_with_head(&app.context, self.run, self.head).await?;
        if app.output.is_json() {
            app.output.json(&proofs)?;
        } else {
            print(app, &proofs);
        }
        let failed = proofs.iter().filter(|p| !p.holds).count();
        if failed > 0 {
            app.output.error(
                &format!("{failed} of {} guarantees do not hold", proofs.len()),
                Some("let nothing more leave until each is explained"),
            );
            return Ok(Exit::Refused);
        }
        Ok(Exit::Done)
    }
}

/// Prints proofs as a table.
pub fn print(app: &App, proofs: &[Proof]) {
    let columns = [
        ("", Align::Right),
        ("of", Align::Left),
        ("must hold", Align::Text),
        ("figures", Align::Text),
        ("", Align::Left),
    ];
    let result = |p: &Proof| match p.holds {
        true => Cell::toned("holds", Tone::Good),
        false => Cell::toned("FAILS", Tone::Bad),
    };
    let rows: Vec<Vec<Cell>> = proofs
        .iter()
        .map(|p| {
            let words = [p.guarantee.to_string(), p.scope.clone(), p.claim.clone(), p.figures.clone()];
            words.map(Cell::from).into_iter().chain([result(p)]).collect()
        })
        .collect();
    app.output.table(&columns, &rows);
}
