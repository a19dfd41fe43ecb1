//! What readers of tars take differently: the same bytes, other files. Each is told with its place and with who
//! sees what, so that it becomes a finding and not a guess.
//!
//! The readers: GNU tar 1.34 and Python 3.11's `tarfile`, which were run on all of these; Go's `archive/tar`
//! (containerd, Docker, umoci, skopeo), by its source and by umoci 0.4.7; libarchive by its source. What is
//! said of *us* is what [`super::Entries`] gives.

use super::NAME_LIMIT;

/// A name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its own.
    Path,
    /// That of what it links to.
    Target,
}

/// A way of writing files with holes (GNU tar manual, "Storing Sparse Files").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparseForm {
    /// The type flag `S`, with the map in the header and in blocks behind it.
    OldGnu,
    /// PAX records, an offset and a length for each piece.
    Pax00,
    /// One PAX record with all offsets and lengths.
    Pax01,
    /// The map stands before the data.
    Pax10,
}

/// One thing about an entry that is read in several ways. `offset` is where it stands in the tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A GNU long name (`L`, `K`) and a PAX record (`path`, `linkpath`) that say different things. The record
    /// wins here, in GNU tar and in libarchive; the long name in Go; in Python whichever stands first.
    TwoNames {
        /// Of the long name's header.
        offset: u64,
        /// Which name.
        part: Part,
    },
    /// A second header of the same kind (`x`, `L`, `K`) before one entry. The last counts here, in GNU tar and
    /// in Go; in Python the first does.
    TwoHeaders {
        /// Of the second header.
        offset: u64,
        /// Its type flag.
        flag: u8,
    },
    /// A keyword that stands twice in one PAX header. The last counts everywhere.
    TwoRecords {
        /// Of the second record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// A PAX header of one entry, and a global one (`g`) between it and the entry. Here, in GNU tar and Python
    /// both hold; Go forgets the entry's own.
    GlobalBetween {
        /// Of the global header.
        offset: u64,
    },
    /// A record of a global header sets an attribute of this entry. It does here, in GNU tar and Python; Go and
    /// libarchive pass over global headers, so container runtimes take the entry's own header.
    GlobalRecord {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// The Solaris spelling of a PAX header, type `X`. It is one here, in GNU tar, Python and libarchive; in
    /// Go it is a file of an unknown type, and its records do not count.
    SolarisHeader {
        /// Of the header.
        offset: u64,
    },
    /// A PAX `size` that is not that of the header, which could have held it. The record counts here and in
    /// all current readers, for content and for where the next header is; some that did not see other files
    /// (RUSTSEC-2025-0110, "TARmageddon").
    TwoSizes {
        /// Of the record.
        offset: u64,
        /// What the header says.
        header: u64,
        /// What the record says.
        record: u64,
    },
    /// A size on what has no content. Here, in Go and Python nothing is skipped; GNU tar and libarchive skip
    /// that many bytes after what is no hard link (libarchive after hard links too, in part), so that they see
    /// other entries behind it.
    SizeWithoutContent {
        /// Of the header.
        offset: u64,
        /// What it, or the PAX record, says.
        size: u64,
    },
    /// A checksum that is right only if bytes are summed as signed numbers, as tars before POSIX did. All read
    /// it.
    SignedSum {
        /// Of the header.
        offset: u64,
    },
    /// A number with something behind it. Here and in GNU tar a space ends a number; Go and Python refuse the
    /// whole tar.
    LooseNumber {
        /// Of the header.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// A negative owner. Here it wraps to 32 bits, as it does in the kernel when Go and Python pass it on; GNU
    /// tar warns and takes its own user.
    NegativeId {
        /// Of the header.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// Bytes where POSIX has the name's prefix, in a header that is not POSIX: GNU's has times there. Python
    /// takes them for a prefix; nobody else does.
    ForeignPrefix {
        /// Of the header.
        offset: u64,
    },
    /// Bytes behind the NUL that ends a name in a header or in a GNU long name. Nobody reads them.
    BehindNul {
        /// Of the header.
        offset: u64,
        /// Which name.
        part: Part,
    },
    /// A NUL inside a name of a PAX record. It ends the name here and in GNU tar; Go refuses the whole tar,
    /// Python keeps it and cannot make such a file.
    NulInRecord {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// A PAX record without a value. POSIX says that it takes back what was said before: here and in Go the
    /// header's field holds (and a global record's, here); GNU tar and Python take an empty name or 0. An xattr
    /// without a value exists here, in GNU tar and in libarchive; in Go it does not.
    EmptyValue {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// A record that says something about the file that is not read here, nor in Go: ACLs and SELinux labels
    /// outside of xattrs, flags of other systems, and whatever nobody knows. GNU tar and libarchive read some.
    UnreadRecord {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// A type flag that is rare (`7`, a file that lies in one piece) or unknown. `7` is a file here, in GNU
    /// tar, Python and libarchive; what is unknown is left out here, and is a file there. containerd and umoci
    /// refuse a layer with any of these.
    RareType {
        /// Of the header.
        offset: u64,
        /// The type flag.
        flag: u8,
    },
    /// A regular file whose name ends in a slash. It is a file here, in Go and Python; a directory in GNU tar
    /// and libarchive.
    TrailingSlash {
        /// Of the header.
        offset: u64,
    },
    /// A file with holes. All read it, but not all read all forms, and the specification says that layers
    /// should have none.
    Sparse {
        /// Of the entry's header.
        offset: u64,
        /// In which way.
        form: SparseForm,
    },
    /// Records of a sparse file on what is no regular file, or of a version that is not known. They are passed
    /// over here and, if the version is unknown, in Go, which refuses the former.
    SparseIgnored {
        /// Of the entry's header.
        offset: u64,
    },
    /// There is more; only so many are kept for one entry.
    More,
}

/// The most oddities that are kept of one entry: a header of [`NAME_LIMIT`] bytes can have many records.
pub const ODDITY_LIMIT: usize = 64;
const _: () = assert!((ODDITY_LIMIT as u64) < NAME_LIMIT);

impl Oddity {
    /// Where it stands in the tar.
    pub fn offset(&self) -> Option<u64> {
        Some(match *self {
            Self::TwoNames { offset, .. }
            | Self::TwoHeaders { offset, .. }
            | Self::TwoRecords { offset, .. }
            | Self::GlobalBetween { offset }
            | Self::GlobalRecord { offset, .. }
            | Self::SolarisHeader { offset }
            | Self::TwoSizes { offset, .. }
            | Self::SizeWithoutContent { offset, .. }
            | Self::SignedSum { offset }
            | Self::LooseNumber { offset, .. }
            | Self::NegativeId { offset, .. }
            | Self::ForeignPrefix { offset }
            | Self::BehindNul { offset, .. }
            | Self::NulInRecord { offset, .. }
            | Self::EmptyValue { offset, .. }
            | Self::UnreadRecord { offset, .. }
            | Self::RareType { offset, .. }
            | Self::TrailingSlash { offset }
            | Self::Sparse { offset, .. }
            | Self::SparseIgnored { offset } => offset,
            Self::More => return None,
        })
    }
}
