//! du.

use std::collections::BTreeSet;

use super::job::{Job, Visit, Walk, q};
use super::list::{human, taken};
use super::option::{Args, Command, Run, flag, valued};
use super::quote;
use crate::overlay::mount::{FileType, Stat};

pub(super) const DU: Command = Command {
    name: "du",
    usage: "[OPTION]... [FILE]...",
    about: "Tell how much space directories take, in KiB: in blocks of 4 KiB, as on ext4.",
    options: &[
        flag('a', "all", "files too"),
        flag('b', "bytes", "bytes of the contents instead of blocks"),
        flag('c', "total", "the sum at the end"),
        valued('d', "max-depth", "N", "directories down to so many levels"),
        flag('h', "human-readable", "sizes as 1.5M"),
        flag('k', "", "KiB, as always"),
        flag('s', "summarize", "only what was named"),
    ],
    run: Run::Parsed(du),
    misuse: 1,
};

struct Usage<'a> {
    args: &'a Args,
    max_depth: usize,
    /// Files of more than one name that were counted.
    seen: BTreeSet<u64>,
    /// What was counted in the directories that are open, from the top down.
    sums: Vec<u64>,
}

fn du(job: &mut Job<'_>, args: Args) -> u8 {
    let mut max_depth = usize::MAX;
    if let Some(text) = args.value('d') {
        let Some(depth) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) else {
            job.misused(&format!("invalid maximum depth {}", quote::word(text)));
            return 1;
        };
        max_depth = depth;
    }
    if args.has('s') {
        if args.has('a') {
            job.misused("cannot both summarize and show all entries");
            return 1;
        }
        max_depth = 0;
    }
    let mut usage = Usage {
        args: &args,
        max_depth,
        seen: BTreeSet::new(),
        sums: vec![0],
    };
    let default = [b".".to_vec()];
    let tops = if args.operands.is_empty() {
        &default[..]
    } else {
        &args.operands
    };
    let mut status = 0;
    for top in tops {
        status |= usage.walk(job, top);
    }
    if args.has('c') {
        let total = usage.sums[0];
        usage.print(job, total, b"total");
    }
    status
}

impl Usage<'_> {
    fn walk(&mut self, job: &mut Job<'_>, top: &[u8]) -> u8 {
        let mut status = 0;
        let mut walk = Walk::new(top);
        while let Some(visit) = walk.next(job) {
            match visit {
                Visit::Enter { stat, .. } if stat.file_type == FileType::Directory => {
                    self.sums.push(self.size(&stat));
                }
                Visit::Enter { path, stat, depth } => {
                    if stat.nlink > 1 && !self.seen.insert(stat.ino) {
                        continue;
                    }
                    let size = self.size(&stat);
                    *self.sums.last_mut().expect("the total is there") += size;
                    if depth == 0 || (self.args.has('a') && depth <= self.max_depth) {
                        self.print(job, size, &path);
                    }
                }
                Visit::Leave { path, depth, .. } => {
                    let sum = self.sums.pop().unwrap_or_default();
                    *self.sums.last_mut().expect("the total is there") += sum;
                    if depth <= self.max_depth {
                        self.print(job, sum, &path);
                    }
                }
                Visit::Failed {
                    path,
                    is_listing,
                    errno,
                    ..
                } => {
                    let what = if is_listing {
                        "cannot read directory"
                    } else {
                        "cannot access"
                    };
                    job.complain_of(&format!("{what} {}", q(&path)), errno);
                    status = 1;
                }
            }
        }
        status
    }

    fn size(&self, stat: &Stat) -> u64 {
        match self.args.has('b') {
            true => super::list::size(stat),
            false => taken(stat),
        }
    }

    fn print(&self, job: &mut Job<'_>, bytes: u64, path: &[u8]) {
        let number = match (self.args.has('h'), self.args.has('b')) {
            (true, _) => human(bytes),
            (false, true) => bytes.to_string(),
            (false, false) => bytes.div_ceil(1024).to_string(),
        };
        job.print([number.as_bytes(), b"\t", path, b"\n"].concat());
    }
}
