//! A TCP proxy on loopback, between a processor and a server, which breaks what goes through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

const CHUNK: usize = 16 * 1024;

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// New connections are closed at once.
    Refuse,
    /// Nothing is forwarded, in neither direction, nor that a side has closed. What is sent is taken
    /// by the proxy's kernel, so neither side gets an error; later all of it arrives.
    Stall,
    /// Each chunk is late by so much.
    Delay(Duration),
}

/// Listens until it is dropped.
pub struct Proxy {
    port: u16,
    mode: Arc<watch::Sender<Mode>>,
    /// Counts up to have the connections of now cut, one way or another.
    cuts: Arc<watch::Sender<Cut>>,
    listening: AbortHandle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cut {
    number: u64,
    half: bool,
}

impl Proxy {
    /// To the port of this address on loopback.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let mode = Arc::new(watch::channel(Mode::Pass).0);
        let cuts = Arc::new(watch::channel(Cut::default()).0);
        let listening = tokio::spawn(listen(listener, server, mode.clone(), cuts.clone()));
        Proxy { port, mode, cuts, listening: listening.abort_handle() }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes every connection of now, both sides at once, with RST where bytes are on their way.
    pub fn cut(&self) {
        self.cuts.send_modify(|cut| *cut = Cut { number: cut.number + 1, half: false });
    }

    /// Closes every connection of now towards the server; the client isn't told, and what it
    /// sends goes nowhere.
    pub fn half_open(&self) {
        self.cuts.send_modify(|cut| *cut = Cut { number: cut.number + 1, half: true });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    server: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    cuts: Arc<watch::Sender<Cut>>,
) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        if *mode.borrow() == Mode::Refuse {
            continue;
        }
        connections.spawn(carry(client, server, mode.subscribe(), cuts.subscribe()));
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    mode: watch::Receiver<Mode>,
    mut cuts: watch::Receiver<Cut>,
) {
    cuts.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cut = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::select! {
            () = pump(from_client, to_server, mode.clone()) => return,
            () = pump(from_server, to_client, mode) => return,
            _ = cuts.changed() => *cuts.borrow_and_update(),
        }
    };
    drop(server);
    if cut.half {
        swallow(&mut client).await;
    }
}

/// Forwards until one side closes.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut mode: watch::Receiver<Mode>) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await.unwrap_or(0);
        let delay = match *mode.borrow_and_update() {
            Mode::Delay(delay) => delay,
            _ => Duration::ZERO,
        };
        tokio::time::sleep(delay).await;
        if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() || count == 0 {
            return;
        }
        if to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}

async fn swallow(client: &mut TcpStream) {
    let mut chunk = vec![0; CHUNK];
    while client.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
}
