//! Lines of `prompt.txt`, which run programs in containers: by containerd, and at the prompt of the page's machine,
//! whose shell stands in for the programs. Both print the same, and end with the same code.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use handroll::content::Source as _;
use handroll::native::FileSource;
use handroll::text::escape;
use handroll::tree::Time;
use handroll::workbench::{Action, ArchiveFiles, Caller, ContentRef, Operation, Query, Workbench};
use serde_json::json;
use tempfile::TempDir;

use super::lines::{normal, without_help};
use super::rig::containerd::Containerd;
use super::rig::{self, handroll, ok, program, text};

const LINES: &str = include_str!("prompt.txt");

/// What the machine says once, and containerd never.
const NOTE: &str = "handroll: no code of an image is executed here.";

/// One image of each kind, by the name of its directory.
const IMAGES: [&str; 3] = ["busybox", "debian", "sample"];

/// Files that both have: what can be executed and what cannot.
fn common(root: &Path) {
    rig::write(root.join("hello.txt"), "hello from base\nand more\n");
    rig::write(root.join("data/config.txt"), "base config\n");
    rig::write(root.join("gone/deep/file"), "deep\n");
    rig::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nanna:x:7:8::/home/anna:/bin/sh\n",
    );
    rig::write(root.join("etc/group"), "root:x:0:\nanna:x:8:\n");
    for (name, text, mode) in [
        (
            "script",
            "#!/bin/sh\necho script $0 $1 \"$2\"\nls /data; exit 5\n",
            0o755,
        ),
        ("badscript", "#!/bin/none\n", 0o755),
        ("text", "echo text $1\n", 0o755),
        ("empty", "", 0o755),
        ("plain", "#!/bin/sh\n", 0o644),
        ("private", "#!/bin/sh\necho private\n", 0o700),
    ] {
        let path = root.join(name);
        rig::write(&path, text);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let secret = root.join("secret");
    rig::write(secret.join("file"), "secret\n");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o700)).unwrap();
    // Its loader is not there.
    fs::create_dir_all(root.join("opt")).unwrap();
    let true_program = fs::read("/bin/true").unwrap();
    let loader = b"/lib64/ld-linux-x86-64.so.2";
    let at = true_program
        .windows(loader.len())
        .position(|bytes| bytes == loader);
    let mut other = true_program.clone();
    other[at.expect("it is dynamic") + 1] = b'x';
    fs::write(root.join("opt/dynamic"), other).unwrap();
    fs::set_permissions(root.join("opt/dynamic"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut foreign = true_program;
    // EM_AARCH64
    foreign[18] = 183;
    fs::write(root.join("opt/foreign"), foreign).unwrap();
    fs::set_permissions(root.join("opt/foreign"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/nowhere", root.join("dangling")).unwrap();
}

/// Programs of this Debian with the libraries that they need.
fn debian(root: &Path) {
    let names = "bash dash ls cat mkdir rmdir rm cp mv ln chmod touch head tail wc stat readlink id sha256sum find du env";
    let mut wanted = Vec::new();
    for name in names.split(' ') {
        let path = text(program("sh").args(["-c", "command -v \"$1\"", "sh", name]));
        wanted.push(path.trim().to_owned());
    }
    let libraries = text(program("ldd").args(&wanted));
    let mut libraries: Vec<&str> = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .collect();
    libraries.sort_unstable();
    libraries.dedup();
    ok(program("cp")
        .arg("-L")
        .arg("--parents")
        .args(&libraries)
        .arg(root));
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    ok(program("cp").arg("-L").args(&wanted).arg(root.join("usr/bin")));
    symlink("dash", root.join("bin/sh")).unwrap();
}

fn sample(root: &Path) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sample/show-amd64");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(program, root.join("bin/show")).unwrap();
    fs::set_permissions(root.join("bin/show"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("show", root.join("bin/cat")).unwrap();
    symlink("show", root.join("bin/ls")).unwrap();
}

fn image(directory: &Path, name: &str) -> PathBuf {
    let root = directory.join(name);
    fs::create_dir_all(&root).unwrap();
    common(&root);
    match name {
        "busybox" => {
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
            for link in ["sh", "ls", "cat", "id", "mkdir", "pwd", "env", "wc"] {
                symlink("busybox", root.join("bin").join(link)).unwrap();
            }
        }
        "debian" => debian(&root),
        _ => sample(&root),
    }
    let delta = directory.join(format!("{name}-delta"));
    rig::write(delta.join("hello.txt"), "hello from delta\n");
    rig::write(delta.join("gone/.wh.deep"), "");
    let path = directory.join(format!("{name}.tar"));
    let mut build = handroll();
    build.args([
        "build",
        "--mtime",
        rig::ARTICLE_TIME,
        "--env",
        "GREETING=hi  there",
    ]);
    build.args(["--cmd", if name == "sample" { "/bin/show" } else { "/bin/sh" }]);
    for layer in [&root, &delta] {
        build.arg("--layer").arg(layer);
    }
    build.args(["--name", &format!("docker.io/library/{name}:latest"), "-o"]);
    ok(build.arg(&path));
    path
}

/// The page's machine, with the images imported.
struct Machine {
    workbench: Workbench,
    /// The next id of a container and its sheet.
    next: u32,
}

impl Machine {
    fn new(images: &[PathBuf]) -> Self {
        let mut machine = Self {
            workbench: Workbench::new(),
            next: 1000,
        };
        for (number, path) in (1..).zip(images) {
            let source = Arc::new(FileSource::open(path).unwrap());
            let length = source.len();
            machine.workbench.open_source(number, source).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            machine.apply(Action::OpenArchive {
                archive: number,
                name: name.clone(),
                from: ArchiveFiles::Tar {
                    content: ContentRef::Source {
                        source: number,
                        offset: 0,
                        length,
                    },
                },
                first_image: number * 10,
                first_layer: number * 10,
            });
            let seen = machine.run(&format!("ctr images import {name}"));
            assert_eq!(seen.2, 0, "{}{}", seen.0, seen.1);
        }
        machine
    }

    fn apply(&mut self, action: Action) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let operation = Operation {
            time: Time::at(since.as_secs().cast_signed()),
            caller: Caller::ROOT,
            action,
        };
        self.workbench.apply(operation).unwrap();
    }

    /// What a line prints on both streams, and its status.
    fn run(&mut self, line: &str) -> (String, String, i32) {
        self.next += 1;
        self.apply(Action::RunOnMachine {
            line: escape(line.as_bytes()),
            container: Some(self.next),
            layer: Some(self.next),
        });
        let prompt = json!(self.workbench.query(&Query::Prompt).unwrap());
        let last = prompt["lines"].as_array().unwrap().last().unwrap();
        let stream = |name: &str| -> String {
            let pieces = last["output"].as_array().unwrap().iter();
            let pieces = pieces.filter(|piece| piece["stream"] == name);
            pieces.map(|piece| piece["text"].as_str().unwrap()).collect()
        };
        let errors = stream("stderr");
        let errors = errors.lines().filter(|line| !line.starts_with(NOTE));
        let errors = errors.map(|line| format!("{line}\n")).collect();
        let status = last["status"].as_i64().unwrap();
        (stream("stdout"), errors, i32::try_from(status).unwrap())
    }
}

fn real(containerd: &Containerd, line: &str) -> (String, String, i32) {
    let script = format!(
        "ctr() {{ command ctr -a {} \"$@\"; }}\n{line}",
        containerd.socket().display()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).replace(containerd.root().to_str().unwrap(), "/var/lib/containerd")
    };
    (
        shown(&output.stdout),
        shown(&output.stderr),
        output.status.code().unwrap(),
    )
}

#[test]
fn programs_print_at_the_prompt_what_they_print_in_containerd() {
    let directory = TempDir::new().unwrap();
    let images = IMAGES.map(|name| image(directory.path(), name));
    let containerd = Containerd::start();
    for image in &images {
        ok(program("ctr")
            .arg("-a")
            .arg(containerd.socket())
            .args(["images", "import"])
            .arg(image));
    }
    let mut machine = Machine::new(&images);
    let (mut count, mut fine, mut report, mut name) = (0, 0, String::new(), "");
    for line in LINES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(image) = line.strip_prefix("== ") {
            name = image;
            continue;
        }
        let place = |line: &str| line.replace("IMAGE", &format!("docker.io/library/{name}:latest"));
        if let Some(line) = line.strip_prefix("real: ") {
            real(&containerd, &place(line));
            continue;
        }
        if let Some(line) = line.strip_prefix("ours: ") {
            machine.run(&place(line));
            continue;
        }
        // `$ …` is a line of the image's own shell.
        let line = match line.strip_prefix("$ ") {
            Some(line) => format!("ctr run --rm IMAGE c /bin/sh -c {}", quoted(line)),
            None => line.to_owned(),
        };
        let line = place(&line);
        count += 1;
        let (expected, found) = (real(&containerd, &line), machine.run(&line));
        let normal =
            |(out, err, status): &(String, String, i32)| (without_help(&normal(out)), normal(err), *status);
        let (mut expected, found) = (normal(&expected), normal(&found));
        // Now and then, on a busy machine, containerd ends a short program's output before it is copied: what it has
        // printed nothing for is asked of it again.
        if expected != found && expected.0.is_empty() && line.starts_with("ctr run --rm ") {
            expected = normal(&real(&containerd, &line));
        }
        // An image that cannot run anything would be equal in all lines.
        fine += usize::from(expected.2 == 0);
        if expected != found {
            report += &format!("{name}: {line}\n  expected {expected:?}\n  found    {found:?}\n");
        }
    }
    assert!(
        count >= 160 && fine >= 60,
        "only {count} lines, {fine} of them without an error"
    );
    assert!(
        report.is_empty(),
        "{} of {count} lines differ:\n{report}",
        report.matches("  found  ").count()
    );
}

fn quoted(line: &str) -> String {
    format!("'{}'", line.replace('\'', r"'\''"))
}
