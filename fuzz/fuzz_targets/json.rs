//! JSON of anything: spans are inside and pointers lead back; an edit changes its own place and leaves what it gives
//! readable.
#![no_main]

use handroll::image::json::{Document, Edits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let document = Document::parse(bytes);
    let Some(root) = document.root() else {
        return;
    };
    let mut pending = vec![root];
    let mut count = 0;
    while let Some(node) = pending.pop() {
        let span = node.span();
        assert!(span.start <= span.end && span.end <= bytes.len());
        assert_eq!(node.raw(), &bytes[span.start..span.end]);
        count += 1;
        if count < 200 {
            let _ = document.at(&node.pointer());
            let _ = (node.as_str(), node.as_u64(), node.as_i64(), node.as_bool());
        }
        pending.extend(node.children());
    }
    let Ok(edits) = Edits::new(&document) else { return };
    assert_eq!(edits.finish(), bytes);
    for child in root.children().take(4) {
        let mut edits = Edits::new(&document).unwrap();
        edits.set(child, "edited");
        let edited = edits.finish();
        let again = Document::parse(edited.clone());
        assert!(again.error().is_none(), "{}", String::from_utf8_lossy(&edited));
        let span = child.span();
        assert_eq!(&edited[..span.start], &bytes[..span.start]);
        assert!(edited.ends_with(&bytes[span.end..]));
    }
});
