//! Running other programs, and the one error type of all tasks: a text for a person.

use std::cell::RefCell;
use std::env;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// Why a task failed, in words that say what to do where something can be done.
#[derive(Debug)]
pub struct Failure(String);

/// What a task returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// An I/O error at a path.
    pub fn at(path: &Path, error: &io::Error) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

thread_local! {
    /// Where programs that this thread runs write to, if not where ours goes.
    static OUTPUT: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// While `work` is done, programs that this thread runs write into a file.
pub fn with_output_in<T>(file: File, work: impl FnOnce() -> T) -> T {
    OUTPUT.set(Some(file));
    let done = work();
    OUTPUT.set(None);
    done
}

/// Does two things side by side; what their programs print goes where this thread's goes.
pub fn side_by_side(one: impl FnOnce() -> Outcome, other: impl FnOnce() -> Outcome + Send) -> Outcome {
    let output = OUTPUT.with_borrow(|output| output.as_ref().map(File::try_clone).transpose());
    let output = output.map_err(|error| Failure::new(format!("the file for the output: {error}")))?;
    thread::scope(|scope| {
        let other = scope.spawn(move || match output {
            Some(file) => with_output_in(file, other),
            None => other(),
        });
        let one = one();
        one.and(other.join().expect("no task panics"))
    })
}

/// Runs a program to its end, its output going where ours goes.
pub fn run(command: &mut Command) -> Outcome {
    OUTPUT.with_borrow(|output| {
        if let Some(file) = output {
            let one = |error: io::Error| Failure::new(format!("the file for the output: {error}"));
            command.stdout(file.try_clone().map_err(one)?);
            command.stderr(file.try_clone().map_err(one)?);
        }
        Ok(())
    })?;
    // A child that asks a question would wait for ever where nobody answers.
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` failed ({status})", shown(command))))
}

/// Runs a program to its end and returns what it wrote to stdout.
pub fn output_of(command: &mut Command) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "`{}` failed ({}): {}",
        shown(command),
        output.status,
        said.trim()
    )))
}

/// Where a program stands on PATH, or in the directories for administrators, which a user's PATH may lack.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// PATH with some directories in front.
pub fn path_with(directories: &[PathBuf]) -> Outcome<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(directories.iter().cloned().chain(env::split_paths(&path)))
        .map_err(|error| Failure::new(format!("PATH: {error}")))
}

fn cannot_start(command: &Command, error: &io::Error) -> Failure {
    Failure::new(format!(
        "cannot start `{}`: {error}",
        command.get_program().to_string_lossy()
    ))
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let failure = output_of(Command::new("sh").args(["-c", "echo oh >&2; exit 3"])).unwrap_err();
        let text = failure.to_string();
        assert!(
            text.contains("sh -c") && text.ends_with("oh") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_said_so() {
        let failure = run(&mut Command::new("handroll-no-such-program")).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("cannot start `handroll-no-such-program`")
        );
    }

    #[test]
    fn output_goes_to_a_file_while_it_is_asked_for() {
        let path = env::temp_dir().join(format!("handroll-xtask-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        with_output_in(file, || {
            run(Command::new("sh").args(["-c", "echo out; echo err >&2"]))
        })
        .unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written, "out\nerr\n");
    }

    #[test]
    fn side_by_side_each_prints_to_the_file_and_each_can_fail() {
        let path = env::temp_dir().join(format!("handroll-xtask-both-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let outcome = with_output_in(file, || {
            side_by_side(
                || run(Command::new("sh").args(["-c", "echo one"])),
                || run(Command::new("sh").args(["-c", "echo other; exit 4"])),
            )
        });
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(
            written.contains("one\n") && written.contains("other\n"),
            "{written}"
        );
        assert!(outcome.unwrap_err().to_string().contains("exit 4"));
    }

    #[test]
    fn programs_are_found() {
        assert!(find_program("sh").is_some());
        assert!(find_program("handroll-no-such-program").is_none());
    }
}
