//! `sarf arrivals`: what banks, institutions and the registry owe us, and what of it is late.

use clap::Args;

use super::app::App;
use super::ui::{Align, Cell, Exit, Tone, format};
use crate::pipeline::reports::arrivals::{self, Arrival};

/// What is awaited, what is due first before the rest. Ends with 3 where something is late.
#[derive(Args)]
pub struct Arrivals {
    /// Only what is late
    #[arg(long)]
    late: bool,
}

impl Arrivals {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let mut all = arrivals::awaited(&app.context).await?;
        all.retain(|arrival| arrival.late || !self.late);
        let exit = if all.iter().any(|arrival| arrival.late) { Exit::NeedsPerson } else { Exit::Done };
        let out = &app.output;
        if out.is_json() {
            out.json(&all)?;
            return Ok(exit);
        }
        if all.is_empty() {
            out.line(if self.late { "nothing is late" } else { "nothing is awaited" });
            return Ok(exit);
        }
        let row = |arrival: &Arrival| {
            let stands = match arrival.late {
                true => Cell::toned("late", Tone::Bad),
                false => Cell::toned("awaited", Tone::Plain),
            };
            vec![
                Cell::from(arrival.awaited.to_string()),
                arrival.from.clone().into(),
                arrival.of.clone().into(),
                format::moment(arrival.due).into(),
                stands,
            ]
        };
        let columns = [
            ("what", Align::Left),
            ("from", Align::Left),
            ("of", Align::Left),
            ("due", Align::Left),
            ("", Align::Left),
        ];
        out.table(&columns, &all.iter().map(row).collect::<Vec<_>>());
        Ok(exit)
    }
}
