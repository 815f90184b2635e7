//! The server of the test process: that of `DATABASE_URL`, else a private one in a temporary home.
//!
//! Statics are never dropped, so a keeper ends the private server: a shell that holds `sarf serve`, waits for the test
//! process to close a pipe (which also a kill does), stops the service and with it the server, and removes the home.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr as _;
use std::sync::OnceLock;

use sarf::clock::Clock;
use sarf::pipeline::access::people::Office;
use sarf::store::Store;
use sarf::store::access::operators::Role;
use sarf::store::cluster::{self, ClusterError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::{ACCOUNTANT, ADMINISTRATOR, APPROVER, PREPARER, config_folder};

/// The database that all others are copies of: migrated, with its three people.
pub(super) const TEMPLATE: &str = "sarf_it_template";

pub(super) struct Shared {
    /// Of a database that is there, from which others are made.
    pub(super) options: PgConnectOptions,
    pub(super) external: bool,
    _keeper: Option<Child>,
}

static SHARED: OnceLock<Option<Shared>> = OnceLock::new();

/// The server, started by whoever asks first; `None` where the machine has no PostgreSQL.
pub(super) fn shared() -> Option<&'static Shared> {
    let open = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(open())
    };
    // On a thread of its own: whoever asks may be within a runtime already.
    SHARED.get_or_init(|| std::thread::spawn(open).join().expect("the server starts")).as_ref()
}

async fn open() -> Option<Shared> {
    let url = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
    let shared = match url {
        Some(url) => {
            let options = PgConnectOptions::from_str(&url).expect("DATABASE_URL is an address");
            Shared { options, external: true, _keeper: None }
        }
        None => private().await?,
    };
    cluster::recreate_database(&shared.options, TEMPLATE, None).await.expect("the template is made");
    let store =
        Store::connect(shared.options.clone().database(TEMPLATE), 2).await.expect("the template answers");
    store.migrate().await.expect("migrations run");
    // Their keys are the same in the home of each test.
    let home = super::TempHome::new("people");
    super::give_keys_to_people(home.path());
    let store = store.anchored(home.path());
    let people = [(PREPARER, Role::Preparer), (APPROVER, Role::Approver), (ACCOUNTANT, Role::Accountant)];
    let office = Office::at(&store, home.path(), Clock::system().now());
    office.establish(ADMINISTRATOR, &people).await.expect("people are added");
    store.pool().close().await;
    Some(shared)
}

async fn private() -> Option<Shared> {
    let home = std::env::temp_dir().join(format!("sarf-it-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a temporary home");
    let server = match cluster::server(&home, None).await {
        Ok(server) => server,
        Err(ClusterError::NoBinaries { .. }) => {
            let _ = std::fs::remove_dir_all(&home);
            return None;
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    };
    let keeper = keep(&home);
    let options = server.connect_options();
    without_waiting_for_the_disk(&options).await;
    server.stop().await.expect("leaving the server to its keeper");
    Some(Shared { options, external: false, _keeper: Some(keeper) })
}

/// These databases live for a test only; the crash scenario has a server of its own, as it comes.
async fn without_waiting_for_the_disk(options: &PgConnectOptions) {
    let mut connection = options.connect().await.expect("the server answers");
    for sql in
        ["alter system set fsync = off", "alter system set full_page_writes = off", "select pg_reload_conf()"]
    {
        sqlx::query(sql).execute(&mut connection).await.expect(sql);
    }
    connection.close().await.expect("the connection is closed");
}

/// Starts the keeper and waits until it uses the server.
fn keep(home: &Path) -> Child {
    let script = "\"$0\" --home \"$1\" serve --listen 127.0.0.1:0 & served=$!; exec 2>/dev/null
        read -r _; kill -TERM $served; wait $served; rm -rf \"$1\"";
    let mut keeper = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sarf")])
        .arg(home)
        .env("SARF_CONFIG", config_folder())
        .env_remove("DATABASE_URL")
        .env_remove("SARF_LOG")
        // Ctrl-C is for the tests; the keeper learns of it by the pipe.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let errors = keeper.stderr.take().expect("piped");
    let listening =
        BufReader::new(errors).lines().map_while(Result::ok).any(|line| line.contains("listening on"));
    assert!(listening, "the keeper's service did not start");
    keeper
}
