//! What a name in a directory of the mount is: looked up layer by layer from the top, as `ovl_lookup` does
//! (fs/overlayfs/namei.c).

use super::event::{Layer, Rule};
use super::lower::Child;
use super::upper::{FileName, Upper};
use super::{FileType, Overlay};

/// An inode of one layer: 0 is the upper, 1 the topmost lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Real {
    pub layer: usize,
    pub number: u64,
}

/// A name of the mount and what it stands for, as the kernel keeps it while it is in use.
#[derive(Clone, Debug)]
pub(super) struct Dentry {
    pub name: FileName,
    /// The number of its inode in the upper.
    pub upper: Option<u64>,
    /// Of a directory all that merge, top first. Of anything else what it is or, of what is in the upper, what
    /// it was copied from.
    pub lower: Vec<Real>,
    /// A directory of the upper that hides what is below; of what is not there, that the upper has a whiteout.
    pub opaque: bool,
    /// Where the upper says that the lower part is.
    pub redirect: Option<Vec<u8>>,
    /// A directory whose listing is merged: whiteouts in it are no names (the flag OVL_WHITEOUTS).
    pub has_whiteouts: bool,
    /// A directory in which whiteouts by xattr count as such when it is listed.
    pub has_xwhiteouts: bool,
}

impl Dentry {
    pub fn exists(&self) -> bool {
        self.upper.is_some() || !self.lower.is_empty()
    }

    /// Not there, because the upper has a whiteout.
    pub fn is_whiteout(&self) -> bool {
        !self.exists() && self.opaque
    }

    /// The inode whose attributes it has.
    pub fn real(&self) -> Option<Real> {
        let upper = self.upper.map(|number| Real { layer: 0, number });
        upper.or_else(|| self.lower.first().copied())
    }
}

/// What a layer contributed to a lookup.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub rule: Rule,
    pub layer: usize,
}

/// A lookup that goes from layer to layer (`struct ovl_lookup_data`).
struct Search {
    /// What is looked for: a name, or after a redirect a path from the roots of the layers.
    key: Vec<u8>,
    redirect: Option<Vec<u8>>,
    /// Whether no layer is below the one at hand, so that its marks are not read.
    is_last: bool,
    is_directory: bool,
    stop: bool,
    opaque: bool,
    metacopy: bool,
    xwhiteouts: bool,
    /// The layers whose directories were found to hold whiteouts by xattr.
    xwhiteout_layers: Vec<usize>,
    lacks_origin: Option<(u64, Real)>,
    steps: Vec<Step>,
}

/// What a lookup gave.
pub(super) struct Looked {
    pub dentry: Result<Dentry, Rule>,
    pub steps: Vec<Step>,
    pub xwhiteout_layers: Vec<usize>,
    /// A directory of the upper without a note of what it merges with, and what that is: the kernel adds it.
    pub lacks_origin: Option<(u64, Real)>,
}

impl Overlay {
    /// The root of the mount: all layers' roots merge, whatever marks they carry.
    pub(super) fn root(&self) -> Dentry {
        let lower = (1..=self.lowers.len()).map(|layer| Real { layer, number: 0 });
        Dentry {
            name: FileName::from(&b""[..]),
            upper: self.upper.as_ref().map(|_| Upper::ROOT),
            lower: lower.collect(),
            opaque: false,
            redirect: None,
            has_whiteouts: self.upper.is_some() || self.lowers.len() > 1,
            has_xwhiteouts: (1..=self.lowers.len())
                .any(|layer| self.lowers[layer - 1].opaque(0, self.marks()) == Some(b'x')),
        }
    }

    /// Looks up one name; changes nothing.
    pub(super) fn look(&self, parent: &Dentry, name: &FileName) -> Looked {
        let mut search = Search {
            key: name.to_vec(),
            redirect: None,
            is_last: false,
            is_directory: false,
            stop: false,
            opaque: false,
            metacopy: false,
            xwhiteouts: false,
            xwhiteout_layers: Vec::new(),
            lacks_origin: None,
            steps: Vec::new(),
        };
        let dentry = self.search(parent, name, &mut search);
        Looked {
            dentry,
            steps: search.steps,
            xwhiteout_layers: search.xwhiteout_layers,
            lacks_origin: search.lacks_origin,
        }
    }

    fn search(&self, parent: &Dentry, name: &FileName, search: &mut Search) -> Result<Dentry, Rule> {
        let mut dentry = Dentry {
            name: name.clone(),
            upper: None,
            lower: Vec::new(),
            opaque: false,
            redirect: None,
            has_whiteouts: false,
            has_xwhiteouts: false,
        };
        let follows = self.options.redirect.follows();
        let whole: Vec<Real> = (1..=self.lowers.len())
            .map(|layer| Real { layer, number: 0 })
            .collect();
        let mut stack = &parent.lower[..];
        let mut is_metacopy = false;
        if let Some(number) = parent.upper {
            search.is_last = !follows && stack.is_empty();
            let found = self.look_in_layer(Real { layer: 0, number }, search)?;
            dentry.upper = found.map(|real| real.number);
            dentry.opaque = search.opaque;
            dentry.redirect = search.redirect.clone();
            if dentry
                .redirect
                .as_ref()
                .is_some_and(|path| path.starts_with(b"/"))
            {
                stack = &whole;
            }
            if let (Some(upper), false) = (dentry.upper, search.is_directory) {
                dentry.lower.extend(self.origin_of(upper, parent, name));
                is_metacopy = search.metacopy;
            }
        }
        let has_upper_directory = dentry.upper.is_some() && search.is_directory;
        let mut position = 0;
        while !search.stop && position < stack.len() {
            let lower = stack[position];
            search.is_last = match follows {
                true => lower.layer == self.lowers.len(),
                false => position == stack.len() - 1,
            };
            position += 1;
            if search.redirect.is_some() && !follows {
                return Err(Rule::ErrnoRedirectNotFollowed);
            }
            let Some(found) = self.look_in_layer(lower, search)? else {
                continue;
            };
            if is_metacopy || search.metacopy {
                return Err(Rule::ErrnoMetacopy);
            }
            if has_upper_directory && dentry.lower.is_empty() {
                let upper = dentry.upper.expect("it has one");
                if self.upper_mark(upper, b"origin").is_none() {
                    search.lacks_origin = Some((upper, found));
                }
            }
            dentry.lower.push(found);
            if search.stop {
                break;
            }
            if search.redirect.is_some() && !follows {
                return Err(Rule::ErrnoRedirectNotFollowed);
            }
            if search
                .redirect
                .as_ref()
                .is_some_and(|path| path.starts_with(b"/"))
                && !is_whole(stack, &whole)
            {
                stack = &whole;
                position = lower.layer;
            }
        }
        dentry.has_xwhiteouts = search.xwhiteouts;
        let merges = dentry.lower.len() + usize::from(dentry.upper.is_some()) > 1;
        let has_origin = dentry
            .upper
            .is_some_and(|upper| self.upper_mark(upper, b"origin").is_some());
        dentry.has_whiteouts = search.is_directory && (merges || has_origin);
        Ok(dentry)
    }

    /// What a copied-up non-directory was copied from, as far as the kernel can tell (`ovl_check_origin`).
    pub(super) fn origin_of(&self, upper: u64, parent: &Dentry, name: &FileName) -> Option<Real> {
        let directory = parent.upper.expect("it is in the upper");
        if let Some(origin) = self.origins.get(&(directory, name.clone())) {
            return Some(*origin);
        }
        let origin = super::origin::decode(self.upper_mark(upper, b"origin")?)?;
        let is_there = origin.layer >= 1 && origin.layer <= self.lowers.len();
        is_there.then_some(origin)
    }

    /// Looks for the key in one directory of one layer (`ovl_lookup_layer`).
    fn look_in_layer(&self, directory: Real, search: &mut Search) -> Result<Option<Real>, Rule> {
        if !search.key.starts_with(b"/") {
            let key = search.key.clone();
            return self.look_once(directory, search, &key, 0, b"");
        }
        // The key can change on the way, so the place in it is counted from its end.
        let mut rest = search.key.len() - 1;
        let mut base = directory;
        loop {
            let start = search.key.len() - rest;
            let length = search.key[start..]
                .iter()
                .position(|&byte| byte == b'/')
                .unwrap_or(rest);
            let name = search.key[start..start + length].to_vec();
            let after = search.key[start + length..].to_vec();
            let Some(found) = self.look_once(base, search, &name, start, &after)? else {
                return Ok(None);
            };
            if after.is_empty() {
                return Ok(Some(found));
            }
            rest -= length + 1;
            base = found;
        }
    }

    /// Looks up one name in one directory of one layer and reads its marks (`ovl_lookup_single`). `prefix` is
    /// how much of the key stands before the name, `after` what follows it.
    fn look_once(
        &self,
        directory: Real,
        search: &mut Search,
        name: &[u8],
        prefix: usize,
        after: &[u8],
    ) -> Result<Option<Real>, Rule> {
        let layer = directory.layer;
        let is_end = after.is_empty();
        let mut note = |rule: Rule| search.steps.push(Step { rule, layer });
        let found = match self.child(directory, name) {
            Child::None => return Ok(None),
            Child::Whiteout { by_xattr } => {
                note(match by_xattr {
                    true => Rule::ResolveXattrWhiteout,
                    false => Rule::ResolveWhiteout,
                });
                (search.stop, search.opaque) = (true, true);
                return Ok(None);
            }
            Child::Inode(number) => Real { layer, number },
        };
        let file_type = self.file_type(found);
        if is_end && search.metacopy && file_type != FileType::File {
            search.stop = true;
            return Ok(None);
        }
        if file_type != FileType::Directory {
            if search.is_directory || !is_end {
                note(Rule::ResolveFileStops);
                search.stop = true;
                return Ok(None);
            }
            note(Rule::ResolveFile);
            search.metacopy = self.mark(found, b"metacopy").is_some() && file_type == FileType::File;
            search.stop = !search.metacopy;
            return Ok(Some(found));
        }
        if is_end {
            note(match search.is_directory {
                true => Rule::ResolveMerge,
                false => Rule::ResolveDirectory,
            });
            search.is_directory = true;
        }
        if search.is_last {
            return Ok(Some(found));
        }
        match self.opaque(found) {
            Some(b'x') if is_end && layer > 0 => {
                search.xwhiteouts = true;
                search.xwhiteout_layers.push(layer);
            }
            Some(b'y') => {
                search.steps.push(Step {
                    rule: Rule::ResolveOpaque,
                    layer,
                });
                search.stop = true;
                search.opaque |= is_end;
                return Ok(Some(found));
            }
            _ => {}
        }
        self.read_redirect(found, search, prefix, after)?;
        Ok(Some(found))
    }

    /// Goes on elsewhere if a directory says so (`ovl_check_redirect`).
    fn read_redirect(
        &self,
        found: Real,
        search: &mut Search,
        prefix: usize,
        after: &[u8],
    ) -> Result<(), Rule> {
        let Some(target) = self.mark(found, b"redirect") else {
            return Ok(());
        };
        let is_valid = match target.strip_prefix(b"/") {
            Some(path) => path.split(|&byte| byte == b'/').all(|name| !name.is_empty()),
            None => !target.is_empty() && !target.contains(&b'/'),
        };
        if !is_valid {
            return Err(Rule::ErrnoRedirectInvalid);
        }
        let mut key = Vec::new();
        match target.starts_with(b"/") {
            true => search.stop = false,
            false => key.extend_from_slice(&search.key[..prefix]),
        }
        key.extend_from_slice(target);
        key.extend_from_slice(after);
        search.steps.push(Step {
            rule: Rule::ResolveRedirect,
            layer: found.layer,
        });
        search.redirect = Some(key.clone());
        search.key = key;
        Ok(())
    }

    /// Whether a layer below has something at this very name, which a whiteout would have to hide
    /// (`ovl_lower_positive`).
    pub(super) fn is_lower_positive(&self, parent: &Dentry, dentry: &Dentry) -> bool {
        if !dentry.exists() {
            return dentry.opaque;
        }
        if dentry.upper.is_none() {
            return true;
        }
        for lower in &parent.lower {
            match self.child(*lower, &dentry.name) {
                Child::None => {}
                Child::Whiteout { .. } => return false,
                Child::Inode(_) => return true,
            }
        }
        false
    }

    pub(super) fn child(&self, directory: Real, name: &[u8]) -> Child {
        let marks = self.marks();
        if directory.layer > 0 {
            return self.lowers[directory.layer - 1].child(directory.number, name, marks);
        }
        let upper = self.upper();
        let Some(number) = upper.child(directory.number, name) else {
            return Child::None;
        };
        let inode = upper.inode(number);
        if inode.is_whiteout() {
            return Child::Whiteout { by_xattr: false };
        }
        let is_empty = matches!(&inode.kind, super::UpperKind::File(data) if data.is_empty());
        if is_empty && self.upper_mark(number, b"whiteout").is_some() {
            return Child::Whiteout { by_xattr: true };
        }
        Child::Inode(number)
    }

    pub(super) fn opaque(&self, directory: Real) -> Option<u8> {
        match directory.layer {
            0 => match self.upper_mark(directory.number, b"opaque") {
                Some([value]) => Some(*value),
                _ => None,
            },
            layer => self.lowers[layer - 1].opaque(directory.number, self.marks()),
        }
    }

    fn mark(&self, real: Real, mark: &[u8]) -> Option<&[u8]> {
        match real.layer {
            0 => self.upper_mark(real.number, mark),
            layer => {
                let metadata = self.lowers[layer - 1].metadata(real.number);
                self.marks().get(metadata, mark)
            }
        }
    }

    pub(super) fn upper_mark(&self, number: u64, mark: &[u8]) -> Option<&[u8]> {
        let upper = self.upper();
        if upper.inode(number).attributes.xattrs.is_empty() {
            return None;
        }
        upper.xattr(number, &self.marks().name(mark))
    }

    /// How a layer is called in a trace: the upper, or a lower by its place from the bottom.
    pub(super) fn layer_name(&self, layer: usize) -> Layer {
        match layer {
            0 => Layer::Upper,
            layer => Layer::Lower(self.lowers.len() - layer),
        }
    }
}

fn is_whole(stack: &[super::Real], whole: &[super::Real]) -> bool {
    std::ptr::eq(stack, whole)
}
