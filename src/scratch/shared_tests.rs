//! Scratches in one file, beside scratches that are nothing but bytes.

use super::*;
use crate::content::Content;
use crate::digest::Digest;
use crate::random::Random;

/// A file in memory with an end, that remembers how it was used.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    limit: Option<u64>,
    is_broken: bool,
    writes: usize,
    reads: usize,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn extents(&self) -> u64 {
        self.state().bytes.len() as u64 / EXTENT
    }
}

impl Disk for Memory {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        let mut state = self.state();
        state.reads += 1;
        into.copy_from_slice(&state.bytes[offset as usize..offset as usize + into.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let mut state = self.state();
        if state.is_broken {
            return Err("broken".to_owned());
        }
        state.writes += 1;
        state.bytes[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn resize(&self, length: u64) -> Result<(), String> {
        let mut state = self.state();
        if state.limit.is_some_and(|limit| length > limit) {
            return Err("full".to_owned());
        }
        state.bytes.resize(length as usize, 0xee);
        Ok(())
    }
}

fn space() -> (Memory, SharedFile) {
    let memory = Memory::default();
    (memory.clone(), SharedFile::new(memory))
}

fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    let pattern: Vec<u8> = (0..251).map(|_| random.next() as u8).collect();
    pattern.into_iter().cycle().take(length).collect()
}

#[test]
fn scratches_of_one_file_do_not_disturb_each_other() {
    let mut random = Random::of_run();
    let (memory, space) = space();
    let mut all: Vec<(Arc<dyn Scratch>, Vec<u8>)> = Vec::new();
    let mut most = 0;
    for _ in 0..600 {
        match random.below(20) {
            0 if all.len() < 6 => all.push((space.create().unwrap(), Vec::new())),
            1 if !all.is_empty() => drop(all.swap_remove(random.below(all.len()))),
            2..10 if !all.is_empty() => {
                let number = random.below(all.len());
                let (scratch, model) = &mut all[number];
                let most = random.pick(&[10, 5000, 3 << 20]);
                let length = random.below(most);
                let more = bytes(&mut random, length);
                assert_eq!(scratch.append(&more).unwrap(), model.len() as u64);
                model.extend(more);
            }
            _ if !all.is_empty() => {
                let (scratch, model) = &all[random.below(all.len())];
                assert_eq!(scratch.len(), model.len() as u64);
                let from = random.below(model.len() + 1);
                let to = from + random.below((model.len() - from).min(2 << 20) + 1);
                let mut read = vec![0; to - from];
                scratch.read_at(from as u64, &mut read).unwrap();
                assert!(read == model[from..to], "{from}..{to} of {}", model.len());
                assert!(
                    scratch
                        .read_at(from as u64, &mut vec![0; model.len() - from + 1])
                        .is_err()
                );
            }
            _ => {}
        }
        let held: u64 = all
            .iter()
            .map(|(_, model)| (model.len() as u64).div_ceil(EXTENT))
            .sum();
        assert!(memory.extents() >= held);
        most = most.max(held);
        assert!(memory.extents() <= most, "what is free is taken first");
    }
    drop(all);
    assert_eq!(memory.extents(), 0, "what nobody has is no longer in the file");
}

#[test]
fn small_appends_become_few_writes() {
    let (memory, space) = space();
    let scratch = space.create().unwrap();
    for _ in 0..10_000 {
        scratch.append(&[7; 1000]).unwrap();
    }
    assert_eq!(memory.state().writes, 9);
    let content = Content::whole(scratch);
    assert_eq!(content.digest().unwrap(), Digest::of(&vec![7; 10_000_000]));
    assert!(memory.state().reads < 20, "{}", memory.state().reads);
}

#[test]
fn no_room_is_an_error_that_leaves_all_as_it_was() {
    let (memory, space) = space();
    memory.state().limit = Some(3 * EXTENT);
    let (one, other) = (space.create().unwrap(), space.create().unwrap());
    one.append(&vec![1; EXTENT as usize + 5]).unwrap();
    let error = one.append(&vec![2; 3 * EXTENT as usize]).unwrap_err();
    assert_eq!(error.to_string(), "cannot keep 3145728 bytes for later: full");
    assert_eq!(one.len(), EXTENT + 5);
    // There is room for less, here and for another one, and after that there is none.
    one.append(&[3; 10]).unwrap();
    other.append(&[4; 10]).unwrap();
    assert!(space.create().unwrap().append(&[5]).is_err());
    let mut read = [0; 12];
    one.read_at(EXTENT + 3, &mut read).unwrap();
    assert_eq!(read, [1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
    drop(one);
    space
        .create()
        .unwrap()
        .append(&vec![6; 2 * EXTENT as usize])
        .unwrap();
    other.read_at(0, &mut read[..10]).unwrap();
    assert_eq!(&read[..10], [4; 10]);
}

#[test]
fn what_cannot_be_written_now_is_not_lost() {
    let (memory, space) = space();
    let (one, other) = (space.create().unwrap(), space.create().unwrap());
    one.append(b"one").unwrap();
    memory.state().is_broken = true;
    assert!(other.append(b"other").is_err());
    assert_eq!(other.len(), 0);
    let mut read = [0; 3];
    one.read_at(0, &mut read).unwrap();
    assert_eq!(&read, b"one");
    memory.state().is_broken = false;
    other.append(b"other").unwrap();
    one.append(b" more").unwrap();
    let all = |scratch: Arc<dyn Scratch>| Content::whole(scratch).read_all(100).unwrap();
    assert_eq!((all(one), all(other)), (b"one more".to_vec(), b"other".to_vec()));
}
