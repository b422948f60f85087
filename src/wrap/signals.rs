//! The signals that end a server or tell it something, taken by one thread, which hands each on.
//!
//! They are blocked, not handled: what a signal does by default, or that it is ignored, stays as it was found, and the
//! server gets it so. The mask is what must be put back before the server runs, see [`super::launch`].

use std::io;
use std::sync::mpsc::Sender;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::signal::unix::{SignalKind, signal};

/// The signals that are for the server: those that a client or a terminal sends to end it, and those free for its use.
pub(super) const FOR_THE_SERVER: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// Blocks the signals, for this thread and all that it starts. Gives back those that were not blocked before.
pub(super) fn block() -> io::Result<Vec<Signal>> {
    let before = SigSet::from_iter(FOR_THE_SERVER).thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    Ok(FOR_THE_SERVER.into_iter().filter(|signal| !before.contains(*signal)).collect())
}

/// Sees to it that children stay to be waited for. Where SIGCHLD was left ignored the system takes them away as they
/// end, and how they ended with them; a handler is what says otherwise. To be called before there is a child.
pub(super) fn keep_children() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // The handler stays when the listener and the runtime are gone.
    signal(SignalKind::child()).map(drop)
}

/// Hands on every signal, for ever, from a thread of its own. They must be blocked.
pub(super) fn hand_on<T: From<Signal> + Send + 'static>(to: Sender<T>) -> io::Result<()> {
    let taken = SigSet::from_iter(FOR_THE_SERVER);
    std::thread::Builder::new().name("wrap-signals".to_owned()).spawn(move || {
        // It ends only with the one who listens, which is at the end of the process.
        while let Ok(signal) = taken.wait() {
            if to.send(signal.into()).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
