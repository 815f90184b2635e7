//! Temporary homes, the configuration in the tree, and the bank files in an outbox.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sarf::domain::money::Centimes;
use sarf::pipeline::access::tokens;
use sarf::pipeline::{Context, exchange};

use super::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, sshd::make_key};

/// A folder that is removed when the test passes, and kept and named when it fails. Its path is short, since a
/// PostgreSQL socket may lie in it.
pub struct TempHome(PathBuf);

impl TempHome {
    pub fn new(what: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sarf-it-{}-{what}{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempHome {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for a look: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The configuration in the tree.
pub fn config_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder to copy").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A copy of the configuration in the tree, with all providers in the file lane.
pub fn files_only_config(to: &Path) {
    copy_folder(&config_folder(), to);
    let path = to.join("sarf.toml");
    let text = fs::read_to_string(&path).expect("the configuration");
    let files_only = text.replace("enabled = true", "enabled = false");
    assert_ne!(text, files_only);
    fs::write(&path, files_only).expect("the configuration");
}

/// A bank file as it lies in the outbox.
#[derive(Clone, Debug)]
pub struct Sent {
    pub path: PathBuf,
    pub provider: String,
    pub message_id: String,
    pub debtor_account: String,
    pub control_sum: Centimes,
    /// End-to-end id, UETR, amount.
    pub orders: Vec<(String, String, Centimes)>,
}

/// All bank files of an outbox, by name.
pub fn sent_files(outbox: &Path) -> Vec<Sent> {
    let mut files = Vec::new();
    for provider in fs::read_dir(outbox).expect("an outbox").flatten() {
        for entry in fs::read_dir(provider.path()).expect("a provider's folder").flatten() {
            if entry.path().extension().is_some_and(|e| e == "xml") {
                files.push(read_sent(&entry.path(), &provider.file_name().to_string_lossy()));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read_sent(path: &Path, provider: &str) -> Sent {
    let text = fs::read_to_string(path).expect("a bank file");
    let (head, body) = text.split_once("<CdtTrfTxInf>").expect("a bank file has orders");
    let money = |text: &str| text.parse::<Centimes>().expect("an amount");
    let debtor = within(head, "<DbtrAcct>", "</DbtrAcct>");
    let orders = body.split("<CdtTrfTxInf>").map(|order| {
        let amount = within(order, "<InstdAmt Ccy=\"MAD\">", "</InstdAmt>");
        (
            within(order, "<EndToEndId>", "</").to_owned(),
            if order.contains("<UETR>") { within(order, "<UETR>", "</").to_owned() } else { String::new() },
            money(amount),
        )
    });
    Sent {
        path: path.to_owned(),
        provider: provider.to_owned(),
        message_id: within(head, "<MsgId>", "</MsgId>").to_owned(),
        debtor_account: debtor
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
            .trim_start_matches("64")
            .to_owned(),
        control_sum: money(within(head, "<CtrlSum>", "</CtrlSum>")),
        orders: orders.collect(),
    }
}

fn within<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let rest = text.split_once(open).unwrap_or_else(|| panic!("no {open}")).1;
    rest.split_once(close).unwrap_or_else(|| panic!("no {close}")).0
}

/// The key of each provider is the same one: what matters is that it lies where it is looked for.
pub fn server_keys(bed: &Bed) -> PathBuf {
    let key = bed.home().join("secrets/all.ssh");
    make_key(&key);
    key
}

/// Each provider that has a server is logged in at with this key.
pub fn give_keys(bed: &Bed, key: &Path) {
    for provider in exchange::partners(&bed.context) {
        let own = bed.home().join(format!("secrets/{}.ssh", provider.code));
        fs::copy(key, &own).expect("a key");
    }
}

/// The keys of the people that every test's database knows: the same in each home, so that the enrolments of the template are theirs.
pub fn give_keys_to_people(home: &Path) {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let folder = home.join("people");
    if folder.is_dir() {
        return;
    }
    fs::create_dir_all(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("private");
    let write = |path: PathBuf, text: &str| {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("a file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    };
    for name in [ADMINISTRATOR, PREPARER, APPROVER, ACCOUNTANT] {
        use sha2::Digest as _;
        let (private, public) = sarf::keys::pair(&sha2::Sha256::digest(name).into(), name).expect("a pair");
        write(folder.join(name), &private);
        write(folder.join(format!("{name}.pub")), &format!("{public}\n"));
        if name == ADMINISTRATOR {
            sarf::keys::Trust::add(home, name, &public).expect("trusted");
        }
    }
}

/// A token for what it is needed, confirmed where it must be.
pub async fn issue_token(
    context: &Context,
    name: &str,
    scopes: &[tokens::Scope],
    institution: Option<&str>,
) -> String {
    let wish = tokens::Wish {
        name: name.into(),
        scopes: scopes.to_vec(),
        institution: institution.map(Into::into),
        days: 9,
    };
    let issued = tokens::issue(context, &wish, PREPARER).await.expect("a token");
    if issued.waits {
        tokens::confirm(context, name, APPROVER).await.expect("confirmed");
    }
    issued.token
}
