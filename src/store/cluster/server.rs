//! Which server: the one `DATABASE_URL` names, else the private cluster of the home.

use std::path::Path;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Cluster, ClusterError};

/// The database of the private cluster.
const DATABASE: &str = "sarf";

/// The PostgreSQL server in use.
#[derive(Debug)]
pub enum Server {
    /// Someone else's, named by `DATABASE_URL`.
    External(Box<PgConnectOptions>),
    /// The private cluster.
    Private(Cluster),
}

/// The server at `database_url` if given, else the private cluster of `home`, started if need be, with its database
/// `sarf` made.
///
/// # Errors
/// An address that is none, or whatever [`Cluster::start`] meets. An external server is not contacted here.
pub async fn server(home: &Path, database_url: Option<&str>) -> Result<Server, ClusterError> {
    if let Some(url) = database_url.filter(|url| !url.is_empty()) {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(ClusterError::Url);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| ClusterError::Url)?;
        return Ok(Server::External(Box::new(options.application_name("sarf"))));
    }
    let cluster = Cluster::start(home).await?;
    ensure_database(&cluster.connect_options("postgres"), DATABASE).await?;
    Ok(Server::Private(cluster))
}

impl Server {
    /// Options to connect to the working database.
    pub fn connect_options(&self) -> PgConnectOptions {
        match self {
            Self::External(options) => PgConnectOptions::clone(options),
            Self::Private(cluster) => cluster.connect_options(DATABASE),
        }
    }

    /// Leaves the server; a private one is stopped by its last user. Close the pools first.
    ///
    /// # Errors
    /// As [`Cluster::stop`].
    pub async fn stop(self) -> Result<(), ClusterError> {
        match self {
            Self::External(_) => Ok(()),
            Self::Private(cluster) => cluster.stop().await.map(drop),
        }
    }
}

/// Makes database `name` (UTF-8, order by bytes) unless it exists. Connects with `options`, whose database must exist.
/// Safe to repeat, and to run from several processes at once.
///
/// # Errors
/// The server cannot be reached, or the role may not create databases.
pub async fn ensure_database(options: &PgConnectOptions, name: &str) -> Result<(), ClusterError> {
    let mut connection = PgConnection::connect_with(options).await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        let quoted = name.replace('"', "\"\"");
        // An identifier cannot be a parameter; quoted, any name is one.
        let create = format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        match sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await {
            Ok(_) => {}
            // duplicate_database, or its index's unique_violation: another process was quicker.
            Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("42P04" | "23505")) => {}
            Err(error) => return Err(error.into()),
        }
    }
    connection.close().await?;
    Ok(())
}

/// Makes database `name` anew, as a copy of `template` where given; what it held is lost.
///
/// # Errors
/// The server cannot be reached, or the role may not drop and create databases.
pub async fn recreate_database(
    options: &PgConnectOptions,
    name: &str,
    template: Option<&str>,
) -> Result<(), ClusterError> {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut connection = PgConnection::connect_with(options).await?;
    let from = template.map_or_else(|| "template0".to_owned(), quote);
    for sql in [
        format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(name)),
        format!("CREATE DATABASE {} TEMPLATE {from} ENCODING 'UTF8' LOCALE 'C'", quote(name)),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}
