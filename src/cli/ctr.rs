//! `handroll ctr`: containerd's `ctr` on a store in a directory.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use handroll::content::Content;
use handroll::image::root::Root;
use handroll::layer::Bytes;
use handroll::native::{FileSource, StoreDisk, StorePlace, StoreTask};
use handroll::store::ctr::{self, Archive, Host, NewTask, Ran, Stream};
use handroll::store::{Client, DEFAULT_NAMESPACE, Store, StoreError};
use handroll::tree::Time;

use super::{Failure, Verdict};

/// containerd's own command, on a store of handroll's
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct CtrArgs {
    /// Where the store is [default: HANDROLL_CTR_ROOT, else /var/lib/handroll/ctr]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// What `ctr` is given, such as `images ls`; `--help` tells
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub line: Vec<OsString>,
}

impl CtrArgs {
    fn root(&self) -> PathBuf {
        let given = || std::env::var_os("HANDROLL_CTR_ROOT").filter(|value| !value.is_empty());
        let given = self.root.clone().or_else(|| given().map(PathBuf::from));
        given.unwrap_or_else(|| PathBuf::from("/var/lib/handroll/ctr"))
    }

    fn line(&self) -> Result<Vec<String>, Failure> {
        let text = |word: &OsString| {
            let text = word.to_str().map(str::to_owned);
            text.ok_or_else(|| Failure::Usage(format!("{}: ctr takes UTF-8 only", word.display())))
        };
        self.line.iter().map(text).collect()
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time {
        seconds: since.as_secs().cast_signed(),
        nanos: since.subsec_nanos(),
    }
}

/// Runs the subcommand.
pub fn run(arguments: &CtrArgs) -> Result<Verdict, Failure> {
    let line = arguments.line()?;
    let root = arguments.root();
    let (mut ran, started) = {
        let (mut store, mut disk) = open(&root)?;
        let mut ran = with_client(&mut store, &mut disk, |client, host| {
            ctr::run(client, host, &line)
        });
        let mut started = None;
        if let Some(task) = ran.task.take() {
            match start(&mut store, &mut disk, &task) {
                Ok(running) => started = Some((task, running)),
                Err(reason) => ran.go_on(with_client(&mut store, &mut disk, |client, host| {
                    ctr::ended(client, host, &task, Err(reason), true)
                })),
            }
        }
        disk.save(&store).map_err(Failure::work)?;
        (ran, started)
    };
    print(&ran)?;
    if let Some((task, running)) = started {
        // Others can work on the store meanwhile.
        let (outcome, lock) = running.run();
        let (mut store, mut disk) = open(&root)?;
        ran = with_client(&mut store, &mut disk, |client, host| {
            ctr::ended(client, host, &task, outcome, lock.is_current())
        });
        disk.save(&store).map_err(Failure::work)?;
        drop(lock);
        print(&ran)?;
    }
    Ok(Verdict::Code(ran.status))
}

fn with_client<T>(
    store: &mut Store,
    disk: &mut StoreDisk,
    work: impl FnOnce(&mut Client<'_>, &mut Machine<'_>) -> T,
) -> T {
    let place = disk.place();
    let mut client = Client::new(store, disk, DEFAULT_NAMESPACE, now());
    work(&mut client, &mut Machine { place: &place })
}

/// Notes that a task begins, and makes ready what it is started from.
fn start(store: &mut Store, disk: &mut StoreDisk, task: &NewTask) -> Result<StoreTask, String> {
    let place = disk.place();
    let mut client = Client::new(store, disk, &task.namespace, now());
    let said = |error: StoreError| error.to_string();
    let container = client.container(&task.id).map_err(said)?;
    let snapshot = client.snapshot(&container.snapshot).map_err(said)?;
    let parents = client.parents(&container.snapshot).map_err(said)?;
    client.start_task(&task.id, std::process::id()).map_err(said)?;
    place.make_task(&task.namespace, &task.id, &container, snapshot.number, &parents)
}

fn open(root: &Path) -> Result<(Store, StoreDisk), Failure> {
    let waits = &mut || eprintln!("handroll: waiting for another handroll that works on this store");
    StoreDisk::open(root, waits).map_err(Failure::work)
}

/// Prints what a line printed.
fn print(ran: &Ran) -> Result<(), Failure> {
    for (stream, bytes) in &ran.output {
        let written = match stream {
            Stream::Out => write(&mut io::stdout().lock(), bytes),
            Stream::Error => write(&mut io::stderr().lock(), bytes),
        };
        match written {
            // Nobody reads on.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(Failure::work)?,
        }
    }
    io::stdout().flush().map_err(Failure::work)
}

fn write(to: &mut dyn io::Write, bytes: &Bytes) -> io::Result<()> {
    match bytes {
        Bytes::Owned(bytes) => to.write_all(bytes),
        Bytes::Zeros(count) => {
            io::copy(&mut io::Read::take(io::repeat(0), *count), to)?;
            Ok(())
        }
        Bytes::Content(content) => {
            let mut result = Ok(());
            let read = content.for_each_window(|bytes| {
                if result.is_ok() {
                    result = to.write_all(bytes);
                }
            });
            read.map_err(io::Error::other)?;
            result
        }
    }
}

/// What the system says of an error, as Go has it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// This machine.
struct Machine<'a> {
    place: &'a StorePlace,
}

impl Host for Machine<'_> {
    fn open(&mut self, path: &str) -> Result<Archive, String> {
        let said = |call: &str, error: &io::Error| format!("{call} {path}: {}", reason(error));
        let mut file = match path {
            "-" => File::open("/dev/stdin"),
            path => File::open(path),
        }
        .map_err(|error| said("open", &error))?;
        let metadata = file.metadata().map_err(|error| said("stat", &error))?;
        if metadata.is_dir() {
            return Err(format!("read {path}: is a directory"));
        }
        if !metadata.is_file() {
            // What can be read only once is kept for as long as it is needed.
            let mut kept = tempfile::tempfile().map_err(|error| said("read", &error))?;
            io::copy(&mut file, &mut kept).map_err(|error| said("read", &error))?;
            file = kept;
        }
        let source = FileSource::new(file, path.to_owned()).map_err(|error| said("read", &error))?;
        Ok(Archive::Tar(Content::whole(Arc::new(source))))
    }

    fn write(&mut self, path: &str, parts: &[Bytes]) -> Result<(), String> {
        let said = |call: &str, error: &io::Error| format!("{call} {path}: {}", reason(error));
        let mut file = File::create(path).map_err(|error| said("open", &error))?;
        for part in parts {
            write(&mut file, part).map_err(|error| said("write", &error))?;
        }
        Ok(())
    }

    fn view(&mut self, number: u64, parents: &[u64]) -> Result<Box<dyn Root + '_>, String> {
        self.place.view(number, parents)
    }

    fn check_exec(&self) -> Result<(), String> {
        Err("ctr tasks exec is not offered here: start a second container of the image instead".to_owned())
    }

    fn check_detach(&self) -> Result<(), String> {
        let reason = "--detach is not offered here: nobody would wait for the container; let your shell run this in \
                      the background";
        Err(reason.to_owned())
    }

    fn signal(&mut self, namespace: &str, id: &str, _: u32, signal: u8) -> Result<bool, String> {
        // Whoever waits for the container tells how it ended.
        self.place.signal_task(namespace, id, signal).map(|()| false)
    }

    fn forget(&mut self, namespace: &str, id: &str) {
        self.place.remove_task(namespace, id);
    }
}
