//! rm, rmdir.

use super::job::{Job, Visit, Walk, base_name, q, trim_slashes};
use super::option::{Args, Command, Run, flag, missing};
use crate::overlay::mount::{Call, Errno, FileType};

pub(super) const RM: Command = Command {
    name: "rm",
    usage: "[OPTION]... FILE...",
    about: "Remove files, and with -r directories. In a container, what lower layers have is hidden by a whiteout.",
    options: &[
        flag('d', "dir", "remove empty directories too"),
        flag('f', "force", "no error if it is not there"),
        flag('r', "recursive", "remove directories with all that is in them"),
        flag('R', "", "the same"),
        flag('v', "verbose", "tell each"),
    ],
    run: Run::Parsed(rm),
    misuse: 1,
};

pub(super) const RMDIR: Command = Command {
    name: "rmdir",
    usage: "[OPTION]... DIRECTORY...",
    about: "Remove empty directories.",
    options: &[
        flag('p', "parents", "and those above in the path"),
        flag('v', "verbose", "tell each"),
        flag(
            'i',
            "ignore-fail-on-non-empty",
            "no error if there is something in it",
        ),
    ],
    run: Run::Parsed(rmdir),
    misuse: 1,
};

fn rm(job: &mut Job<'_>, args: Args) -> u8 {
    if args.operands.is_empty() {
        return if args.has('f') { 0 } else { missing(job, "", None) };
    }
    let is_recursive = args.has('r') || args.has('R');
    let mut status = 0;
    for name in &args.operands {
        let is_fine = match (is_recursive, base_name(name)) {
            (_, b"." | b"..") => {
                let shown = q(trim_slashes(name));
                match is_recursive || args.has('d') {
                    true => job.complain(&format!(
                        "refusing to remove '.' or '..' directory: skipping {shown}"
                    )),
                    false => job.complain_of(&format!("cannot remove {shown}"), Errno::EISDIR),
                }
                false
            }
            (true, b"/") => {
                job.complain("it is dangerous to operate recursively on '/'");
                job.complain("use --no-preserve-root to override this failsafe");
                false
            }
            (true, _) => remove_all(job, name, &args),
            (false, _) => remove_one(job, name, &args),
        };
        status |= u8::from(!is_fine);
    }
    status
}

fn remove_one(job: &mut Job<'_>, name: &[u8], args: &Args) -> bool {
    let stat = match job.stat(name, false) {
        Ok(stat) => stat,
        Err(errno) => return cannot_remove(job, name, errno, args),
    };
    match (stat.file_type, args.has('d')) {
        (FileType::Directory, false) => cannot_remove(job, name, Errno::EISDIR, args),
        (FileType::Directory, true) => remove_directory(job, name, args),
        _ => unlink(job, name, args),
    }
}

fn cannot_remove(job: &mut Job<'_>, name: &[u8], errno: Errno, args: &Args) -> bool {
    if args.has('f') && matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
        return true;
    }
    job.complain_of(&format!("cannot remove {}", q(name)), errno);
    false
}

fn unlink(job: &mut Job<'_>, name: &[u8], args: &Args) -> bool {
    let path = job.path(name);
    match job.call(Call::Unlink { path }) {
        Ok(_) => tell(job, args, "removed", name),
        Err(errno) => cannot_remove(job, name, errno, args),
    }
}

fn remove_directory(job: &mut Job<'_>, name: &[u8], args: &Args) -> bool {
    let path = job.path(name);
    match job.call(Call::Rmdir { path }) {
        Ok(_) => tell(job, args, "removed directory", name),
        Err(errno) => cannot_remove(job, name, errno, args),
    }
}

fn tell(job: &mut Job<'_>, args: &Args, what: &str, name: &[u8]) -> bool {
    if args.has('v') {
        job.print(format!("{what} {}\n", q(name)));
    }
    true
}

/// Removes something and all that is in it.
pub(super) fn remove_all(job: &mut Job<'_>, name: &[u8], args: &Args) -> bool {
    let mut is_fine = true;
    // Directories in which something stayed are not tried: their depth tells.
    let mut kept_at = None;
    let mut walk = Walk::new(name);
    while let Some(visit) = walk.next(job) {
        match visit {
            Visit::Enter { path, stat, depth } if stat.file_type != FileType::Directory => {
                if !unlink(job, &path, args) {
                    is_fine = false;
                    kept_at = Some(depth);
                }
            }
            Visit::Enter { .. } => {}
            Visit::Leave { path, depth, .. } => {
                let has_rest = kept_at == Some(depth + 1);
                if has_rest || !remove_directory(job, &path, args) {
                    is_fine = false;
                    kept_at = Some(depth);
                }
            }
            Visit::Failed {
                path, errno, depth, ..
            } => {
                if !cannot_remove(job, &path, errno, args) {
                    is_fine = false;
                    kept_at = Some(depth);
                }
            }
        }
    }
    is_fine
}

fn rmdir(job: &mut Job<'_>, args: Args) -> u8 {
    if args.operands.is_empty() {
        return missing(job, "", None);
    }
    let mut status = 0;
    for name in &args.operands {
        let mut path = name.clone();
        loop {
            if args.has('v') {
                job.print(format!("rmdir: removing directory, {}\n", q(&path)));
            }
            let real = job.path(&path);
            if let Err(errno) = job.call(Call::Rmdir { path: real }) {
                let is_fine = args.has('i') && errno == Errno::ENOTEMPTY;
                if !is_fine {
                    let what = if path == *name { "" } else { "directory " };
                    job.complain_of(&format!("failed to remove {what}{}", q(&path)), errno);
                    status = 1;
                }
                break;
            }
            let trimmed = trim_slashes(&path);
            let Some(end) = trimmed.iter().rposition(|&byte| byte == b'/') else {
                break;
            };
            let parent = trim_slashes(&trimmed[..end]).to_vec();
            if !args.has('p') || parent.is_empty() || parent == b"/" {
                break;
            }
            path = parent;
        }
    }
    status
}
