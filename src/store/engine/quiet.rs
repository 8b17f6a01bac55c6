//! sled panics where others answer errors. Its panics are caught, and told in our words instead of Rust's.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}
/// Set when one of sled's own threads panicked: what it was to write may be missing.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// What a panic left: its words went to the log.
pub(super) struct Panicked;

/// Runs what may panic inside sled.
pub(super) fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    take_over_panics();
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(before);
    result.map_err(|_| Panicked)
}

/// Whether a thread of sled's has died since the program started.
pub(super) fn is_broken() -> bool {
    BROKEN.load(Ordering::Relaxed)
}

/// The hook runs on the panicking thread: only where sled is at work it says it in our words.
fn take_over_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            let of_sled =
                thread.name().is_some_and(|name| name.starts_with("sled-") || name == "log flusher");
            if of_sled {
                BROKEN.store(true, Ordering::Relaxed);
            }
            if of_sled || QUIET.get() {
                tracing::error!("the store stopped inside: {}", words(info));
            } else {
                loud(info);
            }
        }));
    });
}

fn words(info: &std::panic::PanicHookInfo<'_>) -> String {
    let text = info.payload();
    let said =
        text.downcast_ref::<&str>().copied().or_else(|| text.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("for no known reason").to_owned()
}
