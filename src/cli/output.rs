//! Where results go: a file, a layout directory or standard output. What is written takes its name only when it
//! is complete, so that there is never half a result.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use handroll::layer::Bytes;
use handroll::workbench::Exported;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::Failure;

/// What `-o` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// `-`
    Stdout,
    /// An archive.
    File(PathBuf),
    /// A layout directory: the name ends in a slash, or is a directory already.
    Directory(PathBuf),
}

/// What is written: an archive, or the files of a layout by their paths.
pub enum Written {
    /// To a file or to standard output.
    Archive(Exported),
    /// To a directory.
    Layout(Vec<(String, Exported)>),
}

/// An output that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The system says no.
    #[error("cannot write {path}: {error}")]
    Io {
        /// What was to be written.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// There is a directory with other things in it.
    #[error("cannot write a layout to {path}: it is a directory with other files in it, and no OCI layout")]
    Occupied {
        /// The directory.
        path: String,
    },
}

impl Output {
    /// Reads the option's value.
    pub fn of(path: &Path) -> Self {
        match path.as_os_str().as_bytes() {
            b"-" => Self::Stdout,
            bytes if bytes.ends_with(b"/") || path.is_dir() => Self::Directory(path.to_owned()),
            _ => Self::File(path.to_owned()),
        }
    }

    /// An error if a report on standard output would stand among the image's bytes.
    pub fn check(&self, json: bool) -> Result<(), Failure> {
        match *self == Self::Stdout && json {
            true => Err(Failure::Usage(
                "--json prints to standard output, and -o - writes the image there".to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Writes an image.
    pub fn write(&self, written: Written) -> Result<(), Failure> {
        match (self, written) {
            (Self::File(path), Written::Archive(archive)) => {
                file(path, |out| parts(archive, out)).map_err(Failure::work)
            }
            (_, Written::Archive(archive)) => stdout(|out| parts(archive, out)),
            (Self::Directory(path) | Self::File(path), Written::Layout(files)) => {
                directory(path, |at| layout(files, at)).map_err(Failure::work)
            }
            (Self::Stdout, Written::Layout(_)) => unreachable!("a layout goes to a directory"),
        }
    }
}

fn layout(files: Vec<(String, Exported)>, directory: &Path) -> io::Result<()> {
    for (name, contents) in files {
        let path = directory.join(name);
        fs::create_dir_all(parent(&path))?;
        let mut out = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        parts(contents, &mut out)?;
        out.flush()?;
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> OutputError + '_ {
    |error| OutputError::Io {
        path: path.display().to_string(),
        error,
    }
}

/// The directory that a path stands in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file under another name beside it, and renames it when `write` is done.
fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), OutputError> {
    let fail = at(path);
    // A link, a pipe or a device is written through, as every tool does: there is nothing to replace.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let mut out = BufWriter::new(File::create(path).map_err(&fail)?);
        return write(&mut out).and_then(|()| out.flush()).map_err(&fail);
    }
    let temporary = tempfile::Builder::new()
        .prefix(".handroll-")
        .permissions(fs::Permissions::from_mode(0o666)) // the umask takes its part
        .tempfile_in(parent(path))
        .map_err(&fail)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary);
    write(&mut out).map_err(&fail)?;
    let temporary = out.into_inner().map_err(|error| fail(error.into_error()))?;
    temporary.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

/// Fills a directory under another name beside it, and puts it in place when `fill` is done. What stands there
/// is replaced if it is empty or an OCI layout.
fn directory(path: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), OutputError> {
    let fail = at(path);
    let exists = path.exists();
    if exists && !path.join("oci-layout").is_file() && !is_empty(path).map_err(&fail)? {
        return Err(OutputError::Occupied {
            path: path.display().to_string(),
        });
    }
    // Without the slash at the end and through links, so that the new directory stands beside the old one.
    let path = match exists {
        true => path.canonicalize().map_err(&fail)?,
        false => path.components().collect(),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".handroll-")
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent(&path))
        .map_err(&fail)?;
    fill(temporary.path()).map_err(&fail)?;
    if !exists {
        fs::rename(temporary.path(), &path).map_err(&fail)?;
        let _ = temporary.keep();
        return Ok(());
    }
    match renameat_with(CWD, temporary.path(), CWD, &path, RenameFlags::EXCHANGE) {
        // What was there goes away with the temporary name.
        Ok(()) => Ok(()),
        // Not every file system can exchange (renameat2(2)): then there is a moment with neither.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::remove_dir_all(&path).map_err(&fail)?;
            fs::rename(temporary.path(), &path).map_err(&fail)?;
            let _ = temporary.keep();
            Ok(())
        }
        Err(error) => Err(fail(error.into())),
    }
}

/// Writes what was exported, window by window.
pub fn parts(parts: Exported, out: &mut dyn Write) -> io::Result<()> {
    for part in parts {
        match part {
            Bytes::Owned(bytes) => out.write_all(&bytes)?,
            Bytes::Zeros(count) => {
                io::copy(&mut io::repeat(0).take(count), out)?;
            }
            Bytes::Content(content) => {
                let mut written = Ok(());
                let read = content.for_each_window(|window| {
                    if written.is_ok() {
                        written = out.write_all(window);
                    }
                });
                read.map_err(io::Error::other)?;
                written?;
            }
        }
    }
    Ok(())
}

fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.next().is_none())
}

/// Writes to standard output. A reader that has gone away wanted no more: that is no failure.
pub fn stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::work(error)),
        _ => {
            // What a failed write left in the buffer would be tried again.
            drop(out.into_parts());
            Ok(())
        }
    }
}

/// Prints a text.
pub fn print(text: &str) -> Result<(), Failure> {
    stdout(|out| out.write_all(text.as_bytes()))
}
