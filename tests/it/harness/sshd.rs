//! A real OpenSSH server for files, on loopback, with keys of its own; and a wire to it that can be cut or slowed.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use sarf::domain::delivery::DeliveryTerms;

use super::without_tool;

/// OpenSSH's server, which serves the files below `root`.
pub struct Sshd {
    server: Child,
    pub address: SocketAddr,
    pub fingerprint: String,
    pub root: PathBuf,
    folder: PathBuf,
}

/// Debian keeps it where only root's PATH looks.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|p| p.join("sshd")).find(|p| p.is_file())
}

fn keygen(args: &[&str]) -> String {
    let ran = Command::new("ssh-keygen").args(args).stdin(Stdio::null()).output().expect("ssh-keygen starts");
    assert!(ran.status.success(), "ssh-keygen {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// The name of this account, which logs in at itself.
pub fn me() -> String {
    let ran = Command::new("id").arg("-un").output().expect("id starts");
    String::from_utf8(ran.stdout).expect("UTF-8").trim().to_owned()
}

/// Makes a key pair for logging in; the private key lies at `path`, the public one beside it.
pub fn make_key(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "sarf", "-f", &path.display().to_string()]);
}

impl Sshd {
    /// A server below `folder` that lets in whoever has the key beside `public`; `None` where there is no OpenSSH and its tests may be
    /// skipped. `denied` are requests of the protocol that it refuses, as `rename,remove`.
    pub fn start(folder: &Path, public: &Path, denied: &str) -> Option<Self> {
        let Some(program) = program() else {
            without_tool("sshd", "sshd");
            return None;
        };
        let root = folder.join("files");
        fs::create_dir_all(&root).expect("a folder");
        let host_key = folder.join("host_key");
        make_key(&host_key);
        let shown = keygen(&["-lf", &format!("{}.pub", host_key.display())]);
        let fingerprint = shown.split_whitespace().nth(1).expect("a fingerprint").to_owned();
        fs::copy(public.with_extension("ssh.pub"), folder.join("authorized")).expect("a public key");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
        // Started by root it wants this folder for its own use.
        let _ = fs::create_dir_all("/run/sshd");
        let denied = if denied.is_empty() { String::new() } else { format!(" -P {denied}") };
        let config = format!(
            "ListenAddress {address}\nHostKey {0}/host_key\nPidFile none\nAuthorizedKeysFile {0}/authorized\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n\
             LogLevel ERROR\nSubsystem sftp internal-sftp\nForceCommand internal-sftp -d {1}{denied}\n",
            folder.display(),
            root.display()
        );
        fs::write(folder.join("sshd_config"), config).expect("a configuration");
        let mut sshd = Self {
            server: Self::launch(&program, folder),
            address,
            fingerprint,
            root,
            folder: folder.to_owned(),
        };
        sshd.listens();
        Some(sshd)
    }

    fn launch(program: &Path, folder: &Path) -> Child {
        Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("sshd.log")).expect("a log"))
            .spawn()
            .expect("sshd starts")
    }

    fn listens(&mut self) {
        for _ in 0..200 {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("sshd: {}", fs::read_to_string(self.folder.join("sshd.log")).unwrap_or_default());
    }

    /// Ends it, and all connections to it.
    pub fn stop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Starts it again where it was.
    pub fn again(&mut self) {
        self.server = Self::launch(&program().expect("sshd"), &self.folder);
        self.listens();
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// A folder of the server.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What is agreed with a provider whose server this is; its folders are made.
pub fn terms(sshd: &Sshd, host: &str, code: &str) -> DeliveryTerms {
    sshd.folder(&format!("in/{code}"));
    sshd.folder(&format!("out/{code}"));
    let text = format!(
        "hosts = [\"{host}\"]\nuser = \"{}\"\nhost_keys = [\"{}\"]\nupload = \"in/{code}\"\ndownload = \"out/{code}\"\ntimeout_s = 5",
        me(),
        sshd.fingerprint
    );
    toml::from_str(&text).expect("terms")
}

/// A wire to a server that breaks once so many bytes went towards it.
pub struct Wire {
    pub host: String,
    left: Arc<AtomicI64>,
}

impl Wire {
    /// A wire to `to` that is whole.
    pub async fn to(to: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let counted = Arc::clone(&left);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = tokio::net::TcpStream::connect(to).await else { continue };
                tokio::spawn(carry(near, far, Arc::clone(&counted)));
            }
        });
        Self { host, left }
    }

    /// It breaks after so many bytes, for whoever is on it then; whoever comes later passes.
    pub fn breaks_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }
}

async fn carry(mut near: tokio::net::TcpStream, mut far: tokio::net::TcpStream, left: Arc<AtomicI64>) {
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.split(), far.split());
    let there = async {
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let read = near_in.read(&mut chunk).await.unwrap_or(0);
            if read == 0 || far_out.write_all(&chunk[..read]).await.is_err() {
                return;
            }
            if left.fetch_sub(read as i64, Ordering::SeqCst) < read as i64 {
                left.store(i64::MAX, Ordering::SeqCst);
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut far_in, &mut near_out) => {}
    }
}
