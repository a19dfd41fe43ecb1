//! mv: rename(2), and where the kernel answers EXDEV, as overlayfs does for directories of lower layers, a copy
//! and a removal (copy.c, `copy_internal` with `move_mode`). When the first rename was tried before anything was
//! looked at (two operands), what is in the directory is copied; else each thing in it is renamed if it can be.

use std::collections::{BTreeMap, BTreeSet};

use super::copy::{Copier, TARGET_OPTIONS, Target, target};
use super::job::{Job, q};
use super::option::{Args, Command, Run, flag, valued};
use super::remove::remove_all;
use crate::overlay::mount::{Call, Errno, FileType};

pub(super) const MV: Command = Command {
    name: "mv",
    usage: "[OPTION]... SOURCE... TARGET|DIRECTORY",
    about: "Give files another name or place. What the kernel does not move (EXDEV) is copied and removed.",
    options: &[
        flag('f', "force", "do not ask, as never here"),
        flag('n', "no-clobber", "leave alone what is there"),
        valued('t', TARGET_OPTIONS[0].long, "DIRECTORY", "into this one"),
        flag(
            'T',
            TARGET_OPTIONS[1].long,
            "TARGET is never a directory to put it in",
        ),
        flag('v', "verbose", "tell each"),
    ],
    run: Run::Parsed(mv),
    misuse: 1,
};

/// RENAME_NOREPLACE of renameat2(2).
pub(super) const NOREPLACE: u32 = 1;

struct Mover {
    copier: Copier,
    never_replaces: bool,
    is_verbose: bool,
}

fn mv(job: &mut Job<'_>, args: Args) -> u8 {
    let mut operands = args.operands.clone();
    let mut mover = Mover {
        copier: Copier {
            is_recursive: true,
            follows: false,
            keeps_attributes: true,
            keeps_xattrs: true,
            keeps_links: true,
            is_forced: false,
            is_verbose: args.has('v'),
            is_move: true,
            renames_children: false,
            copied: BTreeMap::new(),
            made: BTreeSet::new(),
            made_directories: BTreeSet::new(),
        },
        never_replaces: args.last_of("fn") == Some('n'),
        is_verbose: args.has('v'),
    };
    // Two operands are tried at once: mostly there is nothing at the second.
    let mut first = None;
    if operands.len() == 2 && args.value('t').is_none() && !args.has('T') {
        let renamed = rename(job, &operands[0], &operands[1], NOREPLACE);
        if renamed.is_ok() {
            mover.tell(job, &operands[0], &operands[1]);
            return 0;
        }
        first = renamed.err();
    }
    let Ok(target) = target(job, &args, &mut operands) else {
        return 1;
    };
    let is_into = matches!(target, Target::Into(_));
    let mut status = 0;
    for source in &operands {
        let to = target.of(source);
        let tried = if is_into { None } else { first };
        status |= u8::from(!mover.go(job, source, &to, is_into, tried));
    }
    status
}

pub(super) fn rename(job: &mut Job<'_>, old: &[u8], new: &[u8], flags: u32) -> Result<(), Errno> {
    let (old, new) = (job.path(old), job.path(new));
    job.call(Call::Rename { old, new, flags }).map(drop)
}

impl Mover {
    fn tell(&self, job: &mut Job<'_>, source: &[u8], to: &[u8]) {
        if self.is_verbose {
            job.print(format!("renamed {} -> {}\n", q(source), q(to)));
        }
    }

    /// Moves one operand; `tried` is what the first rename came to, if there was one.
    fn go(
        &mut self,
        job: &mut Job<'_>,
        source: &[u8],
        to: &[u8],
        is_into: bool,
        tried: Option<Errno>,
    ) -> bool {
        let mut failure = match tried {
            Some(errno) => errno,
            None => match rename(job, source, to, NOREPLACE) {
                Ok(()) => {
                    self.copier.made.insert(to.to_vec());
                    self.tell(job, source, to);
                    return true;
                }
                Err(errno) => errno,
            },
        };
        if failure == Errno::EEXIST && self.never_replaces {
            return true;
        }
        let stat = match job.stat(source, false) {
            Ok(stat) => stat,
            Err(errno) => {
                job.complain_of(&format!("cannot stat {}", q(source)), errno);
                return false;
            }
        };
        let is_directory = stat.file_type == FileType::Directory;
        match job.stat(to, false) {
            Ok(there) => {
                if there.ino == stat.ino && !is_directory {
                    job.complain(&format!("{} and {} are the same file", q(source), q(to)));
                    return false;
                }
                if let Some(text) = self.refusal(is_directory, &there, source, to, is_into) {
                    job.complain(&text);
                    return false;
                }
            }
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                job.complain_of(&format!("cannot stat {}", q(to)), errno);
                return false;
            }
        }
        if failure == Errno::EEXIST {
            match rename(job, source, to, 0) {
                Ok(()) => {
                    self.copier.made.insert(to.to_vec());
                    self.tell(job, source, to);
                    return true;
                }
                Err(errno) => failure = errno,
            }
        }
        match failure {
            Errno::EXDEV => {
                self.copier.renames_children = tried.is_none();
                self.copy(job, source, to, is_directory, is_into)
            }
            Errno::EINVAL => {
                let (source, to) = (q(source), q(to));
                job.complain(&format!("cannot move {source} to a subdirectory of itself, {to}"));
                false
            }
            errno => {
                job.complain_of(&format!("cannot move {} to {}", q(source), q(to)), errno);
                false
            }
        }
    }

    /// Why what is there is not replaced.
    fn refusal(
        &self,
        is_directory: bool,
        there: &crate::overlay::mount::Stat,
        source: &[u8],
        to: &[u8],
        is_into: bool,
    ) -> Option<String> {
        match (is_directory, there.file_type == FileType::Directory) {
            (false, true) => Some(format!("cannot overwrite directory {} with non-directory", q(to))),
            (true, false) => Some(format!(
                "cannot overwrite non-directory {} with directory {}",
                q(to),
                q(source)
            )),
            (false, false) if is_into && self.copier.made.contains(to) => Some(format!(
                "will not overwrite just-created {} with {}",
                q(to),
                q(source)
            )),
            _ => None,
        }
    }

    /// What the kernel does not move is copied, and the source removed.
    fn copy(
        &mut self,
        job: &mut Job<'_>,
        source: &[u8],
        to: &[u8],
        is_directory: bool,
        is_into: bool,
    ) -> bool {
        let path = job.path(to);
        let cleared = job.call(match is_directory {
            true => Call::Rmdir { path },
            false => Call::Unlink { path },
        });
        if let Err(errno) = cleared
            && errno != Errno::ENOENT
        {
            let (source, to) = (q(source), q(to));
            let text = format!("inter-device move failed: {source} to {to}; unable to remove target");
            job.complain_of(&text, errno);
            return false;
        }
        if !self.copier.copy(job, source, to, is_into) {
            return false;
        }
        let mut args = Args::default();
        if self.is_verbose {
            args.options.push(('v', Vec::new()));
        }
        remove_all(job, source, &args)
    }
}
