//! Group commit for those who do not have it: one thread takes what is waiting into one transaction, as ours does.

use super::{Contender, SignIn};
use rocket::tokio::sync::oneshot;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Makes these durable in one transaction.
pub type Write = Box<dyn FnMut(&[SignIn]) + Send>;

/// As many as fit into one of our groups.
const GROUP_MAX: usize = 1000 / 6;
const QUEUE_LENGTH: usize = 4096;

type Request = (SignIn, oneshot::Sender<()>);

struct InGroups {
    sender: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

pub fn in_groups(write: Write) -> Box<dyn Contender> {
    let (sender, requests) = sync_channel(QUEUE_LENGTH);
    let writer = std::thread::spawn(move || run(&requests, write));
    Box::new(InGroups { sender: Some(sender), writer: Some(writer) })
}

fn run(requests: &Receiver<Request>, mut write: Write) {
    while let Ok(first) = requests.recv() {
        let group = std::iter::once(first).chain(requests.try_iter()).take(GROUP_MAX);
        let (works, answers): (Vec<_>, Vec<_>) = group.unzip();
        write(&works);
        answers.into_iter().for_each(|answer| answer.send(()).expect("somebody waits"));
    }
}

impl Contender for InGroups {
    fn commit(&self, work: SignIn) {
        let (answer, committed) = oneshot::channel();
        let sender = self.sender.as_ref().expect("open until dropped");
        sender.send((work, answer)).expect("the writer runs");
        committed.blocking_recv().expect("the writer answers");
    }
}

impl Drop for InGroups {
    fn drop(&mut self) {
        self.sender = None;
        self.writer.take().map(JoinHandle::join);
    }
}

struct OneByOne(Mutex<Write>);

/// Each caller's own transaction, one after the other: neither library lets two write at a time.
pub fn one_by_one(write: Write) -> Box<dyn Contender> {
    Box::new(OneByOne(Mutex::new(write)))
}

impl Contender for OneByOne {
    fn commit(&self, work: SignIn) {
        (self.0.lock().expect("no writer panics"))(&[work]);
    }
}
