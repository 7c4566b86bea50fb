//! A provider with one fault, on a bare TCP socket: no HTTP library stands between the test and the fault.
//!
//! It serves all paths of the three families, in one piece or as a stream as the request wants it, and counts who came.

mod acting;
mod fault;
mod request;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};

pub use self::fault::Fault;
use crate::upstream::Family;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// When a connection on this machine is not to be had: long before the system asks a second time.
const UNANSWERED: Duration = Duration::from_millis(300);

/// Connections that a system may take beyond a backlog of one.
const MOST_WAITING: usize = 16;

/// A running server with a fault; ends when dropped, with all of its connections.
pub struct FaultServer {
    /// Scheme, host and port.
    origin: String,
    state: Arc<State>,
    /// Connections that nobody accepts, and which leave no room for others.
    _waiting: Vec<TcpStream>,
    /// A port at which nobody listens, and who will once it is healed.
    closed: Mutex<Option<(TcpSocket, oneshot::Sender<TcpListener>)>>,
    /// Accepting and serving. Both end with the set.
    _tasks: JoinSet<()>,
}

/// What a server's connections share.
struct State {
    /// What goes wrong; `None` once it is healed.
    fault: Mutex<Option<Fault>>,
    /// Where redirections lead.
    elsewhere: SocketAddr,
    connections: AtomicUsize,
    requests: AtomicUsize,
    followed: AtomicUsize,
}

impl State {
    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultServer {
    /// Starts one with `fault`, on a free port of 127.0.0.1.
    pub async fn start(fault: Fault) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        let elsewhere = TcpListener::bind(("127.0.0.1", 0)).await?;
        let state = Arc::new(State {
            fault: Mutex::new(Some(fault)),
            elsewhere: elsewhere.local_addr()?,
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            followed: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        let origin = match fault {
            Fault::UnknownHost => "http://goblin-nowhere.invalid".to_owned(),
            Fault::TlsFailure => format!("https://{address}"),
            _ => format!("http://{address}"),
        };
        let (sender, opened) = oneshot::channel();
        let serving = state.clone();
        tasks.spawn(async move {
            if let Ok(listener) = opened.await {
                serve(listener, serving).await;
            }
        });
        tasks.spawn(count_followers(elsewhere, state.clone()));
        if fault == Fault::ConnectTimeout {
            let listener = socket.listen(1)?;
            let waiting = fill(address).await?;
            tasks.spawn(async move {
                let _listener = listener;
                std::future::pending::<()>().await;
            });
            return Ok(Self { origin, state, _waiting: waiting, closed: Mutex::new(None), _tasks: tasks });
        }
        let server =
            Self { origin, _waiting: Vec::new(), state, closed: Mutex::new(Some((socket, sender))), _tasks: tasks };
        if fault != Fault::RefusedConnection {
            server.listen()?;
        }
        Ok(server)
    }

    /// Listens, if nobody does yet. Until then the port is ours, and refuses.
    fn listen(&self) -> io::Result<()> {
        if let Some((socket, sender)) = self.closed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Who listens ends only with us.
            let _ = sender.send(socket.listen(BACKLOG)?);
        }
        Ok(())
    }

    /// What an OpenAI client calls the base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.base_url_of(Family::OpenAi)
    }

    /// What a client of `family` calls the base URL.
    #[must_use]
    pub fn base_url_of(&self, family: Family) -> String {
        format!("{}{}", self.origin, family.base_path())
    }

    /// Connections that were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Requests of which all had come.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Connections to the place to which it redirects. None is right.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.state.followed.load(Ordering::SeqCst)
    }

    /// From now on it works. What lies in the base URL (an unknown host, TLS) cannot heal, nor what the system does (a
    /// connect time-out).
    ///
    /// # Panics
    ///
    /// When the system does not let it listen at its own port.
    pub fn heal(&self) {
        self.listen().expect("a port of our own");
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// From now on this goes wrong; not for what cannot heal, and not for connections that are refused.
    pub fn break_with(&self, fault: Fault) {
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }
}

/// Connects to a port at which nobody accepts, until the system has no more room for those who wait. It holds one more
/// than the backlog says, and answers nobody beyond them (`tcp_conn_request` in Linux).
async fn fill(address: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut waiting = Vec::new();
    while let Ok(connection) = timeout(UNANSWERED, TcpStream::connect(address)).await {
        waiting.push(connection?);
        ensure!(waiting.len() <= MOST_WAITING, "this system makes room for everybody who connects");
    }
    Ok(waiting)
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        let state = state.clone();
        connections.spawn(async move {
            // An error is a client that left.
            let _ = acting::serve(stream, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn count_followers(elsewhere: TcpListener, state: Arc<State>) {
    while elsewhere.accept().await.is_ok() {
        state.followed.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
