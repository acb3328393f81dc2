//! Ctrl-C and SIGTERM.

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
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

#[cfg(not(unix))]
async fn wait() {
    let _ = tokio::signal::ctrl_c().await;
}
