//! Traces: a span for each command, stage, batch, request and message, sent to a collector by OTLP over HTTP.
//!
//! Input: the collector's address (`OTEL_EXPORTER_OTLP_ENDPOINT`, such as `http://127.0.0.1:4318`). Output: spans with numbers of runs,
//! batches and messages, codes of providers, and keys of orders; nothing personal, since spans carry no text from outside.
//! Guarantee: a collector that is slow or gone holds nothing up: what the queue has no room for is dropped. Limit: at the end of the
//! process what is queued is waited for no longer than [`END_WITHIN`].

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::domain::hint::{Hint, NextStep};

/// How long the end of the process waits for what is queued.
const END_WITHIN: Duration = Duration::from_secs(2);
/// How long a sending may take.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// The collector's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to `{endpoint}`: {why}")]
pub struct OtlpError {
    /// The address.
    pub endpoint: String,
    /// Why.
    pub why: String,
}

impl Hint for OtlpError {
    fn hint(&self) -> Option<NextStep> {
        Some("set OTEL_EXPORTER_OTLP_ENDPOINT to the collector's HTTP address, as http://127.0.0.1:4318, or leave it out".into())
    }
}

#[cfg(test)]
crate::domain::hint::samples!(OtlpError {
    Self { .. } => Self { endpoint: "collector".into(), why: "no address".into() },
});

/// Sends spans for as long as it lives; dropped, it sends what is left.
#[derive(Debug)]
pub struct Sending(SdkTracerProvider);

impl Drop for Sending {
    fn drop(&mut self) {
        // A collector that is gone is no fault of the command's.
        let _ = self.0.shutdown_with_timeout(END_WITHIN);
    }
}

/// The layer that gives spans to the sender.
///
/// # Errors
/// See [`OtlpError`].
pub fn layer<S>(endpoint: &str) -> Result<(impl Layer<S> + Send + Sync + use<S>, Sending), OtlpError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let fault = |why: String| OtlpError { endpoint: endpoint.to_owned(), why };
    let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    if !(address.starts_with("http://") || address.starts_with("https://")) {
        return Err(fault("it is no http or https address".into()));
    }
    // Another part of the process may have done so already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    // The client that blocks must not be made within the runtime that this may be called in.
    let made = std::thread::spawn(move || {
        let mut client = reqwest::blocking::Client::builder().timeout(SEND_WITHIN).no_proxy();
        if address.starts_with("http://") {
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|e| e.without_url().to_string())?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(address)
            .with_timeout(SEND_WITHIN)
            .build()
            .map_err(|e| e.to_string())?;
        let resource = Resource::builder().with_service_name("sarf").build();
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
    });
    let provider: SdkTracerProvider =
        made.join().map_err(|_| fault("its client cannot be made".into()))?.map_err(fault)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("sarf"))
        .with_location(false)
        .with_threads(false);
    let ours = Targets::new().with_target("sarf", LevelFilter::INFO);
    Ok((spans.with_filter(ours), Sending(provider)))
}
