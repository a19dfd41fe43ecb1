//! All that is looked for in layers: a stable id, how much it matters, the clause or the tools that differ,
//! and a sentence for someone who sees layers for the first time. `docs/checks.md` says more of each.

use crate::image::catalog::Severity::{self, Error, Info, Warning};

macro_rules! checks {
    ($($name:ident $id:literal $severity:ident $clause:literal $sentence:literal;)+) => {
        /// Something that can be found in a layer or a stack of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each has its sentence")]
        pub enum Check {
            $($name,)+
        }

        const FACTS: &[(Check, &str, Severity, &str, &str)] = &[
            $((Check::$name, $id, $severity, $clause, $sentence),)+
        ];
    };
}

impl Check {
    /// How many there are.
    pub const COUNT: usize = FACTS.len();

    /// All of them, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|facts| facts.0)
    }

    fn facts(self) -> &'static (Check, &'static str, Severity, &'static str, &'static str) {
        &FACTS[self as usize]
    }

    /// Its stable name.
    pub fn id(self) -> &'static str {
        self.facts().1
    }

    /// How much it matters.
    pub fn severity(self) -> Severity {
        self.facts().2
    }

    /// The clause that it goes against, or whose tools differ.
    pub fn clause(self) -> &'static str {
        self.facts().3
    }

    /// What it means, in one sentence.
    pub fn sentence(self) -> &'static str {
        self.facts().4
    }
}

checks! {
    // Whiteouts.
    WhiteoutOfOwnEntry "whiteout_of_own_entry" Error "image-spec, layer.md, Whiteouts"
        "This layer has an entry and then deletes it: a deletion counts for the layers below only, but some tools delete the entry, and others give up.";
    WhiteoutBesideEntry "whiteout_beside_entry" Warning "image-spec, layer.md, Whiteouts"
        "This layer deletes a name and then makes it anew, which needs no deletion; crane loses the new one.";
    WhiteoutThenDirectory "whiteout_then_directory" Error "image-spec, layer.md, Whiteouts"
        "This layer deletes a directory and makes it anew: in overlayfs the old content comes back, as only an opaque directory hides it.";
    WhiteoutAndChildren "whiteout_and_children" Error "image-spec, layer.md, Whiteouts"
        "This layer deletes a directory and has something in it without an entry for the directory itself, at which containerd gives up.";
    WhiteoutTwice "whiteout_twice" Error "containerd, archive/tar_opts_linux.go"
        "The same name is deleted twice in one layer, at which containerd gives up.";
    WhiteoutInvalid "whiteout_invalid" Error "image-spec, layer.md, Whiteouts"
        "This deletion names nothing, or the directory that it stands in, or the one above: umoci takes that at its word.";
    WhiteoutNotEmptyFile "whiteout_not_empty_file" Info "image-spec, layer.md, Whiteouts"
        "A deletion should be an empty regular file; this one is something else, which today's tools do not mind.";
    WhiteoutPrefixInside "whiteout_prefix_inside" Error "image-spec, layer.md, Whiteouts"
        "Only the last name of a path can mark a deletion: this makes a directory whose name begins with `.wh.`, which no layer can name again.";
    WhiteoutOfNothing "whiteout_of_nothing" Info "image-spec, layer.md, Whiteouts"
        "This deletes what no layer below has.";
    WhiteoutGhost "whiteout_ghost" Warning "Linux, fs/overlayfs/readdir.c"
        "This deletes something in a directory where nothing is below: overlayfs lists the name, though there is no such file.";
    WhiteoutInMissing "whiteout_in_missing" Warning "containerd, archive/tar.go, mkparent"
        "This deletion stands in a directory that is nowhere; containerd makes the directory, umoci does not.";
    WhiteoutThroughLink "whiteout_through_link" Warning "image-spec, layer.md, Whiteouts"
        "This deletion stands in a directory that is a symbolic link, so what it deletes depends on the tool.";
    OpaqueAndWhiteout "opaque_and_whiteout" Warning "Linux, fs/overlayfs/readdir.c"
        "All that is below this directory is hidden already; overlayfs lists the deleted name as if there were a file.";
    OpaqueRoot "opaque_root" Error "Linux, fs/overlayfs/namei.c"
        "This hides all layers below, but overlayfs does not hide them for the root directory.";
    OpaqueAfterChildren "opaque_after_children" Error "image-spec, layer.md, Opaque Whiteout"
        "This hides what is below the directory and stands after entries in directories without an entry of their own, which containerd's native snapshotter then removes.";
    OpaqueInMissing "opaque_in_missing" Warning "containerd, archive/tar.go, mkparent"
        "This opaque mark stands in a directory that is nowhere; containerd makes the directory, umoci does not.";
    MarkAfterSiblings "mark_after_siblings" Info "image-spec, layer.md, Whiteouts"
        "Deletions should stand before the other entries of their directory.";
    AufsMark "aufs_mark" Warning "image-spec, layer.md, Whiteouts"
        "This is a mark that an old storage driver (AUFS) kept for itself; it means nothing in a layer.";

    // Names and places.
    DuplicatePath "duplicate_path" Error "image-spec, layer.md, Change Types"
        "This path is twice in the layer; the last one counts for most tools, but scanners may look at the first.";
    NameAbsolute "name_absolute" Info "image-spec, layer.md; GNU tar manual, Absolute File Names"
        "This name begins with a slash, which tools take away.";
    NameDotdot "name_dotdot" Error "moby, go-archive: breakout is refused"
        "This name goes up with `..`: some tools keep it inside of the image, others refuse the layer.";
    NameUnclean "name_unclean" Info "POSIX, pathname resolution"
        "This name has `.` or nothing between two slashes, so the same path can be spelled in two ways.";
    NameNotUtf8 "name_not_utf8" Warning "POSIX, pax, path"
        "This name is not UTF-8: tools that take names for text show or store it otherwise.";
    NameControl "name_control" Warning "POSIX, portable filename character set"
        "This name has a control character, which can make a terminal show something else than is there.";
    NameTooLong "name_too_long" Error "Linux, NAME_MAX"
        "One name in this path has more than 255 bytes, which Linux does not take.";
    PathTooLong "path_too_long" Error "Linux, PATH_MAX"
        "This path is so long that Linux does not take it where the image is unpacked.";
    NameEmpty "name_empty" Warning "POSIX, pax"
        "This entry has no name, so it means the root directory.";
    RootNotDirectory "root_not_directory" Error "CVE-2021-29136"
        "This entry would make the root of the image something else than a directory.";
    RootAttributes "root_attributes" Info "image-spec, manifest.md; containerd, archive/tar.go"
        "This layer says who owns the root directory and with which permissions; containerd ignores that.";
    ParentWithoutEntry "parent_without_entry" Warning "image-spec, layer.md, Creating"
        "This directory is needed for an entry in it but is in no layer, so its owner and permissions are whatever the tool gives it.";
    ParentOnlyBelow "parent_only_below" Info "containerd, archive/tar.go, mkparent"
        "This layer changes something in a directory without saying the directory's attributes again; tools agree on them but not on its time.";
    ChildOfFile "child_of_file" Error "image-spec, layer.md, Applying Changesets"
        "This path goes through something of the same layer that is no directory.";
    ChildOfLowerFile "child_of_lower_file" Error "image-spec, layer.md, Applying Changesets"
        "This path goes through what is no directory in the layers below, and this layer has no entry that makes it one.";
    SymlinkParent "symlink_parent" Warning "image-spec, layer.md, Applying Changesets"
        "This path goes through a symbolic link of the same layer, so the file lands elsewhere.";
    LowerSymlinkParent "lower_symlink_parent" Error "containerd, archive/tar.go, mkparent"
        "This path goes through a symbolic link of the layers below: with overlayfs a directory takes the place of the link, and hides all that it led to.";

    // Hard links.
    LinkMissing "link_missing" Error "POSIX, pax, linkpath"
        "This hard link names a file that is nowhere.";
    LinkBeforeTarget "link_before_target" Error "POSIX, pax, linkpath"
        "This hard link stands before the file that it names, at which all tools give up.";
    LinkToLower "link_to_lower" Error "image-spec, layer.md, Hardlinks"
        "This hard link names a file of the layers below, at which containerd with overlayfs gives up.";
    LinkToRemoved "link_to_removed" Error "image-spec, layer.md, Hardlinks"
        "This hard link names a file that this same layer deletes.";
    LinkToDirectory "link_to_directory" Error "link(2)"
        "A directory can have no second name.";
    LinkToItself "link_to_itself" Error "POSIX, pax, linkpath"
        "This hard link names itself: tools remove the file and then miss it.";
    LinkToSymlink "link_to_symlink" Info "containerd/continuity, fs/copy.go"
        "This is a second name of a symbolic link; copies of the image may have two links instead.";
    LinkAttributes "link_attributes" Warning "containerd, archive/tar.go, createTarFile"
        "This hard link's entry has other attributes than the file that it names; containerd gives them to the file, others do not.";
    LinkLosesCapabilities "link_loses_capabilities" Warning "containerd, archive/tar.go, createTarFile"
        "This is a second name of a program with capabilities, which containerd takes away when it makes the name.";

    SymlinkEmpty "symlink_empty" Error "symlink(2)"
        "This symbolic link leads to nothing at all, which Linux does not take.";

    // Kinds and attributes.
    OverlayWhiteoutDevice "overlay_whiteout_device" Error "Linux, overlayfs.rst, whiteouts and opaque directories"
        "A character device 0:0 means a deletion to overlayfs, and only to it.";
    Device "device" Warning "image-spec, layer.md, File Types"
        "This is a device; containers are given their devices by the runtime, and rootless tools cannot make it.";
    DeviceNumber "device_number" Warning "makedev(3)"
        "This device's number is larger than Linux has them, so another device comes out.";
    Setuid "setuid" Info "inode(7), setuid and setgid"
        "This program runs with its owner's rights, whoever starts it.";
    Capabilities "capabilities" Info "capabilities(7)"
        "This program has rights of root, whoever starts it.";
    WorldWritableFile "world_writable_file" Warning "inode(7)"
        "Every user of the container can change this file.";
    WorldWritableDirectory "world_writable_directory" Warning "inode(7), sticky bit"
        "Every user of the container can replace or delete what others have in this directory, as it is not sticky.";
    OwnerLarge "owner_large" Warning "user_namespaces(7)"
        "This owner's number is so large that tools with 31 bits, and most user namespaces, have no room for it.";
    OwnerUnchanged "owner_unchanged" Error "chown(2)"
        "This owner's number means `leave it as it is` to the kernel, so who owns the file depends on the tool.";
    TimeBefore1970 "time_before_1970" Warning "containerd, archive/time.go"
        "This time lies before 1970: containerd makes it 1970, others keep it.";
    TimeAfter2262 "time_after_2262" Warning "containerd, archive/time.go; Go, time.UnixNano"
        "This time lies so far in the future that tools make other times of it.";
    XattrOverlay "xattr_overlay" Error "Linux, overlayfs.rst"
        "This extended attribute is one by which overlayfs steers itself: an image could point into other directories with it.";
    XattrTrusted "xattr_trusted" Warning "containerd, archive/tar_unix.go, setxattr"
        "This extended attribute is for root alone; containerd leaves it out.";
    XattrNotPortable "xattr_not_portable" Warning "xattr(7)"
        "This extended attribute means something only on the machine that it comes from, or nothing at all.";
    XattrEmpty "xattr_empty" Info "Go, archive/tar/reader.go, mergePAX"
        "This extended attribute has no value; umoci leaves it out.";
    XattrOnSpecial "xattr_on_special" Error "xattr(7)"
        "Only files and directories can have extended attributes of users; umoci gives up at this one.";
    XattrInvalid "xattr_invalid" Error "xattr(7)"
        "The kernel does not take this extended attribute, at which tools give up.";
    XattrsLeftBelow "xattrs_left_below" Warning "containerd, archive/tar.go, createTarFile"
        "This directory loses extended attributes that it has in the layers below; containerd's native snapshotter keeps them.";

    // The bytes of the tar.
    Damaged "damaged" Error "POSIX, pax, ustar Interchange Format"
        "The tar cannot be read further than this.";
    NoEndMarker "no_end_marker" Info "POSIX, pax, ustar Interchange Format"
        "The archive ends without the two blocks of zeros that should end it.";
    DataAfterEnd "data_after_end" Warning "image-spec, config.md, diff_ids"
        "Something stands behind the end of the archive: no tool unpacks it, but it is part of the layer's digest.";
    DataAfterZeroBlock "data_after_zero_block" Error "Go, archive/tar/reader.go, readHeader"
        "One block of zeros and then something else: to some readers the archive ends here, Go's gives up.";
    TwoNames "two_names" Error "Go, archive/tar/reader.go; POSIX, pax"
        "Two headers give this entry different names: containerd takes one, GNU tar the other.";
    TwoHeaders "two_headers" Warning "POSIX, pax, pax Extended Header"
        "This entry has two headers of the same kind before it, and readers differ in which counts.";
    TwoRecords "two_records" Info "POSIX, pax, pax Extended Header"
        "This keyword stands twice in one header; the last counts.";
    GlobalHeader "global_header" Error "umoci, oci/layer/tar_extract.go; Go, archive/tar/reader.go"
        "This header is about all entries that follow: umoci gives up at it, and containerd takes it for an entry.";
    GlobalRecord "global_record" Error "POSIX, pax, pax Extended Header"
        "This entry's attributes come from a header about all entries, which containerd and umoci do not heed.";
    SolarisHeader "solaris_header" Error "Go, archive/tar/reader.go"
        "This header is spelled as Solaris does it, which Go's reader does not know.";
    TwoSizes "two_sizes" Error "RUSTSEC-2025-0110"
        "The header and a record give this entry different sizes: a reader that takes the wrong one sees other files.";
    SizeWithoutContent "size_without_content" Error "Go, archive/tar/reader.go; GNU tar"
        "This entry can have no content but says that it has some: readers differ in where the next entry begins.";
    OddHeader "odd_header" Warning "POSIX, pax, ustar Interchange Format"
        "This header is written in a way that readers take differently, or not at all.";
    EmptyRecord "empty_record" Warning "POSIX, pax, pax Extended Header"
        "A record without a value takes back what was said before, but not to all readers.";
    UnreadRecord "unread_record" Info "POSIX, pax, pax Extended Header"
        "This record says something about the file that container tools do not read.";
    UnknownType "unknown_type" Error "image-spec, layer.md, File Types"
        "This entry is of a type that layers do not have, at which containerd and umoci give up.";
    TrailingSlash "trailing_slash" Warning "GNU tar; Go, archive/tar/reader.go"
        "This file's name ends with a slash: some readers make a directory of it.";
    Sparse "sparse" Warning "image-spec, layer.md, File Types"
        "This file is stored without its holes, which layers should not have and not all tools read.";
    SparseOld "sparse_old" Error "containerd, archive/tar.go, createTarFile"
        "This file is stored without its holes in GNU's oldest way, at which containerd and umoci give up.";

    // How much there is.
    HugeFile "huge_file" Warning "decompression bombs"
        "This file is far larger than what the layer holds of it: unpacking it can fill a disk.";
    HugeRatio "huge_ratio" Warning "decompression bombs"
        "This layer unpacks to far more than it is packed.";
    PackedPadding "packed_padding" Error "RFC 1952; Go, compress/gzip"
        "Zeros stand behind the compressed layer: gzip passes over them, but containerd, umoci and skopeo refuse the layer.";
    PackedPieces "packed_pieces" Info "RFC 1952, 2.2; RFC 8878, 3.1"
        "The layer is compressed in several pieces, one after another, as some tools do: a reader that stops after the first sees only a part.";
    PackedSkippable "packed_skippable" Info "RFC 8878, 3.1.2"
        "Between the compressed pieces stands data that is no part of the layer: tools that fetch single files keep their table of contents there.";
    TooManyEntries "too_many_entries" Warning "a limit of handroll"
        "This layer has so many entries that they are not checked for how they fit together.";
    TooManyLayers "too_many_layers" Warning "moby, overlay2: 128 layers; Linux, overlayfs: 500"
        "Some tools do not take so many layers.";
    WastedBytes "wasted_bytes" Info "image-spec, layer.md"
        "Files of this layer are deleted or replaced by later layers: everyone downloads them, nobody sees them.";
    HiddenFile "hidden_file" Info "image-spec, layer.md"
        "A later layer deletes or replaces this large file, but it is still downloaded.";

    // Secrets.
    SecretVisible "secret_visible" Warning "OWASP, Docker Security Cheat Sheet"
        "This looks like a secret, and everyone who has the image has it.";
    SecretHidden "secret_hidden" Error "OWASP, Docker Security Cheat Sheet"
        "This looks like a secret that a later layer deletes or replaces, but it is still in this one, for everyone who has the image.";

    // What readers make of it.
    RuntimeRefuses "runtime_refuses" Error "the reader's own source"
        "A tool gives up at this entry.";
    NotFollowed "not_followed" Warning "a limit of handroll"
        "From this entry on handroll does not work out what tools make of the layers: it is more than any image has.";
    RuntimesDiffer "runtimes_differ" Warning "the readers' own sources"
        "Tools make different things of this path.";
}
