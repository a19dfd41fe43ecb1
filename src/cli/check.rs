//! `handroll check`: what is wrong with an image, or read differently by those who read images.

use std::collections::BTreeMap;

use clap::Args;
use handroll::image::catalog::{Catalog, NodeId, Problem};
use handroll::text::escape;
use handroll::tree::Time;
use handroll::workbench::{Action, CheckFinding, CheckView, ImageId, ImageState, RuntimeReads, Workbench};
use serde::Serialize;

use super::open::{ImageArgs, open};
use super::output;
use super::progress::Progress;
use super::session::{self, Ids, read_origins};
use super::settle;
use super::{Failure, Verdict};

/// Find what is wrong with an image, or not portable, with the place, the clause and who differs
#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1 if there are errors: a rule is broken, or some tool fails; or if there is no image at all. Warnings are where tools differ in what they \
make of it. What each id means is told in docs/documents.md and docs/checks.md.")]
pub struct CheckArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Show what is at least so grave
    #[arg(long, value_name = "error|warning|info", value_parser = SEVERITIES, default_value = "info")]
    pub severity: String,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// The gravest first.
const SEVERITIES: [&str; 3] = ["error", "warning", "info"];

/// Runs the subcommand.
pub fn run(arguments: &CheckArgs) -> Result<Verdict, Failure> {
    let catalog = open(&arguments.image.file)?;
    let chosen = arguments.image.choice.all(&catalog)?;
    let mut workbench = session::workbench();
    let name = arguments.image.file.display().to_string();
    session::admit(&mut workbench, catalog, name, Ids::DEFAULT)?;
    let state = workbench.state().clone();
    let archive = state.archive(Ids::DEFAULT.archive).map_err(Failure::work)?;
    let images = state.images.iter().enumerate();
    for (_, image) in images.filter(|(number, _)| !chosen.contains(number)) {
        let image = image.id;
        session::apply(&mut workbench, Time::at(0), Action::RemoveImage { image })?;
    }
    read_origins(workbench.state().layers());
    settle::run(&mut workbench, Workbench::step);
    let mut findings = Findings::default();
    let shared = archive.catalog.shared_problems();
    findings
        .list
        .extend(shared.map(|problem| Found::of_problem(&archive.catalog, problem)));
    for &number in &chosen {
        let image = &state.images[number];
        let view = check(&mut workbench, image.id)?;
        findings.add(&archive.catalog, number + 1, image, view);
    }
    let report = findings.report(chosen.len(), &arguments.severity);
    match arguments.json {
        true => output::print(&(serde_json::to_string_pretty(&report).map_err(Failure::work)? + "\n"))?,
        false => output::print(&report.describe())?,
    }
    match report.errors == 0 && report.images > 0 {
        true => Ok(Verdict::Fine),
        false => Ok(Verdict::Findings),
    }
}

/// Checks an image to the end.
fn check(workbench: &mut Workbench, image: ImageId) -> Result<CheckView, Failure> {
    let mut progress = Progress::new();
    loop {
        let view = workbench.check_own(image).map_err(Failure::work)?;
        match view.progress {
            None => return Ok(view),
            Some(at) => progress.show("checking", at.done, at.total),
        }
    }
}

/// What `--json` prints. Stable: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    /// How many images were checked.
    images: usize,
    findings: Vec<Found>,
    /// How many there are that are not listed, by their ids.
    more: BTreeMap<&'static str, u64>,
    errors: u64,
    warnings: u64,
    infos: u64,
}

#[derive(Serialize)]
struct Found {
    id: &'static str,
    severity: &'static str,
    message: String,
    /// The number of the image; null if it is about several, or about the archive.
    image: Option<usize>,
    layer: Option<usize>,
    /// The file in the archive.
    file: Option<String>,
    /// A JSON pointer in it.
    pointer: Option<String>,
    /// The entry in the layer's tar.
    entry: Option<String>,
    path: Option<String>,
    /// The byte: in the layer's tar, in the file, or in the archive's tar.
    offset: Option<u64>,
    clause: String,
    runtimes: Vec<RuntimeReads>,
    fix: Option<Fix>,
}

/// What would mend it.
#[derive(Serialize)]
struct Fix {
    label: &'static str,
    /// An operation of a recipe.
    operation: Action,
}

impl Found {
    fn of(catalog: &Catalog, number: usize, image: &ImageState, finding: CheckFinding) -> Self {
        let place = finding.place;
        let layer = place
            .layer
            .and_then(|id| image.layers.iter().position(|layer| layer.id == id));
        Self {
            id: finding.id,
            severity: finding.severity,
            message: finding.message,
            image: Some(number),
            layer: layer.map(|position| position + 1),
            file: place.node.map(|node| escape(&catalog.node(NodeId(node)).path)),
            pointer: place.pointer,
            entry: place.entry,
            path: place.path,
            offset: place.offset,
            clause: finding.clause,
            runtimes: finding.runtimes,
            fix: finding.fix.map(|fix| Fix {
                label: fix.label,
                operation: fix.action,
            }),
        }
    }

    fn of_problem(catalog: &Catalog, problem: &Problem) -> Self {
        Self {
            id: problem.id(),
            severity: problem.severity().name(),
            message: problem.sentence(),
            image: None,
            layer: None,
            file: problem.place.node.map(|node| escape(&catalog.node(node).path)),
            pointer: problem.place.pointer.clone(),
            entry: None,
            path: None,
            offset: problem.place.offset,
            clause: problem.clause().to_owned(),
            runtimes: Vec::new(),
            fix: None,
        }
    }

    /// What tells it from others, if it is about a document, which several images may have.
    fn document_key(&self) -> Option<DocumentKey> {
        let file = self.file.clone().filter(|_| self.layer.is_none())?;
        Some((
            file,
            self.offset,
            self.id,
            self.pointer.clone(),
            self.message.clone(),
        ))
    }

    fn describe(&self) -> String {
        let mut text = format!("{}: {} ({})\n", self.severity, self.message, self.id);
        let mut place = Vec::new();
        place.extend(
            self.image
                .zip(self.layer)
                .map(|(image, layer)| format!("image {image}, layer {layer}")),
        );
        place.extend(self.path.clone());
        place.extend(self.entry.as_ref().map(|entry| format!("entry {entry}")));
        place.extend(self.file.clone());
        place.extend(self.pointer.as_ref().map(|pointer| escape(pointer.as_bytes())));
        place.extend(self.offset.map(|offset| format!("byte {offset}")));
        place.retain(|part| !part.is_empty());
        if !place.is_empty() {
            text += &format!("  where   {}\n", place.join(", "));
        }
        text += &format!("  clause  {}\n", self.clause);
        for RuntimeReads { runtime, reads } in &self.runtimes {
            text += &format!("  {runtime}: {reads}\n");
        }
        if let Some(fix) = &self.fix {
            text += &format!("  fix     {}\n", fix.label);
        }
        text
    }
}

/// A file, the byte in it, what was found there, the JSON pointer, and the message.
type DocumentKey = (String, Option<u64>, &'static str, Option<String>, String);

/// What was found in all images.
#[derive(Default)]
struct Findings {
    list: Vec<Found>,
    /// Where in the list those about documents are.
    documents: BTreeMap<DocumentKey, usize>,
    more: BTreeMap<&'static str, u64>,
}

impl Findings {
    fn add(&mut self, catalog: &Catalog, number: usize, image: &ImageState, view: CheckView) {
        for finding in view.findings {
            let found = Found::of(catalog, number, image, finding);
            let key = found.document_key();
            match key.as_ref().and_then(|key| self.documents.get(key)) {
                Some(&known) => self.list[known].image = None,
                None => {
                    self.documents.extend(key.map(|key| (key, self.list.len())));
                    self.list.push(found);
                }
            }
        }
        for (id, count) in view.more {
            *self.more.entry(id).or_default() += count;
        }
    }

    /// What is at least so grave, the gravest first.
    fn report(mut self, images: usize, least: &str) -> Report {
        let rank = |severity: &str| SEVERITIES.iter().position(|name| *name == severity);
        // There are listed ones of each kind of which there are more.
        let severities: BTreeMap<_, _> = self.list.iter().map(|found| (found.id, found.severity)).collect();
        let count = |severity: &str| {
            let listed = self
                .list
                .iter()
                .filter(|found| found.severity == severity)
                .count() as u64;
            let more = self
                .more
                .iter()
                .filter(|(id, _)| severities.get(*id) == Some(&severity));
            listed + more.map(|(_, count)| count).sum::<u64>()
        };
        let (errors, warnings, infos) = (count("error"), count("warning"), count("info"));
        let is_shown = |severity: &str| rank(severity) <= rank(least);
        self.list.retain(|found| is_shown(found.severity));
        self.list.sort_by_key(|found| rank(found.severity));
        self.more
            .retain(|id, _| severities.get(id).is_some_and(|severity| is_shown(severity)));
        Report {
            images,
            findings: self.list,
            more: self.more,
            errors,
            warnings,
            infos,
        }
    }
}

impl Report {
    fn describe(&self) -> String {
        let mut text: String = self
            .findings
            .iter()
            .map(|found| found.describe() + "\n")
            .collect();
        for (id, count) in &self.more {
            text += &format!("{count} more of {id} are not listed\n");
        }
        if self.images == 0 {
            text += "there is no image in it\n";
        }
        let counted = |count: u64, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let (errors, warnings) = (counted(self.errors, "error"), counted(self.warnings, "warning"));
        text + &format!("{errors}, {warnings}, {} info\n", self.infos)
    }
}
