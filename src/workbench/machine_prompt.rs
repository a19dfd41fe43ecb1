//! The machine's prompt: lines of the shell on its file system, with `ctr`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;

use crate::content::Content;
use crate::digest::Digest;
use crate::image::root::{Root, RootEntry};
use crate::layer::Bytes;
use crate::overlay::Stack;
use crate::overlay::mount::{Call, Caller, Errno, Executed, Reply, System};
use crate::shell::{MountInfo, Ran, Shell};
use crate::store::ctr::{self, Host, NewTask};
use crate::store::host::{HOME, HostFiles};
use crate::store::{
    Applied, ApplyError, CONTAINERD, Client, DEFAULT_NAMESPACE, Disk, DiskError, MemoryDisk, Moment, Usage,
};
use crate::text::{escape, unescape};
use crate::tree::{Time, Tree};

use super::Workbench;
use super::apply::{Applier, Contents, Result};
use super::container::ContainerState;
use super::container::{CALLS, RECORDED};
use super::container_view::{CompletionView, PieceView, pieces};
use super::error::WorkbenchError;
use super::lean::whole;
use super::machine::{Importable, MachineState};
use super::machine_task::{Starting, pieces as ctr_pieces};
use super::operation::{ImageId, LayerId};
use super::state::ImageState;

/// The most lines of a session.
const LINES: usize = 10_000;

/// The prompt, between two lines.
#[derive(Clone, Debug)]
pub struct PromptState {
    /// The shell.
    pub shell: Shell,
    /// What was typed.
    pub lines: Vec<Arc<PromptLine>>,
    /// The tasks that a `ctr` waits for.
    waiting: Vec<NewTask>,
    /// Whether it was said that no code of an image runs.
    pub(super) has_told: bool,
}

/// So many lines have their output in an answer: the last.
const SHOWN: usize = 100;

/// A line that was typed.
#[derive(Clone, Debug)]
pub struct PromptLine {
    /// As it was typed.
    pub input: String,
    /// What it printed.
    pub ran: Ran,
    /// How many events there were before it, and after it.
    pub events: (usize, usize),
}

impl Default for PromptState {
    fn default() -> Self {
        let shell = Shell::new(MountInfo::default()).starting_in(HOME.as_bytes());
        // The article's lines name both; its section 1 sets them.
        let shell = shell.knowing(b"CTR_NAMESPACE", DEFAULT_NAMESPACE.as_bytes());
        let mut shell = shell.knowing(b"WORKDIR", HOME.as_bytes());
        (shell.limits.calls, shell.limits.recorded) = (CALLS, RECORDED);
        Self {
            shell,
            lines: Vec::new(),
            waiting: Vec::new(),
            has_told: false,
        }
    }
}

/// An archive in the home of the machine's root.
#[derive(Clone, Debug)]
pub(super) struct AtHand {
    /// An image that it is made of.
    pub image: ImageId,
    /// Its bytes; nothing before its layers are hashed.
    pub content: Content,
}

/// The prompt, as the page shows it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct PromptView {
    pub cwd: String,
    pub lines: Vec<PromptLineView>,
}

/// A line, as the page shows it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct PromptLineView {
    pub input: String,
    pub status: u8,
    pub output: Vec<PieceView>,
    pub events: (usize, usize),
}

/// The machine while a line runs on it.
struct AtPrompt<'a> {
    machine: &'a mut MachineState,
    contents: &'a dyn Contents,
    images: &'a [Arc<ImageState>],
    at_hand: &'a BTreeMap<String, AtHand>,
    archives: BTreeMap<String, Content>,
    now: Time,
    moments: Vec<Moment>,
    /// The namespace that was worked in last.
    namespace: String,
    /// The line.
    line: &'a str,
    /// The session's containers.
    containers: &'a mut Vec<Arc<ContainerState>>,
    /// The ids of the next.
    ids: Option<(ImageId, LayerId)>,
}

impl System for AtPrompt<'_> {
    fn call(&mut self, _: Caller, call: &Call) -> std::result::Result<Reply, Errno> {
        self.files().call(call)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["ctr"]
    }

    fn execute(&mut self, _: Caller, cwd: &[u8], argv: &[Vec<u8>]) -> Executed {
        let texts = argv[1..].iter().map(|word| String::from_utf8(word.clone()));
        match texts.collect::<std::result::Result<Vec<_>, _>>() {
            Ok(line) => self.ctr(&String::from_utf8_lossy(cwd), &line),
            Err(_) => Executed {
                output: vec![(true, Content::inline(*b"ctr: arguments must be UTF-8\n"))],
                status: 1,
            },
        }
    }

    fn complete(&self, argv: &[Vec<u8>], start: &[u8]) -> Option<Vec<Vec<u8>>> {
        let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
        let words: Vec<String> = argv[1..].iter().map(text).collect();
        let found = ctr::complete(&self.machine.store, &words, &String::from_utf8_lossy(start))?;
        Some(found.into_iter().map(String::into_bytes).collect())
    }
}

impl AtPrompt<'_> {
    fn files(&self) -> HostFiles<'_> {
        HostFiles {
            store: &self.machine.store,
            disk: &self.machine.disk,
            archives: &self.archives,
            now: self.now,
        }
    }

    /// Runs `ctr`.
    fn ctr(&mut self, cwd: &str, line: &[String]) -> Executed {
        let importables = match self.importables(cwd, line) {
            Ok(importables) => importables,
            Err(error) => {
                let text = format!("ctr: {error}\n").into_bytes();
                return Executed {
                    output: vec![(true, Content::inline(text))],
                    status: 1,
                };
            }
        };
        for importable in importables.values() {
            self.machine.take_in(importable);
        }
        // What a line unpacks is looked into by the same line.
        let shared = Rc::new(RefCell::new(self.machine.disk.clone()));
        let mut disk = Shared(shared.clone());
        let MachineState { store, .. } = &mut *self.machine;
        let mut host = Files {
            cwd,
            importables,
            disk: shared.clone(),
        };
        let mut client = Client::new(store, &mut disk, DEFAULT_NAMESPACE, self.now);
        let mut ran = ctr::run(&mut client, &mut host, line);
        self.namespace.clone_from(&client.namespace);
        self.moments.append(&mut client.moments);
        self.machine.disk = shared.borrow().clone();
        if let Some(task) = ran.task.take() {
            self.start(&task, &mut ran);
        }
        if let Some(process) = ran.exec.take() {
            let line = self.line;
            let outcome = self.starting().process(line, &process);
            ran.output.extend(ctr_pieces(outcome.output));
            match outcome.ended {
                Some(Err(reason)) => fail(&mut ran, &reason),
                ended => ran.status = code(ended.and_then(std::result::Result::ok)),
            }
        }
        if let Err(error) = self.end_waiting() {
            fail(&mut ran, &error.to_string());
        }
        self.machine.disk.forget();
        let output = ran.output.into_iter().map(|(stream, bytes)| {
            let is_error = stream == ctr::Stream::Error;
            (is_error, crate::layer::joined(vec![bytes]))
        });
        Executed {
            output: output.collect(),
            status: ran.status,
        }
    }

    fn starting(&mut self) -> Starting<'_> {
        Starting {
            machine: &mut *self.machine,
            containers: &mut *self.containers,
            ids: &mut self.ids,
            moments: &mut self.moments,
            now: self.now,
        }
    }

    /// Starts what the line wants started; what has ended goes as `ctr` has it.
    fn start(&mut self, task: &NewTask, ran: &mut ctr::Ran) {
        let line = self.line;
        let outcome = self.starting().task(line, task);
        ran.output.extend(ctr_pieces(outcome.output));
        if outcome.waits {
            self.machine.prompt.waiting.push(task.clone());
        }
        if let Some(ended) = outcome.ended {
            let mut host = Files {
                cwd: "/",
                importables: BTreeMap::new(),
                disk: Rc::new(RefCell::new(self.machine.disk.clone())),
            };
            let ended = self.starting().client(&task.namespace, |client| {
                ctr::ended(client, &mut host, task, ended, true)
            });
            ran.go_on(ended);
        }
    }

    /// Whoever waits for a task goes on when it has ended, as `ctr run` does: the task is deleted, and with `--rm` the
    /// container too.
    fn end_waiting(&mut self) -> crate::store::Result<()> {
        let waiting = std::mem::take(&mut self.machine.prompt.waiting);
        let mut running = Vec::new();
        for task in waiting {
            let goes_on = self
                .starting()
                .client(&task.namespace, |client| end_one(client, &task))?;
            running.extend(goes_on.then_some(task));
        }
        self.machine.prompt.waiting = running;
        Ok(())
    }

    /// The archives that a line names, by their paths, as what they are made of.
    fn importables(&self, cwd: &str, line: &[String]) -> Result<BTreeMap<String, Importable>> {
        let mut found = BTreeMap::new();
        for word in line {
            let path = absolute(cwd, word);
            let name = path.strip_prefix(HOME).and_then(|rest| rest.strip_prefix('/'));
            if let Some(at_hand) = name.and_then(|name| self.at_hand.get(name))
                && let Some(image) = self.images.iter().find(|image| image.id == at_hand.image)
            {
                found.insert(path.clone(), self.contents.importable(image)?);
            }
        }
        Ok(found)
    }
}

/// Whether a task goes on; if not, what waited for it is done.
fn end_one(client: &mut Client<'_>, task: &NewTask) -> crate::store::Result<bool> {
    // It may have been deleted by hand, with its container.
    let Ok(container) = client.container(&task.id) else {
        return Ok(false);
    };
    match container.task {
        Some(task) if task.exit.is_none() => return Ok(true),
        Some(_) => drop(client.delete_task(&task.id)?),
        None => {}
    }
    if task.removes_container {
        client.remove_container(&task.id)?;
    }
    client.collect_if_dirty()?;
    Ok(false)
}

/// An error of `ctr`, with which a line ends.
fn fail(ran: &mut ctr::Ran, reason: &str) {
    let text = format!("ctr: {reason}\n").into_bytes();
    ran.output.push((ctr::Stream::Error, Bytes::Owned(text)));
    ran.status = 1;
}

fn code(exit: Option<u32>) -> u8 {
    u8::try_from(exit.unwrap_or_default()).unwrap_or(u8::MAX)
}

/// A path from the root, without `.` and `..`.
fn absolute(cwd: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{cwd}/{path}"),
    };
    let mut names: Vec<&str> = Vec::new();
    for name in whole.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// What `ctr` sees of the machine.
struct Files<'a> {
    cwd: &'a str,
    importables: BTreeMap<String, Importable>,
    disk: Rc<RefCell<MemoryDisk>>,
}

type OnDisk<T> = std::result::Result<T, DiskError>;

/// The disk, which `ctr` looks into while it works on it.
struct Shared(Rc<RefCell<MemoryDisk>>);

impl Disk for Shared {
    fn add_blob(&mut self, content: &Content) -> OnDisk<Digest> {
        self.0.borrow_mut().add_blob(content)
    }

    fn blob(&self, digest: Digest) -> OnDisk<Content> {
        self.0.borrow().blob(digest)
    }

    fn remove_blob(&mut self, digest: Digest) -> OnDisk<()> {
        self.0.borrow_mut().remove_blob(digest)
    }

    fn make(&mut self, number: u64, parent: Option<u64>, has_work: bool, now: Time) -> OnDisk<()> {
        self.0.borrow_mut().make(number, parent, has_work, now)
    }

    fn apply(
        &mut self,
        number: u64,
        parents: &[u64],
        layer: &Content,
        now: Time,
    ) -> std::result::Result<Applied, ApplyError> {
        self.0.borrow_mut().apply(number, parents, layer, now)
    }

    fn usage(&self, number: u64) -> OnDisk<Usage> {
        self.0.borrow().usage(number)
    }

    fn remove(&mut self, number: u64) -> OnDisk<()> {
        self.0.borrow_mut().remove(number)
    }

    fn root(&self) -> &str {
        CONTAINERD
    }
}

impl Host for Files<'_> {
    fn open(&mut self, path: &str) -> std::result::Result<ctr::Archive, String> {
        let whole = absolute(self.cwd, path);
        if let Some(importable) = self.importables.get(&whole) {
            return Ok(ctr::Archive::Files(importable.files.clone()));
        }
        let blob = whole.rsplit('/').next().map(|hex| format!("sha256:{hex}"));
        let is_blob = whole.contains("/io.containerd.content.v1.content/blobs/");
        let blob = blob
            .filter(|_| is_blob)
            .and_then(|digest| self.disk.borrow().content(&digest).cloned());
        match blob {
            Some(content) => Ok(ctr::Archive::Tar(content)),
            None => Err(format!("open {path}: no such file or directory")),
        }
    }

    fn write(&mut self, path: &str, _: &[Bytes]) -> std::result::Result<(), String> {
        Err(format!("open {path}: read-only file system"))
    }

    fn view(&mut self, number: u64, parents: &[u64]) -> std::result::Result<Box<dyn Root + '_>, String> {
        let numbers = parents.iter().rev().chain([&number]);
        let disk = self.disk.borrow();
        let trees = numbers.filter_map(|&number| disk.tree(number)).collect();
        Ok(Box::new(Trees(trees)))
    }

    fn check_detach(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn check_exec(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn signal(&mut self, _: &str, _: &str, _: u32, _: u8) -> std::result::Result<bool, String> {
        // Whatever it is, nothing here would catch it.
        Ok(true)
    }

    fn forget(&mut self, _: &str, _: &str) {}
}

/// Trees that are stacked, bottom first.
struct Trees(Vec<Tree>);

impl Root for Trees {
    fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
        Root::lookup(&Stack::new(self.0.iter().collect()), path)
    }
}

impl Applier<'_> {
    /// Runs a line at the machine's prompt. Whatever it does, it was done: errors are its output. A container that it
    /// starts becomes one of the session's, with these ids.
    pub(super) fn run_on_machine(
        &mut self,
        line: &str,
        container: Option<ImageId>,
        layer: Option<LayerId>,
    ) -> Result<()> {
        whole()?;
        let bytes = unescape(line)?;
        let caller = Caller::root(self.time);
        let at_hand = self.contents.at_hand();
        let mut machine = self.machine_mut().clone();
        if machine.prompt.lines.len() == LINES {
            return Err(WorkbenchError::TooManySteps { limit: LINES });
        }
        let mut shell = machine.prompt.shell.clone();
        let mut containers = self.state.containers.clone();
        let mut at = AtPrompt {
            machine: &mut machine,
            contents: self.contents,
            images: &self.state.images,
            archives: archives(&at_hand),
            at_hand: &at_hand,
            now: self.time,
            moments: Vec::new(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            line,
            containers: &mut containers,
            ids: container.zip(layer),
        };
        let ran = shell.run(&mut at, caller, &bytes);
        let (moments, namespace, is_used) = (at.moments, at.namespace, at.ids.is_none());
        if is_used {
            self.check_free(container, layer)?;
        }
        let before = machine.events();
        machine.add_group(line.to_owned(), moments, None, self.time, &namespace);
        let events = (before, machine.events());
        machine.prompt.shell = shell;
        machine.prompt.lines.push(Arc::new(PromptLine {
            input: line.to_owned(),
            ran,
            events,
        }));
        *self.machine_mut() = machine;
        self.state.containers = containers;
        self.forget_removed();
        Ok(())
    }
}

/// The contents of archives by their names.
fn archives(at_hand: &BTreeMap<String, AtHand>) -> BTreeMap<String, Content> {
    let contents = at_hand
        .iter()
        .map(|(name, archive)| (name.clone(), archive.content.clone()));
    contents.collect()
}

impl Workbench {
    /// Hashes the images whose archives a line names, or may name where it is not plain: they are read by what it
    /// runs, and what that does must not depend on what has been hashed by then.
    pub(super) fn hash_named(&mut self, line: &str) -> Result<()> {
        whole()?;
        for (name, archive) in self.archives_at_hand() {
            if line.contains(&name) || line.contains(['*', '?', '[', '\\', '\'', '"']) {
                self.hash_image(archive.image)?;
            }
        }
        Ok(())
    }

    pub(super) fn prompt(&self) -> Result<PromptView> {
        whole()?;
        let prompt = self.machine_prompt();
        let first = prompt.lines.len().saturating_sub(SHOWN);
        let line = |(number, line): (usize, &Arc<PromptLine>)| PromptLineView {
            input: line.input.clone(),
            status: line.ran.status,
            output: match number < first {
                true => Vec::new(),
                false => pieces(&line.ran),
            },
            events: line.events,
        };
        Ok(PromptView {
            cwd: escape(prompt.shell.cwd()),
            lines: prompt.lines.iter().enumerate().map(line).collect(),
        })
    }

    fn machine_prompt(&self) -> PromptState {
        let machine = self.state.machine();
        machine.map(|machine| machine.prompt.clone()).unwrap_or_default()
    }

    pub(super) fn complete_on_machine(&self, line: &str, cursor: usize) -> Result<CompletionView> {
        whole()?;
        let mut shell = self.machine_prompt().shell;
        let machine = self.state.machine();
        let mut machine = match machine {
            Some(machine) => MachineState::clone(machine),
            None => MachineState::new(MemoryDisk::new(self.scratches.clone())),
        };
        let at_hand = self.archives_at_hand();
        let mut containers = Vec::new();
        let mut at = AtPrompt {
            machine: &mut machine,
            contents: self,
            images: &self.state.images,
            archives: archives(&at_hand),
            at_hand: &at_hand,
            now: Time::default(),
            moments: Vec::new(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            line: "",
            containers: &mut containers,
            ids: None,
        };
        let caller = Caller::root(Time::default());
        let completion = shell.complete(&mut at, caller, line.as_bytes(), cursor);
        Ok(CompletionView {
            from: completion.from,
            words: completion.candidates.iter().map(|word| escape(word)).collect(),
        })
    }
}
