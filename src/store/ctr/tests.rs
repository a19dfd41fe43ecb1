//! Whatever is typed, a line ends with a status, and what is told of it is text.

use super::*;
use crate::image::root::RootEntry;
use crate::random::Random;
use crate::scratch::MemorySpace;
use crate::store::{MemoryDisk, Store};
use crate::tree::Time;

/// A machine without anything.
struct Bare;

impl Root for Bare {
    fn lookup(&self, _: &[u8]) -> Option<RootEntry> {
        None
    }
}

impl Host for Bare {
    fn open(&mut self, path: &str) -> Result<Archive, String> {
        Err(format!("open {path}: no such file or directory"))
    }

    fn write(&mut self, _: &str, _: &[Bytes]) -> Result<(), String> {
        Ok(())
    }

    fn view(&mut self, _: u64, _: &[u64]) -> Result<Box<dyn Root + '_>, String> {
        Ok(Box::new(Self))
    }

    fn check_detach(&self) -> Result<(), String> {
        Ok(())
    }

    fn check_exec(&self) -> Result<(), String> {
        Ok(())
    }

    fn signal(&mut self, _: &str, _: &str, _: u32, _: u8) -> Result<bool, String> {
        Ok(true)
    }

    fn forget(&mut self, _: &str, _: &str) {}
}

const WORDS: [&str; 46] = [
    "images",
    "content",
    "snapshots",
    "containers",
    "tasks",
    "leases",
    "namespaces",
    "run",
    "version",
    "help",
    "ls",
    "rm",
    "tag",
    "label",
    "check",
    "import",
    "export",
    "get",
    "prune",
    "references",
    "prepare",
    "view",
    "commit",
    "tree",
    "info",
    "mounts",
    "usage",
    "unpack",
    "create",
    "start",
    "kill",
    "-n",
    "--namespace=x",
    "-q",
    "--",
    "-",
    "---x",
    "-t",
    "--mounts",
    "-x=1h",
    "a",
    "b",
    "a=b",
    "sha256:0",
    "name==\"",
    "é",
];

#[test]
fn whatever_is_typed_ends() {
    let mut random = Random::new(7);
    let mut store = Store::default();
    let mut disk = MemoryDisk::new(std::sync::Arc::new(MemorySpace));
    for number in 0..20_000 {
        let count = 1 + random.below(6);
        let mut line = vec![random.pick(&WORDS[..8]).to_owned()];
        line.extend((0..count).map(|_| random.pick(&WORDS).to_owned()));
        let mut client = Client::new(&mut store, &mut disk, DEFAULT_NAMESPACE, Time::at(number));
        let ran = run(&mut client, &mut Bare, &line);
        assert!(matches!(ran.status, 0 | 1 | 3), "{line:?}: {}", ran.status);
        let is_error = |(stream, _): &(Stream, Bytes)| *stream == Stream::Error;
        let is_told = ran.status == 0 || ran.output.iter().any(is_error);
        assert!(is_told, "{line:?} fails without a word");
        let (words, start) = line.split_at(line.len() - 1);
        complete(&store, words, &start[0]);
    }
    assert!(store.last_directory > 3, "snapshots were made");
}

#[test]
fn what_fails_makes_no_namespace() {
    let mut store = Store::default();
    let mut disk = MemoryDisk::new(std::sync::Arc::new(MemorySpace));
    for line in [
        "-n foo images rm a",
        "-n foo images label a b=c",
        "-n foo content rm sha256:a",
        "-n foo content label sha256:a b=c",
        "-n foo leases rm a",
        "-n foo snapshots rm a",
        "-n foo snapshots label a b=c",
        "-n foo containers rm a",
    ] {
        let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut client = Client::new(&mut store, &mut disk, "default", Time::default());
        run(&mut client, &mut Bare, &line);
        assert!(store.namespaces.is_empty(), "{line:?}");
    }
}
