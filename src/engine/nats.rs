//! The way to a NATS server: a connection, and the streams that must be there.
//!
//! Input: the settings. Output: a JetStream context.
//! Guarantee: once made, a connection comes back by itself as often as it is lost; a stream that is there already is used
//! as it is, whoever made it.
//! Limit: only what servers from 2.9 on offer.

use std::time::Duration;

use async_nats::jetstream::context::{Context, ContextBuilder, GetStreamByNameErrorKind};
use async_nats::jetstream::stream;
use async_nats::{ConnectOptions, Event};

use crate::config::Nats;
use crate::domain::hint::{Hint, NextStep};
use crate::files;

/// Longest wait for an answer of the server.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Why NATS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The file with credentials.
    #[error("the credentials for NATS cannot be used")]
    Credentials(#[source] std::io::Error),
    /// No connection.
    #[error("no connection to NATS")]
    Connect(#[from] async_nats::ConnectError),
    /// A stream that is missing and cannot be made.
    #[error("stream `{stream}` of NATS cannot be used")]
    Stream {
        /// Its name.
        stream: String,
        /// Why.
        #[source]
        source: async_nats::Error,
    },
    /// The durable consumer cannot be made.
    #[error("consumer `{consumer}` of NATS cannot be used")]
    Consumer {
        /// Its name.
        consumer: String,
        /// Why.
        #[source]
        source: async_nats::Error,
    },
    /// Messages stopped coming.
    #[error("no messages could be fetched from NATS")]
    Messages(#[source] async_nats::Error),
    /// Something could not be sent.
    #[error("a message could not be sent to NATS")]
    Send(#[source] async_nats::Error),
}

impl Hint for NatsError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Credentials(_) => "correct the credentials file in sarf.toml, part [events.nats]".into(),
            Self::Connect(_) => "see that the server in sarf.toml, part [events.nats], answers".into(),
            Self::Stream { .. } | Self::Consumer { .. } => {
                "compare it with what docs/nats.md asks for, and with the rights of this account".into()
            }
            Self::Messages(_) | Self::Send(_) => "see the server's log: it is tried again by itself".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(NatsError {
    Self::Credentials(_) => Self::Credentials(std::io::ErrorKind::NotFound.into()),
    Self::Stream { .. } => Self::Stream { stream: "s".into(), source: "refused".into() },
    Self::Consumer { .. } => Self::Consumer { consumer: "c".into(), source: "refused".into() },
    Self::Messages(_) => Self::Messages("refused".into()),
    Self::Send(_) => Self::Send("refused".into());
    Self::Connect(_),
});

/// Connects to the server of the settings.
///
/// # Errors
/// When credentials cannot be read or nobody answers.
pub async fn connect(settings: &Nats) -> Result<Context, NatsError> {
    // Another part of the process may have done so already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let mut options = ConnectOptions::new()
        .name("sarf")
        .connection_timeout(ANSWER_MAX)
        .request_timeout(Some(ANSWER_MAX))
        .event_callback(|event| async move { tell(&event) });
    if let Some(path) = &settings.credentials {
        let text = files::read_secret(path).map_err(NatsError::Credentials)?;
        let text = String::from_utf8(text).map_err(|e| NatsError::Credentials(std::io::Error::other(e)))?;
        options = options.credentials(&text).map_err(NatsError::Credentials)?;
    }
    let client = options.connect(settings.url.as_str()).await?;
    Ok(ContextBuilder::new().timeout(ANSWER_MAX).build(client))
}

fn tell(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("connection to NATS lost"),
        event => tracing::debug!(%event, "NATS"),
    }
}

/// Makes the stream that takes `config.subjects`, unless a stream takes the first of them already.
///
/// # Errors
/// When it is missing and cannot be made.
pub async fn ensure_stream(nats: &Context, config: stream::Config) -> Result<(), NatsError> {
    let name = config.name.clone();
    let fault = |source| NatsError::Stream { stream: name.clone(), source };
    let subject = config.subjects.first().cloned().unwrap_or_default();
    match nats.stream_by_subject(subject).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => {
            nats.create_stream(config).await.map(drop).map_err(|e| fault(e.into()))
        }
        Err(error) => Err(fault(error.into())),
    }
}
