//! Decisions of people, as they signed them: listed, and written out so that OpenSSH's own tool can check them.
//!
//! Output: for each signed decision `NUMBER.statement` and `NUMBER.sig`, and `allowed_signers` with everybody's keys. Check one with
//! `ssh-keygen -Y verify -f allowed_signers -I NAME -n sarf-decision -s NUMBER.sig < NUMBER.statement`.

use std::io;
use std::path::{Path, PathBuf};

use super::run_report::ReportError;
use crate::domain::statement_of_decision::{DecisionStatement, NAMESPACE};
use crate::files;
use crate::pipeline::Context;
use crate::store::audit::signing::{self, DecisionRecord};

/// A decision of a person.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Signed {
    /// Place in the audit chain.
    pub record: i64,
    /// Who.
    pub by: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Content.
    pub content: String,
    /// When.
    pub at: String,
    /// The key that signed; none on records from before signatures.
    pub key: Option<String>,
}

/// All of them, oldest first.
///
/// # Errors
/// When the database is gone.
pub async fn list(context: &Context) -> Result<Vec<Signed>, ReportError> {
    let records = signing::records(&context.store).await?;
    let people = records.into_iter().filter(|record| record.actor != signing::ENGINE);
    Ok(people
        .map(|record| Signed {
            record: record.sequence,
            at: record.at.to_string(),
            key: record.signed.map(|(key, ..)| key),
            by: record.actor,
            action: record.action,
            subject: record.subject,
            content: record.detail,
        })
        .collect())
}

/// Writes them into a folder; how many.
///
/// # Errors
/// When the database is gone, or a file cannot be written.
pub async fn export(context: &Context, folder: &Path) -> Result<u64, ReportError> {
    let records = signing::records(&context.store).await?;
    let kept = signing::list(&context.store).await?;
    let trust =
        context.store.keys().map(|keys| keys.trust()).transpose().map_err(crate::store::StoreError::from)?;
    let folder = folder.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        files::private_folder(&folder).map_err(|source| (folder.clone(), source))?;
        let mut lines = String::new();
        for administrator in trust.unwrap_or_default().administrators {
            lines.push_str(&format!(
                "{} namespaces=\"{NAMESPACE}\" {}\n",
                administrator.name, administrator.public
            ));
        }
        for key in kept {
            lines.push_str(&format!("{} namespaces=\"{NAMESPACE}\" {}\n", key.operator, key.public_key));
        }
        write(&folder.join("allowed_signers"), &lines)?;
        let mut count = 0;
        for record in &records {
            count += u64::from(write_one(&folder, record)?);
        }
        Ok::<u64, (PathBuf, io::Error)>(count)
    });
    let written = written.await.expect("writing does not panic");
    written.map_err(|(path, source)| ReportError::Io { path, source })
}

fn write_one(folder: &Path, record: &DecisionRecord) -> Result<bool, (PathBuf, io::Error)> {
    let Some((_, signature, after, _)) = &record.signed else { return Ok(false) };
    let statement = DecisionStatement {
        action: &record.action,
        subject: &record.subject,
        detail: &record.detail,
        by: &record.actor,
        at: record.at,
        after,
    };
    write(&folder.join(format!("{}.statement", record.sequence)), &statement.text())?;
    write(&folder.join(format!("{}.sig", record.sequence)), signature)?;
    Ok(true)
}

fn write(path: &Path, text: &str) -> Result<(), (PathBuf, io::Error)> {
    files::replace(path, text.as_bytes()).map_err(|source| (path.to_owned(), source))
}
