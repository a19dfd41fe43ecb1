//! cp, and the copying that mv does where the kernel does not move.

use std::collections::{BTreeMap, BTreeSet};

use super::job::{Job, Visit, Walk, base_name, join, q, trim_slashes};
use super::option::{Args, Command, Opt, Run, flag, missing, valued};
use super::quote;
use super::rename::{NOREPLACE, rename};
use crate::overlay::mount::{Call, Errno, FileType, Io, NodeType, OpenFlags, Reply, SetTime, SetXattr, Stat};

pub(super) const CP: Command = Command {
    name: "cp",
    usage: "[OPTION]... SOURCE... TARGET|DIRECTORY",
    about: "Copy files, and with -r directories.",
    options: &[
        flag('a', "archive", "the same as -dR, and keep all attributes"),
        flag('d', "", "copy links as links, and keep hard links together"),
        flag('f', "force", "replace what cannot be opened"),
        flag('L', "dereference", "copy what links lead to"),
        flag('n', "no-clobber", "leave alone what is there"),
        flag('P', "no-dereference", "copy links as links"),
        flag('p', "", "keep permissions, owner and times"),
        flag('r', "recursive", "copy directories with all that is in them"),
        flag('R', "", "the same"),
        valued('t', "target-directory", "DIRECTORY", "copy into this one"),
        flag(
            'T',
            "no-target-directory",
            "TARGET is never a directory to copy into",
        ),
        flag('v', "verbose", "tell each"),
    ],
    run: Run::Parsed(cp),
    misuse: 1,
};

/// Where operands go: into a directory, or one to a name.
pub(super) enum Target {
    Into(Vec<u8>),
    Name(Vec<u8>),
}

/// The options that say where operands go.
pub(super) const TARGET_OPTIONS: &[Opt] = &[
    valued('t', "target-directory", "DIRECTORY", "into this one"),
    flag(
        'T',
        "no-target-directory",
        "the last one is never a directory to put it in",
    ),
];

/// Takes the target from the operands (cp.c and mv.c, `do_copy`).
pub(super) fn target(job: &mut Job<'_>, args: &Args, operands: &mut Vec<Vec<u8>>) -> Result<Target, ()> {
    let needed = if args.value('t').is_some() { 1 } else { 2 };
    if operands.len() < needed {
        match operands.first() {
            None => missing(job, "file ", None),
            Some(only) => missing(job, "destination file ", Some(only)),
        };
        return Err(());
    }
    if let Some(directory) = args.value('t') {
        return match directory_or_errno(job, directory) {
            Ok(()) => Ok(Target::Into(directory.to_vec())),
            Err(errno) => {
                job.complain_of(&format!("target directory {}", q(directory)), errno);
                Err(())
            }
        };
    }
    if args.has('T') && operands.len() > 2 {
        job.misused(&format!("extra operand {}", quote::word(&operands[2])));
        return Err(());
    }
    let last = operands.pop().unwrap_or_default();
    if args.has('T') {
        return Ok(Target::Name(last));
    }
    match directory_or_errno(job, &last) {
        Ok(()) => Ok(Target::Into(last)),
        Err(errno) if operands.len() > 1 => {
            job.complain_of(&format!("target {}", q(&last)), errno);
            Err(())
        }
        Err(_) => Ok(Target::Name(last)),
    }
}

fn directory_or_errno(job: &mut Job<'_>, name: &[u8]) -> Result<(), Errno> {
    match job.stat(name, true)?.file_type {
        FileType::Directory => Ok(()),
        _ => Err(Errno::ENOTDIR),
    }
}

impl Target {
    /// Where one operand goes.
    pub fn of(&self, source: &[u8]) -> Vec<u8> {
        match self {
            Self::Name(name) => name.clone(),
            Self::Into(directory) => match base_name(source) {
                b".." | b"/" => join(directory, b"."),
                name => join(directory, name),
            },
        }
    }
}

fn cp(job: &mut Job<'_>, args: Args) -> u8 {
    let mut operands = args.operands.clone();
    let Ok(target) = target(job, &args, &mut operands) else {
        return 1;
    };
    let is_recursive = args.has('r') || args.has('R') || args.has('a');
    let follows = match args.last_of("LPda") {
        None => !is_recursive,
        Some(last) => last == 'L',
    };
    let keeps_all = args.has('a');
    let mut copier = Copier {
        is_recursive,
        follows,
        keeps_attributes: keeps_all || args.has('p'),
        keeps_xattrs: keeps_all,
        keeps_links: keeps_all || args.has('d'),
        is_forced: args.has('f'),
        is_verbose: args.has('v'),
        is_move: false,
        renames_children: false,
        copied: BTreeMap::new(),
        made: BTreeSet::new(),
        made_directories: BTreeSet::new(),
    };
    let mut status = 0;
    for source in &operands {
        let to = target.of(source);
        if args.has('n') && job.stat(&to, false).is_ok() {
            continue;
        }
        status |= u8::from(!copier.copy(job, source, &to, matches!(target, Target::Into(_))));
    }
    status
}

/// How things are copied, and what was copied so far.
pub(super) struct Copier {
    pub is_recursive: bool,
    pub follows: bool,
    pub keeps_attributes: bool,
    pub keeps_xattrs: bool,
    pub keeps_links: bool,
    pub is_forced: bool,
    pub is_verbose: bool,
    pub is_move: bool,
    /// Whether mv tries to rename what is in a directory that is not moved itself: unless it knew before it
    /// looked that the kernel does not move.
    pub renames_children: bool,
    /// Where files of more than one name went.
    pub copied: BTreeMap<u64, Vec<u8>>,
    /// What operands became: a second of the same name is not to replace the first.
    pub made: BTreeSet<Vec<u8>>,
    /// Directories that are copies, so that a copy inside of what is copied is not copied itself.
    pub made_directories: BTreeSet<u64>,
}

impl Copier {
    /// Copies an operand.
    pub fn copy(&mut self, job: &mut Job<'_>, source: &[u8], to: &[u8], is_into: bool) -> bool {
        let follows = self.follows;
        let stat = match job.stat(source, follows) {
            Ok(stat) => stat,
            Err(errno) => {
                job.complain_of(&format!("cannot stat {}", q(source)), errno);
                return false;
            }
        };
        if stat.file_type == FileType::Directory && !self.is_recursive {
            let shown = q(source);
            job.complain(&format!("-r not specified; omitting directory {shown}"));
            return false;
        }
        if is_into && stat.file_type != FileType::Directory {
            if self.made.contains(to) {
                job.complain(&format!(
                    "will not overwrite just-created {} with {}",
                    q(to),
                    q(source)
                ));
                return false;
            }
            self.made.insert(to.to_vec());
        }
        match stat.file_type {
            FileType::Directory => self.copy_tree(job, source, to),
            _ => self.copy_one(job, source, &stat, to).is_some(),
        }
    }

    /// Copies a directory with all that is in it.
    fn copy_tree(&mut self, job: &mut Job<'_>, source: &[u8], to: &[u8]) -> bool {
        let mut is_fine = true;
        let top = source.to_vec();
        // Links to directories further down are not gone into, with -L either.
        let mut walk = match self.follows {
            true => Walk::following(&top),
            false => Walk::new(&top),
        };
        let mut is_ended = false;
        let place = |path: &[u8]| {
            let rest = path.strip_prefix(&top[..]).unwrap_or_default();
            match rest.strip_prefix(b"/").unwrap_or(rest) {
                b"" => to.to_vec(),
                rest => join(to, rest),
            }
        };
        while let Some(visit) = walk.next(job) {
            match visit {
                Visit::Enter { .. } if is_ended => walk.skip(),
                Visit::Enter { path, depth, .. }
                    if self.renames_children && depth > 0 && self.renamed(job, &path, &place(&path)) =>
                {
                    walk.skip();
                }
                Visit::Enter { path, stat, depth } if stat.file_type == FileType::Directory => {
                    if self.made_directories.contains(&stat.ino) {
                        let (source, to) = (q(trim_slashes(source)), q(to));
                        job.complain(&format!("cannot copy a directory, {source}, into itself, {to}"));
                        (is_fine, is_ended) = (false, true);
                        walk.skip();
                    } else if !self.enter(job, &path, &stat, &place(&path), depth == 0) {
                        is_fine = false;
                        walk.skip();
                    }
                }
                Visit::Enter { path, stat, .. } => {
                    let stat = match self.follows {
                        true => job.stat(&path, true),
                        false => Ok(stat),
                    };
                    match stat {
                        Ok(stat) => is_fine &= self.copy_one(job, &path, &stat, &place(&path)).is_some(),
                        Err(errno) => {
                            job.complain_of(&format!("cannot stat {}", q(&path)), errno);
                            is_fine = false;
                        }
                    }
                }
                Visit::Leave { path, stat, .. } => {
                    is_fine &= self.finish_directory(job, &path, &stat, &place(&path));
                }
                Visit::Failed {
                    path,
                    errno,
                    is_listing,
                    ..
                } => {
                    let what = if is_listing {
                        "cannot access"
                    } else {
                        "cannot stat"
                    };
                    job.complain_of(&format!("{what} {}", q(&path)), errno);
                    is_fine = false;
                }
            }
        }
        is_fine
    }

    /// Makes the copy of a directory, without what is in it.
    fn enter(&mut self, job: &mut Job<'_>, source: &[u8], stat: &Stat, to: &[u8], is_top: bool) -> bool {
        match job.stat(to, is_top && !self.is_move) {
            Ok(there) if there.file_type != FileType::Directory => {
                let (to, source) = (q(to), q(source));
                job.complain(&format!(
                    "cannot overwrite non-directory {to} with directory {source}"
                ));
                return false;
            }
            Ok(there) if there.ino == stat.ino => {
                job.complain(&format!("{} and {} are the same file", q(source), q(to)));
                return false;
            }
            Ok(_) => return true,
            Err(_) => {}
        }
        let withheld = if self.keeps_attributes { 0o077 } else { 0o022 };
        let path = job.path(to);
        let made = job.call(Call::Mkdir {
            path,
            mode: stat.mode & !withheld | 0o700,
        });
        if let Err(errno) = made {
            job.complain_of(&format!("cannot create directory {}", q(to)), errno);
            return false;
        }
        if let Ok(made) = job.stat(to, false) {
            self.made_directories.insert(made.ino);
        }
        self.tell(job, source, to, true);
        true
    }

    fn renamed(&self, job: &mut Job<'_>, source: &[u8], to: &[u8]) -> bool {
        let is_renamed = rename(job, source, to, NOREPLACE).is_ok();
        if is_renamed && self.is_verbose {
            job.print(format!("renamed {} -> {}\n", q(source), q(to)));
        }
        is_renamed
    }

    fn tell(&self, job: &mut Job<'_>, source: &[u8], to: &[u8], is_directory: bool) {
        if !self.is_verbose {
            return;
        }
        let line = match (self.is_move, is_directory) {
            (true, true) => format!("created directory {}\n", q(to)),
            (true, false) => format!("copied {} -> {}\n", q(source), q(to)),
            (false, _) => format!("{} -> {}\n", q(source), q(to)),
        };
        job.print(line);
    }

    fn finish_directory(&self, job: &mut Job<'_>, source: &[u8], stat: &Stat, to: &[u8]) -> bool {
        if self.keeps_attributes {
            return self.keep_attributes(job, source, stat, to, None);
        }
        let umask = job.caller.umask;
        // Made writable for what went into it, or narrower than the umask wants.
        if stat.mode & 0o700 != 0o700 || 0o022 & !umask & stat.mode != 0 {
            let path = job.path(to);
            let mode = stat.mode & !umask & 0o1777;
            return self.done(job, "setting permissions for", to, Call::Chmod { path, mode });
        }
        true
    }

    /// Copies what is no directory. Gives nothing if it could not.
    fn copy_one(&mut self, job: &mut Job<'_>, source: &[u8], stat: &Stat, to: &[u8]) -> Option<()> {
        let is_file = stat.file_type == FileType::File;
        let mut there = match job.stat(to, is_file && !self.is_move) {
            Ok(there) => Some(there),
            Err(Errno::ENOENT) => None,
            Err(errno) => {
                job.complain_of(&format!("cannot stat {}", q(to)), errno);
                return None;
            }
        };
        if let Some(found) = &there {
            if found.ino == stat.ino && found.file_type == stat.file_type {
                job.complain(&format!("{} and {} are the same file", q(source), q(to)));
                return None;
            }
            if found.file_type == FileType::Directory {
                job.complain(&format!(
                    "cannot overwrite directory {} with non-directory",
                    q(to)
                ));
                return None;
            }
            if !is_file || (self.keeps_links && found.nlink > 1) {
                let path = job.path(to);
                if let Err(errno) = job.call(Call::Unlink { path }) {
                    job.complain_of(&format!("cannot remove {}", q(to)), errno);
                    return None;
                }
                there = None;
            }
        }
        if self.keeps_links && stat.nlink > 1 {
            if let Some(first) = self.copied.get(&stat.ino).cloned() {
                return self.link(job, &first, to, there.is_some());
            }
            self.copied.insert(stat.ino, to.to_vec());
        }
        if is_file {
            self.copy_file(job, source, stat, to, there)?;
        } else {
            self.copy_special(job, source, stat, to)?;
        }
        self.tell(job, source, to, false);
        let is_fine = !self.keeps_attributes || self.keep_attributes(job, source, stat, to, Some(is_file));
        is_fine.then_some(())
    }

    fn link(&self, job: &mut Job<'_>, first: &[u8], to: &[u8], is_there: bool) -> Option<()> {
        if is_there {
            let path = job.path(to);
            // The link says what is wrong if this does not work.
            let _ = job.call(Call::Unlink { path });
        }
        let call = Call::Link {
            old: job.path(first),
            new: job.path(to),
            follow: false,
        };
        if let Err(errno) = job.call(call) {
            let text = format!("cannot create hard link {} to {}", q(to), q(first));
            job.complain_of(&text, errno);
            return None;
        }
        Some(())
    }

    /// Copies the bytes: the content is handed on as it is, not read.
    fn copy_file(
        &self,
        job: &mut Job<'_>,
        source: &[u8],
        stat: &Stat,
        to: &[u8],
        there: Option<Stat>,
    ) -> Option<()> {
        let content = match job.content(source) {
            Ok(content) => content,
            Err(errno) => {
                job.complain_of(&format!("cannot open {} for reading", q(source)), errno);
                return None;
            }
        };
        let flags = OpenFlags {
            write: true,
            truncate: there.is_some(),
            create: there.is_none(),
            exclusive: there.is_none(),
            ..OpenFlags::default()
        };
        let mode = stat.mode & if self.keeps_attributes { 0o700 } else { 0o777 };
        let io = Io::Write(0, content);
        let mut written = job.open(to, flags, mode, io.clone());
        if written.is_err() && there.is_some() && self.is_forced {
            let path = job.path(to);
            let flags = OpenFlags {
                create: true,
                exclusive: true,
                truncate: false,
                ..flags
            };
            written = job
                .call(Call::Unlink { path })
                .and_then(|_| job.open(to, flags, mode, io));
        }
        match written {
            Ok(_) => Some(()),
            Err(Errno::EEXIST) => {
                job.complain(&format!("not writing through dangling symlink {}", q(to)));
                None
            }
            Err(errno) => {
                let is_slash = errno == Errno::EISDIR && to.ends_with(b"/");
                let errno = if is_slash { Errno::ENOTDIR } else { errno };
                job.complain_of(&format!("cannot create regular file {}", q(to)), errno);
                None
            }
        }
    }

    /// Copies a link, a device, a pipe or a socket.
    fn copy_special(&self, job: &mut Job<'_>, source: &[u8], stat: &Stat, to: &[u8]) -> Option<()> {
        let path = job.path(to);
        let device = stat.device.unwrap_or_default();
        let (what, node) = match stat.file_type {
            FileType::CharDevice => ("special file", NodeType::CharDevice(device)),
            FileType::BlockDevice => ("special file", NodeType::BlockDevice(device)),
            FileType::Socket => ("special file", NodeType::Socket),
            FileType::Symlink => {
                let target = match job.target(source) {
                    Ok(target) => target,
                    Err(errno) => {
                        job.complain_of(&format!("cannot read symbolic link {}", q(source)), errno);
                        return None;
                    }
                };
                let target = target.into();
                return self.made(job, "symbolic link", to, Call::Symlink { target, path });
            }
            _ if !self.is_recursive => {
                // Its bytes are wanted, and opening it waits for a writer.
                job.complain_of(&format!("cannot open {} for reading", q(source)), Errno::ENXIO);
                return None;
            }
            _ => ("fifo", NodeType::Fifo),
        };
        let withheld = if self.keeps_attributes { 0o077 } else { 0 };
        let mode = stat.mode & 0o7777 & !withheld;
        self.made(job, what, to, Call::Mknod { path, node, mode })
    }

    fn made(&self, job: &mut Job<'_>, what: &str, to: &[u8], call: Call) -> Option<()> {
        match job.call(call) {
            Ok(_) => Some(()),
            Err(errno) => {
                job.complain_of(&format!("cannot create {what} {}", q(to)), errno);
                None
            }
        }
    }

    /// Makes a copy's owner, times, xattrs and permissions the source's; `is_file` is told of what is no
    /// directory.
    fn keep_attributes(
        &self,
        job: &mut Job<'_>,
        source: &[u8],
        stat: &Stat,
        to: &[u8],
        is_file: Option<bool>,
    ) -> bool {
        let is_link = stat.file_type == FileType::Symlink;
        let path = job.path(to);
        let chown = Call::Chown {
            path: path.clone(),
            uid: Some(stat.uid),
            gid: Some(stat.gid),
            follow: !is_link,
        };
        let utimes = Call::Utimes {
            path: path.clone(),
            atime: SetTime::At(stat.atime),
            mtime: SetTime::At(stat.mtime),
            follow: !is_link,
        };
        let owner_differs = match is_file {
            Some(true) => {
                let there = job.stat(to, false);
                !there.is_ok_and(|there| (there.uid, there.gid) == (stat.uid, stat.gid))
            }
            _ => true,
        };
        // In the order of copy.c: of a link the owner first, of anything else the times.
        let mut is_fine = true;
        if is_link {
            is_fine &= self.done(job, "failed to preserve ownership for", to, chown.clone());
        }
        is_fine &= self.done(job, "preserving times for", to, utimes);
        if !is_link && owner_differs {
            is_fine &= self.done(job, "failed to preserve ownership for", to, chown);
        }
        if self.keeps_xattrs {
            copy_xattrs(job, source, to);
        }
        if !is_link {
            let mode = stat.mode;
            is_fine &= self.done(job, "preserving permissions for", to, Call::Chmod { path, mode });
        }
        is_fine
    }

    fn done(&self, job: &mut Job<'_>, what: &str, to: &[u8], call: Call) -> bool {
        match job.call(call) {
            Ok(_) => true,
            Err(errno) => {
                job.complain_of(&format!("{what} {}", q(to)), errno);
                false
            }
        }
    }
}

/// Copies the extended attributes that can be; `cp -a` is silent about others. ACLs go with the permissions.
fn copy_xattrs(job: &mut Job<'_>, source: &[u8], to: &[u8]) {
    let (path, into) = (job.path(source), job.path(to));
    let list = Call::Listxattr {
        path: path.clone(),
        follow: false,
    };
    let Ok(Reply::Names(names)) = job.call(list) else {
        return;
    };
    for name in names {
        let get = Call::Getxattr {
            path: path.clone(),
            name: name.to_vec(),
            follow: false,
        };
        if let Ok(Reply::Bytes(value)) = job.call(get) {
            let set = Call::Setxattr {
                path: into.clone(),
                name: name.to_vec(),
                value,
                how: SetXattr::Any,
                follow: false,
            };
            let _ = job.call(set);
        }
    }
}
