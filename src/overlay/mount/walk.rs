//! From a path to what it names: what the kernel does before a file system is asked (path_resolution(7)).

use std::collections::VecDeque;

use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op};
use super::upper::FileName;
use super::{FileType, UpperKind};
use crate::tree::{NAME_MAX, Node};

/// The longest path, its final zero included (PATH_MAX).
const PATH_MAX: usize = 4096;

/// How many symbolic links are followed in one path (MAXSYMLINKS).
const MAX_LINKS: usize = 40;

/// The last part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Name(FileName),
    Dot,
    DotDot,
    Root,
}

/// A place where something is or could be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The directories down to the one that it is in, the root first.
    pub parents: Vec<Dentry>,
    pub last: Last,
    /// Whether the path ends in a slash, which only a directory may.
    pub has_slash: bool,
}

/// A walk that is not over.
struct Walk {
    parents: Vec<Dentry>,
    rest: VecDeque<Vec<u8>>,
    links: usize,
    has_slash: bool,
}

impl Walk {
    fn prepend(&mut self, path: &[u8]) {
        let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        for name in names.rev() {
            self.rest.push_front(name.to_vec());
        }
    }
}

impl Op<'_> {
    fn start(&self, path: &[u8]) -> Done<Walk> {
        if path.is_empty() {
            return self.fail(Rule::ErrnoMissing, b"");
        }
        if path.len() >= PATH_MAX {
            return self.fail(Rule::ErrnoNameTooLong, path);
        }
        let mut walk = Walk {
            parents: vec![self.fs.root()],
            rest: VecDeque::new(),
            links: 0,
            has_slash: path.ends_with(b"/"),
        };
        walk.prepend(path);
        Ok(walk)
    }

    /// The directory that the path's last name is in.
    pub(super) fn place(&mut self, path: &[u8]) -> Done<Place> {
        let mut walk = self.start(path)?;
        let last = self.go(&mut walk)?;
        Ok(Place {
            parents: walk.parents,
            last,
            has_slash: walk.has_slash,
        })
    }

    /// What the path names, at the end of the directories that lead to it. It exists.
    pub(super) fn find(&mut self, path: &[u8], follow: bool) -> Done<Vec<Dentry>> {
        let mut walk = self.start(path)?;
        loop {
            let last = self.go(&mut walk)?;
            if let Some(chain) = self.enter(&mut walk, last, follow)? {
                return Ok(chain);
            }
        }
    }

    /// What the path names, or the place where it would be; symbolic links at its end are followed.
    pub(super) fn find_or_place(&mut self, path: &[u8], follow: bool) -> Done<(Place, Option<Dentry>)> {
        let mut walk = self.start(path)?;
        loop {
            let last = self.go(&mut walk)?;
            let mut dentry = None;
            // A path that ends in a slash cannot make a file: it is refused before it is looked at.
            if let (Last::Name(name), false) = (&last, walk.has_slash) {
                let found = self.lookup(&walk.parents, name, true)?;
                if follow && self.dentry_type(&found) == Some(FileType::Symlink) {
                    self.follow(&mut walk, &found)?;
                    continue;
                }
                dentry = Some(found);
            }
            let place = Place {
                parents: walk.parents,
                last,
                has_slash: walk.has_slash,
            };
            return Ok((place, dentry));
        }
    }

    /// The whole chain if the walk ends here; nothing if a symbolic link has to be followed first.
    fn enter(&mut self, walk: &mut Walk, last: Last, follow: bool) -> Done<Option<Vec<Dentry>>> {
        let name = match last {
            Last::Name(name) => name,
            Last::DotDot => {
                up(&mut walk.parents);
                return Ok(Some(std::mem::take(&mut walk.parents)));
            }
            Last::Dot | Last::Root => return Ok(Some(std::mem::take(&mut walk.parents))),
        };
        let found = self.lookup(&walk.parents, &name, true)?;
        let path = self.path_of(&walk.parents, &name);
        match self.dentry_type(&found) {
            None => self.fail(Rule::ErrnoMissing, &path),
            Some(FileType::Symlink) if follow || walk.has_slash => {
                self.follow(walk, &found)?;
                Ok(None)
            }
            Some(file_type) if walk.has_slash && file_type != FileType::Directory => {
                self.fail(Rule::ErrnoNotDirectory, &path)
            }
            Some(_) => {
                let mut chain = std::mem::take(&mut walk.parents);
                chain.push(found);
                Ok(Some(chain))
            }
        }
    }

    /// Goes on where a symbolic link leads.
    fn follow(&mut self, walk: &mut Walk, link: &Dentry) -> Done<()> {
        walk.links += 1;
        if walk.links > MAX_LINKS {
            let path = self.path_of(&walk.parents, &link.name);
            return self.fail(Rule::ErrnoLoop, &path);
        }
        let target = self.target(link);
        self.event_at(Rule::ResolveSymlink, &walk.parents, &link.name, &target);
        if target.starts_with(b"/") {
            walk.parents.truncate(1);
        }
        walk.has_slash |= target.ends_with(b"/") && walk.rest.is_empty();
        walk.prepend(&target);
        Ok(())
    }

    /// Walks up to the last name.
    fn go(&mut self, walk: &mut Walk) -> Done<Last> {
        while let Some(name) = walk.rest.pop_front() {
            self.want_search(&walk.parents)?;
            let is_last = walk.rest.is_empty();
            match (&name[..], is_last) {
                (b".", true) => return Ok(Last::Dot),
                (b"..", true) => return Ok(Last::DotDot),
                (b".", false) => {}
                (b"..", false) => up(&mut walk.parents),
                (_, true) => return Ok(Last::Name(name.into())),
                (_, false) => self.step(walk, name.into())?,
            }
        }
        Ok(Last::Root)
    }

    /// Enters one directory on the way.
    fn step(&mut self, walk: &mut Walk, name: FileName) -> Done<()> {
        let found = self.lookup(&walk.parents, &name, false)?;
        match self.dentry_type(&found) {
            Some(FileType::Directory) => walk.parents.push(found),
            Some(FileType::Symlink) => self.follow(walk, &found)?,
            None => {
                let path = self.path_of(&walk.parents, &name);
                return self.fail(Rule::ErrnoMissing, &path);
            }
            Some(_) => {
                let path = self.path_of(&walk.parents, &name);
                return self.fail(Rule::ErrnoNotDirectory, &path);
            }
        }
        Ok(())
    }

    /// Looks a name up as the kernel does, which can leave marks in the upper.
    pub(super) fn lookup(&mut self, parents: &[Dentry], name: &FileName, is_told: bool) -> Done<Dentry> {
        if name.len() > NAME_MAX {
            let path = self.path_of(parents, name);
            return self.fail(Rule::ErrnoNameTooLong, &path);
        }
        let parent = parents.last().expect("the root is there");
        let looked = self.fs.look(parent, name);
        self.fs.has_xwhiteouts.extend(looked.xwhiteout_layers);
        for step in looked.steps {
            if is_told {
                let layer = self.fs.layer_name(step.layer);
                self.event_at(step.rule, parents, name, b"").layer = Some(layer);
            }
        }
        if let (Some((upper, lower)), true) = (looked.lacks_origin, self.fs.can_mark()) {
            self.set_origin(upper, lower, parents, name);
            self.set_impure(parents);
        }
        looked.dentry.or_else(|rule| {
            let path = self.path_of(parents, name);
            self.fail(rule, &path)
        })
    }

    /// The type of what a name stands for, if it stands for anything.
    pub(super) fn dentry_type(&self, dentry: &Dentry) -> Option<FileType> {
        dentry.real().map(|real| self.fs.file_type(real))
    }

    /// The target of a symbolic link.
    pub(super) fn target(&self, link: &Dentry) -> Vec<u8> {
        let real = link.real().expect("callers know that it is a link");
        match real.layer {
            0 => match &self.fs.upper().inode(real.number).kind {
                UpperKind::Symlink(target) => target.to_vec(),
                _ => Vec::new(),
            },
            layer => match &self.fs.lowers[layer - 1].inode(real.number).node {
                Node::Symlink(target) => target.to_vec(),
                _ => Vec::new(),
            },
        }
    }
}

/// Goes to the directory above; the root's is the root.
fn up(chain: &mut Vec<Dentry>) {
    if chain.len() > 1 {
        chain.pop();
    }
}
