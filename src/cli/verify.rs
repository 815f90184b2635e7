//! `sarf verify [RUN]`.

use clap::Args;

use super::app::App;
use super::ui::{Align, Exit};
use crate::domain::ids::RunId;
use crate::pipeline::verify::{self, Proof};

/// Prove the guarantees.
#[derive(Args)]
pub struct Verify {
    /// One run only
    run: Option<RunId>,
}

impl Verify {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let proofs = verify::verify(&app.context, self.run).await?;
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
        ("must hold", Align::Left),
        ("figures", Align::Left),
        ("", Align::Left),
    ];
    let rows: Vec<Vec<String>> = proofs
        .iter()
        .map(|p| {
            vec![
                p.guarantee.to_string(),
                p.scope.clone(),
                p.claim.clone(),
                p.figures.clone(),
                if p.holds { "holds" } else { "FAILS" }.into(),
            ]
        })
        .collect();
    app.output.table(&columns, &rows);
}
