//! PAX records of anything, and what is written is read.
#![no_main]

use handroll::tar::pax;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for record in pax::records(bytes) {
        let Ok((keyword, value)) = record else { break };
        let _ = (pax::xattr_name(keyword), pax::decimal(value));
        if let Some(time) = pax::parse_time(value) {
            assert_eq!(pax::parse_time(pax::time_value(time).as_bytes()), Some(time));
        }
    }
    let Some((&length, rest)) = bytes.split_first() else { return };
    let (keyword, value) = rest.split_at(rest.len().min(length.into()));
    if keyword.is_empty() || keyword.contains(&b'=') || keyword.contains(&0) {
        return;
    }
    let mut written = Vec::new();
    pax::put_record(&mut written, keyword, value);
    let mut read = pax::records(&written);
    assert_eq!(read.next(), Some(Ok((keyword, value))));
    assert_eq!(read.next(), None);
});
