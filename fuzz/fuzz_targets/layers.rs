//! Two layers of anything, one on the other: every dialect reads them or says why not, and the check ends.
#![no_main]

use handroll::check::{Checking, LayerInput, StackCheck};
use handroll::content::Content;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // In blocks, so that a cut between two layers is a cut between entries now and then.
    let Some((&cut, tars)) = bytes.split_first() else { return };
    let cut = (usize::from(cut) * 512).min(tars.len());
    let (lower, upper) = tars.split_at(cut);
    let input = |tar: &[u8]| LayerInput {
        is_cut: false,
        tar: Content::inline(tar),
        packed: None,
    };
    let mut check = StackCheck::new(vec![input(lower), input(upper)]);
    for _ in 0..100_000 {
        if let Checking::Done(report) = check.step(1000) {
            for finding in report.findings {
                let _ = finding.message();
            }
            return;
        }
    }
    panic!("the check does not end");
});
