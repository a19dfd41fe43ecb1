//! gzip and zstd of anything: unpacking ends, keeps its limit, and gives the same in any steps; and what gz1 packs
//! is unpacked.
#![no_main]

use handroll::compress::gzip::Gunzip;
use handroll::compress::inflate::{Inflate, Packing};
use handroll::content::Content;
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 1 << 20;

fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut inflate = Inflate::new(&Content::inline(bytes), LIMIT).unwrap();
    let mut out = Vec::new();
    loop {
        let step = inflate.step(|bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        assert!(out.len() as u64 <= LIMIT);
        match step {
            Ok(true) => {}
            Ok(false) => return Some(out),
            Err(_) => return None,
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = unpack(bytes);
    if Packing::of_start(bytes) != Packing::Gzip {
        return;
    }
    // The same, a byte at a time, into a small buffer.
    let (mut gunzip, mut out, mut buffer) = (Gunzip::new(), Vec::new(), [0; 7]);
    let mut failed = false;
    'all: for byte in bytes {
        let mut input = std::slice::from_ref(byte);
        loop {
            match gunzip.step(input, &mut buffer) {
                Ok(progress) => {
                    out.extend_from_slice(&buffer[..progress.written]);
                    input = &input[progress.consumed..];
                    if out.len() as u64 > LIMIT {
                        failed = true;
                        break 'all;
                    }
                    if (progress.consumed, progress.written) == (0, 0) {
                        break;
                    }
                }
                Err(_) => {
                    failed = true;
                    break 'all;
                }
            }
        }
    }
    let stepped = (!failed && gunzip.finish().is_ok()).then_some(out);
    assert!(stepped == whole);
});
