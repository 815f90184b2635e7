//! `sarf operator add | list`.

use clap::Subcommand;

use super::app::App;
use super::ui::{Align, Exit};
use crate::store::operators::{self, Role};

/// People.
#[derive(Subcommand)]
pub enum Operator {
    /// Add a person
    Add {
        /// Name to be given with --as
        name: String,
        /// preparer, approver or accountant
        #[arg(long, value_parser = |text: &str| Role::parse(text).ok_or("one of preparer, approver, accountant"))]
        role: Role,
    },
    /// Everybody
    List,
}

impl Operator {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let store = &app.context.store;
        match self {
            Self::Add { name, role } => {
                let now = app.context.clock.now();
                let added = operators::add(store, &name, role, now).await?;
                let known = operators::list(store).await?.into_iter().find(|o| o.name == name);
                if let Some(known) = known.filter(|k| k.role != role) {
                    anyhow::bail!("operator `{name}` is {} already, and no one holds two roles", known.role);
                }
                let when = if added { "" } else { " before; nothing changed" };
                app.output.line(&format!("operator {name}: {role}{when}"));
                app.output.json(&serde_json::json!({ "operator": name, "role": role, "done_now": added }))?;
            }
            Self::List => {
                let people = operators::list(store).await?;
                if app.output.is_json() {
                    app.output.json(&people)?;
                } else {
                    let rows: Vec<Vec<String>> = people
                        .iter()
                        .map(|o| {
                            vec![
                                o.name.clone(),
                                o.role.to_string(),
                                if o.active { "yes" } else { "no" }.into(),
                            ]
                        })
                        .collect();
                    app.output.table(
                        &[("name", Align::Left), ("role", Align::Left), ("active", Align::Left)],
                        &rows,
                    );
                }
            }
        }
        Ok(Exit::Done)
    }
}
