//! The `weft-signaler` command.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use weft_signaler::{Args, LogFormat, Server, Settings, id_of};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages where it may; small records all over them would keep them resident.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    match start(Args::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "weft-signaler: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    let print_id = args.print_id;
    let settings = Settings::try_from(args)?;
    if print_id {
        writeln!(std::io::stdout(), "{}", id_of(&settings.data)?)?;
        return Ok(());
    }
    log(settings.log_format);
    let runtime = if settings.threads > 1 {
        tokio::runtime::Builder::new_multi_thread().worker_threads(settings.threads).enable_all().build()
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    };
    runtime.context("cannot start the runtime")?.block_on(run(settings))
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    // Before anybody can know that it runs: who is asked to stop right away says goodbye, too.
    let mut stops = Stops::listen()?;
    let server = Server::start(settings).await?;
    let (ws, http, id) = (server.url("ws"), server.url("http"), server.id());
    writeln!(std::io::stdout(), "Weft signaler {id} listens on {ws} (demo: {http}/demo/)")?;
    stops.next().await;
    tracing::info!("stopping");
    tokio::select! {
        () = server.shutdown() => {}
        () = stops.next() => {}
    }
    Ok(())
}

/// What the operator and the system ask to stop with.
#[cfg(unix)]
struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stops {
    /// From now on such a signal waits for [`Self::next`].
    fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What the operator asks to stop with.
#[cfg(windows)]
struct Stops(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Stops {
    /// From now on a Ctrl-C waits for [`Self::next`].
    fn listen() -> anyhow::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
}
