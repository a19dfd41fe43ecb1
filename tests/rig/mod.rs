//! What the native tests share: programs that are run, the article's trees, a containerd of their own.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod containerd;
pub mod judges;
pub mod tree;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use handroll::layer::Bytes;
use handroll::workbench::{Export, Workbench};
use serde_json::Value;

/// The article's time: 2025-01-01 in UTC.
pub const ARTICLE_TIME: &str = "1735689600";

/// The handroll of this build, without what the environment might say.
pub fn handroll() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handroll"));
    command.env_remove("SOURCE_DATE_EPOCH");
    command
}

/// Any program.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    command
}

/// The same command, to be ended by signals also where whoever runs the tests ignores them, as `nohup` and the jobs of
/// scripts do.
pub fn mortal(command: &Command) -> Command {
    let mut mortal = Command::new("env");
    mortal.arg("--default-signal=HUP,INT");
    mortal.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => mortal.env(name, value),
            None => mortal.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        mortal.current_dir(directory);
    }
    mortal
}

/// Runs a command that must succeed.
pub fn ok(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a command that must succeed; what it printed.
pub fn text(command: &mut Command) -> String {
    String::from_utf8(ok(command).stdout).expect("prints text")
}

/// Runs a command that must succeed; the JSON that it printed.
pub fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&ok(command).stdout).expect("prints JSON")
}

/// Ends with this code, says this on standard error, and prints nothing.
pub fn fails(command: &mut Command, code: i32, says: &str) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {error}");
    assert!(error.contains(says), "{command:?} should say `{says}`: {error}");
    assert!(output.stdout.is_empty());
}

/// A runc in a directory of its own that is killed when it has made the container's cgroups, before it has written its
/// state.
pub fn killed_runc(directory: &Path) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let script = format!(
        "#!/bin/sh
PATH='{path}:/usr/sbin:/sbin'
for word; do
    if [ \"$word\" = run ]; then
        exec strace -f -o /dev/null -e trace=renameat -e inject=renameat:signal=KILL runc \"$@\"
    fi
done
exec runc \"$@\"
"
    );
    let runc = directory.join("killed/runc");
    write(&runc, script);
    fs::set_permissions(&runc, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    runc
}

/// Writes a file and the directories above it.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a file stands in a directory")).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The small files of the article's two layers in `base/` and `delta/`, without a program. The whiteout is the
/// empty regular file that the specification asks for.
pub fn article_files(directory: &Path) {
    write(directory.join("base/hello.txt"), "hello from base\n");
    write(directory.join("base/data/config.txt"), "base config\n");
    write(directory.join("delta/hello.txt"), "hello from delta\n");
    write(directory.join("delta/data/.wh.config.txt"), "");
}

/// The article's two layers, with the real busybox.
pub fn article(directory: &Path) {
    article_files(directory);
    let bin = directory.join("base/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is installed");
    for name in ["sh", "ls", "cat"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
}

/// The DiffID of a directory by the article's own commands.
pub fn article_diff_id(directory: &Path) -> String {
    let script = r#"tar -C "$1" --sort=name --mtime="2025-01-01 00:00:00" --owner=0 --group=0 --numeric-owner -cf - . |
        sha256sum | cut -d' ' -f1"#;
    let sum = text(program("sh").args(["-c", script, "sh"]).arg(directory));
    format!("sha256:{}", sum.trim())
}

/// A base and a delta with everything that a layer can hold, made by the shell.
pub fn everything(directory: &Path) {
    let script = r#"
        set -e; umask 022; mkdir base delta; cd base
        mkdir -p keep gone/deep replaced/old links dev 'sp ace' sticky other
        echo keep > keep/file; echo x > gone/deep/x; echo old > replaced/old/file; echo o > replaced/top
        echo one > links/a; ln links/a links/b; ln links/a other/c; ln -s a links/s; ln -s /nowhere links/dangling
        mknod dev/null c 1 3; mknod dev/loop b 7 0; mkfifo dev/pipe
        echo s > sticky/su; chmod 4755 sticky/su; chmod 1777 sticky; chmod 0 keep/file
        echo space > 'sp ace/new
line'; printf x > "$(printf 'byte\377')"; echo f > becomes-dir; mkdir -p becomes-file/d; ln -s keep becomes-real
        echo long > "$(printf 'n%.0s' $(seq 255))"
        mkdir -p "$(printf 'd%.0s/' $(seq 90))"; echo deep > "$(printf 'd%.0s/' $(seq 90))file"
        cd ../delta
        mkdir -p replaced links becomes-dir becomes-real keep; echo new > replaced/new; echo inner > becomes-dir/inner
        echo file > becomes-file; chmod 700 keep; echo again > links/a; ln links/a links/z
    "#;
    ok(program("sh").args(["-c", script]).current_dir(directory));
}

/// What a session exports, once all its work is done.
pub fn exported(workbench: &mut Workbench, what: &Export) -> Vec<u8> {
    while workbench.step(u64::MAX) {}
    let mut bytes = Vec::new();
    for part in workbench.export(what).unwrap() {
        match part {
            Bytes::Owned(part) => bytes.extend(part),
            Bytes::Zeros(count) => bytes.resize(bytes.len() + count as usize, 0),
            Bytes::Content(content) => bytes.extend(content.read_all(u64::MAX).unwrap()),
        }
    }
    bytes
}
