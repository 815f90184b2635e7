//! Connections that end when they are silent for too long, with TLS where asked for.
//!
//! Input: a TCP stream. Output: bytes to and from it.
//! Guarantee: a connection is closed after 75 s in which nothing moved; the TLS handshake is its own affair, done within
//! 10 s, and never holds up the next connection.
//! Limit: a client that sends a byte a minute is not silent: heads and bodies have bounds of their own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::tls::Tls;

/// Longer than the usual scrape interval, so that Prometheus keeps its connection.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// A handshake takes a few round trips, also on a thin link.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

enum Stream {
    Plain(TcpStream),
    /// The handshake is under way: done by whoever reads first.
    Greeting(Box<tokio_rustls::Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that ends when nothing moves for too long.
pub(super) struct Connection {
    stream: Stream,
    silence: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, tls: Option<&Tls>) -> Self {
        let (stream, patience) = match tls {
            None => (Stream::Plain(stream), SILENCE_MAX),
            Some(tls) => (Stream::Greeting(Box::new(tls.0.accept(stream))), HANDSHAKE_MAX),
        };
        Self { stream, silence: Box::pin(sleep(patience)) }
    }

    /// Finishes the handshake first, where there is one.
    fn poll_greeted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stream::Greeting(greeting) = &mut self.stream {
            match Pin::new(greeting.as_mut()).poll(cx) {
                Poll::Pending => return self.poll_silence(cx),
                Poll::Ready(outcome) => {
                    self.stream = Stream::Tls(Box::new(outcome?));
                    self.moved();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// An error once nothing moved for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn moved(&mut self) {
        self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
    }

    /// Passes an outcome on: one that is there means that something moved, else the silence goes on.
    fn watch<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(outcome) => {
                self.moved();
                Poll::Ready(outcome)
            }
            Poll::Pending => match ready!(self.poll_silence(cx)) {
                Err(error) => Poll::Ready(Err(error)),
                Ok(()) => Poll::Pending,
            },
        }
    }
}

/// Does one thing on whichever stream there is.
macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.stream {
            Stream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
            Stream::Greeting(_) => unreachable!("greeted before"),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_greeted(cx))?;
        let outcome = on_stream!(self, stream => stream.poll_read(cx, buf));
        self.watch(outcome, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeted(cx))?;
        let outcome = on_stream!(self, stream => stream.poll_write(cx, data));
        self.watch(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.stream, Stream::Greeting(_)) {
            return Poll::Ready(Ok(()));
        }
        let outcome = on_stream!(self, stream => stream.poll_flush(cx));
        // Nothing to flush is no movement.
        if outcome.is_pending() { self.watch(outcome, cx) } else { outcome }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.stream, Stream::Greeting(_)) {
            return Poll::Ready(Ok(()));
        }
        let outcome = on_stream!(self, stream => stream.poll_shutdown(cx));
        if outcome.is_pending() { self.watch(outcome, cx) } else { outcome }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeted(cx))?;
        let outcome = on_stream!(self, stream => stream.poll_write_vectored(cx, data));
        self.watch(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::Greeting(_) => true,
        }
    }
}
