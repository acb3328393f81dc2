//! Ctrl-C, SIGTERM, and SIGHUP of a terminal that goes away.

use std::time::Duration;

use tokio::sync::watch;

use super::exit::Exit;

/// After an interrupt, everything has to be over in this time; a program that hangs is worse than one that says no
/// goodbye.
const LIMIT: Duration = Duration::from_millis(1950);

/// Tells whether somebody wants this to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on. The first interrupt asks; the second, or the end of the time limit, ends the process.
    pub(crate) fn start() -> Self {
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            wait().await;
            // The command may be over already.
            let _ = ask.send(true);
            let _ = tokio::time::timeout(LIMIT, wait()).await;
            std::process::exit(Exit::Interrupted as i32);
        });
        Self { asked }
    }

    /// Ends when somebody asks. Cancel safe.
    pub(crate) async fn asked(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            // The listener is gone and nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    let one = async |kind| match signal(kind) {
        Ok(mut signal) => _ = signal.recv().await,
        Err(_) => std::future::pending().await,
    };
    let hangup =
        async { if may_hang_up() { one(SignalKind::hangup()).await } else { std::future::pending().await } };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = one(SignalKind::terminate()) => {}
        () = hangup => {}
    }
}

/// Whether SIGHUP is meant for this process: nohup(1) has it ignored, and to listen for it would undo that. Where
/// nothing tells, the system does with it what it always does.
#[cfg(unix)]
fn may_hang_up() -> bool {
    // proc_pid_status(5): a mask in hexadecimal, signal 1 its lowest bit. Read once: listening changes it.
    static ANSWER: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
    });
    *ANSWER
}

#[cfg(not(unix))]
async fn wait() {
    let _ = tokio::signal::ctrl_c().await;
}
