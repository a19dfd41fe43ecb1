//! What readers of tars take differently: the same bytes, other files. Each is told with its place and with who
//! sees what, so that it becomes a finding and not a guess.
//!
//! The readers: GNU tar 1.34, Python 3.11's `tarfile` and Go's `archive/tar` in umoci 0.4.7, which
//! `tests/foreign_tars.rs` runs on each of these; containerd, Docker and skopeo read with Go's too. libarchive
//! is from its source. *Here* is what [`super::Entries`] gives.

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
    /// wins here, in GNU tar and in libarchive; the long name in Go; in Python whichever stands first. Or a
    /// `path` beside a sparse file's own name: that name wins, but in Python the record that stands last.
    TwoNames {
        /// Of the long name's header, or of the `path` beside a sparse file's name.
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
    /// A keyword that stands twice in one PAX header. The last counts, but for a global header in GNU tar, where
    /// the first does; and GNU tar complains of each value that it cannot take.
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
    /// A global header before this entry. containerd and Docker pass over it; umoci refuses the layer.
    GlobalHeader {
        /// Where it begins.
        offset: u64,
    },
    /// A record of a global header sets an attribute of this entry. It does here, in GNU tar (but for xattrs)
    /// and in Python (which looks for the next header where the entry's own says); Go and libarchive do not look
    /// at it, so container runtimes take the entry's own header.
    GlobalRecord {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// A global record that a later global header does not repeat. It still holds here and in Python; in GNU tar
    /// that header takes the place of the one before.
    GlobalNotRepeated {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// The Solaris spelling of a PAX header, type `X`. It is one here, in GNU tar, Python and libarchive; in
    /// Go it is a file of an unknown type, which umoci refuses, and its records do not count.
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
    /// A size on what has no content. Nothing is skipped here, in Go and Python. GNU tar skips that many bytes
    /// after symlinks, devices, fifos and directories of type NUL, and after hard links if a record says the
    /// size, so that it sees other entries behind; libarchive does too.
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
    /// A number that not all read. Something behind a space: nobody minds here and in GNU tar; Go refuses the
    /// whole tar, Python stops. A NUL before the digits: it is passed over here and in Go, ends the number in
    /// Python, and in GNU tar if it is the second. Nothing but blanks: GNU tar refuses that. Go and Python want to
    /// read the device numbers of what is no device, too.
    LooseNumber {
        /// Of the header.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// A negative owner. It wraps to 32 bits here, as it does in the kernel when Go and Python pass it on; GNU
    /// tar refuses it and takes another.
    NegativeId {
        /// Of the header or record.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// The owner 4294967295. To the kernel that means to leave the owner as it is, so runtimes make such a file
    /// root's.
    UnsetId {
        /// Of the header.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// Bytes where POSIX has the name's prefix, in a header that is not POSIX (GNU's has times there); or device
    /// numbers in a V7 header, which has none. Python reads them, nobody else does.
    ForeignField {
        /// Of the header.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// An entry without a name, or a hard link without a target. Here the name is empty; GNU tar makes it `.`,
    /// umoci refuses it.
    EmptyName {
        /// Of the header.
        offset: u64,
        /// Which name.
        part: Part,
    },
    /// Bytes behind the NUL that ends a name in a header or in a GNU long name. Nobody reads them.
    BehindNul {
        /// Of the header.
        offset: u64,
        /// Which name.
        part: Part,
    },
    /// A NUL inside a name of a PAX record. It ends the name here and in GNU tar; Go refuses the whole tar,
    /// Python keeps it and cannot make such a file. Or one inside a keyword: GNU tar then finds no `=`, complains
    /// and passes over what follows; Go refuses.
    NulInRecord {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// A PAX record without a value. POSIX says that it takes back what was said before: here and in Go the
    /// header's field holds. GNU tar and Python take an empty name; of what should be a number GNU tar
    /// complains and takes the header's, Python takes 0. An xattr without a value exists here, in GNU tar and
    /// in libarchive; in Go it does not.
    EmptyValue {
        /// Of the record.
        offset: u64,
        /// The keyword.
        keyword: Vec<u8>,
    },
    /// An xattr with `%25` or `%3D` in its name. GNU tar writes `%` and `=` so, and it and we read it so; Go,
    /// Python and libarchive take the name as it stands.
    EscapedXattr {
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
    /// tar, Python and libarchive; what is unknown is left out here, and is a file there (but for GNU's own
    /// types, which GNU tar knows). containerd and umoci refuse a layer with any of these.
    RareType {
        /// Of the header.
        offset: u64,
        /// The type flag.
        flag: u8,
    },
    /// A regular file whose name ends in a slash. It is a file here, in Go and Python; a directory in GNU tar
    /// and libarchive. Or an entry of type NUL, a directory if its name ends so, whose header and record do not
    /// agree about that: Python goes by the header, all others by the record.
    TrailingSlash {
        /// Of the header.
        offset: u64,
    },
    /// A file with holes. All read it, but containerd and umoci refuse a layer with the type `S`, and the
    /// specification says that layers should have none.
    Sparse {
        /// Of the entry's header.
        offset: u64,
        /// In which way.
        form: SparseForm,
    },
    /// Records of a sparse file on what is no regular file, or of a version that is not known. They are passed
    /// over here, and in Go if the version is unknown; else Go refuses the whole tar. GNU tar and Python take
    /// the name and the size that they say.
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
            | Self::GlobalHeader { offset }
            | Self::GlobalRecord { offset, .. }
            | Self::GlobalNotRepeated { offset, .. }
            | Self::SolarisHeader { offset }
            | Self::TwoSizes { offset, .. }
            | Self::SizeWithoutContent { offset, .. }
            | Self::SignedSum { offset }
            | Self::LooseNumber { offset, .. }
            | Self::NegativeId { offset, .. }
            | Self::UnsetId { offset, .. }
            | Self::ForeignField { offset, .. }
            | Self::EmptyName { offset, .. }
            | Self::BehindNul { offset, .. }
            | Self::NulInRecord { offset, .. }
            | Self::EmptyValue { offset, .. }
            | Self::EscapedXattr { offset, .. }
            | Self::UnreadRecord { offset, .. }
            | Self::RareType { offset, .. }
            | Self::TrailingSlash { offset }
            | Self::Sparse { offset, .. }
            | Self::SparseIgnored { offset } => offset,
            Self::More => return None,
        })
    }
}
