//! Calls on extended attributes (fs/overlayfs/xattrs.c).

use super::call::SetXattr;
use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op, chain_path, upper_of};
use super::permission::{READ, WRITE};
use super::{FileType, Reply};

/// XATTR_NAME_MAX and XATTR_SIZE_MAX.
const NAME_LIMIT: usize = 255;
const VALUE_LIMIT: usize = 65_536;

/// The attribute that gives a program capabilities.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// Whether a value is capabilities in one of the two forms that are in use (`validheader`).
fn is_capability_value(value: &[u8]) -> bool {
    let version = value.get(1..4);
    match value.len() {
        20 => version == Some(&[0, 0, 2]),
        24 => version == Some(&[0, 0, 3]),
        _ => false,
    }
}

/// What may be done with a name.
enum Access {
    Allowed,
    /// The upper's file system refuses it, once it is asked.
    Refused(Rule),
}

impl Op<'_> {
    pub fn setxattr(
        &mut self,
        path: &[u8],
        name: &[u8],
        value: &[u8],
        how: SetXattr,
        follow: bool,
    ) -> Done<Reply> {
        self.check_name(path, name)?;
        if value.len() > VALUE_LIMIT {
            return self.fail(Rule::ErrnoXattrTooLarge, path);
        }
        let mut chain = self.find(path, follow)?;
        self.want_write(path)?;
        let is_capability = name == CAPABILITY && !value.is_empty();
        if is_capability && !is_capability_value(value) {
            return self.fail(Rule::ErrnoXattrCapability, &chain_path(&chain));
        }
        // An empty one is not looked at, so anybody can set it (`vfs_setxattr`).
        let access = match name == CAPABILITY && !is_capability {
            true => Access::Allowed,
            false => self.access(&chain, name, true)?,
        };
        self.copy_up(&mut chain);
        let number = upper_of(&chain);
        let full = chain_path(&chain);
        let kept = self.fs.marks().escape(name);
        if let Access::Refused(rule) = access {
            return self.fail(rule, &full);
        }
        let exists = self.fs.upper().xattr(number, &kept).is_some();
        match how {
            SetXattr::Create if exists => return self.fail(Rule::ErrnoXattrExists, &full),
            SetXattr::Replace if !exists => return self.fail(Rule::ErrnoXattrMissing, &full),
            _ => {}
        }
        if kept != name {
            self.event(Rule::XattrEscaped, full.clone()).text = kept.clone();
        }
        self.upper().set_xattr(number, &kept, Some(value));
        self.changed(number);
        self.event(Rule::UpperAttributes, full);
        Ok(Reply::Done)
    }

    pub fn removexattr(&mut self, path: &[u8], name: &[u8], follow: bool) -> Done<Reply> {
        self.check_name(path, name)?;
        let mut chain = self.find(path, follow)?;
        self.want_write(path)?;
        let access = self.access(&chain, name, true)?;
        let full = chain_path(&chain);
        let last = chain.last().expect("the root is there");
        if let Access::Refused(rule) = access {
            return self.fail(rule, &full);
        }
        let kept = self.fs.marks().escape(name);
        if self.value(last, &kept).is_none() {
            return self.fail(Rule::ErrnoXattrMissing, &full);
        }
        self.copy_up(&mut chain);
        let number = upper_of(&chain);
        self.upper().set_xattr(number, &kept, None);
        self.changed(number);
        self.event(Rule::UpperAttributes, full);
        Ok(Reply::Done)
    }

    pub fn getxattr(&mut self, path: &[u8], name: &[u8], follow: bool) -> Done<Reply> {
        self.check_name(path, name)?;
        let chain = self.find(path, follow)?;
        let full = chain_path(&chain);
        if let Access::Refused(rule) = self.access(&chain, name, false)? {
            return self.fail(rule, &full);
        }
        let kept = self.fs.marks().escape(name);
        let last = chain.last().expect("the root is there");
        match self.value(last, &kept) {
            Some(value) if name == CAPABILITY && !is_capability_value(&value) => {
                self.fail(Rule::ErrnoXattrCapability, &full)
            }
            Some(value) => Ok(Reply::Bytes(value)),
            None => self.fail(Rule::ErrnoXattrMissing, &full),
        }
    }

    pub fn listxattr(&mut self, path: &[u8], follow: bool) -> Done<Reply> {
        let chain = self.find(path, follow)?;
        let real = chain.last().and_then(Dentry::real).expect("it exists");
        let attributes = self.fs.attributes(real);
        let marks = self.fs.marks();
        let is_seen = |name: &Vec<u8>| self.is_trusted() || !name.starts_with(b"trusted.");
        let names = attributes.xattrs.keys().filter_map(|name| marks.unescape(name));
        Ok(Reply::Names(names.filter(is_seen).map(Into::into).collect()))
    }

    fn value(&self, dentry: &Dentry, kept: &[u8]) -> Option<Vec<u8>> {
        let attributes = self.fs.attributes(dentry.real()?);
        attributes.xattrs.get(kept).cloned()
    }

    fn check_name(&self, path: &[u8], name: &[u8]) -> Done<()> {
        match name.len() {
            1..=NAME_LIMIT => Ok(()),
            _ => self.fail(Rule::ErrnoXattrName, path),
        }
    }

    /// Whether names of this kind may be set or read there (xattr(7), `xattr_permission`).
    fn access(&self, chain: &[Dentry], name: &[u8], is_write: bool) -> Done<Access> {
        let path = chain_path(chain);
        let last = chain.last().expect("the root is there");
        let file_type = self.dentry_type(last);
        let class = name.split(|&byte| byte == b'.').next().unwrap_or_default();
        let has_dot = name.len() > class.len();
        let known = match name.len() > class.len() + 1 {
            true => Access::Allowed,
            false => Access::Refused(Rule::ErrnoXattrNoName),
        };
        let wanted = if is_write { WRITE } else { READ };
        let is_plain = matches!(file_type, Some(FileType::File | FileType::Directory));
        match class {
            b"trusted" if has_dot && !self.is_trusted() => match is_write {
                true => self.fail(Rule::ErrnoXattrTrusted, &path),
                false => self.fail(Rule::ErrnoXattrMissing, &path),
            },
            b"user" if has_dot && !is_plain => match is_write {
                true => self.fail(Rule::ErrnoXattrUserOnSpecial, &path),
                false => self.fail(Rule::ErrnoXattrMissing, &path),
            },
            b"security" if has_dot && is_write && self.caller.uid != 0 => {
                self.fail(Rule::ErrnoXattrSecurity, &path)
            }
            b"security" | b"trusted" if has_dot => Ok(known),
            b"user" if has_dot => {
                if is_write {
                    self.want_user_xattr(chain)?;
                }
                self.want_access(chain, wanted)?;
                Ok(known)
            }
            _ => {
                self.want_access(chain, wanted)?;
                Ok(Access::Refused(Rule::ErrnoXattrUnsupported))
            }
        }
    }

    /// Whether trusted attributes are the caller's to see (CAP_SYS_ADMIN outside of user namespaces).
    fn is_trusted(&self) -> bool {
        self.caller.uid == 0 && !self.fs.options.user_namespace
    }
}
