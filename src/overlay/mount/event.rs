//! The trace of a call: what happened, in order, by rules with stable names.

use super::Errno;
use crate::rules::{fill, rules};
use crate::text::escape;

/// A layer of the mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The upperdir.
    Upper,
    /// A lower layer, by its place from the bottom, 0 the lowest.
    Lower(usize),
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// By which rule.
    pub rule: Rule,
    /// To which path of the mount.
    pub path: Vec<u8>,
    /// The layer that it was about.
    pub layer: Option<Layer>,
    /// How many bytes, or of a broken hard link how many names.
    pub bytes: Option<u64>,
    /// A second path, a target, the name of a call or an attribute, as the rule has it.
    pub text: Vec<u8>,
}

impl Event {
    pub(super) fn new(rule: Rule, path: Vec<u8>) -> Self {
        Self {
            rule,
            path,
            layer: None,
            bytes: None,
            text: Vec::new(),
        }
    }

    /// What happened, in one sentence.
    pub fn sentence(&self) -> String {
        let layer = match self.layer {
            Some(Layer::Lower(position)) => format!("layer {}", position + 1),
            Some(Layer::Upper) => "the upper directory".to_owned(),
            None => String::new(),
        };
        let bytes = self.bytes.unwrap_or_default().to_string();
        let parts = [
            ("{path}", escape(&self.path)),
            ("{layer}", layer),
            ("{bytes}", bytes),
            ("{text}", escape(&self.text)),
        ];
        fill(self.rule.sentence(), &parts)
    }
}

macro_rules! call_rules {
    ($($variant:ident $id:literal $($errno:ident)?: $sentence:literal, $source:literal;)*) => {
        rules! {
            /// A rule of overlayfs, or of the layer above it, by which a call does what it does. Its sentence has
            /// `{path}`, `{layer}`, `{bytes}` and `{text}`; its source is a section of the kernel's
            /// Documentation/filesystems/overlayfs.rst, a function of fs/overlayfs, or a manual page.
            Rule;
            $($variant $id: $sentence, $source;)*
        }

        impl Rule {
            /// The error that a call fails with by this rule.
            pub fn errno(self) -> Option<Errno> {
                match self {
                    $(Self::$variant => [$(Errno::$errno,)?].first().copied(),)*
                }
            }
        }
    };
}

call_rules! {
    ResolveDirectory "resolve.directory": "{path}: {layer} has a directory; the lookup goes on below, since directories merge.", "overlayfs.rst, Directories";
    ResolveMerge "resolve.merge": "{path}: {layer} has a directory too, so both are shown as one.", "overlayfs.rst, Directories";
    ResolveFile "resolve.file": "{path}: found in {layer}; what lies below at this name is hidden.", "overlayfs.rst, Upper and Lower";
    ResolveFileStops "resolve.file_stops": "{path}: {layer} has something that is no directory, so the directories above merge with nothing further down.", "overlayfs.rst, Directories";
    ResolveWhiteout "resolve.whiteout": "{path}: {layer} has a whiteout, so the name counts as deleted there and below.", "overlayfs.rst, whiteouts and opaque directories";
    ResolveXattrWhiteout "resolve.xattr_whiteout": "{path}: {layer} has an empty file with the attribute overlay.whiteout, which counts as a whiteout.", "overlayfs.rst, whiteouts and opaque directories";
    ResolveOpaque "resolve.opaque": "{path}: the directory in {layer} is opaque, so nothing of the layers below shows in it.", "overlayfs.rst, whiteouts and opaque directories";
    ResolveRedirect "resolve.redirect": "{path}: the directory in {layer} was moved; what lies below is looked for where it was before.", "overlayfs.rst, redirect_dir";
    ResolveSymlink "resolve.symlink": "{path} is a symbolic link to {text}, which is followed inside of the merged view.", "path_resolution(7)";
    CopyUpFile "copy_up.file": "{path}: {bytes} bytes and all attributes are copied from {layer} to the upper directory, because of {text}.", "overlayfs.rst, Non-directories";
    CopyUpWithoutData "copy_up.without_data": "{path}: copied from {layer} to the upper directory without its bytes, because {text} empties it anyway.", "ovl_copy_up_flags";
    CopyUpDirectory "copy_up.directory": "{path}: the directory of {layer} is made in the upper directory with its attributes, without what is in it, because of {text}.", "overlayfs.rst, Directories";
    CopyUpAncestor "copy_up.ancestor": "{path}: made in the upper directory as in {layer}, since something under it is about to stand there.", "ovl_copy_up_flags";
    CopyUpSpecial "copy_up.special": "{path}: copied from {layer} to the upper directory, because of {text}.", "overlayfs.rst, Non-directories";
    CopyUpLinkBroken "copy_up.link_broken": "{path}: it had {bytes} names in its layer; the copy has this one only, the others keep the old file.", "overlayfs.rst, Non-standard behavior";
    XattrImpure "xattr.impure": "{path}: marked impure, as it holds something copied up, whose inode number has to be looked up when it is listed.", "ovl_set_impure";
    XattrImpureRemoved "xattr.impure_removed": "{path}: listed, nothing copied up was found in it, so the mark impure is taken off.", "ovl_cache_get_impure";
    XattrOrigin "xattr.origin": "{path}: marked with its origin, the inode in {layer}, whose number it keeps.", "ovl_set_origin_fh";
    XattrOriginUnknown "xattr.origin_unknown": "{path}: marked as copied from {layer}; a user namespace cannot read file handles, so the mark is empty and forgotten at umount.", "ovl_set_origin_fh";
    XattrRedirect "xattr.redirect": "{path}: marked with the redirect {text}: there the layers below have what is in it.", "overlayfs.rst, redirect_dir";
    XattrEscaped "xattr.escaped": "{path}: kept as {text}, so that it cannot be taken for one of overlayfs' own marks.", "overlayfs.rst, Nesting overlayfs mounts";
    OpaqueMkdir "opaque.mkdir_over_whiteout": "{path}: made where a whiteout was, so it is opaque: what was deleted must not show in it.", "overlayfs.rst, whiteouts and opaque directories";
    OpaqueRename "opaque.rename": "{path}: a directory without a lower part moves into a merged directory, so it is marked opaque, lest something of the same name show in it.", "ovl_rename";
    OpaqueFeatures "opaque.redirect_dir": "{path}: new in a merged directory; with redirect_dir=on it is marked opaque at once, which spares lookups.", "ovl_allow_offline_changes";
    OpaqueClear "opaque.clear": "{path}: it shows nothing, but holds whiteouts; an empty opaque directory takes its place before it goes.", "ovl_clear_empty";
    WhiteoutUnlink "whiteout.unlink": "{path}: a layer below has it, and layers are never changed, so a whiteout (a character device 0:0) in the upper directory hides it.", "overlayfs.rst, whiteouts and opaque directories";
    WhiteoutRmdir "whiteout.rmdir": "{path}: a layer below has the directory, so one whiteout in the upper directory hides it with all that is in it.", "overlayfs.rst, whiteouts and opaque directories";
    WhiteoutRename "whiteout.rename": "{path}: a layer below still has the old name, so a whiteout stays behind there.", "ovl_rename";
    WhiteoutMoved "whiteout.exchange": "{path}: a whiteout stood here; it changes places with what moves in, and hides the old name now.", "ovl_rename";
    WhiteoutReplaced "whiteout.replaced": "{path}: a whiteout stood here; what is new takes its place.", "ovl_create_over_whiteout";
    WhiteoutNotNeeded "whiteout.not_needed": "{path}: nothing visible lies below, so no whiteout is left.", "ovl_lower_positive";
    HiddenByWhiteout "hidden.whiteout": "{path}: {layer} still has it, hidden by the whiteout; its bytes stay in the image.", "overlayfs.rst, whiteouts and opaque directories";
    ReaddirGhost "readdir.ghost": "{path}: a whiteout in a directory of one layer only; the kernel lists the name, though nothing is there.", "ovl_dir_is_real";
    RenameSameInode "rename.same_inode": "{path}: both names are one file already, so nothing is done.", "rename(2)";
    UpperCreate "upper.create": "{path}: made in the upper directory.", "ovl_create_upper";
    UpperLink "upper.link": "{path}: a further name in the upper directory of the same file.", "ovl_link";
    UpperRemove "upper.remove": "{path}: removed from the upper directory.", "ovl_remove_upper";
    UpperRename "upper.rename": "{path}: renamed to {text} in the upper directory.", "ovl_rename";
    UpperExchange "upper.exchange": "{path}: changes places with {text} in the upper directory.", "ovl_rename";
    UpperWrite "upper.write": "{path}: {bytes} bytes are written to the file in the upper directory.", "ovl_write_iter";
    UpperAttributes "upper.attributes": "{path}: attributes are set in the upper directory.", "ovl_setattr";
    RightsTaken "rights.taken": "{path}: set-user-id and set-group-id are taken off: a new owner or a new content is not to run with the rights of the old.", "chown(2), write(2)";
    RightsNotGiven "rights.not_given": "{path}: set-group-id is left out, as the caller is not in the file's group.", "chmod(2)";
    ErrnoSearch "errno.search" EACCES: "{path}: its permissions do not let this user through: a directory on the way needs x.", "path_resolution(7)";
    ErrnoAccess "errno.access" EACCES: "{path}: its permissions do not let this user read or write it.", "inode(7)";
    ErrnoDirectoryWrite "errno.directory_write" EACCES: "{path}: to make, rename or remove names in it, this user needs w and x on it.", "path_resolution(7)";
    ErrnoSticky "errno.sticky" EPERM: "{path}: in a directory with the sticky bit names are removed and renamed only by the owner of the file or of the directory.", "inode(7)";
    ErrnoNotOwner "errno.not_owner" EPERM: "{path}: only its owner, or root, may change that.", "chmod(2), utimensat(2)";
    ErrnoChown "errno.chown" EPERM: "{path}: only root gives a file away; its owner may give it a group that the owner is in.", "chown(2)";
    ErrnoProtectedLink "errno.protected_link" EPERM: "{path}: somebody else's file gets a further name only if it is plain and this user can read and write it.", "proc_sys_fs(5), protected_hardlinks";
    ErrnoMissing "errno.missing" ENOENT: "{path} is not there.", "path_resolution(7)";
    ErrnoNotDirectory "errno.not_a_directory" ENOTDIR: "{path} is no directory.", "path_resolution(7)";
    ErrnoIsDirectory "errno.is_a_directory" EISDIR: "{path} is a directory.", "open(2), unlink(2)";
    ErrnoExists "errno.exists" EEXIST: "{path} is there already.", "open(2), mkdir(2)";
    ErrnoLoop "errno.too_many_links" ELOOP: "{path}: more than 40 symbolic links in a row, or a link where none is followed.", "path_resolution(7)";
    ErrnoNameTooLong "errno.name_too_long" ENAMETOOLONG: "{path}: a name can have 255 bytes, a path 4095.", "path_resolution(7)";
    ErrnoReadOnly "errno.read_only" EROFS: "{path}: the mount has no upper directory, so nothing can be written.", "overlayfs.rst, Multiple lower layers";
    ErrnoNotEmpty "errno.not_empty" ENOTEMPTY: "{path} shows something, so it is not removed.", "ovl_check_empty_dir";
    ErrnoNotEmptyRaw "errno.not_empty_upper" ENOTEMPTY: "{path}: its directory in the upper holds something, if only a whiteout, and the file system there refuses to let go of it.", "ovl_pure_upper";
    ErrnoRmdirDot "errno.rmdir_dot" EINVAL: "{path}: a directory cannot be removed by the name `.`.", "rmdir(2)";
    ErrnoBusyRoot "errno.busy" EBUSY: "{path}: `.`, `..` and the root cannot be renamed or removed.", "rename(2)";
    ErrnoLinkDirectory "errno.link_directory" EPERM: "{path}: a directory can have one name only.", "link(2)";
    ErrnoMknodWhiteout "errno.mknod_whiteout" EPERM: "{path}: a character device 0:0 is a whiteout, and only overlayfs makes those.", "ovl_mknod";
    ErrnoMknodDevice "errno.mknod_device" EPERM: "{path}: devices are made by root alone, and not in a user namespace.", "mknod(2)";
    ErrnoMkdirWithoutXattrs "errno.mkdir_without_xattrs" EIO: "{path}: a whiteout is there, and the directory cannot be marked opaque without xattrs (mount with userxattr).", "ovl_create_over_whiteout";
    ErrnoRenameFlags "errno.rename_flags" EINVAL: "{path}: overlayfs knows the flags NOREPLACE and EXCHANGE, one at a time.", "ovl_rename";
    ErrnoRenameIntoItself "errno.rename_into_itself" EINVAL: "{path}: a directory cannot be moved into itself.", "rename(2)";
    ErrnoRenameLowerDirectory "errno.rename_lower_directory" EXDEV: "{path}: a layer below has this directory, and without redirect_dir=on overlayfs does not move it; mv(1) copies it instead.", "overlayfs.rst, renaming directories";
    ErrnoRenameWithoutXattrs "errno.rename_without_xattrs" EXDEV: "{path}: the directory cannot be marked without xattrs, so it is not moved.", "ovl_set_opaque_xerr";
    ErrnoRenameStale "errno.rename_stale" ESTALE: "{path}: both names are one file of the upper directory, but overlayfs remembers of one only that it was copied up, takes them for two, and gives up.", "ovl_rename";
    ErrnoRedirectTooLong "errno.redirect_too_long" EXDEV: "{path}: its redirect would have more than 255 bytes, so it is not moved.", "ovl_get_redirect";
    ErrnoRedirectNotFollowed "errno.redirect_not_followed" EPERM: "{path}: the directory was moved by a mount with redirect_dir=on, and this mount does not follow redirects.", "overlayfs.rst, redirect_dir";
    ErrnoRedirectInvalid "errno.redirect_invalid" EINVAL: "{path}: its redirect is neither a name nor a path.", "ovl_get_redirect_xattr";
    ErrnoMetacopy "errno.metacopy" EPERM: "{path}: copied up without its bytes by a mount with metacopy=on, which this mount does not follow.", "overlayfs.rst, Metadata only copy up";
    ErrnoUnmapped "errno.unmapped_owner" EINVAL: "{path}: the user namespace has no such user or group.", "user_namespaces(7)";
    ErrnoBadDescriptor "errno.bad_descriptor" EBADF: "{path}: no file is open by that number, or not for this.", "read(2), write(2)";
    ErrnoCopyUpGone "errno.copy_up_gone" EEXIST: "{path}: opened in its layer, its name gone since: it cannot be copied up, as something else has the name, if only a whiteout.", "ovl_copy_up_tmpfile";
    ErrnoNegativeLength "errno.negative_length" EINVAL: "{path}: a length cannot be negative, and is not set by a descriptor that was opened to read.", "truncate(2)";
    ErrnoNotAFile "errno.not_a_file" EINVAL: "{path} is no regular file, so it has no length to set.", "truncate(2)";
    ErrnoNotALink "errno.not_a_link" EINVAL: "{path} is no symbolic link.", "readlink(2)";
    ErrnoOpenFlags "errno.open_flags" EINVAL: "{path}: O_CREAT makes files, O_DIRECTORY wants a directory.", "open(2)";
    ErrnoStickyLink "errno.sticky_link" EACCES: "{path}: somebody else's link in a directory where all may write is not opened to make a file.", "proc_sys_fs(5), protected_symlinks";
    ErrnoOpenSpecial "errno.open_special" ENXIO: "{path}: what opening a device, a pipe or a socket does is not the file system's affair, and not simulated.", "open(2)";
    ErrnoXattrName "errno.xattr_name" ERANGE: "{path}: the name of an attribute has 1 to 255 bytes.", "xattr(7)";
    ErrnoXattrNoName "errno.xattr_no_name" EINVAL: "{path}: nothing follows the attribute's class.", "xattr(7)";
    ErrnoXattrTooLarge "errno.xattr_too_large" E2BIG: "{path}: the value of an attribute has at most 64 KiB.", "xattr(7)";
    ErrnoXattrUnsupported "errno.xattr_unsupported" EOPNOTSUPP: "{path}: no file system knows attributes of this class.", "xattr(7)";
    ErrnoXattrExists "errno.xattr_exists" EEXIST: "{path}: it has the attribute already.", "setxattr(2)";
    ErrnoXattrMissing "errno.xattr_missing" ENODATA: "{path} has no such attribute.", "getxattr(2)";
    ErrnoXattrTrusted "errno.xattr_trusted" EPERM: "{path}: trusted attributes are for root alone, and not in a user namespace.", "xattr(7)";
    ErrnoXattrCapability "errno.xattr_capability" EINVAL: "{path}: what security.capability has is no set of capabilities.", "capabilities(7)";
    ErrnoXattrSecurity "errno.xattr_security" EPERM: "{path}: attributes of the class security are set by root alone.", "xattr(7)";
    ErrnoXattrSticky "errno.xattr_sticky" EPERM: "{path}: in a directory with the sticky bit only its owner sets user attributes.", "xattr(7)";
    ErrnoXattrUserOnSpecial "errno.xattr_user_on_special" EPERM: "{path}: user attributes are for files and directories only.", "xattr(7)";
    ErrnoMountOptions "errno.mount_options" EINVAL: "{path}: the kernel does not mount with these options.", "overlayfs.rst";
}
