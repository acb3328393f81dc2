//! The `weft-signaler` command.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use weft_signaler::{Args, LogFormat, Server, Settings, id_of};

fn main() -> ExitCode {
    match start(Args::parse()) {
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
    let server = Server::start(settings).await?;
    let (ws, http, id) = (server.url("ws"), server.url("http"), server.id());
    writeln!(std::io::stdout(), "Weft signaler {id} listens on {ws} (demo: {http}/demo/)")?;
    stop().await?;
    tracing::info!("stopping");
    tokio::select! {
        () = server.shutdown() => Ok(()),
        again = stop() => again,
    }
}

/// Resolves when the operator or the system asks to stop.
async fn stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
}
