//! What is said to the operator: events through `tracing`, and one line per request through a writer of its own.

use crate::clock::Clock;
use crate::config::{Config, LogFormat, LogLevel};
use crate::model::Time;
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Access lines that wait for the writer; beyond it they are dropped and counted.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long the writer lets lines gather, so that a busy server wakes it seldom.
const GATHER_TIME: Duration = Duration::from_millis(20);

/// Starts logging for the whole process.
///
/// Records of the `log` crate are not bridged on purpose: Rocket puts whole request URIs into them, query strings
/// included. Its errors come back as values, and panics come through the hook that is set here.
pub fn start(config: &Config) {
    let level = match config.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stdout);
    // A second start in one process (tests) keeps the first.
    let _ = if is_json(config) {
        tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish())
    } else {
        tracing::subscriber::set_global_default(builder.with_ansi(std::io::stdout().is_terminal()).finish())
    };
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // Not the message: it may quote values.
        tracing::error!(place, "a handler or thread panicked");
    }));
}

/// Whether lines are JSON: as set, or where nobody reads along.
pub fn is_json(config: &Config) -> bool {
    match config.log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stdout().is_terminal(),
    }
}

/// One request as the access log shows it. Nothing in it is secret.
#[derive(Debug)]
pub struct Access<'a> {
    pub method: &'a str,
    /// The route's pattern; empty where none matched.
    pub route: &'a str,
    /// Without query string.
    pub path: &'a str,
    pub status: u16,
    pub latency_us: u64,
    pub request_id: RequestId,
    pub address: IpAddr,
}

/// Names a request in answers and in the log: a prefix of this run, and a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestId {
    pub run: u32,
    pub number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:06x}", self.run, self.number)
    }
}

/// Takes access lines without ever waiting for the disk or the terminal.
#[derive(Clone)]
pub struct AccessLog(Arc<Shared>);

struct Shared {
    clock: Clock,
    json: bool,
    queue: Mutex<Queue>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    dropped: u64,
    busy: bool,
}

impl AccessLog {
    /// Starts the writer thread. It lives as long as the process.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(clock: Clock, json: bool, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            clock,
            json,
            queue: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("access-log".into()).spawn(move || writer.run(out))?;
        Ok(Self(shared))
    }

    /// Adds a line; drops it when the writer is far behind.
    pub fn write(&self, access: &Access<'_>) {
        let now = self.0.clock.now();
        let mut queue = self.0.queue.lock();
        if queue.lines.len() >= WAITING_BYTES_MAX {
            queue.dropped += 1;
            return;
        }
        let was_empty = queue.lines.is_empty();
        line(&mut queue.lines, self.0.json, now, access);
        drop(queue);
        // Only the first line wakes the writer: a wake-up costs more than a line.
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// Waits until everything so far is written: before the process ends.
    pub fn flush(&self) {
        let mut queue = self.0.queue.lock();
        while queue.busy || !queue.lines.is_empty() {
            self.0.written.wait(&mut queue);
        }
    }
}

impl Shared {
    #[allow(clippy::disallowed_methods)] // on a thread of its own
    fn run(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut queue = self.queue.lock();
            while queue.lines.is_empty() {
                self.filled.wait(&mut queue);
            }
            drop(queue);
            std::thread::sleep(GATHER_TIME);

            let mut queue = self.queue.lock();
            std::mem::swap(&mut lines, &mut queue.lines);
            let dropped = std::mem::take(&mut queue.dropped);
            queue.busy = true;
            drop(queue);
            // A closed standard output is no reason to stop serving.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            if dropped > 0 {
                tracing::warn!(dropped, "access lines were dropped: the log's reader is too slow");
            }
            self.queue.lock().busy = false;
            self.written.notify_all();
        }
    }
}

/// Formats one line. Writing to a `Vec` cannot fail.
fn line(out: &mut Vec<u8>, json: bool, now: Time, access: &Access<'_>) {
    let Access { method, route, path, status, latency_us, request_id, address } = access;
    let now = now.to_rfc3339();
    if json {
        let _ = write!(out, "{{\"timestamp\":\"{now}\",\"level\":\"INFO\",\"message\":\"access\",");
        let _ = write!(out, "\"method\":\"{method}\",\"route\":\"");
        escaped(out, route);
        out.extend_from_slice(b"\",\"path\":\"");
        escaped(out, path);
        let _ = write!(out, "\",\"status\":{status},\"latency_us\":{latency_us},");
        let _ = writeln!(out, "\"request_id\":\"{request_id}\",\"address\":\"{address}\"}}");
    } else {
        let _ = write!(out, "{now} {address} {method} ");
        escaped(out, path);
        let _ = writeln!(out, " {status} {latency_us}us {request_id}");
    }
}

/// As the inside of a JSON string: whoever writes a path writes no second line and no colours into the log.
fn escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        return out.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn access(path: &str) -> Access<'_> {
        Access {
            method: "GET",
            route: "/<path..>",
            path,
            status: 200,
            latency_us: 12,
            request_id: RequestId { run: 0xabc, number: 7 },
            address: IpAddr::from([192, 0, 2, 1]),
        }
    }

    #[test]
    fn control_characters_never_make_a_second_line() {
        let hostile = "/a\r\n\u{1b}[31m\"\\ \u{85}\u{0}";
        for json in [true, false] {
            let mut out = Vec::new();
            line(&mut out, json, Time::from_ms(0), &access(hostile));
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.chars().filter(|c| c.is_control()).count(), 1, "{text}");
            if json {
                let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(parsed["path"], hostile);
                assert_eq!(parsed["request_id"], "00000abc-000007");
            }
        }
    }

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_counted() {
        let log = AccessLog::start(Clock::manual(Time::from_ms(0)), true, std::io::sink()).unwrap();
        log.0.queue.lock().lines = vec![b' '; WAITING_BYTES_MAX];
        log.write(&access("/"));
        assert_eq!(log.0.queue.lock().dropped, 1);
    }

    #[test]
    fn a_flush_waits_for_every_line() {
        let kept = Kept::default();
        let log = AccessLog::start(Clock::manual(Time::from_ms(0)), true, kept.clone()).unwrap();
        (0..100).for_each(|_| log.write(&access("/x")));
        log.flush();
        assert_eq!(kept.0.lock().iter().filter(|byte| **byte == b'\n').count(), 100);
    }
}
