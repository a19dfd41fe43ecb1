//! `handroll simulate`: a script of layers and calls, run in the simulated overlay, in the kernel's, or in both.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use handroll::native::{Kernel, other_settings, unshare_mounts};
use handroll::overlay::mount::{Call, Caller, Errno, Event, Layer, Marks, Overlay, Reply, Row, System, walk};
use handroll::overlay::script::{NOW, Script, Step};
use handroll::text::escape;
use serde::Serialize;

use super::output;
use super::{Failure, Verdict};

/// The largest script that is read.
const LIMIT: u64 = 64 << 20;

/// Run a script of layers and system calls on a simulated overlay mount, or on the kernel's
#[derive(Args, Debug)]
#[command(after_help = "\
A script has one directive a line: layers first, then `mount`, then the calls. docs/scripts.md has them all. As \
JSON it is a list of lines, each a list of words.

  layer
  dir /etc
  file /etc/motd hello
  mount
  write /etc/motd bye
  unlink /etc/motd

--kernel and --compare mount for real, in mounts of their own that nobody else sees: as root, or in a user \
namespace with root (`unshare -Urm handroll simulate …`) and the option userxattr.")]
pub struct SimulateArgs {
    /// The script, or `-` for standard input
    #[arg(value_name = "SCRIPT")]
    pub script: PathBuf,
    /// Run it on the kernel's overlayfs instead of the simulated one
    #[arg(long)]
    pub kernel: bool,
    /// Run it on both and show where they differ; exit code 1 if they do
    #[arg(long, conflicts_with = "kernel")]
    pub compare: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &SimulateArgs) -> Result<Verdict, Failure> {
    let script = read(&arguments.script)?;
    let reports = match (arguments.compare, arguments.kernel) {
        (true, _) => vec![simulated(&script)?, in_kernel(&script)?],
        (_, true) => vec![in_kernel(&script)?],
        _ => vec![simulated(&script)?],
    };
    let [report, others @ ..] = &reports[..] else {
        unreachable!("there is one at least")
    };
    let Some(kernel) = others.first() else {
        print(report, arguments.json)?;
        return Ok(Verdict::Fine);
    };
    let differences = differences(report, kernel);
    let is_equal = differences.is_empty();
    match arguments.json {
        true => print_json(&differences)?,
        false if is_equal => output::print("no difference\n")?,
        false => output::print(&differences.iter().map(Difference::text).collect::<String>())?,
    }
    Ok(match is_equal {
        true => Verdict::Fine,
        false => Verdict::Findings,
    })
}

fn read(path: &Path) -> Result<Script, Failure> {
    let failed = |error: std::io::Error| Failure::Work(format!("{}: {error}", path.display()));
    let mut text = String::new();
    match path == Path::new("-") {
        true => std::io::stdin().take(LIMIT).read_to_string(&mut text),
        false => fs::File::open(path)
            .map_err(failed)?
            .take(LIMIT)
            .read_to_string(&mut text),
    }
    .map_err(failed)?;
    let script = match text.trim_start().starts_with('[') {
        true => {
            let lines: Vec<Vec<String>> = serde_json::from_str(&text)
                .map_err(|error| Failure::Work(format!("{}: {error}", path.display())))?;
            let bytes = |word: String| {
                handroll::text::unescape(&word).map_err(|error| Failure::Work(error.to_string()))
            };
            let lines: Vec<Vec<Vec<u8>>> = lines
                .into_iter()
                .map(|line| line.into_iter().map(bytes).collect())
                .collect::<Result<_, _>>()?;
            Script::from_words(&lines)
        }
        false => Script::parse(&text),
    };
    script.map_err(|error| Failure::Work(format!("{}: {error}", path.display())))
}

/// What a run prints. Stable: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    /// `simulated` or `kernel`.
    by: &'static str,
    calls: Vec<CallReport>,
    /// The upperdir after the last call.
    upper: Vec<String>,
    /// What a process sees then.
    merged: Vec<String>,
}

#[derive(Serialize)]
struct CallReport {
    line: usize,
    call: String,
    /// Who made it, as `UID:GID`.
    caller: String,
    /// `0`, or the error's symbol.
    result: String,
    /// What it gave, if it gave anything.
    reply: Option<String>,
    /// Whether it changed the upperdir, of simulated calls; those that fail can, too.
    changed: Option<bool>,
    /// Why and how, of simulated calls.
    events: Vec<EventReport>,
}

#[derive(Serialize)]
struct EventReport {
    rule: &'static str,
    path: String,
    layer: Option<String>,
    bytes: Option<u64>,
    text: String,
    sentence: String,
    source: &'static str,
}

impl EventReport {
    fn of(event: &Event) -> Self {
        Self {
            rule: event.rule.id(),
            path: escape(&event.path),
            layer: event.layer.map(|layer| match layer {
                Layer::Upper => "upper".to_owned(),
                Layer::Lower(position) => (position + 1).to_string(),
            }),
            bytes: event.bytes,
            text: escape(&event.text),
            sentence: event.sentence(),
            source: event.rule.source(),
        }
    }
}

fn reply_text(call: &Call, result: &Result<Reply, Errno>) -> Option<String> {
    match result.as_ref().ok()? {
        Reply::Done => None,
        Reply::Content(content) => Some(match content.read_all(4096) {
            Ok(bytes) => escape(&bytes),
            Err(_) => format!("{} bytes", content.len()),
        }),
        Reply::Bytes(bytes) => Some(escape(bytes)),
        Reply::Names(names) => {
            let mut names: Vec<String> = names.iter().map(|name| escape(name)).collect();
            // The order of attributes is the file system's affair.
            if matches!(call, Call::Listxattr { .. }) {
                names.sort();
            }
            Some(names.join(" "))
        }
        Reply::Stat(stat) => Some(format!(
            "{:?} {:04o} {}:{} {} bytes, {} names",
            stat.file_type, stat.mode, stat.uid, stat.gid, stat.size, stat.nlink
        )),
    }
}

fn call_report(step: &Step, result: &Result<Reply, Errno>, traced: Option<(bool, &[Event])>) -> CallReport {
    let call = &step.call;
    CallReport {
        line: step.line,
        call: call.to_string(),
        caller: format!("{}:{}", step.caller.uid, step.caller.gid),
        result: match result {
            Ok(_) => "0".to_owned(),
            Err(errno) => errno.name(),
        },
        reply: reply_text(call, result),
        changed: traced.map(|(changed, _)| changed),
        events: traced
            .map_or(&[][..], |(_, events)| events)
            .iter()
            .map(EventReport::of)
            .collect(),
    }
}

fn lines(rows: Vec<Row>, marks: Marks) -> Vec<String> {
    rows.into_iter()
        .map(|mut row| {
            // The kernel notes the file system's UUID on the root of its own accord.
            row.xattrs.retain(|(name, _)| *name != marks.name(b"uuid"));
            row.line(marks)
        })
        .collect()
}

fn simulated(script: &Script) -> Result<Report, Failure> {
    let mut overlay: Overlay = script.mount().map_err(Failure::work)?;
    let caller = Caller::root(NOW);
    let mut calls = Vec::new();
    for step in &script.steps {
        let before = overlay.upperdir().cloned();
        let outcome = overlay.call(step.caller, &step.call);
        let has_changed = match (&before, overlay.upperdir()) {
            (Some(before), Some(after)) => !before.is_same(after),
            _ => false,
        };
        let traced = Some((has_changed, &outcome.events[..]));
        calls.push(call_report(step, &outcome.result, traced));
    }
    let marks = overlay.marks();
    let upper = overlay.upperdir().map(|upper| upper.rows()).unwrap_or_default();
    let merged = walk(&mut overlay, caller);
    Ok(Report {
        by: "simulated",
        calls,
        upper: lines(upper, marks),
        merged: lines(merged, marks),
    })
}

fn in_kernel(script: &Script) -> Result<Report, Failure> {
    unshare_mounts().map_err(|errno| {
        Failure::Work(format!(
            "mounting needs root, or a user namespace with root (unshare -Urm): {}",
            std::io::Error::from(errno)
        ))
    })?;
    for setting in other_settings() {
        eprintln!("note: {setting}");
    }
    let base = tempfile::tempdir().map_err(Failure::work)?;
    let mut kernel = Kernel::mount(base.path(), &script.lowers, script.upper.as_ref(), script.options)
        .map_err(Failure::work)?;
    let caller = Caller::root(NOW);
    let mut calls = Vec::new();
    let mut options = script.options;
    for step in &script.steps {
        let result = kernel.call(step.caller, &step.call);
        if let (Call::Remount { options: Some(new) }, Ok(_)) = (&step.call, &result) {
            options = *new;
        }
        calls.push(call_report(step, &result, None));
    }
    let marks = Marks::of(options);
    let upper = match script.upper {
        Some(_) => kernel.upper_rows().map_err(Failure::work)?,
        None => Vec::new(),
    };
    let merged = walk(&mut kernel, caller);
    Ok(Report {
        by: "kernel",
        calls,
        upper: lines(upper, marks),
        merged: lines(merged, marks),
    })
}

fn print(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(report);
    }
    let mut text = String::new();
    for call in &report.calls {
        let reply = call
            .reply
            .as_ref()
            .map(|reply| format!(" {reply}"))
            .unwrap_or_default();
        let result = if call.result == "0" { "ok" } else { &call.result };
        let all_the_same = match call.result != "0" && call.changed == Some(true) {
            true => ", and yet the upper directory has changed",
            false => "",
        };
        writeln!(text, "{} → {result}{reply}{all_the_same}", call.call).expect("a string takes all");
        for event in &call.events {
            writeln!(text, "    {}: {}", event.rule, event.sentence).expect("a string takes all");
        }
    }
    for (title, rows) in [
        ("upper directory", &report.upper),
        ("merged view", &report.merged),
    ] {
        if !rows.is_empty() {
            writeln!(text, "\n{title}").expect("a string takes all");
            rows.iter()
                .for_each(|row| writeln!(text, "  {row}").expect("a string takes all"));
        }
    }
    output::print(&text)
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    output::print(&(serde_json::to_string_pretty(value).map_err(Failure::work)? + "\n"))
}

/// Where the two runs part.
#[derive(Serialize)]
struct Difference {
    /// The call, `upper` or `merged`.
    what: String,
    /// The line of the call in the script.
    line: Option<usize>,
    simulated: Vec<String>,
    kernel: Vec<String>,
}

impl Difference {
    fn text(&self) -> String {
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let side = |name: &str, lines: &[String]| -> String {
            lines.iter().map(|line| format!("  {name} {line}\n")).collect()
        };
        format!("{line}{}\n", self.what)
            + &side("simulated", &self.simulated)
            + &side("kernel   ", &self.kernel)
    }
}

fn differences(ours: &Report, theirs: &Report) -> Vec<Difference> {
    let answer = |call: &CallReport| {
        let reply = call
            .reply
            .as_ref()
            .map(|reply| format!(" {reply}"))
            .unwrap_or_default();
        vec![call.result.clone() + &reply]
    };
    let pairs = ours.calls.iter().zip(&theirs.calls);
    let mut found: Vec<Difference> = pairs
        .filter(|(a, b)| answer(a) != answer(b))
        .map(|(a, b)| Difference {
            what: a.call.clone(),
            line: Some(a.line),
            simulated: answer(a),
            kernel: answer(b),
        })
        .collect();
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        these
            .iter()
            .filter(|row| !others.contains(row))
            .cloned()
            .collect()
    };
    for (what, ours, theirs) in [
        ("upper", &ours.upper, &theirs.upper),
        ("merged", &ours.merged, &theirs.merged),
    ] {
        if ours != theirs {
            found.push(Difference {
                what: what.to_owned(),
                line: None,
                simulated: only(ours, theirs),
                kernel: only(theirs, ours),
            });
        }
    }
    found
}
