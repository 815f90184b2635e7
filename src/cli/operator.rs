//! `sarf operator administrator | add | key | keys | revoke-key | remove | list | token | confirm | tokens | revoke`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::app::App;
use super::run::Actor;
use super::ui::{Align, Exit};
use crate::keys::KeyError;
use crate::pipeline::access::people::{self, Added};
use crate::pipeline::access::tokens::{self, Scope, Wish};
use crate::store::access::operators::{self, Role};
use crate::store::access::tokens as kept;
use crate::store::audit::signing;

/// People.
#[derive(Subcommand)]
pub enum Operator {
    /// Name an administrator, who enrols the others and decides over no money
    Administrator(NewAdministrator),
    /// Add a person, with a key
    Add {
        /// Name to be given with --as
        person: String,
        /// preparer, approver or accountant
        #[arg(long, value_parser = |text: &str| Role::parse(text).ok_or("one of preparer, approver, accountant"))]
        role: Role,
        /// File with the person's public key; without, that of `people/NAME` below the home, where one is made if there is none
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// The administrator who says so
        #[command(flatten)]
        actor: Actor,
    },
    /// Give a person a further key
    Key {
        /// Who
        #[arg(value_name = "NAME")]
        person: String,
        /// File with the public key
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        #[command(flatten)]
        actor: Actor,
    },
    /// All keys, and who enrolled them
    Keys,
    /// Take a key away: what it signed stays signed
    RevokeKey {
        /// Its fingerprint, SHA256:…
        fingerprint: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// End a person's rights; what they did stays
    Remove {
        /// Who
        #[arg(value_name = "NAME")]
        person: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// Everybody
    List,
    /// Make an API token; it is shown once
    Token(NewToken),
    /// Confirm a token for events, as an approver who did not make it: from then on it is good
    Confirm {
        /// Its name
        #[arg(value_name = "TOKEN_NAME")]
        token: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// All API tokens, without their secrets
    Tokens,
    /// End an API token
    Revoke {
        /// Its name
        #[arg(value_name = "TOKEN_NAME")]
        token: String,
        #[command(flatten)]
        actor: Actor,
    },
}

/// An API token to be made.
#[derive(Args)]
pub struct NewToken {
    /// Name, for people
    #[arg(long = "name", value_name = "TOKEN_NAME")]
    token: String,
    /// callbacks, worklists, uploads (an institution's) or events (the registry's own)
    #[arg(long, required = true, value_delimiter = ',', value_parser = |text: &str| {
        Scope::parse(text).ok_or("one of callbacks, worklists, uploads, events")
    })]
    scopes: Vec<Scope>,
    /// Provider whose orders it reaches; without, the registry's own
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
    /// Days until it ends by itself
    #[arg(long, default_value_t = 90)]
    days: u16,
    #[command(flatten)]
    actor: Actor,
}

impl Operator {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let store = &app.context.store;
        match self {
            Self::Token(new) => issue(app, new).await?,
            Self::Tokens => list_tokens(app).await?,
            Self::Revoke { token: name, actor } => {
                let done = tokens::revoke(&app.context, &name, &actor.name).await?.is_now();
                let when = if done { "" } else { " before; nothing changed" };
                app.output.line(&format!("token {name}: ended{when}"));
                app.output.json(&serde_json::json!({ "token": name, "revoked": true, "done_now": done }))?;
            }
            Self::Confirm { token: name, actor } => {
                let done = tokens::confirm(&app.context, &name, &actor.name).await?.is_now();
                let when = if done { "" } else { " before; nothing changed" };
                app.output.line(&format!("token {name}: confirmed{when}"));
                app.output
                    .json(&serde_json::json!({ "token": name, "confirmed": true, "done_now": done }))?;
            }
            Self::Remove { person, actor } => remove(app, &person, &actor.name).await?,
            Self::Administrator(new) => administrator(app, new).await?,
            Self::Key { person, public_key, actor } => {
                give_key(app, &person, &public_key, &actor.name).await?
            }
            Self::Keys => list_keys(app).await?,
            Self::RevokeKey { fingerprint, actor } => take_key(app, &fingerprint, &actor.name).await?,
            Self::Add { person, role, public_key, actor } => {
                add(app, &person, role, public_key.as_deref(), &actor.name).await?;
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

async fn give_key(app: &App, name: &str, file: &Path, by: &str) -> anyhow::Result<()> {
    let public = read_key(file)?;
    let done = people::enrol(&app.context, name, &public, by).await?;
    let (now, fingerprint) = (done.is_now(), done.into_inner());
    let when = if now { "" } else { " before; nothing changed" };
    app.output.line(&format!("operator {name}: key {fingerprint} enrolled{when}"));
    app.output.json(&serde_json::json!({ "operator": name, "key": fingerprint, "done_now": now }))?;
    Ok(())
}

async fn take_key(app: &App, fingerprint: &str, by: &str) -> anyhow::Result<()> {
    let done = people::revoke(&app.context, fingerprint, by).await?;
    let (now, name) = (done.is_now(), done.into_inner());
    let when = if now { "" } else { " before; nothing changed" };
    app.output.line(&format!("operator {name}: key {fingerprint} taken away{when}"));
    app.output.json(&serde_json::json!({ "operator": name, "key": fingerprint, "done_now": now }))?;
    Ok(())
}

/// Where the key is that was taken, and what that is good for.
fn note_key(app: &App, name: &str) {
    let file = app.context.home.join("people").join(name);
    app.output.note(&format!(
        "their key is {}: whoever can read it can sign as {name}; for good, give --public-key of one that is theirs alone",
        file.display()
    ));
}

async fn add(app: &App, name: &str, role: Role, public_key: Option<&Path>, by: &str) -> anyhow::Result<()> {
    let public = public_key.map(read_key).transpose()?;
    let added = people::add(&app.context, name, role, public.as_deref(), by).await?;
    let when = match &added {
        Added::Now => String::new(),
        Added::Already => " before; nothing changed".into(),
        Added::Back { removed_by } => format!(", back: {removed_by} had removed them"),
    };
    app.output.line(&format!("operator {name}: {role}{when}"));
    if public_key.is_none() && added == Added::Now {
        note_key(app, name);
    }
    app.output.json(&serde_json::json!({
        "operator": name, "role": role, "done_now": added != Added::Already,
        "back": matches!(added, Added::Back { .. }),
    }))?;
    Ok(())
}

async fn remove(app: &App, name: &str, by: &str) -> anyhow::Result<()> {
    let done = people::remove(&app.context, name, by).await?.is_now();
    let when = if done { "" } else { " before; nothing changed" };
    app.output.line(&format!("operator {name}: removed{when}"));
    let theirs = kept::list(&app.context.store).await?;
    let now = app.context.clock.now();
    let live = |t: &&kept::Token| t.revoked_at.is_none() && t.expires_at > now;
    for token in theirs.iter().filter(live).filter(|t| people::is_same(&t.created_by, name)) {
        app.output.note(&format!(
            "token {} was made by {name} and is good until {}; end it with `sarf operator revoke {}`",
            token.name,
            token.expires_at.date(),
            token.name
        ));
    }
    app.output.json(&serde_json::json!({ "operator": name, "removed": true, "done_now": done }))?;
    Ok(())
}

/// An administrator to be named.
#[derive(Args)]
pub struct NewAdministrator {
    /// Name to be given with --as
    name: String,
    /// File with the public key; without, that of `people/NAME` below the home, where one is made if there is none
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

async fn administrator(app: &App, new: NewAdministrator) -> anyhow::Result<()> {
    let public = new.public_key.as_deref().map(read_key).transpose()?;
    let office = people::Office::of(&app.context);
    let (named, done) = office.name_administrator(&new.name, public.as_deref()).await?;
    let when = if done { "" } else { " before; nothing changed" };
    app.output.line(&format!("administrator {}: key {}{when}", named.name, named.fingerprint));
    app.output.json(&serde_json::json!({
        "administrator": named.name, "key": named.fingerprint, "done_now": done,
    }))?;
    Ok(())
}

/// A public key from its file.
fn read_key(path: &Path) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(path).map_err(|source| KeyError::Disk { path: path.to_owned(), source })?)
}

async fn list_keys(app: &App) -> anyhow::Result<()> {
    let keys = signing::list(&app.context.store).await?;
    let trust = app.context.store.keys().map(|keys| keys.trust()).transpose()?.unwrap_or_default();
    if app.output.is_json() {
        return Ok(app
            .output
            .json(&serde_json::json!({ "keys": keys, "administrators": trust.administrators }))?);
    }
    let mut rows: Vec<Vec<String>> = trust
        .administrators
        .iter()
        .map(|a| vec![a.name.clone(), a.fingerprint.clone(), "the home's trust".into(), "good".into()])
        .collect();
    rows.extend(keys.into_iter().map(|key| {
        let state = key.revoked_by.map_or_else(|| "good".to_owned(), |by| format!("taken away by {by}"));
        vec![key.operator, key.fingerprint, key.enrolled_by, state]
    }));
    let columns = ["name", "key", "enrolled by", "state"].map(|name| (name, Align::Left));
    app.output.table(&columns, &rows);
    Ok(())
}

async fn issue(app: &App, new: NewToken) -> anyhow::Result<()> {
    let wish = Wish { name: new.token, scopes: new.scopes, institution: new.institution, days: new.days };
    let issued = tokens::issue(&app.context, &wish, &new.actor.name).await?;
    let ends = issued.expires_at.date();
    app.output.line(&issued.token);
    app.output.note(&format!("token {}: ends on {ends}; it is not shown again", wish.name));
    if issued.waits {
        app.output.note(&format!(
            "it is good once an approver who did not make it confirms it: sarf operator confirm {} --as NAME",
            wish.name
        ));
    }
    app.output.json(&serde_json::json!({
        "name": wish.name, "token": issued.token, "institution": wish.institution, "scopes": wish.scopes,
        "ends": ends.to_string(), "waits_for_second_person": issued.waits,
    }))?;
    Ok(())
}

async fn list_tokens(app: &App) -> anyhow::Result<()> {
    let tokens = kept::list(&app.context.store).await?;
    if app.output.is_json() {
        return Ok(app.output.json(&tokens)?);
    }
    let now = app.context.clock.now();
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            let state = match (token.revoked_at, token.expires_at > now) {
                (Some(_), _) => "ended by hand",
                (None, true) if tokens::waits(token) => "waits for a second person",
                (None, true) => "good",
                (None, false) => "ended",
            };
            vec![
                token.name.clone(),
                token.institution.clone().unwrap_or_else(|| "registry".into()),
                token.scopes.join(", "),
                token.expires_at.date().to_string(),
                state.into(),
                token.created_by.clone(),
            ]
        })
        .collect();
    let columns =
        ["name", "institution", "scopes", "until", "state", "made by"].map(|name| (name, Align::Left));
    app.output.table(&columns, &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Operator::augment_subcommands(clap::Command::new("operator")).debug_assert();
    }
}
