//! What runs in the machine's containers: a program's stand-in on the container's own mount, whose writes land in the
//! snapshot's directory, each an event; or nobody, where somebody works in the container by hand.

use std::sync::Arc;

use crate::content::Content;
use crate::layer::Bytes;
use crate::overlay::Stack;
use crate::overlay::mount::{
    Call, Caller, Errno, Event, FileType, Lower, Options, Overlay, Reply, Rule, System, Upper, shown_options,
};
use crate::runtime::{self, Manner, MountPoint, ProcMounts, Spec, Step, User};
use crate::shell::{Execution, MountInfo, Process, Ran, Shell, Stream};
use crate::store::ctr::{self, NewProcess, NewTask};
use crate::store::{Changes, Client, Moment, Sign};
use crate::text::escape;
use crate::tree::{Metadata, Time, Tree};

use super::apply::Result;
use super::container::{CALLS, ContainerState, ContainerStep, Done, RECORDED};
use super::error::WorkbenchError;
use super::machine::{MachineState, OnMachine, directories, process_id, steps_key};
use super::operation::{ImageId, LayerId};

/// The most events of what one process writes.
const WRITES: usize = 500;

/// A container that was made, mounted, with the mount points that runc makes in it.
pub(super) struct Mounted {
    on: OnMachine,
    /// The ChainIDs of its layers, bottom first.
    chain: Vec<String>,
    /// The directories below its own, as layers, bottom first.
    trees: Vec<Tree>,
    steps: Vec<Step>,
    overlay: Overlay,
}

/// A process that ran to its end.
struct Finished {
    ran: Ran,
    /// The events of each call that is recorded.
    events: Vec<Vec<Event>>,
    /// The calls that changed the upperdir, with why.
    writes: Vec<(Call, Vec<Event>)>,
    after: Overlay,
}

impl Finished {
    /// A mount that nobody could write to is forgotten: the container's own goes on.
    fn stays_writable(&mut self, own: &Overlay) {
        if self.after.upperdir().is_none() {
            self.after = own.clone();
        }
    }
}

/// What a line of `ctr` wants started.
pub(super) struct Starting<'a> {
    pub machine: &'a mut MachineState,
    /// The session's containers.
    pub containers: &'a mut Vec<Arc<ContainerState>>,
    /// The ids of one that is started.
    pub ids: &'a mut Option<(ImageId, LayerId)>,
    pub moments: &'a mut Vec<Moment>,
    pub now: Time,
}

/// What came of it.
pub(super) struct Outcome {
    /// What was printed, in order; true for standard error.
    pub output: Vec<(bool, Vec<u8>)>,
    /// Whoever waits gets the exit code, or why nothing was started; none if nobody waits any more, or still.
    pub ended: Option<std::result::Result<u32, String>>,
    /// Whether the task goes on, and somebody waits for it.
    pub waits: bool,
}

impl Outcome {
    fn failed(reason: impl std::fmt::Display) -> Self {
        Self {
            output: Vec::new(),
            ended: Some(Err(reason.to_string())),
            waits: false,
        }
    }
}

/// The overlay of a container, as its process sees it.
struct InContainer<'a> {
    overlay: &'a mut Overlay,
    proc: Option<ProcMounts>,
    events: Vec<Vec<Event>>,
    writes: Vec<(Call, Vec<Event>)>,
}

impl System for InContainer<'_> {
    fn call(&mut self, caller: Caller, call: &Call) -> std::result::Result<Reply, Errno> {
        if let Some(answer) = self.proc.as_ref().and_then(|proc| proc.call(call)) {
            // It never reaches the overlay.
            if self.events.len() < RECORDED {
                self.events.push(Vec::new());
            }
            return answer;
        }
        let before = self.overlay.upperdir().cloned();
        let outcome = self.overlay.call(caller, call);
        let is_same = match (&before, self.overlay.upperdir()) {
            (Some(before), Some(after)) => before.is_same(after),
            _ => true,
        };
        if !is_same && self.writes.len() < WRITES {
            self.writes.push((call.clone(), outcome.events.clone()));
        }
        if self.events.len() < RECORDED {
            self.events.push(outcome.events);
        }
        outcome.result
    }
}

impl Mounted {
    /// Mounts a container that the machine has.
    pub fn new(
        machine: &mut MachineState,
        namespace: &str,
        id: &str,
        spec: &Spec,
        now: Time,
    ) -> Result<Self> {
        let (on, chain) = {
            let MachineState { store, disk, .. } = machine;
            let client = Client::new(store, disk, namespace, now);
            let snapshot = client.container(id)?.snapshot;
            let on = OnMachine {
                namespace: namespace.to_owned(),
                id: id.to_owned(),
                number: client.snapshot(&snapshot)?.number,
                parents: client.parents(&snapshot)?,
            };
            let mut chain = Vec::new();
            let mut key = client.snapshot(&snapshot)?.parent.clone();
            while !key.is_empty() && chain.len() < on.parents.len() {
                let parent = client.snapshot(&key)?.parent.clone();
                chain.insert(0, key);
                key = parent;
            }
            (on, chain)
        };
        let trees: Vec<Tree> = (on.parents.iter().rev())
            .filter_map(|&parent| machine.disk.tree(parent))
            .collect();
        let steps = steps_of(spec, &Stack::new(trees.iter().collect()), &on)?;
        let missing = || WorkbenchError::NoMachine;
        let upper: Upper = machine.disk.directory(on.number).ok_or_else(missing)?.clone();
        let mut lowers: Vec<Lower> = trees.iter().cloned().map(Lower::new).collect();
        if lowers.is_empty() {
            // Without layers it is a bind mount, which shows the same as an overlay on nothing.
            lowers.push(Lower::new(Tree::new(
                Metadata::new(0o755, 0, 0, now),
                now.seconds,
            )));
        }
        let mut overlay = Overlay::mount(lowers, Some(upper), Options::default(), now)?;
        for call in steps.iter().flat_map(|step| &step.upper) {
            overlay.call(Caller::root(now), call);
        }
        let mounted = Self {
            on,
            chain,
            trees,
            steps,
            overlay,
        };
        mounted.keep(machine, &mounted.overlay);
        let key = steps_key(&mounted.on.namespace, &mounted.on.id);
        machine.steps.put(&key, mounted.steps.clone());
        machine.specs.put(&key, spec.clone());
        Ok(mounted)
    }

    /// Writes down what the upperdir is.
    fn keep(&self, machine: &mut MachineState, overlay: &Overlay) {
        keep(machine, self.on.number, overlay);
    }

    /// What stands on the way to a directory, and is none.
    fn in_the_way(&self, path: &str, now: Time) -> Option<String> {
        let mut overlay = self.overlay.clone();
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        let paths = ends.chain([path.len()]).map(|end| &path[..end]);
        let mut paths = paths.filter(|path| {
            let call = Call::Stat {
                path: path.as_bytes().into(),
                follow: true,
            };
            let found = overlay.call(Caller::root(now), &call).result;
            matches!(found, Ok(Reply::Stat(stat)) if stat.file_type != FileType::Directory)
        });
        paths.next().map(str::to_owned)
    }

    fn mount_info(&self) -> MountInfo {
        MountInfo {
            options: shown_options(&directories(&self.on), Options::default()),
            ..MountInfo::default()
        }
    }

    fn proc(&self, now: Time) -> Option<ProcMounts> {
        ProcMounts::new(&self.steps, now)
    }

    /// What the process is told, and who it is.
    fn process(&self, spec: &Spec, user: &User, now: Time) -> (Process, Caller) {
        let mut env: Vec<Vec<u8>> = spec
            .process
            .env
            .iter()
            .map(|text| text.clone().into_bytes())
            .collect();
        if !env.iter().any(|variable| variable.starts_with(b"HOME=")) {
            let home = runtime::home_of(user.uid, &Stack::new(self.trees.iter().collect()));
            env.push([&b"HOME="[..], &home].concat());
        }
        let process = Process {
            env,
            cwd: spec.process.cwd.clone().into_bytes(),
        };
        let caller = Caller {
            uid: user.uid,
            gid: user.gid,
            ..Caller::root(now)
        };
        (process, caller)
    }

    /// The container as one of the session's.
    fn adopt(self, machine: &MachineState, (id, layer): (ImageId, LayerId)) -> ContainerState {
        let kept = |chain: &String| machine.layers.get(chain)?.first();
        let layers = self.chain.iter().filter_map(kept).cloned().collect();
        let top = self.chain.last().map(String::as_str).unwrap_or_default();
        let mut shell = Shell::new(self.mount_info());
        (shell.limits.calls, shell.limits.recorded) = (CALLS, RECORDED);
        ContainerState {
            id,
            image: machine.images.get(top).map_or(0, |image| **image),
            layer,
            layers,
            options: Options::default(),
            start: self.overlay,
            steps: Vec::new(),
            shell,
            on_machine: Some(self.on),
        }
    }
}

fn keep(machine: &mut MachineState, number: u64, overlay: &Overlay) {
    if let Some(upper) = overlay.upperdir() {
        machine.disk.set_directory(number, upper.clone());
    }
}

/// The steps by which runc starts a container on its mount.
fn steps_of(spec: &Spec, view: &Stack<'_>, on: &OnMachine) -> Result<Vec<Step>> {
    let root = MountPoint {
        root: "/".to_owned(),
        target: "/".to_owned(),
        options: "rw,relatime".to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        super_options: escape(&shown_options(&directories(on), Options::default())),
    };
    Ok(runtime::steps(spec, view, &root, &runtime::Machine::default())?)
}

/// The same, that nobody can write to: what the upperdir has becomes a layer.
fn read_only(overlay: &Overlay, mut trees: Vec<Tree>, tree: Option<Tree>, now: Time) -> Overlay {
    trees.extend(tree);
    let lowers = trees.into_iter().map(Lower::new).collect();
    Overlay::mount(lowers, None, Options::default(), now).unwrap_or_else(|_| overlay.clone())
}

impl Starting<'_> {
    /// Works in a namespace of the machine; what happens is told.
    pub fn client<T>(&mut self, namespace: &str, work: impl FnOnce(&mut Client<'_>) -> T) -> T {
        let MachineState { store, disk, .. } = &mut *self.machine;
        let mut client = Client::new(store, disk, namespace, self.now);
        let done = work(&mut client);
        self.moments.append(&mut client.moments);
        done
    }

    /// Starts what a line wants started.
    pub fn task(&mut self, line: &str, task: &NewTask) -> Outcome {
        let key = steps_key(&task.namespace, &task.id);
        let spec = task.spec.clone();
        let Some(spec) = spec.or_else(|| self.machine.specs.get(&key).map(|spec| Spec::clone(spec))) else {
            return Outcome::failed(format_args!(
                "the container {} was not made here by `ctr run`",
                task.id
            ));
        };
        let mounted = Mounted::new(self.machine, &task.namespace, &task.id, &spec, self.now);
        let mounted = match mounted {
            Ok(mounted) => mounted,
            Err(error) => return Outcome::failed(error),
        };
        if let Some(path) = mounted.in_the_way(&spec.process.cwd, self.now) {
            return Outcome::failed(format_args!(
                "{}: error during container init: mkdir {path}: not a directory: unknown",
                ctr::CREATE_FAILED
            ));
        }
        let args: Vec<Vec<u8>> = bytes(&spec.process.args);
        let (process, caller) = mounted.process(&spec, &spec.process.user, self.now);
        let mut overlay = mounted.overlay.clone();
        if spec.root.readonly {
            let own = self.machine.disk.tree(mounted.on.number);
            overlay = read_only(&overlay, mounted.trees.clone(), own, self.now);
        }
        let is_held = !task.has_command && (spec.process.terminal || task.is_detached);
        let done = execute(
            overlay,
            process,
            mounted.mount_info(),
            mounted.proc(self.now),
            caller,
            &args,
            is_held,
        );
        let (execution, finished) = match done {
            Ok(done) => done,
            Err(reason) => {
                return Outcome::failed(format_args!("{}: {reason}: unknown", ctr::CREATE_FAILED));
            }
        };
        let pid = process_id(mounted.on.number);
        let started = self.client(&task.namespace, |client| client.start_task(&task.id, pid));
        if let Err(error) = started {
            return Outcome::failed(error);
        }
        match finished {
            Some(finished) => self.finish(line, task, mounted, finished, &args),
            None => self.hold(task, mounted, &execution),
        }
    }

    /// A program has run to its end.
    fn finish(
        &mut self,
        line: &str,
        task: &NewTask,
        mounted: Mounted,
        mut finished: Finished,
        args: &[Vec<u8>],
    ) -> Outcome {
        self.tell_writes(&task.namespace, &task.id, &finished);
        let mut output = self.stand_in(args);
        let status = u32::from(finished.ran.status);
        if task.is_detached {
            let done = self.client(&task.namespace, |client| client.end_task(&task.id, status));
            output.extend(
                done.err()
                    .map(|error| (true, format!("ctr: {error}\n").into_bytes())),
            );
        } else {
            output.extend(printed(&finished.ran));
        }
        finished.stays_writable(&mounted.overlay);
        mounted.keep(self.machine, &finished.after);
        if let Some(ids) = self.ids.take_if(|_| !task.removes_container) {
            self.replace(&mounted.on);
            let mut state = mounted.adopt(self.machine, ids);
            state.steps.push(Arc::new(step(line, finished)));
            self.containers.push(Arc::new(state));
        }
        Outcome {
            output,
            ended: (!task.is_detached).then_some(Ok(status)),
            waits: false,
        }
    }

    /// A container whose task was started before goes on as another of the session's.
    fn replace(&mut self, on: &OnMachine) {
        self.containers
            .retain(|state| !state.is_on_machine(&on.namespace, &on.id));
    }

    /// A container that somebody works in by hand.
    fn hold(&mut self, task: &NewTask, mounted: Mounted, execution: &Execution) -> Outcome {
        let Some(ids) = self.ids.take() else {
            let reason = "one container that goes on can be started by a line here";
            return Outcome::failed(reason);
        };
        self.replace(&mounted.on);
        let state = mounted.adopt(self.machine, ids);
        self.containers.push(Arc::new(state));
        let note = match task.is_detached {
            true => Vec::new(),
            false => vec![(true, held(task, execution).into_bytes())],
        };
        Outcome {
            output: note,
            ended: None,
            waits: !task.is_detached,
        }
    }

    /// One more process in a container that runs.
    pub fn process(&mut self, line: &str, new: &NewProcess) -> Outcome {
        let failed =
            |reason: String| Outcome::failed(format_args!("{}: {reason}: unknown", ctr::EXEC_FAILED));
        let key = steps_key(&new.namespace, &new.id);
        let found = self
            .containers
            .iter()
            .position(|state| state.is_on_machine(&new.namespace, &new.id));
        let (Some(position), Some(spec)) = (found, self.machine.specs.get(&key).cloned()) else {
            return Outcome::failed("no process can be started in it: nobody works in this container");
        };
        let state = self.containers[position].clone();
        let Some(on) = state.on_machine.clone() else {
            return Outcome::failed("it is not the machine's");
        };
        let mounted = Mounted {
            chain: Vec::new(),
            trees: (on.parents.iter().rev().chain([&on.number]))
                .filter_map(|&number| self.machine.disk.tree(number))
                .collect(),
            steps: (self.machine.steps.get(&key)).map_or_else(Vec::new, |steps| Vec::clone(steps)),
            overlay: state.now().clone(),
            on,
        };
        let user = match &new.user {
            None => Ok(spec.process.user.clone()),
            Some(text) => {
                let view = Stack::new(mounted.trees.iter().collect());
                runtime::user(text, Manner::Containerd, &view)
            }
        };
        let user = match user {
            Ok(user) => user,
            Err(error) => return Outcome::failed(error),
        };
        let (mut process, caller) = mounted.process(&spec, &user, self.now);
        let mut overlay = mounted.overlay.clone();
        if let Some(cwd) = &new.cwd {
            let path = cwd.as_bytes().into();
            let stat = overlay.call(Caller::root(self.now), &Call::Stat { path, follow: true });
            if let Err(errno) = stat.result {
                let reason = errno.text().to_ascii_lowercase();
                return failed(format!(
                    "unable to start container process: chdir to cwd ({cwd:?}) set in config.json failed: {reason}"
                ));
            }
            process.cwd = cwd.clone().into_bytes();
        }
        if spec.root.readonly {
            overlay = read_only(&overlay, mounted.trees.clone(), None, self.now);
        }
        let args = bytes(&new.args);
        match execute(
            overlay,
            process,
            mounted.mount_info(),
            mounted.proc(self.now),
            caller,
            &args,
            false,
        ) {
            Err(reason) => failed(format!("unable to start container process: {reason}")),
            Ok((execution, None)) => {
                let name = String::from_utf8_lossy(&args[0]).into_owned();
                let note = match execution {
                    Execution::Unknown(path) => cannot_run(&path),
                    _ => format!("handroll: {name} would wait for lines; its prompt is the container's.\n"),
                };
                Outcome {
                    output: vec![(true, note.into_bytes())],
                    ended: Some(Ok(0)),
                    waits: false,
                }
            }
            Ok((_, Some(mut finished))) => {
                self.tell_writes(&new.namespace, &new.id, &finished);
                let mut output = self.stand_in(&args);
                output.extend(printed(&finished.ran));
                let status = u32::from(finished.ran.status);
                finished.stays_writable(&mounted.overlay);
                mounted.keep(self.machine, &finished.after);
                let mut state = ContainerState::clone(&state);
                state.steps.push(Arc::new(step(line, finished)));
                self.containers[position] = Arc::new(state);
                Outcome {
                    output,
                    ended: Some(Ok(status)),
                    waits: false,
                }
            }
        }
    }

    /// What is told once: that no code of an image runs.
    fn stand_in(&mut self, args: &[Vec<u8>]) -> Vec<(bool, Vec<u8>)> {
        if std::mem::replace(&mut self.machine.prompt.has_told, true) {
            return Vec::new();
        }
        let program = escape(args.first().map(Vec::as_slice).unwrap_or_default());
        let note = format!(
            "handroll: no code of an image is executed here. Its own shell stands in for {program}, on the \
             container's own mount; what it does not know, it says.\n"
        );
        vec![(true, note.into_bytes())]
    }

    fn tell_writes(&mut self, namespace: &str, id: &str, finished: &Finished) {
        self.client(namespace, |client| {
            for (call, events) in &finished.writes {
                let (what, changes) = changes(events);
                client.task_wrote(id, &call.to_string(), &what, changes);
            }
        });
    }
}

fn bytes(words: &[String]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.clone().into_bytes()).collect()
}

type Executed = (Execution, Option<Finished>);

/// Executes a program on a mount, unless somebody is to work there: then it must only be there. An error is what
/// runc says.
fn execute(
    mut overlay: Overlay,
    process: Process,
    info: MountInfo,
    proc: Option<ProcMounts>,
    caller: Caller,
    args: &[Vec<u8>],
    is_held: bool,
) -> std::result::Result<Executed, String> {
    let mut shell = Shell::of_process(process, info);
    (shell.limits.calls, shell.limits.recorded) = (CALLS, RECORDED);
    let mut inside = InContainer {
        overlay: &mut overlay,
        proc,
        events: Vec::new(),
        writes: Vec::new(),
    };
    if is_held {
        let found = shell.find_program(&mut inside, caller, args);
        return found.map(|()| (Execution::Waits, None));
    }
    let execution = shell.execute(&mut inside, caller, args);
    let InContainer { events, writes, .. } = inside;
    match execution {
        Execution::NotStarted(reason) => Err(reason),
        Execution::Ended(ran) => {
            let finished = Finished {
                ran,
                events,
                writes,
                after: overlay,
            };
            Ok((Execution::Waits, Some(finished)))
        }
        other => Ok((other, None)),
    }
}

fn step(line: &str, finished: Finished) -> ContainerStep {
    ContainerStep {
        input: line.to_owned(),
        done: Done::Line(finished.ran, finished.events),
        after: finished.after,
    }
}

fn printed(ran: &Ran) -> impl Iterator<Item = (bool, Vec<u8>)> {
    let pieces = ran.output.iter();
    pieces.map(|piece| (piece.stream == Stream::Stderr, piece.bytes.clone()))
}

fn cannot_run(path: &[u8]) -> String {
    format!(
        "handroll: {} would be started now. No code of an image is executed here, and handroll has no stand-in for it.\n",
        escape(path)
    )
}

/// How to go on in a container whose process is nobody.
fn held(task: &NewTask, execution: &Execution) -> String {
    let NewTask { namespace, id, .. } = task;
    let first = match execution {
        Execution::Unknown(path) => cannot_run(path),
        _ => "No program runs here: it would wait for you.\n".to_owned(),
    };
    format!(
        "{first}In the container {id}, the process is you, and its prompt is the container's: “Work in it” leads there.\n\
         `ctr -n {namespace} tasks exec --exec-id ls {id} ls /` runs one more program in it, \
         `ctr -n {namespace} tasks kill -s SIGKILL {id}` ends it.\n"
    )
}

/// What the events of a call did to the upperdir: the first sentence, and the changes.
fn changes(events: &[Event]) -> (String, Changes) {
    let mut changes = Changes::default();
    let mut first = None;
    for event in events {
        let Some(sign) = sign(event.rule) else { continue };
        let sentence = event.sentence();
        changes.add(sign, event.path.clone(), event.rule.id().to_owned());
        first.get_or_insert(sentence);
    }
    (
        first.unwrap_or_else(|| "the upper directory changes.".to_owned()),
        changes,
    )
}

/// What a rule of overlayfs does in the upper directory, if it does something there.
fn sign(rule: Rule) -> Option<Sign> {
    let id = rule.id();
    let is_of = |start: &str| id.starts_with(start);
    match rule {
        Rule::WhiteoutNotNeeded => None,
        Rule::UpperRemove => Some(Sign::Removed),
        Rule::UpperCreate | Rule::UpperLink | Rule::WhiteoutUnlink | Rule::WhiteoutRmdir => Some(Sign::Added),
        _ if is_of("copy_up.") => Some(Sign::Added),
        _ if is_of("upper.")
            || is_of("xattr.")
            || is_of("opaque.")
            || is_of("whiteout.")
            || is_of("rights.") =>
        {
            Some(Sign::Changed)
        }
        _ => None,
    }
}

/// What goes to `ctr`'s streams.
pub(super) fn pieces(output: Vec<(bool, Vec<u8>)>) -> impl Iterator<Item = (ctr::Stream, Bytes)> {
    output.into_iter().map(|(is_error, bytes)| {
        let stream = match is_error {
            true => ctr::Stream::Error,
            false => ctr::Stream::Out,
        };
        (stream, Bytes::Content(Content::inline(bytes)))
    })
}
