//! Connections of a listener, with the two bounds that axum's own server does not have: a client that does not send its
//! request's head, and one that does not read its answer, are let go.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;

use crate::shutdown::Shutdown;

/// Longest time from one request's end to the next one's whole head. Longer than clients keep idle connections.
const HEAD_WITHIN: Duration = Duration::from_mins(2);

/// Longest time in which nothing of an answer is taken.
const WRITE_WITHIN: Duration = Duration::from_mins(1);

/// How long to wait when the system has no more sockets.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until the first phase of an ending, and then until the last connection is closed.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let connections = TaskTracker::new();
    let mut end = pin!(shutdown.drained());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut end => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), shutdown.clone(), WRITE_WITHIN));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(cause = %error, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, router: Router, shutdown: Shutdown, write_within: Duration) {
    // Each chunk of a stream is to leave at once, however small. A connection that is gone tells so when it is read.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_within));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let mut served = pin!(served);
    tokio::select! {
        // An error here is a client that left, or was let go.
        _ = served.as_mut() => return,
        () = shutdown.drained() => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

/// The client was gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body, routing::get};
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go() {
        // Told when the body is dropped.
        let (dropped, mut told) = mpsc::channel::<()>(1);
        let endless = move || {
            let dropped = dropped.clone();
            async move {
                Body::from_stream(stream::repeat_with(move || {
                    let _kept = &dropped;
                    Ok::<_, Infallible>(vec![b'x'; 64 * 1024])
                }))
            }
        };
        let router = Router::new().route("/", get(endless));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        connection(server, router, Shutdown::default(), Duration::from_millis(50)).await;
        assert_eq!(told.recv().await, None, "the body and what it held are gone");
        // What was on its way is there, and then the connection's end.
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        assert!(rest.starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn an_ending_lets_open_requests_end() {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let gone = std::sync::Arc::new(tokio::sync::Mutex::new(Some(gone)));
        let wait = move || {
            let gone = gone.clone();
            async move {
                let gone = gone.lock().await.take();
                if let Some(gone) = gone {
                    let _ = gone.await;
                }
                "late"
            }
        };
        let router = Router::new().route("/", get(wait));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::default();
        let serving = tokio::spawn(serve(listener, router, shutdown.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // Accepted by the time that another one is served.
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /none HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        idle.read_exact(&mut head).await.unwrap();
        shutdown.drain();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(!serving.is_finished(), "one request is open");
        go.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("connection: close") && answer.ends_with("late"), "{answer}");
        serving.await.unwrap();
    }
}
