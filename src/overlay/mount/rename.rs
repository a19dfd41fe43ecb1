//! rename(2) with its flags (fs/overlayfs/dir.c, `ovl_rename`).

use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op, chain_path, upper_of};
use super::permission::WRITE;
use super::remove::is_pure_upper;
use super::upper::FileName;
use super::walk::{Last, Place};
use super::{FileType, Reply};

const NOREPLACE: u32 = 1;
const EXCHANGE: u32 = 2;
const WHITEOUT: u32 = 4;

/// The longest redirect, its final zero included (the module's parameter `redirect_max`).
const REDIRECT_MAX: usize = 256;

/// One of the two names.
struct Side {
    parents: Vec<Dentry>,
    dentry: Dentry,
    has_slash: bool,
    is_directory: bool,
}

impl Side {
    fn parent(&self) -> &Dentry {
        self.parents.last().expect("the root is there")
    }

    fn name(&self) -> &FileName {
        &self.dentry.name
    }

    fn chain(&self) -> Vec<Dentry> {
        [&self.parents[..], std::slice::from_ref(&self.dentry)].concat()
    }

    /// The names from the root down to it.
    fn names(&self) -> Vec<FileName> {
        let parents = self.parents[1..].iter().map(|dentry| dentry.name.clone());
        parents.chain([self.name().clone()]).collect()
    }

    /// Whether it is in the upper and merges with lower directories, or is in lower layers only
    /// (`ovl_type_merge_or_lower`).
    fn is_merge_or_lower(&self) -> bool {
        self.dentry.upper.is_none() || (self.is_directory && !self.dentry.lower.is_empty())
    }

    fn is_parent_merged(&self) -> bool {
        !self.parent().lower.is_empty()
    }
}

impl Op<'_> {
    pub fn rename(&mut self, old: &[u8], new: &[u8], flags: u32) -> Done<Reply> {
        if flags & !(NOREPLACE | EXCHANGE | WHITEOUT) != 0
            || (flags & EXCHANGE != 0 && flags & (NOREPLACE | WHITEOUT) != 0)
        {
            return self.fail(Rule::ErrnoRenameFlags, old);
        }
        let (from, to) = (self.place(old)?, self.place(new)?);
        if !matches!(from.last, Last::Name(_)) {
            return self.fail(Rule::ErrnoBusyRoot, old);
        }
        if !matches!(to.last, Last::Name(_)) {
            let rule = match flags & NOREPLACE {
                0 => Rule::ErrnoBusyRoot,
                _ => Rule::ErrnoExists,
            };
            return self.fail(rule, new);
        }
        self.want_write(old)?;
        let mut from = self.side(from)?;
        if !from.dentry.exists() {
            return self.fail(Rule::ErrnoMissing, &self.path(&from));
        }
        let mut to = self.side(to)?;
        self.check_rename(&from, &to, flags)?;
        // The kernel has one inode for two names of the upper, unless it knows of one only that it was copied up.
        let is_same_inode = from.dentry.upper.is_some()
            && from.dentry.upper == to.dentry.upper
            && from.dentry.lower == to.dentry.lower;
        if from.names() == to.names() || is_same_inode {
            self.event(Rule::RenameSameInode, self.path(&from));
            return Ok(Reply::Done);
        }
        self.check_rights(&from, &to, flags)?;
        if flags & WHITEOUT != 0 {
            return self.fail(Rule::ErrnoRenameFlags, &self.path(&from));
        }
        self.move_name(&mut from, &mut to, flags & EXCHANGE == 0)?;
        Ok(Reply::Done)
    }

    fn side(&mut self, place: Place) -> Done<Side> {
        let Last::Name(name) = &place.last else {
            unreachable!("the caller has looked");
        };
        let dentry = self.lookup(&place.parents, name, true)?;
        let is_directory = self.dentry_type(&dentry) == Some(FileType::Directory);
        Ok(Side {
            parents: place.parents,
            dentry,
            has_slash: place.has_slash,
            is_directory,
        })
    }

    fn path(&self, side: &Side) -> Vec<u8> {
        self.path_of(&side.parents, side.name())
    }

    /// What rename(2) itself checks once both names are known (`do_renameat2`).
    fn check_rename(&self, from: &Side, to: &Side, flags: u32) -> Done<()> {
        let is_exchange = flags & EXCHANGE != 0;
        if flags & NOREPLACE != 0 && to.dentry.exists() {
            return self.fail(Rule::ErrnoExists, &self.path(to));
        }
        if is_exchange && !to.dentry.exists() {
            return self.fail(Rule::ErrnoMissing, &self.path(to));
        }
        if is_exchange && !to.is_directory && to.has_slash {
            return self.fail(Rule::ErrnoNotDirectory, &self.path(to));
        }
        if !from.is_directory && (from.has_slash || (!is_exchange && to.has_slash)) {
            return self.fail(Rule::ErrnoNotDirectory, &self.path(from));
        }
        let (old, new) = (from.names(), to.names());
        if old.len() < new.len() && new.starts_with(&old) {
            return self.fail(Rule::ErrnoRenameIntoItself, &self.path(from));
        }
        if new.len() < old.len() && old.starts_with(&new) {
            let rule = match is_exchange {
                true => Rule::ErrnoRenameIntoItself,
                false => Rule::ErrnoNotEmpty,
            };
            return self.fail(rule, &self.path(to));
        }
        Ok(())
    }

    /// What the caller may, and that a directory replaces directories only, and nothing else does (`vfs_rename`).
    fn check_rights(&self, from: &Side, to: &Side, flags: u32) -> Done<()> {
        let is_exchange = flags & EXCHANGE != 0;
        self.want_delete(&from.parents, &from.dentry)?;
        match to.dentry.exists() {
            true => self.want_delete(&to.parents, &to.dentry)?,
            false => self.want_create(&to.parents)?,
        }
        match (from.is_directory, to.is_directory) {
            _ if is_exchange || !to.dentry.exists() => {}
            (true, false) => return self.fail(Rule::ErrnoNotDirectory, &self.path(to)),
            (false, true) => return self.fail(Rule::ErrnoIsDirectory, &self.path(to)),
            _ => {}
        }
        // A directory that moves to another one has its `..` changed.
        if chain_path(&from.parents) != chain_path(&to.parents) {
            for side in [Some(from), is_exchange.then_some(to)].into_iter().flatten() {
                if side.is_directory {
                    self.want_access(&side.chain(), WRITE)?;
                }
            }
        }
        Ok(())
    }

    fn can_move(&self, side: &Side) -> Done<()> {
        let can = self.fs.options.redirect.creates() || !side.is_directory || !side.is_merge_or_lower();
        match can {
            true => Ok(()),
            false => self.fail(Rule::ErrnoRenameLowerDirectory, &self.path(side)),
        }
    }

    /// The move itself; what was done before a step fails stays done.
    fn move_name(&mut self, from: &mut Side, to: &mut Side, is_overwriting: bool) -> Done<()> {
        self.can_move(from)?;
        if !is_overwriting {
            self.can_move(to)?;
        }
        let mut whiteouts = Vec::new();
        if is_overwriting && to.is_directory && !is_pure_upper(&to.dentry) {
            whiteouts = self.check_empty(&to.parents, &to.dentry)?;
        }
        let is_lower_positive = self.fs.is_lower_positive(from.parent(), &from.dentry);
        let hidden = self.fs.below(from.parent(), from.name());
        self.copy_up_sides(from, to, is_overwriting);
        if !whiteouts.is_empty() {
            self.clear_whiteouts(&to.parents, &mut to.dentry);
        }
        if from.names()[..from.names().len() - 1] != to.names()[..to.names().len() - 1] {
            if self.has_origin(&from.dentry) {
                self.set_impure(&to.parents);
            }
            if !is_overwriting && self.has_origin(&to.dentry) {
                self.set_impure(&from.parents);
            }
        }
        if from.dentry.upper == to.dentry.upper {
            return self.fail(Rule::ErrnoRenameStale, &self.path(to));
        }
        self.mark_directory(from, to)?;
        if !is_overwriting {
            self.mark_directory(to, from)?;
        }
        let (source, target) = (upper_of(&from.parents), upper_of(&to.parents));
        let moved = from.dentry.upper.expect("it was copied up");
        if !is_overwriting {
            let other = to.dentry.upper.expect("it was copied up");
            self.event(Rule::UpperExchange, self.path(from)).text = self.path(to);
            self.upper().exchange((source, from.name()), (target, to.name()));
            self.changed(other);
        } else {
            self.replace(from, to, is_lower_positive, source, target)?;
            for real in hidden.iter().filter(|_| is_lower_positive) {
                let layer = self.fs.layer_name(real.layer);
                self.event(Rule::HiddenByWhiteout, self.path(from)).layer = Some(layer);
            }
        }
        let (old, new) = (self.path(from), self.path(to));
        if is_overwriting {
            self.opened_is_gone(&new, target);
        }
        self.opened_is_moved(&old, &new, !is_overwriting);
        self.move_origins((source, from.name()), (target, to.name()), is_overwriting);
        self.changed(moved);
        self.modified(source);
        self.modified(target);
        Ok(())
    }

    /// What is known of a name goes with it.
    fn move_origins(&mut self, from: (u64, &FileName), to: (u64, &FileName), is_overwriting: bool) {
        let origins = &mut self.fs.origins;
        let [from, to] = [from, to].map(|(directory, name)| (directory, name.clone()));
        let (source, target) = (origins.remove(&from), origins.remove(&to));
        if let Some(origin) = source {
            origins.insert(to, origin);
        }
        if let (Some(origin), false) = (target, is_overwriting) {
            origins.insert(from, origin);
        }
    }

    fn copy_up_sides(&mut self, from: &mut Side, to: &mut Side, is_overwriting: bool) {
        let copy = |op: &mut Self, side: &mut Side, whole: bool| {
            let mut chain = side.parents.clone();
            if whole {
                chain.push(side.dentry.clone());
            }
            op.refresh(&mut chain);
            op.copy_up(&mut chain);
            if whole {
                side.dentry = chain.pop().expect("just pushed");
            }
            side.parents = chain;
        };
        copy(self, from, true);
        copy(self, to, !is_overwriting);
        // The source's directories may have been copied up for the target, and the other way round.
        self.refresh(&mut from.parents);
    }

    /// A directory that moves among merged directories has to say what it is: where its lower part stays
    /// behind (redirect), or that it has none (opaque).
    fn mark_directory(&mut self, side: &mut Side, other: &Side) -> Done<()> {
        if !side.is_directory {
            return Ok(());
        }
        let upper = side.dentry.upper.expect("it was copied up");
        if side.is_merge_or_lower() {
            return self.set_redirect(side, other);
        }
        if !side.dentry.opaque && other.is_parent_merged() {
            if !self.fs.can_mark() {
                return self.fail(Rule::ErrnoRenameWithoutXattrs, &self.path(side));
            }
            self.set_opaque(upper, Rule::OpaqueRename, self.path(side));
            side.dentry.opaque = true;
        }
        Ok(())
    }

    fn set_redirect(&mut self, side: &mut Side, other: &Side) -> Done<()> {
        let is_same_directory = chain_path(&side.parents) == chain_path(&other.parents);
        let is_kept = side.dentry.redirect.as_ref();
        if is_kept.is_some_and(|path| is_same_directory || path.starts_with(b"/")) {
            return Ok(());
        }
        let redirect = match is_same_directory {
            true => side.name().to_vec(),
            false => match absolute_redirect(side) {
                Some(path) => path,
                None => return self.fail(Rule::ErrnoRedirectTooLong, &self.path(side)),
            },
        };
        if !self.fs.can_mark() {
            return self.fail(Rule::ErrnoRenameWithoutXattrs, &self.path(side));
        }
        let upper = side.dentry.upper.expect("it was copied up");
        self.set_mark(upper, b"redirect", &redirect);
        self.event(Rule::XattrRedirect, self.path(side)).text = redirect.clone();
        side.dentry.redirect = Some(redirect);
        Ok(())
    }

    /// Puts the source over the target and, where lower layers have the source's name, a whiteout in its place.
    fn replace(
        &mut self,
        from: &Side,
        to: &Side,
        is_lower_positive: bool,
        source: u64,
        target: u64,
    ) -> Done<()> {
        let over_whiteout = to.dentry.is_whiteout();
        if let (true, Some(upper)) = (to.is_directory, to.dentry.upper) {
            let is_empty = self
                .fs
                .upper()
                .inode(upper)
                .entries()
                .is_none_or(|names| names.is_empty());
            if !is_empty {
                return self.fail(Rule::ErrnoNotEmptyRaw, &self.path(to));
            }
        }
        self.event(Rule::UpperRename, self.path(from)).text = self.path(to);
        if let Some(replaced) = to.dentry.upper {
            self.changed(replaced);
        }
        let (source, target) = ((source, from.name()), (target, to.name()));
        match (over_whiteout, is_lower_positive) {
            (true, true) => {
                self.upper().exchange(source, target);
                self.event(Rule::WhiteoutMoved, self.path(to));
            }
            (true, false) => {
                self.upper().rename(source, target);
                self.event(Rule::WhiteoutReplaced, self.path(to));
            }
            (false, true) => {
                self.upper().rename(source, target);
                // This one is made in the directory, those of unlink and rmdir come from the work directory.
                let directory = self.fs.owned(from.parent().real().expect("it was copied up"));
                self.put_whiteout(source.0, source.1, directory.group_of_new(0));
                self.event(Rule::WhiteoutRename, self.path(from));
            }
            (false, false) => self.upper().rename(source, target),
        }
        Ok(())
    }
}

/// The path of the lower part from the root of the mount, built from the names and redirects of all directories
/// above (`ovl_get_redirect`); nothing if it is too long.
fn absolute_redirect(side: &Side) -> Option<Vec<u8>> {
    let mut path: Vec<u8> = Vec::new();
    let chain = side.parents[1..].iter().chain([&side.dentry]);
    for dentry in chain.rev() {
        let part = dentry.redirect.as_deref().unwrap_or(&dentry.name);
        let is_absolute = part.starts_with(b"/");
        let mut longer = match is_absolute {
            true => part.to_vec(),
            false => [b"/", part].concat(),
        };
        longer.extend_from_slice(&path);
        if longer.len() >= REDIRECT_MAX {
            return None;
        }
        path = longer;
        if is_absolute {
            break;
        }
    }
    Some(path)
}
