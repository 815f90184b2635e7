//! The private cluster on the real binaries.

use std::path::{Path, PathBuf};

use sqlx::{Connection, PgConnection};

use super::*;

struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("sarf-test-{}-{name}", std::process::id()));
        Self(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn start(home: &Path) -> Option<Cluster> {
    match Cluster::start(home).await {
        Ok(cluster) => Some(cluster),
        Err(ClusterError::NoBinaries { .. }) => {
            crate::testing::without_postgres();
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

async fn ask(cluster: &Cluster, question: &'static str) -> String {
    let mut connection =
        PgConnection::connect_with(&cluster.connect_options("postgres")).await.expect("connect");
    sqlx::query_scalar(question).fetch_one(&mut connection).await.expect(question)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_user_stops_the_server_and_a_kill_loses_nothing() {
    let home = Home::new(&format!("deep-{}", "x".repeat(100)));
    let Some(first) = start(&home.0).await else { return };
    assert!(!first.adopted());
    for (setting, expected) in
        [("fsync", "on"), ("data_checksums", "on"), ("listen_addresses", ""), ("log_min_messages", "log")]
    {
        let mut connection =
            PgConnection::connect_with(&first.connect_options("postgres")).await.expect("connect");
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .expect("setting");
        assert_eq!(value, expected, "{setting}");
    }
    let second = start(&home.0).await.expect("binaries were there");
    assert!(second.adopted());
    assert!(!first.stop().await.expect("leave"), "the server has a second user");
    ensure_database(&second.connect_options("postgres"), "a \"b").await.expect("create");
    ensure_database(&second.connect_options("postgres"), "a \"b").await.expect("repeat");

    // The server is killed, not stopped.
    let pid = fs::read_to_string(second.place.data.join("postmaster.pid")).expect("pid file");
    let pid = pid.lines().next().expect("first line").to_owned();
    let killed = Command::new("kill").args(["-9", &pid]).status().expect("kill");
    assert!(killed.success());
    drop(second);
    let third = start(&home.0).await.expect("binaries were there");
    assert!(!third.adopted());
    assert_eq!(ask(&third, "SELECT datname::text FROM pg_database WHERE datname LIKE 'a %'").await, "a \"b");
    let (data, socket) = (third.place.data.clone(), third.place.socket_dir.clone());
    assert!(third.stop().await.expect("stop"), "the last user stops it");
    assert!(!data.join("postmaster.pid").exists() && !socket.exists());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_showing_it() {
    let error =
        server(Path::new("/nonexistent"), Some("mysql://u:secret@h/db")).await.expect_err("not PostgreSQL");
    assert!(matches!(error, ClusterError::Url) && !format!("{error:?} {error}").contains("secret"));
}
