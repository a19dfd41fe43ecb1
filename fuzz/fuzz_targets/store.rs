//! Archives whose digests are right: the store imports, unpacks and collects garbage, or says why not.
//!
//! The input is the archive's files, a line each, `index.json` first, or with `M` before it `manifest.json`, in which
//! files are called by their numbers. `#N` stands for the digest of the N-th file from there and `$N` for its length:
//! a mutation that had to guess a digest would get nowhere.
#![no_main]

use std::sync::Arc;

use handroll::content::Content;
use handroll::digest::Digest;
use handroll::scratch::MemorySpace;
use handroll::store::{ArchiveFile, Client, DEFAULT_NAMESPACE, Import, MemoryDisk, Platforms, Store};
use handroll::tree::Time;
use libfuzzer_sys::fuzz_target;

/// The most files of an input, and the most that one grows to.
const FILES: usize = 12;
const LENGTH: usize = 1 << 16;

fn filled(text: &[u8], after: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let number = text.get(at + 1).map(|&digit| usize::from(digit.wrapping_sub(b'0')));
        // What comes after was made first.
        let named = number.and_then(|number| after.len().checked_sub(number + 1)).map(|place| &after[place]);
        match (text[at], named) {
            (b'#', Some(file)) => bytes.extend(Digest::of(file).to_string().into_bytes()),
            (b'$', Some(file)) => bytes.extend(file.len().to_string().into_bytes()),
            (byte, _) => {
                bytes.push(byte);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    bytes.truncate(LENGTH);
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let (is_docker, bytes) = match bytes.split_first() {
        Some((b'M', rest)) => (true, rest),
        _ => (false, bytes),
    };
    let mut made: Vec<Vec<u8>> = Vec::new();
    for text in bytes.splitn(FILES, |&byte| byte == b'\n').collect::<Vec<_>>().into_iter().rev() {
        let file = filled(text, &made);
        made.push(file);
    }
    let Some(first) = made.pop() else { return };
    let file = |path: &str, bytes: &[u8]| ArchiveFile::File(path.as_bytes().to_vec(), Content::inline(bytes));
    let mut files = match is_docker {
        true => vec![file("manifest.json", &first)],
        false => vec![
            file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            file("index.json", &first),
        ],
    };
    for (number, blob) in made.iter().rev().enumerate() {
        let path = match is_docker {
            true => number.to_string(),
            false => format!("blobs/sha256/{}", Digest::of(blob).hex()),
        };
        files.push(file(&path, blob));
    }

    let mut store = Store::default();
    let mut disk = MemoryDisk::new(Arc::new(MemorySpace));
    let mut client = Client::new(&mut store, &mut disk, DEFAULT_NAMESPACE, Time::at(0));
    let images = client.import(&files, &Import::default()).unwrap_or_default();
    for (_, target) in images.iter().take(4) {
        let _ = client.unpack(target, &Platforms::default());
    }
    for (name, _) in &images {
        let _ = client.remove_image(name);
    }
    client.collect_garbage().unwrap();
    // Without names and leases nothing is kept but what labels say.
    assert!(client.here().images.is_empty() && client.here().leases.is_empty());
});
