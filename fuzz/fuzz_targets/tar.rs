//! Tars of anything: reading ends, every range is inside, the anatomy leaves no block out, and a layer of it is
//! written as it came.
#![no_main]

use handroll::content::Content;
use handroll::layer::{Bytes, Layer};
use handroll::scratch::MemorySpace;
use handroll::tar::{Entries, anatomy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let tar = Content::inline(bytes);
    let mut entries = Entries::new(tar.clone());
    let mut at = 0;
    loop {
        let (start, place) = (entries.offset(), entries.place());
        assert_eq!(start, at);
        let Some(Ok(entry)) = entries.next() else { break };
        at = entries.offset();
        assert!(entry.offset >= start && entry.end == at && at <= bytes.len() as u64);
        if entry.size < 1 << 20 {
            assert_eq!(entry.content.read_all(1 << 20).unwrap().len() as u64, entry.size);
        }
        let runs = anatomy::runs(&tar, start, &entry).unwrap();
        let mut block = start;
        for run in runs {
            assert_eq!(run.offset, block);
            block += run.blocks * 512;
        }
        assert!(block >= at && block < at + 512);
        anatomy::fields(&tar, &place).unwrap();
    }
    let _ = entries.ending();

    // Not as what it is packed in, if it begins so.
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.get(1..4) == Some(&[0xb5, 0x2f, 0xfd]) || bytes.get(1..4) == Some(&[0x2a, 0x4d, 0x18]) {
        return;
    }
    let layer = Layer::read(&tar, &MemorySpace).unwrap();
    let mut written = Vec::new();
    for chunk in layer.chunks() {
        match chunk.bytes {
            Bytes::Owned(bytes) => written.extend(bytes),
            Bytes::Content(content) => written.extend(content.read_all(1 << 30).unwrap()),
            Bytes::Zeros(count) => written.resize(written.len() + count as usize, 0),
        }
    }
    assert!(written == bytes);
});
