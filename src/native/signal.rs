//! Signals as things to wait for and to ask about, in place of handlers. The process must have no other threads, as
//! they would get the signals.

use std::cell::Cell;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

/// Those that ask a process to end, or that it may have a use for.
pub(super) const SENT: [Signal; 6] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
];

/// Signals that are held back as long as the value lives.
pub struct Held {
    set: libc::sigset_t,
    before: libc::sigset_t,
    came: Cell<Option<Signal>>,
}

impl Held {
    /// Holds back those that ask this process to end, but for those that it ignores: whoever started it wanted that.
    pub fn new() -> io::Result<Self> {
        Self::of(SENT.into_iter().filter(|&signal| !is_ignored(signal)))
    }

    /// Holds these back.
    pub(super) fn of(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let set = set_of(signals);
        let before = mask(libc::SIG_BLOCK, &set)?;
        let came = Cell::new(None);
        Ok(Self { set, before, came })
    }

    /// Waits for the next, and whether the kernel itself sent it.
    #[allow(unsafe_code, reason = "there is no safe call")]
    pub(super) fn next(&self) -> io::Result<(Signal, bool)> {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
        // Safety: sigwaitinfo(2) fills it in if it succeeds.
        let info = unsafe {
            match libc::sigwaitinfo(&self.set, info.as_mut_ptr()) {
                -1 => return Err(io::Error::last_os_error()),
                _ => info.assume_init(),
            }
        };
        let signal = Signal::from_named_raw(info.si_signo).ok_or(Errno::INVAL)?;
        Ok((signal, info.si_code == libc::SI_KERNEL))
    }

    /// Has a command start with the signals blocked that were blocked before. (std leaves it those that are now.)
    #[allow(unsafe_code, reason = "there is no safe call")]
    pub(super) fn release_in(&self, command: &mut Command) {
        let before = self.before;
        // Safety: between fork(2) and execve(2) nothing is called but pthread_sigmask(3), which may be.
        unsafe {
            command.pre_exec(move || mask(libc::SIG_SETMASK, &before).map(drop));
        }
    }

    /// One that has come since it began, if one has.
    #[allow(unsafe_code, reason = "there is no safe call")]
    pub fn stopped(&self) -> Option<Signal> {
        if self.came.get().is_none() {
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // Safety: sigtimedwait(2) may be told nothing but the number, which it gives.
            let number = unsafe { libc::sigtimedwait(&self.set, std::ptr::null_mut(), &now) };
            self.came.set(Signal::from_named_raw(number));
        }
        self.came.get()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It worked before.
        let _ = mask(libc::SIG_SETMASK, &self.before);
    }
}

/// Ends this process as this signal would have ended it, if nothing holds it back.
pub fn raise(signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may be ignored, then: whoever started this process wanted that.
        let _ = kill_process(getpid(), signal);
    }
}

/// Makes sure that the end of a child is told: whoever started this process may have chosen otherwise.
#[allow(unsafe_code, reason = "there is no safe call")]
pub(super) fn keep_children() {
    // Safety: the default action has no handler that could be wrong.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // Safety: sigaction(2) changes nothing without a new action, and fills in the present one if it succeeds.
    unsafe {
        libc::sigaction(signal.as_raw(), std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn set_of(signals: impl IntoIterator<Item = Signal>) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // Safety: sigemptyset(3) fills it in; the others are given what is filled in, and numbers of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        set.assume_init()
    }
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn mask(how: i32, signals: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = std::mem::MaybeUninit::uninit();
    // Safety: the pointers are to sets, and pthread_sigmask(3) fills in the second if it succeeds.
    unsafe {
        match libc::pthread_sigmask(how, signals, before.as_mut_ptr()) {
            0 => Ok(before.assume_init()),
            number => Err(io::Error::from_raw_os_error(number)),
        }
    }
}
