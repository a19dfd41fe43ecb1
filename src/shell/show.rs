//! The program of the sample image, as far as it goes: three programs in one file, told apart by what they are called.
//! `src/sample/show.c` is its source; this does the same.

use super::job::{Job, base_name};
use crate::content::Content;
use crate::digest::Digest;
use crate::overlay::mount::{Errno, FileType};

/// Its size in bytes, and its digest.
const SIZE: u64 = 2792;
const DIGEST: &str = "sha256:612fcec733e23ed7e7a3242bb27c4b90635bfd15602923962f3c467fbf0e6606";

/// Whether a file is that program.
pub(super) fn is_it(content: &Content) -> bool {
    let bytes = (content.len() == SIZE).then(|| content.read_all(SIZE));
    bytes.is_some_and(|bytes| bytes.is_ok_and(|bytes| Digest::of(&bytes).to_string() == DIGEST))
}

pub(super) fn run(job: &mut Job<'_>, argv: &[Vec<u8>]) -> u8 {
    match base_name(&argv[0]) {
        b"cat" => cat(job, &argv[1..]),
        b"ls" => ls(job, &argv[1..]),
        _ => show(job),
    }
}

fn copy(job: &mut Job<'_>, path: &[u8]) -> Result<(), Errno> {
    let content = job.content(path)?;
    job.print_content(&content)
}

/// The reasons that it has words for.
fn reason(errno: Errno) -> String {
    match errno {
        Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::EISDIR | Errno::ELOOP => errno.text(),
        _ => Errno::EIO.text(),
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn cat(job: &mut Job<'_>, files: &[Vec<u8>]) -> u8 {
    let mut status = 0;
    for file in files {
        if let Err(errno) = copy(job, file) {
            job.error_line(&format!("cat: {}: {}", shown(file), reason(errno)));
            status = 1;
        }
    }
    status
}

/// The names in a directory that do not begin with a dot, sorted.
fn names(job: &mut Job<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let names = job.names(path)?;
    let mut names: Vec<Vec<u8>> = names
        .iter()
        .filter(|name| !name.starts_with(b"."))
        .map(|name| name.to_vec())
        .collect();
    names.sort();
    Ok(names)
}

fn ls(job: &mut Job<'_>, paths: &[Vec<u8>]) -> u8 {
    let here = [b".".to_vec()];
    let paths = if paths.is_empty() { &here } else { paths };
    let (mut status, mut has_printed) = (0, false);
    let mut directories = Vec::new();
    for path in paths {
        match job.stat(path, true) {
            Err(errno) => {
                job.error_line(&format!("ls: cannot access '{}': {}", shown(path), reason(errno)));
                status = 2;
            }
            Ok(stat) if stat.file_type == FileType::Directory => directories.push(path),
            Ok(_) => {
                job.print([path, &b"\n"[..]].concat());
                has_printed = true;
            }
        }
    }
    for path in directories {
        if has_printed {
            job.print("\n");
        }
        if paths.len() > 1 {
            job.print([path, &b":\n"[..]].concat());
        }
        has_printed = true;
        match names(job, path) {
            Ok(names) => names
                .iter()
                .for_each(|name| job.print([&name[..], b"\n"].concat())),
            Err(errno) => {
                let reason = reason(errno);
                job.error_line(&format!("ls: cannot open directory '{}': {reason}", shown(path)));
                status |= 2;
            }
        }
    }
    status
}

fn show(job: &mut Job<'_>) -> u8 {
    if let Err(errno) = copy(job, b"/hello.txt") {
        job.error_line(&format!("show: cannot read /hello.txt: {}", reason(errno)));
        return 1;
    }
    job.print("/data:\n");
    match names(job, b"/data") {
        Ok(names) if !names.is_empty() => names
            .iter()
            .for_each(|name| job.print([b"  ", &name[..], b"\n"].concat())),
        Ok(_) | Err(Errno::ENOENT) => job.print("  (empty)\n"),
        Err(errno) => {
            job.error_line(&format!("show: cannot list /data: {}", reason(errno)));
            return 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_program_of_the_sample() {
        let bytes = &include_bytes!("../sample/show-amd64")[..];
        assert!(
            is_it(&Content::inline(bytes)),
            "{} {}",
            bytes.len(),
            Digest::of(bytes)
        );
    }
}
