//! The files of an archive as a tar: which bytes follow which.

use std::collections::{BTreeMap, BTreeSet};

use super::OutFile;
use crate::tar::{EntryHeader, EntryType, Format, encode, padding};
use crate::tree::Time;

/// A piece of the tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarPart {
    /// These bytes: headers and padding.
    Bytes(Vec<u8>),
    /// What is in the file with this number.
    File(usize),
}

/// The tar of some files, with nothing in it that they do not say: owner 0:0, time 0, no names. Directories
/// stand before what is in them.
pub fn tar_plan(files: &[OutFile]) -> Vec<TarPart> {
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    let mut directories = BTreeSet::new();
    for (number, file) in files.iter().enumerate() {
        let slashes = (0..file.path.len()).filter(|&at| file.path[at] == b'/');
        for slash in slashes {
            let directory = &file.path[..=slash];
            if directories.insert(directory) {
                header(directory, EntryType::Directory, 0, &mut bytes);
            }
        }
        let size = file.size();
        header(&file.path, EntryType::Regular, size, &mut bytes);
        if size > 0 {
            parts.push(TarPart::Bytes(std::mem::take(&mut bytes)));
            parts.push(TarPart::File(number));
            bytes.resize(padding(size) as usize, 0);
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    parts.push(TarPart::Bytes(bytes));
    parts
}

fn header(name: &[u8], entry_type: EntryType, size: u64, out: &mut Vec<u8>) {
    let mode = match entry_type {
        EntryType::Directory => 0o755,
        _ => 0o644,
    };
    let header = EntryHeader {
        name,
        entry_type,
        link_name: b"",
        mode,
        uid: 0,
        gid: 0,
        mtime: Time::at(0),
        size,
        device: (0, 0),
        xattrs: &BTreeMap::new(),
    };
    // Its blocks, behind content that need not end with one.
    let mut blocks = Vec::new();
    encode(&header, Format::Gnu, &mut blocks);
    out.append(&mut blocks);
}
