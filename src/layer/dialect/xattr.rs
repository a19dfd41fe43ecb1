//! What the kernel takes as an extended attribute, from a caller who is root (xattr(7)).

pub(crate) use super::errno::Errno;

/// What the overlay file system keeps on its layers; it hides all names with this prefix from whoever looks
/// through it.
pub(crate) const OVERLAY_PREFIX: &[u8] = b"trusted.overlay.";

/// What makes a directory opaque for overlayfs, with the value `y`.
pub(super) const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// Capabilities of a program, which a change of owner takes away.
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// XATTR_NAME_MAX and XATTR_SIZE_MAX.
const NAME_LIMIT: usize = 255;
const VALUE_LIMIT: usize = 65_536;

/// Whether an attribute can be set, and whether it is stored as it is (an empty ACL is not).
pub(crate) fn check(name: &[u8], value: &[u8], can_hold_user: bool, is_symlink: bool) -> Result<bool, Errno> {
    if name.is_empty() || name.len() > NAME_LIMIT {
        return Err(Errno::ERANGE);
    }
    if value.len() > VALUE_LIMIT {
        return Err(Errno::E2BIG);
    }
    if let Some(acl) = name.strip_prefix(b"system.posix_acl_") {
        return check_acl(acl, value, is_symlink);
    }
    if name == CAPABILITY && !is_capability(value) {
        return Err(Errno::EINVAL);
    }
    let Some(dot) = name.iter().position(|&byte| byte == b'.') else {
        return Err(Errno::ENOTSUP);
    };
    match &name[..dot] {
        b"user" if !can_hold_user => Err(Errno::EPERM),
        b"user" | b"trusted" | b"security" if dot + 1 == name.len() => Err(Errno::EINVAL),
        b"user" | b"trusted" | b"security" => Ok(true),
        _ => Err(Errno::ENOTSUP),
    }
}

/// `struct vfs_cap_data` of revision 2 or 3 (include/uapi/linux/capability.h), little-endian.
fn is_capability(value: &[u8]) -> bool {
    let revision = match value {
        [_, _, _, revision, ..] => revision,
        _ => return false,
    };
    matches!((value.len(), revision), (20, 2) | (24, 3))
}

/// An ACL is a version and entries of eight bytes; one without entries removes what is there.
fn check_acl(which: &[u8], value: &[u8], is_symlink: bool) -> Result<bool, Errno> {
    if !matches!(which, b"access" | b"default") || is_symlink {
        return Err(Errno::ENOTSUP);
    }
    match value {
        [] => Ok(false),
        [2, 0, 0, 0] => Ok(false),
        [2, 0, 0, 0, entries @ ..] if entries.len() % 8 == 0 => Ok(true),
        [_, _, _, _, ..] if !value.starts_with(&[2, 0, 0, 0]) => Err(Errno::ENOTSUP),
        _ => Err(Errno::EINVAL),
    }
}
