//! How far long work is: one line on standard error, which is gone when the work is done. Only for people: nothing
//! where standard error is no terminal, and nothing for work that is done at once.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// Work that is done sooner is not shown.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often the line changes.
const INTERVAL: Duration = Duration::from_millis(100);

/// The line.
pub struct Progress {
    /// When the line may change next; none where nobody sees it.
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// Before the work.
    pub fn new() -> Self {
        Self {
            next: stderr().is_terminal().then(|| Instant::now() + PATIENCE),
            is_shown: false,
        }
    }

    /// Whether what is said now will be shown, for those to whom it is dear to know.
    pub fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= Instant::now())
    }

    /// Says what is done, and how much of it: `done` of `total` bytes.
    pub fn show(&mut self, what: &str, done: u64, total: u64) {
        let now = Instant::now();
        let Some(next) = self.next.filter(|next| *next <= now) else {
            return;
        };
        self.next = Some(next.max(now) + INTERVAL);
        self.is_shown = true;
        let percent = match total {
            0 => 0,
            total => u128::from(done.min(total)) * 100 / u128::from(total),
        };
        // What cannot be shown is not missed.
        let _ = write!(stderr(), "\r\x1b[K{what} {percent} %");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
