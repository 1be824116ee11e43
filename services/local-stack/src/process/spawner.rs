//! The thread that forks.
//!
//! The kernel delivers a parent-death signal when the *thread* that forked ends, not the process
//! (prctl(2), `PR_SET_PDEATHSIG`). A runtime's worker threads come and go, so children are forked by one thread
//! that lives as long as the process.

use std::io;
use std::sync::{OnceLock, mpsc};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;

type Fork = Box<dyn FnOnce() + Send>;

static SPAWNER: OnceLock<mpsc::Sender<Fork>> = OnceLock::new();

/// Starts a child of the process rather than of the calling thread. Needs the runtime that is to wait for it.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    let runtime = Handle::try_current().map_err(io::Error::other)?;
    let (answer, child) = mpsc::sync_channel(1);
    let fork: Fork = Box::new(move || {
        let _entered = runtime.enter();
        // Never fails: the caller waits right below.
        let _ = answer.send(command.spawn());
    });
    let gone = || io::Error::other("the thread that starts processes has ended");
    SPAWNER.get_or_init(start).send(fork).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

fn start() -> mpsc::Sender<Fork> {
    let (sender, forks) = mpsc::channel::<Fork>();
    thread::spawn(move || {
        for fork in forks {
            fork();
        }
    });
    sender
}
