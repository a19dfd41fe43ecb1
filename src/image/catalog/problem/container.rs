//! What is wrong with an archive as a container of files, and with a document as JSON.

use super::{Facts, Severity, shown};
use crate::image::files::{ENTRY_LIMIT, FILE_LIMIT, Fault, PATH_LIMIT};
use crate::image::json::FaultKind;
use crate::text::escape;

const LIMIT: &str = "a limit of handroll";

pub(super) fn archive_facts(fault: &Fault) -> Facts {
    use Severity::{Error, Warning};
    match fault {
        Fault::Duplicate { .. } => (
            "archive_duplicate_path",
            Warning,
            "POSIX, pax; who unpacks an archive takes the last, who searches it may take the first",
        ),
        Fault::Damaged { .. } => ("archive_damaged", Error, "POSIX, pax; RFC 1952; RFC 8878"),
        Fault::NoEnd { .. } => ("archive_no_end", Warning, "POSIX, pax, ustar Interchange Format"),
        Fault::Files { .. } => ("archive_too_many_files", Warning, LIMIT),
        Fault::Entries { .. } => ("archive_too_many_entries", Error, LIMIT),
        Fault::LongPath { .. } => ("archive_long_path", Warning, "Linux, PATH_MAX"),
        Fault::Differs { .. } => ("archive_read_differently", Warning, "the readers' own sources"),
        Fault::Unlisted { .. } => ("directory_unreadable", Error, "what the system said"),
    }
}

pub(super) fn archive_sentence(fault: &Fault) -> String {
    match fault {
        Fault::Duplicate { path, .. } => format!(
            "The archive holds {} twice: some tools take the first, some the last.",
            escape(path)
        ),
        Fault::Damaged { reason, .. } => {
            format!(
                "The archive cannot be read to its end; what stands before the damage is shown: {reason}."
            )
        }
        Fault::NoEnd { .. } => {
            "The archive ends without the two blocks of zeros that should end it: its end may have been cut off."
                .to_owned()
        }
        Fault::Files { .. } => {
            format!("The archive has more than {FILE_LIMIT} files, or too long paths; the rest are not listed.")
        }
        Fault::Entries { .. } => {
            format!("The archive has more than {ENTRY_LIMIT} entries; the rest are not looked at.")
        }
        Fault::Differs { path, oddity } => {
            let readings = oddity.readings().iter();
            let readings: Vec<_> = readings.map(|(reader, reads)| format!("{reader}: {reads}")).collect();
            format!(
                "Tools see another file, or none, where {} is seen here ({}).",
                shown(&escape(path)),
                readings.join("; ")
            )
        }
        Fault::Unlisted { path, reason } => {
            format!("What is in {} is not known, as it cannot be read: {reason}.", escape(path))
        }
        Fault::LongPath { length, .. } => format!(
            "A path of {length} bytes is longer than the {PATH_LIMIT} that systems take, and is passed over."
        ),
    }
}

pub(super) fn json_facts(fault: &FaultKind) -> Facts {
    use Severity::{Error, Warning};
    match fault {
        FaultKind::Duplicate { .. } => (
            "json_duplicate_member",
            Warning,
            "RFC 8259, section 4; RFC 7493, section 2.3",
        ),
        FaultKind::NotUtf8 => ("json_not_utf8", Warning, "RFC 8259, section 8.1"),
        FaultKind::LoneSurrogate => ("json_lone_surrogate", Warning, "RFC 8259, section 8.2"),
        FaultKind::Number => ("json_number_too_large", Warning, "RFC 7493, section 2.2"),
        FaultKind::ByteOrderMark => ("json_byte_order_mark", Error, "RFC 8259, section 8.1"),
    }
}

pub(super) fn json_sentence(fault: &FaultKind) -> String {
    match fault {
        FaultKind::Duplicate { name, .. } => format!(
            "`{}` occurs twice in one object: some tools take the first, most the last.",
            shown(name)
        ),
        FaultKind::NotUtf8 => {
            "This text holds bytes that are not UTF-8: some tools refuse it, some change it.".to_owned()
        }
        FaultKind::LoneSurrogate => {
            "This text holds half of a pair of surrogates, which is no character.".to_owned()
        }
        FaultKind::Number => "This number is too large for the integers that tools read it into.".to_owned(),
        FaultKind::ByteOrderMark => {
            "The document begins with a byte order mark, at which many tools stop.".to_owned()
        }
    }
}
