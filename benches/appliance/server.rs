//! The servers under test, as child processes: where they run, what they use, what they log.

use super::machine;
use hallpass::clock::Stopwatch;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Which cores are whose.
#[derive(Clone)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// All that this process may use.
    pub fn all() -> Self {
        let set = sched_getaffinity(None).expect("a process knows its cores");
        Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
    }

    /// The first half for the load generator, the rest for the server; on one core they share it.
    pub fn split(&self) -> (Self, Self) {
        let (ours, servers) = self.0.split_at(self.0.len() / 2);
        if ours.is_empty() { (self.clone(), self.clone()) } else { (Self(ours.into()), Self(servers.into())) }
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Keeps this thread, and the processes it starts, on these cores.
    pub fn take(&self) {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        sched_setaffinity(None, &set).expect("these cores are ours");
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", names.join(", "))
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    /// Its standard output.
    log: PathBuf,
    /// From its start to its first good answer.
    pub up_after_ms: f64,
}

impl Server {
    /// The appliance, on a data directory and on these cores.
    pub fn appliance(directory: &Path, cores: &Cores) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        command
            .env("HALLPASS_PORT", port.to_string())
            .env("HALLPASS_DATA_DIR", directory.join("data"))
            .env("HALLPASS_PUBLIC_URL", super::stock::ISSUER)
            // Everybody calls from this machine.
            .env("HALLPASS_THROTTLE__ADDRESS_FAILURES", "1000000");
        Self::start(command, port, "/healthz", directory, cores)
    }

    /// Bare Rocket, from this very program; at `/same` it answers what the appliance answered.
    pub fn bare(directory: &Path, cores: &Cores, answer: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.env(super::bare::PORT, port.to_string()).env(super::bare::ANSWER, answer);
        Self::start(command, port, "/", directory, cores)
    }

    fn start(mut command: Command, port: u16, path: &str, directory: &Path, cores: &Cores) -> Self {
        let log = directory.join("log");
        let out = OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        // No configuration file is found there.
        command.current_dir(directory).stdin(Stdio::null()).stdout(out);
        let before = Cores::all();
        cores.take();
        let watch = Stopwatch::start();
        let child = command.spawn().expect("the server starts");
        before.take();
        let mut server = Self { child, port, log, up_after_ms: 0.0 };
        while !server.answers(path) {
            let ended = server.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the server ended: {}", server.read_log());
            std::thread::sleep(Duration::from_millis(1));
        }
        server.up_after_ms = watch.elapsed_us() as f64 / 1e3;
        server
    }

    fn answers(&self, path: &str) -> bool {
        ureq::get(format!("http://127.0.0.1:{}{path}", self.port)).call().is_ok()
    }

    /// User and system time of all its threads so far.
    pub fn cpu_seconds(&self) -> f64 {
        machine::cpu_seconds(&self.child.id().to_string())
    }

    /// Memory that is in RAM, in MiB.
    pub fn resident_mib(&self) -> f64 {
        machine::resident_mib(&self.child.id().to_string())
    }

    /// Forgets what was logged: at this pace a log fills disks.
    pub fn clear_log(&self) {
        File::options().write(true).open(&self.log).and_then(|log| log.set_len(0)).expect("a log file");
    }

    fn read_log(&self) -> String {
        machine::read(&self.log.display().to_string())
    }

    /// What the access log says of a route's latencies since it was cleared, sorted, in microseconds.
    pub fn latencies_us(&self, route: &str) -> Vec<u64> {
        let route = format!("\"route\":\"{route}\"");
        let latency = |line: &str| {
            let (_, rest) = line.split_once("\"latency_us\":")?;
            rest.split(',').next()?.parse().ok()
        };
        let log = self.read_log();
        let mut all: Vec<u64> =
            log.lines().filter(|line| line.contains(&route)).filter_map(latency).collect();
        all.sort_unstable();
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It ends cleanly and closes its store, so that the directory can be used again.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}
