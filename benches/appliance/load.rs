//! The load generator: one thread, a ring of kept-alive connections, each with one request under way.
//!
//! Plain reads and writes cost less than any event loop, so that the server is what is measured.

use hallpass::clock::Stopwatch;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many answers came in how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub answers: u64,
    pub seconds: f64,
}

impl Pace {
    pub fn per_second(self) -> f64 {
        self.answers as f64 / self.seconds
    }

    pub fn microseconds_each(self) -> f64 {
        1e6 / self.per_second()
    }
}

/// Puts the next request of a connection, which knows the body of its last answer, into the buffer.
pub trait Script: FnMut(usize, &[u8], &mut Vec<u8>) {}
impl<F: FnMut(usize, &[u8], &mut Vec<u8>)> Script for F {}

/// The connections.
pub struct Ring(Vec<Connection>);

impl Ring {
    /// Waits for answers asleep.
    pub fn open(port: u16, connections: usize) -> Self {
        Self((0..connections).map(|_| Connection::open(port)).collect())
    }

    /// Waits for answers awake, on a core of its own: waking a sleeper is charged to the server, and the slower one
    /// of two servers would have to do it more often.
    pub fn awake(port: u16, connections: usize) -> Self {
        let mut ring = Self::open(port, connections);
        for connection in &mut ring.0 {
            connection.stream.set_nonblocking(true).expect("a socket");
            connection.awake = true;
        }
        ring
    }

    /// Keeps a request under way on every connection for so long.
    pub fn run(&mut self, seconds: f64, mut script: impl Script) -> Pace {
        let watch = Stopwatch::start();
        let elapsed = || watch.elapsed_us() as f64 / 1e6;
        for (index, connection) in self.0.iter_mut().enumerate() {
            connection.ask(index, &mut script);
        }
        let mut answers = 0;
        while elapsed() < seconds {
            for (index, connection) in self.0.iter_mut().enumerate() {
                connection.hear();
                connection.ask(index, &mut script);
                answers += 1;
            }
        }
        let seconds = elapsed();
        self.0.iter_mut().for_each(Connection::hear);
        Pace { answers, seconds }
    }

    /// One request at a time, so many a second.
    pub fn stroll(&mut self, seconds: f64, per_second: u32, mut script: impl Script) {
        let watch = Stopwatch::start();
        let connections = self.0.len();
        for n in 0..(seconds * f64::from(per_second)) as u64 {
            let due_us = n * 1_000_000 / u64::from(per_second);
            std::thread::sleep(Duration::from_micros(due_us.saturating_sub(watch.elapsed_us())));
            let index = n as usize % connections;
            self.0[index].ask(index, &mut script);
            self.0[index].hear();
        }
    }
}

struct Connection {
    stream: TcpStream,
    awake: bool,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Where the body of the last answer begins.
    body: usize,
}

impl Connection {
    fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server takes connections");
        stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE))).expect("a socket");
        Self { stream, awake: false, request: Vec::new(), answer: Vec::new(), body: 0 }
    }

    fn ask(&mut self, index: usize, script: &mut impl Script) {
        self.request.clear();
        script(index, &self.answer[self.body..], &mut self.request);
        self.stream.write_all(&self.request).expect("the server reads");
    }

    /// Reads one answer whole. Anything but success ends the run: it would be a measure of something else.
    fn hear(&mut self) {
        self.answer.clear();
        let mut length = None;
        while length.is_none_or(|length| self.answer.len() < length) {
            let mut part = [0; 16 << 10];
            let read = loop {
                match self.stream.read(&mut part) {
                    Err(e) if e.kind() == ErrorKind::WouldBlock && self.awake => std::thread::yield_now(),
                    read => break read.expect("the server answers in time"),
                }
            };
            assert!(read > 0, "the server closed the connection");
            self.answer.extend_from_slice(&part[..read]);
            length = length.or_else(|| self.read_head());
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&self.answer));
    }

    /// The length of the whole answer, once its head is there.
    fn read_head(&mut self) -> Option<usize> {
        const LENGTH: &str = "content-length:";
        self.body = self.answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.answer[..self.body]).expect("a head is ASCII");
        let (_, rest) = head.split_once(LENGTH).unwrap_or((head, "0\r"));
        let (digits, _) = rest.split_once('\r')?;
        Some(self.body + digits.trim().parse::<usize>().expect("a length is a number"))
    }
}
