//! Which messages may be imported side by side. A guess from the first kilobytes, for speed only: messages of one
//! provider that end up in two lanes wait for each other in the database.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::files;
use crate::pipeline::Context;
use crate::store::{StoreError, batches};

/// Messages of one lane are imported one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Of one provider.
    Provider(String),
    /// Of one folder, where the provider cannot be told.
    Folder(PathBuf),
}

/// What messages are told apart by.
pub(super) struct Lanes {
    /// Providers by the message ids of files that left.
    files: HashMap<String, String>,
    /// Digits of debtor accounts, and whose they are.
    accounts: Vec<(String, String)>,
}

const HEAD_BYTES: u64 = 8 * 1024;

impl Lanes {
    pub(super) async fn open(context: &Context) -> Result<Self, StoreError> {
        let providers = context.config.router.providers().iter();
        let accounts =
            providers.map(|p| (p.debtor_account.reveal().to_owned(), p.code.to_string())).collect();
        Ok(Self { files: batches::providers_by_message_id(&context.store).await?, accounts })
    }

    /// The lane of the message at `path`.
    pub(super) fn of(&self, path: &Path) -> Lane {
        let mut head = Vec::new();
        let read = files::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
        let head = read.map(|_| String::from_utf8_lossy(&head).into_owned()).unwrap_or_default();
        let original = head
            .split_once("OrgnlMsgId>")
            .and_then(|(_, rest)| rest.split_once('<'))
            .map(|(id, _)| id.trim());
        let of_file = original.and_then(|id| self.files.get(id));
        let of_account =
            || self.accounts.iter().find(|(digits, _)| head.contains(digits.as_str())).map(|(_, code)| code);
        match of_file.or_else(of_account) {
            Some(code) => Lane::Provider(code.clone()),
            None => Lane::Folder(path.parent().unwrap_or(path).to_owned()),
        }
    }
}
