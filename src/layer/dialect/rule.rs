//! The rules by which runtimes part from each other, each with a stable id and the place in their source
//! where it stands, and the notes of where a layer made one of them count.

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal, $source:literal;)+) => {
        /// A rule that not all readers of layers have, or that surprises.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its stable name.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// Where it comes from: a document's section, or a runtime's file and function.
            pub fn source(self) -> &'static str {
                match self {
                    $(Self::$name => $source,)+
                }
            }

            /// What it says, in a sentence or two.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

rules! {
    /// A whiteout is applied to the layers below before anything else, so it never hides an entry of its own layer, wherever it stands.
    SpecWhiteoutsFirst = "spec.whiteouts_first", "image-spec, layer.md, Whiteouts";
    /// An opaque mark hides what the layers below have in its directory, and nothing of its own layer.
    SpecOpaqueFirst = "spec.opaque_first", "image-spec, layer.md, Opaque Whiteout";
    /// Marks that AUFS kept for itself name nothing that a layer could hold.
    SpecAufsMark = "spec.aufs_mark", "image-spec, layer.md, Whiteouts";
    /// A directory without an entry is made with mode 0755, owned by root.
    SpecParentMade = "spec.parent_made", "image-spec, layer.md, Applying Changesets";
    /// An entry under something that is no directory replaces that by a directory.
    SpecParentReplaces = "spec.parent_replaces", "image-spec, layer.md, Changeset over existing files";
    /// A type of entry that is no file of a layer is passed over.
    SpecTypeSkipped = "spec.type_skipped", "image-spec, layer.md, File Types";

    /// The entry of the root directory is passed over, so its attributes are lost.
    ContainerdRootSkipped = "containerd.root_skipped", "containerd, archive/tar.go, applyNaive";
    /// A global PAX header is taken for an entry: what stands at its name is removed, and nothing is made.
    ContainerdGlobalRemoves = "containerd.global_removes", "containerd, archive/tar.go, applyNaive";
    /// The attributes of a hard link's entry are given to the file that it names, and so to all its names.
    ContainerdLinkSetsAttributes = "containerd.link_sets_attributes", "containerd, archive/tar.go, createTarFile";
    /// A directory that is there already keeps its extended attributes and gets those of the entry as well.
    ContainerdXattrsStay = "containerd.xattrs_stay", "containerd, archive/tar.go, createTarFile";
    /// Extended attributes of `trusted.`, those that the file system does not take, and `user.` on what can have none are passed over.
    ContainerdXattrDropped = "containerd.xattr_dropped", "containerd, archive/tar_unix.go, setxattr";
    /// Times before 1970 and after 2262 become 1970.
    ContainerdTimeBounded = "containerd.time_bounded", "containerd, archive/time.go, boundTime";
    /// At the end of a layer its directories get their times, by their names: what has taken the place of one gets its time.
    ContainerdTimeOfReplaced = "containerd.time_of_replaced", "containerd, archive/tar.go, applyNaive";

    /// A whiteout removes whatever stands at its name, also what its own layer has made before.
    NativeWhiteoutRemovesOwn = "native.whiteout_removes_own", "containerd, archive/tar.go, applyNaive";
    /// An opaque mark removes what has no entry of its own, also directories that this layer has made for what is in them.
    NativeOpaqueRemovesImplied = "native.opaque_removes_implied", "containerd, archive/tar.go, applyNaive";
    /// Copying a parent makes of each name of a linked symlink, device or fifo a file of its own.
    NativeCopyBreaksLinks = "native.copy_breaks_links", "containerd/continuity, fs/copy.go, copyDirectory";

    /// A whiteout becomes a device 0:0 in the upperdir; where its own layer has made something, that fails.
    OverlayfsWhiteoutIsDevice = "overlayfs.whiteout_is_device", "containerd, archive/tar_opts_linux.go, OverlayConvertWhiteout";
    /// A directory without an entry gets the attributes that it has in the topmost layer below that has it.
    OverlayfsParentCopied = "overlayfs.parent_copied", "containerd, archive/tar.go, mkparent";
    /// Links of the layers below are not seen: a directory is made in the place of one, with the attributes of where it led to.
    OverlayfsLinkReplaced = "overlayfs.link_replaced", "containerd, archive/tar.go, mkparent";
    /// The mark that makes a directory opaque has no effect on the root of a layer.
    OverlayfsRootOpaqueIgnored = "overlayfs.root_opaque_ignored", "Linux, fs/overlayfs/namei.c, ovl_lookup";
    /// In a directory that only one layer has, a whiteout is listed by its name, though nothing can be found there.
    OverlayfsGhost = "overlayfs.ghost", "Linux, fs/overlayfs/readdir.c, ovl_iterate";

    /// The entry of the root directory is applied like any other.
    UmociRootApplied = "umoci.root_applied", "umoci, oci/layer/tar_extract.go, UnpackEntry";
    /// A whiteout spares what its own layer has made before, and the directories above it.
    UmociOwnSpared = "umoci.own_spared", "umoci, oci/layer/tar_extract.go, ociWhiteout";
    /// A whiteout of nothing, or of `.` or `..`, removes the directory that it stands in, or the one above.
    UmociWhiteoutOfParent = "umoci.whiteout_of_parent", "umoci, oci/layer/tar_extract.go, ociWhiteout";
    /// A whiteout of `..` in the root removes the directory in which the root file system stands.
    UmociWhiteoutEscapes = "umoci.whiteout_escapes", "umoci, oci/layer/tar_extract.go, ociWhiteout";
    /// A directory without an entry is made as the umask says.
    UmociParentMade = "umoci.parent_made", "umoci, oci/layer/tar_extract.go, UnpackEntry";
    /// A hard link's own attributes are passed over.
    UmociLinkAttributesIgnored = "umoci.link_attributes_ignored", "umoci, oci/layer/tar_extract.go, UnpackEntry";
    /// SELinux labels, NFS ACLs and the marks of overlayfs are neither set nor taken away.
    UmociXattrIgnored = "umoci.xattr_ignored", "umoci, oci/layer/tar_generate.go, ignoreXattrs";
    /// An extended attribute without a value is passed over.
    UmociEmptyXattrDropped = "umoci.empty_xattr_dropped", "Go, archive/tar/reader.go, mergePAX";
    /// Times before 1678 and after 2262 come out as others.
    UmociTimeWraps = "umoci.time_wraps", "umoci, pkg/system/utime_unix.go, Lutimes";
}

/// An entry of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPlace {
    /// The layer, bottom first.
    pub layer: usize,
    /// Where the entry begins in the layer's tar.
    pub offset: u64,
}

/// How many places are kept of each rule.
const MAX_NOTES: usize = 100;

/// Which rules counted, and where.
#[derive(Clone, Debug)]
pub struct Notes {
    at: EntryPlace,
    by_rule: Vec<(u64, Vec<EntryPlace>)>,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            at: EntryPlace::default(),
            by_rule: vec![(0, Vec::new()); Rule::ALL.len()],
        }
    }
}

impl Notes {
    pub(super) fn enter(&mut self, layer: usize) {
        self.at = EntryPlace { layer, offset: 0 };
    }

    pub(super) fn at(&mut self, offset: u64) -> EntryPlace {
        self.at.offset = offset;
        self.at
    }

    pub(super) fn add(&mut self, rule: Rule) {
        let (count, places) = &mut self.by_rule[rule as usize];
        *count += 1;
        if places.len() < MAX_NOTES && places.last() != Some(&self.at) {
            places.push(self.at);
        }
    }

    /// The rules that counted, how often, and the first places. What counts for the whole stack has the place
    /// of the last entry.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u64, &[EntryPlace])> {
        let rules = Rule::ALL.iter().zip(&self.by_rule);
        rules
            .filter(|(_, (count, _))| *count > 0)
            .map(|(rule, (count, places))| (*rule, *count, &places[..]))
    }
}
