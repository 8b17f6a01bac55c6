//! Power cuts and faults of the disk: what was answered before must still be so after.

#[path = "../crash/acts.rs"]
mod acts;
#[path = "../crash/browser.rs"]
mod browser;
mod cuts;
mod disk;
#[allow(dead_code)] // shared with the crash test
#[path = "../crash/fact.rs"]
mod fact;
mod faults;
#[path = "../crash/ledger.rs"]
mod ledger;
mod past;
mod rebuilds;
mod recording;
mod rotation;
#[allow(dead_code)] // shared with the crash test
#[path = "../crash/server.rs"]
mod server;
mod set_up;
mod shim;
mod slow;

const IMAGES: usize = 16;

fn number(variable: &str, otherwise: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => otherwise,
    }
}

/// How many disks are looked at that a power cut left at work.
fn images() -> usize {
    number("HALLPASS_POWER_IMAGES", IMAGES)
}

/// How many for each of the rarer occasions.
fn images_of_an_occasion() -> usize {
    images().div_ceil(4)
}

fn dice() -> disk::Dice {
    disk::Dice(u64::from_be_bytes(hallpass::entropy::Entropy::system().bytes()) | 1)
}

/// Does all of it in a few threads at once: most of the time is waiting.
fn in_parallel<T: Send, R: Send>(threads: usize, work: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    let queue = std::sync::Mutex::new(work.into_iter());
    let next = || queue.lock().unwrap().next();
    std::thread::scope(|scope| {
        let work = || std::iter::from_fn(|| next().map(&each)).collect::<Vec<R>>();
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}
