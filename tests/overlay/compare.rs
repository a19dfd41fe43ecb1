//! One sequence of calls, here and in the kernel, and what to make of a difference.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use handroll::native::{Kernel, unshare_mounts};
use handroll::overlay::mount::{
    Call, Detail, Errno, Lower, Marks, Options, Overlay, Redirect, Reply, Row, System, Upper, walk,
};
use handroll::overlay::script::{Script, Step};
use handroll::tree::Time;
use tempfile::TempDir;

use super::cases::{self, Case, caller};
use super::random::Random;

/// A way of mounting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Default,
    MadeUpper,
    RedirectOn,
    RedirectNofollow,
    Userxattr,
    UserNamespace,
    UserNamespaceMadeUpper,
    XattrWhiteouts,
    ManyLayers,
}

impl Way {
    pub const ALL: [Self; 9] = [
        Self::Default,
        Self::MadeUpper,
        Self::RedirectOn,
        Self::RedirectNofollow,
        Self::Userxattr,
        Self::UserNamespace,
        Self::UserNamespaceMadeUpper,
        Self::XattrWhiteouts,
        Self::ManyLayers,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::MadeUpper => "made-upper",
            Self::RedirectOn => "redirect-on",
            Self::RedirectNofollow => "redirect-nofollow",
            Self::Userxattr => "userxattr",
            Self::UserNamespace => "user-namespace",
            Self::UserNamespaceMadeUpper => "user-namespace-made-upper",
            Self::XattrWhiteouts => "xattr-whiteouts",
            Self::ManyLayers => "many-layers",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    pub fn is_in_user_namespace(self) -> bool {
        matches!(self, Self::UserNamespace | Self::UserNamespaceMadeUpper)
    }

    pub fn has_made_upper(self) -> bool {
        !matches!(self, Self::Default | Self::UserNamespace)
    }

    /// Whether layers carry redirects; they are trusted attributes, so root has to write them.
    pub fn has_redirects(self) -> bool {
        matches!(self, Self::RedirectOn | Self::RedirectNofollow | Self::MadeUpper)
    }

    /// How many lower layers there are: at least so many, and fewer than so many.
    pub fn layers(self) -> (usize, usize) {
        match self {
            Self::ManyLayers => (101, 140),
            _ => (1, 4),
        }
    }

    /// How many sequences it gets of `sequences`: layers by the hundred take their time.
    pub fn share(self, sequences: u64) -> u64 {
        match self {
            Self::ManyLayers => sequences.div_ceil(50),
            _ => sequences,
        }
    }

    pub fn options(self) -> Options {
        let redirect = match self {
            Self::RedirectOn => Redirect::On,
            Self::RedirectNofollow | Self::Userxattr => Redirect::NoFollow,
            Self::UserNamespace | Self::UserNamespaceMadeUpper => Redirect::NoFollow,
            _ => Redirect::Follow,
        };
        Options {
            redirect,
            userxattr: self.is_in_user_namespace() || self == Self::Userxattr,
            user_namespace: self.is_in_user_namespace(),
        }
    }
}

/// The seed of the sequences that every run has.
const FIXED: u64 = 1;

/// How many calls a sequence has.
const CALLS: usize = 24;

/// Runs `count` sequences from number `first` on.
pub fn run(way: Way, seed: u64, first: u64, count: u64) -> ExitCode {
    unshare_mounts().expect("root may, here or in a user namespace");
    let base = tempfile::tempdir().expect("a temporary directory");
    let start = Instant::now();
    let mut tally = Tally::default();
    for number in first..first + count {
        // Every other sequence is the same in every run.
        let seed = if number.is_multiple_of(2) { FIXED } else { seed };
        let mut random = Random::new(seed ^ number.wrapping_mul(0x9e37_79b9));
        let case = make(&mut random, way);
        match compare(&base, &case, &mut tally) {
            None => {}
            Some(difference) if is_split_inode(way, &difference) => tally.anomalies += 1,
            Some(difference) => {
                println!("{} seed {seed} sequence {number}: {difference}", way.name());
                let shrunk = shrink(&base, case);
                report(&base, &shrunk);
                tally.differences += 1;
                if tally.differences == 5 {
                    break;
                }
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}: {count} sequences, {} calls ({} succeeded), {} kernel anomalies, {} differences, {seconds:.1} s; {}",
        way.name(),
        tally.calls,
        tally.succeeded,
        tally.anomalies,
        tally.differences,
        tally.speed(),
    );
    // What is let pass is rare: were it common, it would be something else.
    match tally.differences == 0 && tally.anomalies <= count / 100 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[derive(Default)]
pub struct Tally {
    calls: u64,
    succeeded: u64,
    anomalies: u64,
    differences: u64,
    /// The time that the calls took.
    here: Duration,
    there: Duration,
}

impl Tally {
    /// Calls a second, here and in the kernel. A test says it, `cargo bench --bench overlay` measures it.
    fn speed(&self) -> String {
        let speed = |time: Duration| self.calls as f64 / time.as_secs_f64() / 1000.0;
        format!(
            "{:.0} thousand calls a second here, {:.0} in the kernel",
            speed(self.here),
            speed(self.there)
        )
    }
}

fn simulated(case: &Case) -> Overlay {
    let now = caller().now;
    let lowers = case.lowers.iter().cloned().map(Lower::new).collect();
    let upper = Upper::from_layer(&case.upper, Marks::of(case.options), now);
    Overlay::mount(lowers, Some(upper), case.options, now).expect("options that go together")
}

/// Calls are made up along a simulated run, so that most name what is there.
fn make(random: &mut Random, way: Way) -> Case {
    let mut case = cases::layers(random, way);
    let mut overlay = simulated(&case);
    for _ in 0..CALLS {
        let caller = cases::any_caller(random, &case);
        let call = cases::call(random, &overlay, &case);
        overlay.call(caller, &call);
        case.calls.push((caller, call));
    }
    case
}

/// The first difference, if there is one.
fn compare(base: &TempDir, case: &Case, tally: &mut Tally) -> Option<String> {
    let mut overlay = simulated(case);
    let begin = now();
    let mut kernel = Kernel::mount(base.path(), &case.lowers, Some(&case.upper), case.options)
        .expect("what is mounted here can be mounted there");
    let mut numbers = Numbers::default();
    if case.looks_first {
        let difference = compare_merged(&mut overlay, &mut kernel, begin, &mut numbers);
        if let Some(difference) = difference {
            return Some(format!("before the first call: {difference}"));
        }
    }
    for (number, (caller, call)) in case.calls.iter().enumerate() {
        let start = Instant::now();
        let ours = System::call(&mut overlay, *caller, call);
        let middle = Instant::now();
        let theirs = kernel.call(*caller, call);
        tally.here += middle - start;
        tally.there += middle.elapsed();
        tally.calls += 1;
        tally.succeeded += u64::from(theirs.is_ok());
        // What opening a device or a pipe does is the driver's affair, and not simulated.
        if ours.as_ref().err() == Some(&Errno::ENXIO) {
            continue;
        }
        let (ours, theirs) = (reply(call, &ours), reply(call, &theirs));
        if ours != theirs {
            return Some(format!(
                "call {number} by {}:{}: {call}\n  here   {ours}\n  kernel {theirs}",
                caller.uid, caller.gid
            ));
        }
    }
    if let Some(difference) = compare_states(&mut overlay, &mut kernel, begin, &mut numbers) {
        return Some(format!("at the end: {difference}"));
    }
    let again = Call::Remount { options: None };
    overlay.call(caller(), &again);
    kernel.call(caller(), &again).expect("it was mounted before");
    compare_states(&mut overlay, &mut kernel, begin, &mut numbers)
        .map(|difference| format!("mounted again: {difference}"))
}

/// Inode numbers as they were met, here and in the kernel: what is one file in one is one in the other.
#[derive(Default)]
struct Numbers {
    met: Vec<(u64, u64)>,
}

impl Numbers {
    /// Whether two numbers can be those of one file, in the light of all before.
    fn agree(&mut self, ours: u64, theirs: u64) -> bool {
        let known = self.met.iter().find(|(a, b)| *a == ours || *b == theirs);
        match known {
            Some(pair) => *pair == (ours, theirs),
            None => {
                self.met.push((ours, theirs));
                true
            }
        }
    }
}

fn now() -> Time {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    Time {
        // Times of files come from a coarser clock, which can be behind.
        seconds: since.as_secs() as i64 - 1,
        nanos: 0,
    }
}

/// When a file was changed, as far as that can be compared: a time that a layer or a call gave, or the moment.
fn when(time: Time, begin: Time) -> String {
    match time >= begin || time == caller().now {
        true => "now".to_owned(),
        false => format!("{}.{:09}", time.seconds, time.nanos),
    }
}

/// The upperdir first: looking at the merged view leaves marks in it.
fn compare_states(
    overlay: &mut Overlay,
    kernel: &mut Kernel,
    begin: Time,
    numbers: &mut Numbers,
) -> Option<String> {
    let marks = overlay.marks();
    let upper = |rows: Vec<Row>| -> Vec<String> {
        let line = |row: Row| {
            let when = when(row.mtime, begin);
            let line = comparable(row.clone()).line(marks);
            match row.detail {
                Detail::Whiteout => format!("{line} {}:{}", row.uid, row.gid),
                _ => line + " " + &when,
            }
        };
        rows.into_iter().map(line).collect()
    };
    let ours = upper(overlay.upperdir().expect("it has one").rows());
    let theirs = upper(kernel.upper_rows().expect("root can read it"));
    if let Some(difference) = lines_differ(&ours, &theirs) {
        return Some(format!("upperdir\n{difference}"));
    }
    compare_merged(overlay, kernel, begin, numbers)
}

fn compare_merged(
    overlay: &mut Overlay,
    kernel: &mut Kernel,
    begin: Time,
    numbers: &mut Numbers,
) -> Option<String> {
    let marks = overlay.marks();
    let (ours, theirs) = (walk(overlay, caller()), walk(kernel, caller()));
    let lines = |rows: &[Row]| -> Vec<String> {
        let line = |row: &Row| row.line(marks) + " " + &when(row.mtime, begin);
        rows.iter().map(line).collect()
    };
    if let Some(difference) = lines_differ(&lines(&ours), &lines(&theirs)) {
        return Some(format!("merged view\n{difference}"));
    }
    let mut pairs = ours.iter().zip(&theirs);
    let odd = pairs.find(|(a, b)| {
        let is_there = !matches!(a.detail, Detail::Missing(_));
        is_there && !numbers.agree(a.ino, b.ino)
    });
    odd.map(|(a, b)| {
        let path = String::from_utf8_lossy(&a.path);
        format!(
            "inode number of {path}: {:x} here, {:x} in the kernel\n  {:x?}",
            a.ino, b.ino, numbers.met
        )
    })
}

/// Without what the kernel writes of its own accord: the file system's UUID on the upper's root.
fn comparable(mut row: Row) -> Row {
    row.xattrs.retain(|(name, _)| !name.ends_with(b".overlay.uuid"));
    if let Detail::Whiteout = row.detail {
        row.nlink = None;
    }
    row
}

/// An anomaly of the kernel: where file handles cannot be read, a further name of a copied-up file gets an inode
/// of its own (reference: `ln m/a m/d/b` gives two inode numbers), whose mode goes stale when the mode is changed
/// by the other name; so set-uid and set-gid are not taken off when it is written by the stale one. Everything
/// else about such files is simulated, ESTALE of rename too.
///
/// With `userxattr` that befalls pipes, which can have no such attribute, and there callers are not all root: by its
/// stale mode one may be opened that nobody has given leave to open.
fn is_split_inode(way: Way, difference: &str) -> bool {
    let without_bits = |mark: &str| -> Vec<String> {
        let lines = difference
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(mark));
        let words = lines.map(|line| {
            let word = |word: &str| match word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()) {
                true => format!("{}{}", word.as_bytes()[0] & 1, &word[1..]),
                false => word.to_owned(),
            };
            line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
        });
        words.collect()
    };
    let (ours, theirs) = (without_bits("here "), without_bits("kernel "));
    let is_opened_pipe = ours == ["EACCES"] && theirs == ["ENXIO"];
    match way {
        Way::Userxattr => is_opened_pipe,
        way => way.is_in_user_namespace() && !ours.is_empty() && ours == theirs,
    }
}

fn lines_differ(ours: &[String], theirs: &[String]) -> Option<String> {
    let only = |these: &[String], others: &[String], mark: &str| -> String {
        let lines = these.iter().filter(|line| !others.contains(line));
        lines.map(|line| format!("  {mark} {line}\n")).collect()
    };
    (ours != theirs).then(|| only(ours, theirs, "here  ") + &only(theirs, ours, "kernel"))
}

fn reply(call: &Call, reply: &Result<Reply, Errno>) -> String {
    match reply {
        Err(errno) => errno.name(),
        Ok(Reply::Done) => "done".to_owned(),
        Ok(Reply::Content(content)) => format!("{:?}", content.read_all(1 << 20)),
        Ok(Reply::Bytes(bytes)) => format!("{bytes:?}"),
        // In which order the attributes of a file are listed is the file system's affair.
        Ok(Reply::Names(names)) if matches!(call, Call::Listxattr { .. }) => {
            let names: std::collections::BTreeSet<_> = names.iter().collect();
            format!("{names:?}")
        }
        Ok(Reply::Names(names)) => {
            let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
            format!("{names:?}")
        }
        Ok(Reply::Stat(stat)) => format!(
            "{:?} {:o} {}:{} {} ×{} {:?}",
            stat.file_type, stat.mode, stat.uid, stat.gid, stat.size, stat.nlink, stat.device
        ),
    }
}

/// Takes calls away as long as there still is a difference.
fn shrink(base: &TempDir, mut case: Case) -> Case {
    let mut position = 0;
    while position < case.calls.len() {
        let mut smaller = case.clone();
        smaller.calls.remove(position);
        match compare(base, &smaller, &mut Tally::default()) {
            Some(_) => case = smaller,
            None => position += 1,
        }
    }
    for position in (0..case.lowers.len()).rev() {
        let mut smaller = case.clone();
        smaller.lowers.remove(position);
        if !smaller.lowers.is_empty() && compare(base, &smaller, &mut Tally::default()).is_some() {
            case = smaller;
        }
    }
    for position in 0..=case.lowers.len() {
        prune(base, &mut case, position);
    }
    case
}

/// Takes names away from one layer; the last position is the upper's.
fn prune(base: &TempDir, case: &mut Case, position: usize) {
    fn layer(case: &mut Case, position: usize) -> &mut handroll::tree::Tree {
        match position == case.lowers.len() {
            true => &mut case.upper,
            false => &mut case.lowers[position],
        }
    }
    let marks = Marks::of(case.options);
    let rows = Upper::from_layer(layer(case, position), marks, caller().now).rows();
    for row in rows.iter().skip(1) {
        let path = handroll::tree::TreePath::from_bytes(&row.path).expect("a path of a tree");
        let mut smaller = case.clone();
        let tree = layer(&mut smaller, position);
        let _ = tree.delete(&path);
        let _ = tree.clear_whiteout(&path);
        if compare(base, &smaller, &mut Tally::default()).is_some() {
            *case = smaller;
        }
    }
}

fn report(base: &TempDir, case: &Case) {
    let steps = case.calls.iter().map(|(caller, call)| Step {
        line: 0,
        caller: *caller,
        call: call.clone(),
    });
    let script = Script {
        lowers: case.lowers.clone(),
        upper: Some(case.upper.clone()),
        options: case.options,
        steps: steps.collect(),
    };
    println!("# handroll simulate --compare\n{script}");
    assert_reads_back(&script);
    let difference = compare(base, case, &mut Tally::default());
    println!(
        "{}",
        difference.unwrap_or_else(|| "it does not differ any more".to_owned())
    );
}

/// A failing case is of use as a script only if the script is the case.
fn assert_reads_back(script: &Script) {
    let text = script.to_string();
    let again = Script::parse(&text).expect("a script that we wrote");
    assert_eq!(again.to_string(), text);
}
