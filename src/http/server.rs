//! The server: accepts connections, gives each a seat, and serves requests over HTTP/1.1 within bounds of time.
//!
//! Input: a TCP listener, a router, seats, TLS where asked for. Output: answered requests; each request carries its peer.
//! Guarantee: the head of a request comes within [`HEAD_MAX`], whoever sends it byte by byte is cut off then; a connection
//! in which nothing moves ends; accepting never waits for a connection that is there. A stop lets answers under way end.
//! Limit: how long a body may take is its handler's to bound.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use axum::serve::Listener;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::connections::Connection;
use super::seats::{Seat, Seats, UnderWay, peer_of};
use super::tls::Tls;

/// The head of a request takes a round trip or two, also on a thin link.
pub(super) const HEAD_MAX: Duration = Duration::from_secs(10);

/// Who sends a request, as far as its connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer(pub std::net::IpAddr);

/// Serves until `stop` says so (or its sender is gone), then waits for the answers under way.
pub(super) async fn run(
    mut listener: TcpListener,
    app: Router,
    seats: Seats,
    tls: Option<Tls>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            // axum's own accept for TCP, which waits and tries again where file handles run out.
            accepted = Listener::accept(&mut listener) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        // Refused where every connection has a request under way: the peer sees an end, and comes again.
        let Some(seat) = seats.take(address.ip()) else { continue };
        let connection = Connection::new(stream, tls.as_ref());
        connections.spawn(serve(connection, address, app.clone(), Arc::new(seat), stop.clone()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(
    connection: Connection,
    address: SocketAddr,
    app: Router,
    seat: Arc<Seat>,
    mut stop: watch::Receiver<bool>,
) {
    let of_requests = Arc::clone(&seat);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let under_way = of_requests.request();
        let mut app = app.clone();
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer_of(address.ip())));
            let response: Response = match app.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let held = |body| Body::new(Held { body, _under_way: under_way });
            Ok::<_, std::convert::Infallible>(response.map(held))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let served = builder.serve_connection(TokioIo::new(connection), service);
    let mut served = std::pin::pin!(served);
    let mut stopping = false;
    loop {
        tokio::select! {
            // A peer that goes away in the middle is no event here.
            _ = served.as_mut() => return,
            () = seat.lost() => return,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A body that keeps its request under way until it is sent.
struct Held {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
