//! The measured servers as processes on core 0: started, looked at through /proc, ended.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Common;

/// How long a server may take until it accepts connections.
const START: Duration = Duration::from_secs(20);
/// Open files that 9,600 connections need, and some.
const OPEN_FILES: u64 = 12_000;
/// The core of the client; servers get core 0.
const CLIENT_CORE: usize = 1;

/// The quotas of one peer, out of the way: one client here sends what thousands would. They are counted all the same.
const WEFT_CONFIG: &str = "[limits]\nframes_per_second = 10000000\nframes_burst = 10000000\n\
    bytes_per_second = 4000000000\nbytes_burst = 4000000000\n";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// weft-signaler.
    Weft,
    /// peerjs-server, npm `peer`.
    Peerjs,
    /// matchbox_server.
    Matchbox,
    /// The signaling server of y-webrtc.
    YWebrtc,
    /// bittorrent-tracker's WebSocket server.
    Tracker,
    /// The least that a forwarding server can do: `weft-bench floor`.
    Floor,
}

impl Kind {
    /// As its users call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft-signaler",
            Self::Peerjs => "peerjs-server",
            Self::Matchbox => "matchbox_server",
            Self::YWebrtc => "y-webrtc",
            Self::Tracker => "bittorrent-tracker",
            Self::Floor => "bare epoll",
        }
    }
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    /// The folder of its database and log.
    dir: PathBuf,
}

impl Server {
    /// Starts a server on a free port and waits until it accepts connections.
    ///
    /// # Errors
    /// Says which program is missing, or shows where its log is.
    pub(crate) fn start(kind: Kind, common: &Common) -> anyhow::Result<Self> {
        Self::start_with(kind, common, &[])
    }

    /// So many weft-signalers that are siblings of each other, once all are linked.
    ///
    /// # Errors
    /// As [`Self::start`]; if they do not find each other.
    pub(crate) fn federation(common: &Common, count: usize) -> anyhow::Result<Vec<Self>> {
        let mut servers: Vec<Self> = Vec::new();
        for _ in 0..count {
            let mut args = vec!["--open".to_owned()];
            if let Some(first) = servers.first() {
                args.extend(["--sibling".to_owned(), format!("ws://{}", first.addr)]);
            }
            servers.push(Self::start_with(Kind::Weft, common, &args)?);
        }
        let deadline = Instant::now() + START;
        for server in &servers {
            while server.health()?.matches("\"up\": true").count() + 1 < count {
                ensure!(Instant::now() < deadline, "the signalers did not find each other");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(servers)
    }

    /// What a weft-signaler says of itself.
    fn health(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.addr)?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn start_with(kind: Kind, common: &Common, args: &[String]) -> anyhow::Result<Self> {
        let addr = free_port()?;
        let dir = std::env::temp_dir().join(format!("weft-bench-{}-{}", std::process::id(), addr.port()));
        std::fs::create_dir_all(&dir)?;
        let log = File::create(dir.join("log"))?;
        let child = command(kind, common, addr, &dir)?
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("taskset could not be started (Debian: util-linux)")?;
        let mut server = Self { child, addr, dir };
        server.wait_until_it_listens(kind)?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// CPU seconds of all its threads so far, in steps of a clock tick (10 ms).
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        cpu_of(&self.child.id().to_string())
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    fn wait_until_it_listens(&mut self, kind: Kind) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(self.addr).is_err() {
            let ended = self.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "{} does not listen; it said: {}",
                kind.name(),
                std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu() -> anyhow::Result<f64> {
    cpu_of("self")
}

/// Allows this process, and the servers it starts, enough connections.
///
/// # Errors
/// If the system's hard limit is lower.
pub(crate) fn raise_open_files() -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|files| files < OPEN_FILES) {
        ensure!(
            maximum.is_none_or(|most| most >= OPEN_FILES),
            "only {maximum:?} open files are allowed, {OPEN_FILES} are needed: raise `ulimit -Hn`"
        );
        setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum })?;
    }
    Ok(())
}

/// Binds this process to its core, so that it never takes time from the server.
///
/// # Errors
/// If there is no second core: then nothing here means anything.
pub(crate) fn pin_client() -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(CLIENT_CORE);
    sched_setaffinity(None, &cores).context("the client needs core 1, the servers core 0")
}

fn command(kind: Kind, common: &Common, addr: SocketAddr, dir: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]);
    let port = addr.port().to_string();
    match kind {
        Kind::Weft => {
            let config = dir.join("weft.toml");
            File::create(&config)?.write_all(WEFT_CONFIG.as_bytes())?;
            command.arg(present(&common.signaler)?).args(["--listen", &addr.to_string()]);
            command.arg("--data").arg(dir.join("mesh.db")).arg("--config").arg(config);
        }
        Kind::Peerjs => {
            let program = common.npm.join("node_modules/.bin/peerjs");
            command.arg("node").arg(present(&program)?).args(["--port", &port, "--host", "127.0.0.1"]);
            command.args(["--concurrent_limit", "20000"]);
        }
        Kind::Matchbox => {
            command.arg(present(&common.matchbox)?).arg(addr.to_string());
        }
        Kind::YWebrtc => {
            let program = common.npm.join("node_modules/y-webrtc/bin/server.js");
            command.arg("node").arg(present(&program)?).env("PORT", &port).env("HOST", "127.0.0.1");
        }
        Kind::Tracker => {
            let program = common.npm.join("bench/tracker-server.mjs");
            command.arg("node").arg(present(&program)?).arg(&port);
        }
        Kind::Floor => {
            command.arg(std::env::current_exe()?).args(["floor", &addr.to_string()]);
        }
    }
    Ok(command)
}

fn present(program: &Path) -> anyhow::Result<&Path> {
    ensure!(program.is_file(), "{} is missing; `cargo xtask bench` installs it", program.display());
    Ok(program)
}

fn free_port() -> anyhow::Result<SocketAddr> {
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    Ok(TcpListener::bind(any)?.local_addr()?)
}

fn cpu_of(process: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    ticks(&stat).map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// utime, stime and those of ended children: fields 14 to 17 of proc_pid_stat(5).
fn ticks(stat: &str) -> anyhow::Result<u64> {
    // The name of the program, in parentheses, may hold spaces.
    let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
    let times: Vec<u64> = fields.split(' ').skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    ensure!(times.len() == 4, "no times in {stat:?}");
    Ok(times.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_times_are_read_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1 0";
        assert_eq!(ticks(stat).unwrap(), 127);
        assert!(ticks("7 (a) S 1 2").is_err());
    }
}
