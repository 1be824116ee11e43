//! A client's connection, with a deadline for taking a response.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::io::Io;
use super::waiting::{Over, Turn, Waiting};

/// Most clients that may keep the rest of a response waiting at once. A page fits the kernel's buffer
/// ([`super::listener::SEND_BUFFER`]), so these are clients that ask again without having read, and the rare one on a slow
/// line with something larger.
const MOST_STALLED: usize = 256;

/// The clients of a server that don't read.
pub(super) struct Stalls {
    waiting: Arc<Waiting>,
    /// How long a client may take to read a response.
    timeout: Duration,
}

impl Stalls {
    pub(super) fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self { waiting: Waiting::new(MOST_STALLED), timeout })
    }
}

/// A client's connection. It fails if the client does not read a response in time, and earlier if too many others began
/// to do the same later.
pub(super) struct Stream {
    io: Io,
    stalls: Arc<Stalls>,
    stalled: Option<Stalled>,
}

/// From the first moment at which the client did not take the response until it has taken all of it.
struct Stalled {
    deadline: Pin<Box<Sleep>>,
    over: Over,
    _turn: Turn,
}

impl Stream {
    pub(super) const fn new(io: Io, stalls: Arc<Stalls>) -> Self {
        Self { io, stalls, stalled: None }
    }

    pub(super) fn into_io(self) -> Io {
        self.io
    }

    /// `written` itself, unless that is to wait and the client has kept the response waiting for too long.
    fn in_time<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let stalls = &self.stalls;
        let Stalled { deadline, over, .. } = self.stalled.get_or_insert_with(|| {
            let (turn, over) = stalls.waiting.enter();
            Stalled { deadline: Box::pin(sleep(stalls.timeout)), over, _turn: turn }
        });
        if deadline.as_mut().poll(context).is_pending() && Pin::new(over).poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Err(self.cut_off()))
    }

    /// The kernel forgets what the client has not taken, instead of offering it for minutes more.
    fn cut_off(&self) -> io::Error {
        self.io.tcp().set_zero_linger().ok();
        io::Error::new(io::ErrorKind::TimedOut, "the client did not read the response in time")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes once it has written everything that it has: then the kernel has the whole response. Parts of it that
    /// are taken don't count, or a client could take a byte now and then. What TLS has not passed on yet still waits.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        if flushed.is_ready() {
            self.stalled = None;
            return flushed;
        }
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
