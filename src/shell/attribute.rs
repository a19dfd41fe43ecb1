//! chmod, chown, chgrp.

use super::job::{Job, Visit, Walk, q};
use super::mode::{self, Change};
use super::names::{group_number, user_number};
use super::option::{Args, Command, Run, flag, missing, parse};
use super::quote;
use crate::overlay::mount::{Call, Errno, FileType, Stat};

pub(super) const CHMOD: Command = Command {
    name: "chmod",
    usage: "[OPTION]... MODE FILE...",
    about: "Change permissions: octal as 755, or as u+x,go-w.",
    options: &[
        flag('R', "recursive", "directories with all that is in them"),
        flag('f', "silent", "no messages"),
    ],
    run: Run::Raw(chmod),
    misuse: 1,
};

pub(super) const CHOWN: Command = Command {
    name: "chown",
    usage: "[OPTION]... [OWNER][:GROUP] FILE...",
    about: "Change owner and group, by number or by a name that /etc/passwd and /etc/group have.",
    options: OWNER_OPTIONS,
    run: Run::Parsed(chown),
    misuse: 1,
};

pub(super) const CHGRP: Command = Command {
    name: "chgrp",
    usage: "[OPTION]... GROUP FILE...",
    about: "Change the group.",
    options: OWNER_OPTIONS,
    run: Run::Parsed(chown),
    misuse: 1,
};

const OWNER_OPTIONS: &[super::option::Opt] = &[
    flag('h', "no-dereference", "links themselves, not what they lead to"),
    flag('R', "recursive", "directories with all that is in them"),
    flag('f', "silent", "no messages"),
];

fn chmod(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    // A mode like -x looks like an option, and is none.
    let is_mode = |word: &&Vec<u8>| {
        word.len() > 1 && word[0] == b'-' && word[1..].iter().all(|b| b"rwxXstugoa,+=-01234567".contains(b))
    };
    let dashed = arguments.iter().position(|word| is_mode(&word) && word != b"--");
    let mut arguments = arguments.to_vec();
    let mut text = dashed.map(|position| arguments.remove(position));
    let Ok(mut args) = parse(job, CHMOD.options, arguments) else {
        return 1;
    };
    if text.is_none() && !args.operands.is_empty() {
        text = Some(args.operands.remove(0));
    }
    let Some(text) = text else {
        return missing(job, "", None);
    };
    if args.operands.is_empty() {
        return missing(job, "", Some(&text));
    }
    let Some(change) = mode::parse(&text) else {
        job.misused(&format!("invalid mode: {}", quote::word(&text)));
        return 1;
    };
    let mut status = 0;
    for name in &args.operands {
        status |= match args.has('R') {
            true => chmod_tree(job, name, &change, args.has('f')),
            false => chmod_operand(job, name, &change, args.has('f')),
        };
    }
    status
}

fn chmod_operand(job: &mut Job<'_>, name: &[u8], change: &Change, is_silent: bool) -> u8 {
    match job.stat(name, true) {
        Ok(stat) => chmod_one(job, name, &stat, change, is_silent),
        Err(errno) => {
            let is_dangling = errno == Errno::ENOENT && job.stat(name, false).is_ok();
            match (is_silent, is_dangling) {
                (true, _) => {}
                (false, true) => job.complain(&format!("cannot operate on dangling symlink {}", q(name))),
                (false, false) => job.complain_of(&format!("cannot access {}", q(name)), errno),
            }
            1
        }
    }
}

fn chmod_tree(job: &mut Job<'_>, name: &[u8], change: &Change, is_silent: bool) -> u8 {
    if job.stat(name, true).is_err() {
        return chmod_operand(job, name, change, is_silent);
    }
    let mut status = 0;
    let mut walk = Walk::following(name);
    while let Some(visit) = walk.next(job) {
        match visit {
            Visit::Enter { stat, .. } if stat.file_type == FileType::Symlink => {}
            Visit::Enter { path, stat, .. } => {
                status |= chmod_one(job, &path, &stat, change, is_silent);
            }
            Visit::Leave { .. } => {}
            Visit::Failed {
                path,
                is_listing,
                errno,
                ..
            } => {
                status = 1;
                let what = if is_listing {
                    "cannot read directory"
                } else {
                    "cannot access"
                };
                if !is_silent {
                    job.complain_of(&format!("{what} {}", q(&path)), errno);
                }
            }
        }
    }
    status
}

fn chmod_one(job: &mut Job<'_>, name: &[u8], stat: &Stat, change: &Change, is_silent: bool) -> u8 {
    let is_directory = stat.file_type == FileType::Directory;
    let mode = change.apply(stat.mode, is_directory, job.caller.umask);
    let path = job.path(name);
    match job.call(Call::Chmod { path, mode }) {
        Ok(_) => 0,
        Err(errno) => {
            if !is_silent {
                job.complain_of(&format!("changing permissions of {}", q(name)), errno);
            }
            1
        }
    }
}

/// Who is to own something; nothing stays as it is.
#[derive(Clone, Copy, Default)]
struct Owner {
    uid: Option<u32>,
    gid: Option<u32>,
}

fn chown(job: &mut Job<'_>, args: Args) -> u8 {
    let (spec, names) = match &args.operands[..] {
        [] => return missing(job, "", None),
        [only] => return missing(job, "", Some(only)),
        [spec, names @ ..] => (spec.clone(), names),
    };
    let owner = match job.command {
        "chgrp" => group_of(job, &spec, &spec).map(|gid| Owner {
            uid: None,
            gid: Some(gid),
        }),
        _ => owner_of(job, &spec),
    };
    let Ok(owner) = owner else { return 1 };
    let mut status = 0;
    for name in names {
        status |= match args.has('R') {
            true => chown_tree(job, name, owner, args.has('f')),
            false => chown_one(job, name, owner, !args.has('h'), args.has('f')),
        };
    }
    status
}

fn owner_of(job: &mut Job<'_>, spec: &[u8]) -> Result<Owner, ()> {
    let split = spec.iter().position(|&byte| byte == b':');
    let (user, group) = match split {
        Some(at) => (&spec[..at], Some(&spec[at + 1..])),
        None => (spec, None),
    };
    let mut owner = Owner::default();
    if !user.is_empty() {
        let uid = user_number(job, user);
        // "1:" means the group that the user logs in with, which a number does not tell.
        let names_login = group.is_some_and(<[u8]>::is_empty);
        match uid {
            Some(uid) if !names_login => owner.uid = Some(uid),
            found => {
                let what = if found.is_some() { "spec" } else { "user" };
                job.complain(&format!("invalid {what}: {}", quote::word(spec)));
                return Err(());
            }
        }
    }
    if let Some(group) = group
        && !group.is_empty()
    {
        owner.gid = Some(group_of(job, group, spec)?);
    }
    Ok(owner)
}

fn group_of(job: &mut Job<'_>, group: &[u8], spec: &[u8]) -> Result<u32, ()> {
    group_number(job, group).ok_or_else(|| {
        job.complain(&format!("invalid group: {}", quote::word(spec)));
    })
}

fn chown_tree(job: &mut Job<'_>, name: &[u8], owner: Owner, is_silent: bool) -> u8 {
    let mut status = 0;
    let mut walk = Walk::new(name);
    while let Some(visit) = walk.next(job) {
        match visit {
            Visit::Enter { stat, .. } if stat.file_type == FileType::Directory => {}
            // A directory comes after what is in it.
            Visit::Enter { path, .. } | Visit::Leave { path, .. } => {
                status |= change_owner(job, &path, owner, false, is_silent);
            }
            Visit::Failed {
                path,
                is_listing,
                errno,
                ..
            } => {
                status = 1;
                let what = if is_listing {
                    "cannot read directory"
                } else {
                    "cannot access"
                };
                if !is_silent {
                    job.complain_of(&format!("{what} {}", q(&path)), errno);
                }
            }
        }
    }
    status
}

fn chown_one(job: &mut Job<'_>, name: &[u8], owner: Owner, follow: bool, is_silent: bool) -> u8 {
    if let Err(errno) = job.stat(name, false) {
        if !is_silent {
            job.complain_of(&format!("cannot access {}", q(name)), errno);
        }
        return 1;
    }
    if follow && let Err(errno) = job.stat(name, true) {
        if !is_silent {
            job.complain_of(&format!("cannot dereference {}", q(name)), errno);
        }
        return 1;
    }
    change_owner(job, name, owner, follow, is_silent)
}

fn change_owner(job: &mut Job<'_>, name: &[u8], owner: Owner, follow: bool, is_silent: bool) -> u8 {
    let call = Call::Chown {
        path: job.path(name),
        uid: owner.uid,
        gid: owner.gid,
        follow,
    };
    match job.call(call) {
        Ok(_) => 0,
        Err(errno) => {
            if !is_silent {
                let what = if owner.uid.is_some() { "ownership" } else { "group" };
                job.complain_of(&format!("changing {what} of {}", q(name)), errno);
            }
            1
        }
    }
}
