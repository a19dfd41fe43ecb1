//! tree.

use super::job::{Job, join};
use super::option::{Args, Command, Run, flag, valued};
use crate::overlay::mount::{FileName, FileType};

pub(super) const TREE: Command = Command {
    name: "tree",
    usage: "[OPTION]... [DIRECTORY]...",
    about: "Draw what is below directories.",
    options: &[
        flag('a', "", "names that begin with a dot too"),
        flag('d', "", "directories only"),
        flag('f', "", "with the whole path"),
        valued('L', "", "N", "down to so many levels"),
    ],
    run: Run::Parsed(tree),
    misuse: 1,
};

#[derive(Default)]
struct Counts {
    directories: u64,
    files: u64,
}

/// A directory that is being drawn.
struct Level {
    path: Vec<u8>,
    /// The names that are left, the next one last.
    names: Vec<FileName>,
    /// What stands before its lines.
    indent: Vec<u8>,
}

fn tree(job: &mut Job<'_>, args: Args) -> u8 {
    let mut depth = usize::MAX;
    if let Some(text) = args.value('L') {
        match std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
            Some(number) if number > 0 => depth = number,
            _ => {
                job.complain("Invalid level, must be greater than 0.");
                return 1;
            }
        }
    }
    let default = [b".".to_vec()];
    let tops = if args.operands.is_empty() {
        &default[..]
    } else {
        &args.operands
    };
    let mut counts = Counts::default();
    let mut status = 0;
    for top in tops {
        job.print(&top[..]);
        match sorted(job, &args, top) {
            Ok(names) => {
                counts.directories += u64::from(!names.is_empty());
                job.print("\n");
                draw(job, &args, depth, top, names, &mut counts);
            }
            Err(()) => {
                job.print("  [error opening dir]\n");
                status = 2;
            }
        }
    }
    let plural = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let directories = plural(counts.directories, "directory", "directories");
    match args.has('d') {
        true => job.print(format!("\n{directories}\n")),
        false => job.print(format!(
            "\n{directories}, {}\n",
            plural(counts.files, "file", "files")
        )),
    }
    status
}

/// The names in a directory that are drawn, the first one last.
fn sorted(job: &mut Job<'_>, args: &Args, path: &[u8]) -> Result<Vec<FileName>, ()> {
    let mut names = job.names(path).map_err(|_| ())?;
    names.retain(|name| args.has('a') || !name.starts_with(b"."));
    if args.has('d') {
        names.retain(|name| job.is_directory(&join(path, name)));
    }
    names.sort();
    names.reverse();
    Ok(names)
}

fn draw(job: &mut Job<'_>, args: &Args, depth: usize, top: &[u8], names: Vec<FileName>, counts: &mut Counts) {
    let mut levels = vec![Level {
        path: top.to_vec(),
        names,
        indent: Vec::new(),
    }];
    loop {
        let deep = levels.len();
        let Some(level) = levels.last_mut() else { return };
        let Some(name) = level.names.pop() else {
            levels.pop();
            continue;
        };
        let is_last = level.names.is_empty();
        let path = join(&level.path, &name);
        let branch = if is_last { "└── " } else { "├── " };
        let mut line = [&level.indent[..], branch.as_bytes()].concat();
        let below = if is_last { "    " } else { "│\u{a0}\u{a0} " };
        let indent = [&level.indent[..], below.as_bytes()].concat();
        line.extend_from_slice(if args.has('f') { &path } else { &name });
        let mut inner = None;
        match job.stat(&path, false).map(|stat| stat.file_type) {
            Ok(FileType::Directory) => {
                counts.directories += 1;
                if deep < depth {
                    match sorted(job, args, &path) {
                        Ok(names) => inner = Some(names),
                        Err(()) => line.extend(b"  [error opening dir]"),
                    }
                }
            }
            Ok(FileType::Symlink) => {
                match job.is_directory(&path) {
                    true => counts.directories += 1,
                    false => counts.files += 1,
                }
                let target = job.target(&path).unwrap_or_default();
                line.extend([b" -> ", &target[..]].concat());
            }
            _ => counts.files += 1,
        }
        line.push(b'\n');
        job.print(line);
        if let Some(names) = inner {
            levels.push(Level { path, names, indent });
        }
    }
}
