//! What a caller may do, by what the mount shows of owners and permissions (fs/namei.c, fs/attr.c). The layers
//! themselves are read and written with the rights of whoever mounted them: root's.
//!
//! root may all that is checked here. POSIX ACLs are bytes that nothing obeys.

use super::event::Rule;
use super::lookup::{Dentry, Real};
use super::op::{Done, Op, chain_path};
use super::upper::{Attributes, UpperKind};
use super::xattr::CAPABILITY;
use super::{FileType, Overlay};

/// The settings of the kernel (proc_sys_fs(5)) that calls depend on, with the values that are simulated.
pub const SETTINGS: [(&str, u32); 4] = [
    ("fs.protected_fifos", 0),
    ("fs.protected_hardlinks", 1),
    ("fs.protected_regular", 0),
    ("fs.protected_symlinks", 0),
];

/// What is asked of an inode: the bits of a class of permissions.
pub(super) const READ: u16 = 4;
pub(super) const WRITE: u16 = 2;
pub(super) const EXECUTE: u16 = 1;

/// Bits of a mode.
const SETUID: u16 = 0o4000;
const SETGID: u16 = 0o2000;
const STICKY: u16 = 0o1000;
const GROUP_EXECUTE: u16 = 0o010;

/// Whose something is, and who may what with it.
#[derive(Clone, Copy)]
pub(super) struct Owned {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
}

impl Owned {
    /// The group of what somebody of a group makes in such a directory: one with set-group-id gives its own
    /// (`inode_init_owner`).
    pub fn group_of_new(self, gid: u32) -> u32 {
        match self.mode & SETGID {
            0 => gid,
            _ => self.gid,
        }
    }
}

impl Overlay {
    pub(super) fn owned(&self, real: Real) -> Owned {
        match real.layer {
            0 => {
                let Attributes { mode, uid, gid, .. } = self.upper().inode(real.number).attributes;
                Owned { mode, uid, gid }
            }
            layer => {
                let metadata = self.lowers[layer - 1].metadata(real.number);
                Owned {
                    mode: metadata.mode,
                    uid: metadata.uid,
                    gid: metadata.gid,
                }
            }
        }
    }
}

impl Op<'_> {
    fn is_root(&self) -> bool {
        self.caller.uid == 0
    }

    fn owned(&self, dentry: &Dentry) -> Owned {
        self.fs.owned(dentry.real().expect("callers know that it exists"))
    }

    /// Whether it is the caller's, or the caller is root (`inode_owner_or_capable`).
    fn owns(&self, owned: Owned) -> bool {
        self.is_root() || owned.uid == self.caller.uid
    }

    /// Whether the caller can have set-group-id for a group (`in_group_or_capable`).
    fn has_group(&self, gid: u32) -> bool {
        self.is_root() || self.caller.gid == gid
    }

    /// Whether permissions allow something (`generic_permission`): those of the owner, else of the group, else of
    /// everybody count, and only those.
    fn permits(&self, dentry: &Dentry, mask: u16) -> bool {
        if self.is_root() {
            return true;
        }
        let owned = self.owned(dentry);
        let class = match owned {
            _ if owned.uid == self.caller.uid => owned.mode >> 6,
            _ if owned.gid == self.caller.gid => owned.mode >> 3,
            _ => owned.mode,
        };
        mask & !class == 0
    }

    /// Fails unless a directory on the way may be searched (`may_lookup`).
    pub fn want_search(&self, chain: &[Dentry]) -> Done<()> {
        match self.permits(last(chain), EXECUTE) {
            true => Ok(()),
            false => self.fail(Rule::ErrnoSearch, &chain_path(chain)),
        }
    }

    /// Fails unless something may be read, or written, or both.
    pub fn want_access(&self, chain: &[Dentry], mask: u16) -> Done<()> {
        match self.permits(last(chain), mask) {
            true => Ok(()),
            false => self.fail(Rule::ErrnoAccess, &chain_path(chain)),
        }
    }

    /// Fails unless names may be made in a directory (`may_create`).
    pub fn want_create(&self, parents: &[Dentry]) -> Done<()> {
        match self.permits(last(parents), WRITE | EXECUTE) {
            true => Ok(()),
            false => self.fail(Rule::ErrnoDirectoryWrite, &chain_path(parents)),
        }
    }

    /// Fails unless a name may be taken out of a directory (`may_delete`).
    pub fn want_delete(&self, parents: &[Dentry], dentry: &Dentry) -> Done<()> {
        self.want_create(parents)?;
        let directory = self.owned(last(parents));
        let is_kept = directory.mode & STICKY != 0 && !self.owns(directory) && !self.owns(self.owned(dentry));
        match is_kept {
            true => self.fail(Rule::ErrnoSticky, &self.path_of(parents, &dentry.name)),
            false => Ok(()),
        }
    }

    /// Fails unless the caller may give something a further name (`may_linkat` with fs.protected_hardlinks=1):
    /// what is somebody else's only if it is a plain file that can be read and written.
    pub fn want_link(&self, chain: &[Dentry]) -> Done<()> {
        let dentry = last(chain);
        let owned = self.owned(dentry);
        let runs_as_group = owned.mode & (SETGID | GROUP_EXECUTE) == SETGID | GROUP_EXECUTE;
        let is_safe = self.dentry_type(dentry) == Some(FileType::File)
            && owned.mode & SETUID == 0
            && !runs_as_group
            && self.permits(dentry, READ | WRITE);
        match is_safe || self.owns(owned) {
            true => Ok(()),
            false => self.fail(Rule::ErrnoProtectedLink, &chain_path(chain)),
        }
    }

    /// Fails unless the caller owns it.
    pub fn want_owner(&self, dentry: &Dentry, path: &[u8]) -> Done<()> {
        match self.owns(self.owned(dentry)) {
            true => Ok(()),
            false => self.fail(Rule::ErrnoNotOwner, path),
        }
    }

    /// Fails unless the caller may give something to an owner and a group (`setattr_prepare`). Where chown takes
    /// set-user-id off as well, that is a change of mode, which the owner alone may make.
    pub fn want_chown(&self, chain: &[Dentry], uid: Option<u32>, gid: Option<u32>) -> Done<()> {
        let owned = self.owned(last(chain));
        let is_owner = owned.uid == self.caller.uid;
        let may_give = uid.is_none_or(|uid| self.is_root() || (is_owner && uid == owned.uid));
        let may_group =
            gid.is_none_or(|gid| self.is_root() || (is_owner && (gid == owned.gid || self.has_group(gid))));
        if !may_give || !may_group {
            return self.fail(Rule::ErrnoChown, &chain_path(chain));
        }
        let is_directory = self.dentry_type(last(chain)) == Some(FileType::Directory);
        match !is_directory && self.without_rights(owned) != owned.mode {
            true => self.want_owner(last(chain), &chain_path(chain)),
            false => Ok(()),
        }
    }

    /// Fails unless `user.*` attributes of a directory may be set: where all may write and only owners remove,
    /// owners alone (`xattr_permission`).
    pub fn want_user_xattr(&self, chain: &[Dentry]) -> Done<()> {
        let dentry = last(chain);
        let owned = self.owned(dentry);
        let is_directory = self.dentry_type(dentry) == Some(FileType::Directory);
        match is_directory && owned.mode & STICKY != 0 && !self.owns(owned) {
            true => self.fail(Rule::ErrnoXattrSticky, &chain_path(chain)),
            false => Ok(()),
        }
    }

    /// The permissions of something new that is no directory: the umask taken off, and set-group-id if that would
    /// make a program of a group that the caller is not in (`vfs_prepare_mode`).
    pub fn new_mode(&self, parent: &Dentry, mode: u16) -> u16 {
        let directory = self.owned(parent);
        let runs_as_group = mode & (SETGID | GROUP_EXECUTE) == SETGID | GROUP_EXECUTE;
        let is_refused = runs_as_group && directory.mode & SETGID != 0 && !self.has_group(directory.gid);
        let set = if is_refused { mode & !SETGID } else { mode };
        set & 0o7777 & !self.caller.umask
    }

    /// The permissions that chmod really sets: without set-group-id for a group that the caller is not in.
    pub fn settable_mode(&mut self, dentry: &Dentry, path: &[u8], mode: u16) -> u16 {
        let owned = self.owned(dentry);
        match mode & SETGID != 0 && !self.has_group(owned.gid) {
            true => {
                self.event(Rule::RightsNotGiven, path.to_vec());
                mode & !SETGID
            }
            false => mode,
        }
    }

    /// A mode without what lets a program run with its owner's rights (`setattr_should_drop_suidgid`).
    fn without_rights(&self, owned: Owned) -> u16 {
        let mode = owned.mode & !SETUID;
        match mode & GROUP_EXECUTE != 0 || !self.has_group(owned.gid) {
            true => mode & !SETGID,
            false => mode,
        }
    }

    /// Takes set-user-id and set-group-id from a file of the upper that has a new owner or a new content, by its
    /// owners from before (`file_remove_privs`).
    pub fn take_rights(&mut self, number: u64, before: Owned, path: &[u8]) {
        let is_file = !matches!(self.fs.upper().inode(number).kind, UpperKind::Directory(_));
        let mode = self.without_rights(before);
        if is_file && mode != before.mode {
            self.upper().change(number, |inode| inode.attributes.mode = mode);
            self.event(Rule::RightsTaken, path.to_vec());
        }
        self.drop_capability(number);
    }

    /// What a changed content takes from a file: root keeps set-user-id (CAP_FSETID), but not the root of a user
    /// namespace.
    pub fn drop_rights(&mut self, number: u64, path: &[u8]) {
        match self.is_root() && !self.fs.options.user_namespace {
            true => self.drop_capability(number),
            false => {
                let before = self.fs.owned(Real { layer: 0, number });
                self.take_rights(number, before, path);
            }
        }
    }

    fn drop_capability(&mut self, number: u64) {
        if self.fs.upper().xattr(number, CAPABILITY).is_some() {
            self.upper().set_xattr(number, CAPABILITY, None);
        }
    }
}

pub(super) fn last(chain: &[Dentry]) -> &Dentry {
    chain.last().expect("the root is there")
}
