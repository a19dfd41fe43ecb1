//! Where readers part: their outcomes path by path.

use std::borrow::Cow;

use super::{Check, Finding, Findings, MAX_ABOUT, Place, Reading};
use crate::content::{Content, ContentError, window};
use crate::layer::dialect::{ByBytes, EntryPlace, Failure, Fs, Inode, Kind, Outcome};

/// Contents of one length are read to be compared, up to so many bytes.
const COMPARED: u64 = 1 << 20;

/// Gives findings what readers make of their paths, and adds what they differ in without one.
pub(super) fn differ(reads: &[Outcome], findings: &mut Findings) {
    refusals(reads, findings);
    for finding in &mut findings.list {
        let here = |failure: &Failure| {
            (Some(failure.offset), failure.layer) == (finding.place.offset, finding.place.layer)
        };
        let refused = reads.iter().any(|read| read.result.as_ref().is_err_and(here));
        let readings = readings(reads, finding.place.path.as_deref(), here);
        if refused || readings.iter().any(|reading| reading.reads != readings[0].reads) {
            finding.readings.extend(readings);
        }
    }
    differences(reads, findings);
}

/// What each reader that got so far has at a path, in words.
fn readings(reads: &[Outcome], path: Option<&[u8]>, is_here: impl Fn(&Failure) -> bool) -> Vec<Reading> {
    let mut readings = Vec::new();
    for read in reads {
        let reads: Cow<'static, str> = match (&read.result, path) {
            (Err(failure), _) if is_here(failure) => {
                let what = match failure.why.is_limit() {
                    true => "is not followed further",
                    false => "refuses the layer",
                };
                Cow::Owned(format!("{what}: {}", failure.why))
            }
            (Ok(fs), Some(path)) => describe(fs, path),
            _ => continue,
        };
        let reader = read.dialect.name();
        readings.push(Reading { reader, reads });
    }
    readings
}

/// Where a reader gives up, or following it does, without anything having been found there.
fn refusals(reads: &[Outcome], findings: &mut Findings) {
    for failure in reads.iter().filter_map(|read| read.result.as_ref().err()) {
        let place = (failure.layer, failure.offset);
        if findings.offsets.contains(&place) {
            continue;
        }
        findings.push(Finding {
            check: match failure.why.is_limit() {
                true => Check::NotFollowed,
                false => Check::RuntimeRefuses,
            },
            detail: None,
            place: Place {
                layer: failure.layer,
                offset: Some(failure.offset),
                entry: (!failure.name.is_empty()).then(|| failure.name.clone()),
                path: None,
            },
            readings: Vec::new(),
            fix: None,
        });
    }
}

/// Paths on which readers differ and about which nothing was found.
fn differences(reads: &[Outcome], findings: &mut Findings) {
    let shown: Vec<(&Outcome, &Fs)> = reads
        .iter()
        .filter_map(|read| Some((read, read.result.as_ref().ok()?)))
        .collect();
    if shown.len() < 2 || findings.is_about_tree(b"") {
        return;
    }
    if let Some(layer) = findings.full_at {
        return findings.push(Finding {
            check: Check::NotFollowed,
            detail: Some(format!(
                "over {MAX_ABOUT} bytes of paths have findings; readers are not compared where there are none"
            )),
            place: Place {
                layer,
                ..Place::default()
            },
            readings: Vec::new(),
            fix: None,
        });
    }
    // Directories to be compared, the same path in each file system.
    let roots: Vec<_> = shown.iter().map(|(_, fs)| fs.root()).collect();
    let mut pending = vec![(Vec::new(), roots)];
    while let Some((path, numbers)) = pending.pop() {
        let mut names = ByBytes::new();
        for ((_, fs), number) in shown.iter().zip(&numbers) {
            let own = number.iter().flat_map(|&number| fs.names(number));
            names.extend(own.map(|(name, number)| (name.to_vec(), number)));
        }
        for name in names.keys() {
            let child = match path.is_empty() {
                true => name.clone(),
                false => [&path[..], b"/", name].concat(),
            };
            if findings.is_about_tree(&child) {
                continue;
            }
            let numbers: Vec<_> = shown
                .iter()
                .zip(&numbers)
                .map(|((_, fs), number)| fs.child_of((*number)?, name))
                .collect();
            let inode = |at: usize| numbers[at].map(|number| shown[at].1.inode(number));
            let is_same = (1..shown.len()).all(|at| same(inode(0), inode(at)));
            if !is_same && !findings.is_about(&child) {
                let entry = (0..shown.len()).find_map(inode).map(|inode| inode.entry);
                findings.push(difference(reads, &child, entry));
            }
            if (0..shown.len()).all(|at| inode(at).is_some_and(Inode::is_directory)) {
                pending.push((child, numbers));
            }
        }
    }
}

fn difference(reads: &[Outcome], path: &[u8], entry: Option<EntryPlace>) -> Finding {
    Finding {
        check: Check::RuntimesDiffer,
        detail: None,
        place: Place {
            layer: entry.map_or(0, |entry| entry.layer),
            offset: entry.map(|entry| entry.offset),
            entry: None,
            path: Some(path.to_vec()),
        },
        readings: readings(reads, Some(path), |_| false),
        fix: None,
    }
}

/// Whether two readers have the same. The times of directories are not compared: each has its own.
fn same(left: Option<&Inode>, right: Option<&Inode>) -> bool {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (left, right) => return left.is_none() && right.is_none(),
    };
    let is_same_kind = match (&left.kind, &right.kind) {
        (Kind::Directory(_), Kind::Directory(_)) | (Kind::Fifo, Kind::Fifo) | (Kind::Ghost, Kind::Ghost) => {
            true
        }
        (Kind::File(left), Kind::File(right)) => same_bytes(left, right).unwrap_or(true),
        (Kind::Symlink(left), Kind::Symlink(right)) => left == right,
        (Kind::CharDevice(a, b), Kind::CharDevice(c, d)) => (a, b) == (c, d),
        (Kind::BlockDevice(a, b), Kind::BlockDevice(c, d)) => (a, b) == (c, d),
        _ => false,
    };
    is_same_kind
        && (left.mode, left.uid, left.gid) == (right.mode, right.uid, right.gid)
        && left.xattrs == right.xattrs
        && (left.is_directory() || (left.mtime == right.mtime && left.links() == right.links()))
}

fn same_bytes(left: &Content, right: &Content) -> Result<bool, ContentError> {
    if left.len() != right.len() || left.is_same(right) {
        return Ok(left.len() == right.len());
    }
    let end = left.len().min(COMPARED);
    let (mut a, mut b) = (vec![0; window(end)], vec![0; window(end)]);
    let mut at = 0;
    while at < end {
        let length = window(end - at);
        left.read_at(at, &mut a[..length])?;
        right.read_at(at, &mut b[..length])?;
        if a[..length] != b[..length] {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}

/// What a reader has at a path, in words.
fn describe(fs: &Fs, path: &[u8]) -> Cow<'static, str> {
    let Some(number) = fs.at(path) else {
        return Cow::Borrowed("nothing");
    };
    let inode = fs.inode(number);
    let what = match &inode.kind {
        Kind::Ghost => return Cow::Borrowed("a name without a file"),
        Kind::Directory(_) => "a directory".to_owned(),
        Kind::File(content) => format!("a file of {} bytes", content.len()),
        Kind::Symlink(target) => format!("a link to {}", super::quoted(target)),
        Kind::CharDevice(major, minor) => format!("a character device {major}:{minor}"),
        Kind::BlockDevice(major, minor) => format!("a block device {major}:{minor}"),
        Kind::Fifo => "a named pipe".to_owned(),
    };
    let names = fs.names(number).count();
    let mut text = format!(
        "{what}, mode {:04o}, owner {}:{}",
        inode.mode, inode.uid, inode.gid
    );
    match inode.mtime {
        _ if inode.is_directory() => text += &format!(", {names} names in it"),
        None => text += ", time of unpacking",
        Some(time) => text += &format!(", time {}", time.seconds),
    }
    if inode.links() > 1 {
        text += &format!(", {} names", inode.links());
    }
    for name in inode.xattrs.keys() {
        text += &format!(", {}", super::quoted(name));
    }
    Cow::Owned(text)
}
