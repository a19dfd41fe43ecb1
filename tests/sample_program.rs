//! The sample image's program: that its committed bytes are what its source makes, and what it prints.
//!
//! Runs as root (for chroot), with clang-19, lld-19 and qemu-aarch64-static.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// One build of the program, and what runs it here.
struct Build {
    file: &'static str,
    bytes: &'static [u8],
    emulator: Option<&'static str>,
}

const BUILDS: [Build; 2] = [
    Build {
        file: "show-amd64",
        bytes: include_bytes!("../src/sample/show-amd64"),
        emulator: None,
    },
    Build {
        file: "show-arm64",
        bytes: include_bytes!("../src/sample/show-arm64"),
        emulator: Some("/usr/bin/qemu-aarch64-static"),
    },
];

/// A root directory as the sample image has it, with the program under its three names.
struct Root<'a> {
    directory: TempDir,
    build: &'a Build,
}

impl<'a> Root<'a> {
    fn new(build: &'a Build) -> Self {
        let root = Self {
            directory: TempDir::new().unwrap(),
            build,
        };
        fs::create_dir_all(root.path().join("bin")).unwrap();
        fs::create_dir_all(root.path().join("data")).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/sample")
            .join(build.file);
        copy(&program, &root.path().join("bin/show"));
        symlink("show", root.path().join("bin/cat")).unwrap();
        symlink("show", root.path().join("bin/ls")).unwrap();
        if let Some(emulator) = build.emulator {
            copy(Path::new(emulator), &root.path().join("bin/emulator"));
        }
        root
    }

    fn with_hello(build: &'a Build) -> Self {
        let root = Self::new(build);
        root.write("hello.txt", "hello from delta\n");
        root
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("chroot");
        command.arg(self.path());
        if self.build.emulator.is_some() {
            command.arg("/bin/emulator");
        }
        let output = command
            .arg(program)
            .args(arguments)
            .output()
            .expect("chroot is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.starts_with("chroot:"), "these tests run as root: {said}");
        output
    }

    /// Asserts on stdout, stderr and the exit code at once.
    fn expect(&self, program: &str, arguments: &[&str], stdout: &str, stderr: &str, code: i32) {
        let output = self.run(program, arguments);
        let what = format!("{} {program} {arguments:?}", self.build.file);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            stdout,
            "stdout of {what}"
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            stderr,
            "stderr of {what}"
        );
        assert_eq!(output.status.code(), Some(code), "exit code of {what}");
    }
}

/// Copies a program, its mode included. In a process of its own: were the copy open for writing here,
/// a child that another test starts at that moment would hold it open too, and nobody could run it.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(
        status.success(),
        "{} is there (qemu-user-static is installed?)",
        from.display()
    );
}

#[test]
fn the_committed_bytes_are_what_the_source_makes() {
    let out = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sample/build.sh");
    let status = Command::new(script).arg(out.path()).status().unwrap();
    assert!(status.success(), "clang-19 and lld-19 are installed");
    for build in &BUILDS {
        let built = fs::read(out.path().join(build.file)).unwrap();
        assert!(
            built == build.bytes,
            "{} is not what build.sh makes: run it and commit",
            build.file
        );
        assert!(built.len() < 4096, "{} has {} bytes", build.file, built.len());
    }
}

#[test]
fn no_memory_is_both_writable_and_executable() {
    for build in &BUILDS {
        for (kind, flags) in program_headers(build.bytes) {
            let (stack, load) = (0x6474_e551, 1);
            assert!(
                kind == stack || kind == load || kind == 6,
                "{}: segment {kind:#x}",
                build.file
            );
            assert_ne!(
                flags & 3,
                3,
                "{}: segment {kind:#x} has flags {flags:#x}",
                build.file
            );
        }
        assert!(
            program_headers(build.bytes).any(|(kind, _)| kind == 0x6474_e551),
            "a stack that says so"
        );
    }
}

/// Type and flags of each segment of a 64-bit little-endian ELF.
fn program_headers(elf: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let number = |at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&elf[at..at + length]);
        u64::from_le_bytes(bytes)
    };
    let (first, size, count) = (
        number(32, 8) as usize,
        number(54, 2) as usize,
        number(56, 2) as usize,
    );
    (0..count).map(move |index| {
        let at = first + index * size;
        (number(at, 4) as u32, number(at + 4, 4) as u32)
    })
}

#[test]
fn show_says_that_there_is_no_data() {
    for build in &BUILDS {
        let root = Root::with_hello(build);
        root.expect("/bin/show", &[], "hello from delta\n/data:\n  (empty)\n", "", 0);
        root.write("data/.hidden", "");
        root.expect("/bin/show", &[], "hello from delta\n/data:\n  (empty)\n", "", 0);
        fs::remove_dir_all(root.path().join("data")).unwrap();
        root.expect("/bin/show", &[], "hello from delta\n/data:\n  (empty)\n", "", 0);
    }
}

#[test]
fn show_lists_the_data_sorted_by_bytes() {
    for build in &BUILDS {
        let root = Root::with_hello(build);
        for name in ["b", "a", "B", "ab", "\u{e9}", "a b"] {
            root.write(&format!("data/{name}"), "");
        }
        let listed = "hello from delta\n/data:\n  B\n  a\n  a b\n  ab\n  b\n  \u{e9}\n";
        root.expect("/bin/show", &[], listed, "", 0);
        root.expect("/bin/show", &["ignored"], listed, "", 0);
    }
}

#[test]
fn show_lists_more_names_than_one_read_gives() {
    for build in &BUILDS {
        let root = Root::with_hello(build);
        let mut expected = String::from("hello from delta\n/data:\n");
        for number in 0..2500 {
            let name = format!("a-name-of-some-length-{number:05}");
            root.write(&format!("data/{name}"), "");
            expected += &format!("  {name}\n");
        }
        root.expect("/bin/show", &[], &expected, "", 0);
    }
}

#[test]
fn show_fails_where_it_cannot_read() {
    for build in &BUILDS {
        let root = Root::new(build);
        let missing = "show: cannot read /hello.txt: No such file or directory\n";
        root.expect("/bin/show", &[], "", missing, 1);
        root.write("hello.txt", "hello\n");
        fs::remove_dir_all(root.path().join("data")).unwrap();
        root.write("data", "a file");
        let said = "show: cannot list /data: Not a directory\n";
        root.expect("/bin/show", &[], "hello\n/data:\n", said, 1);
    }
}

#[test]
fn cat_writes_files() {
    for build in &BUILDS {
        let root = Root::with_hello(build);
        let long = "0123456789abcdef".repeat(5000);
        root.write("data/long", &long);
        root.expect("/bin/cat", &["/hello.txt"], "hello from delta\n", "", 0);
        root.expect(
            "/bin/cat",
            &["data/long", "/hello.txt"],
            &format!("{long}hello from delta\n"),
            "",
            0,
        );
        let said = "cat: nope: No such file or directory\ncat: /data: Is a directory\n";
        root.expect(
            "/bin/cat",
            &["nope", "/hello.txt", "/data"],
            "hello from delta\n",
            said,
            1,
        );
    }
}

#[test]
fn ls_lists_as_the_usual_one_does() {
    for build in &BUILDS {
        let root = Root::with_hello(build);
        for name in ["z", "a", ".dot"] {
            root.write(&format!("data/{name}"), "");
        }
        symlink("loop", root.path().join("loop")).unwrap();
        root.expect("/bin/ls", &[], "bin\ndata\nhello.txt\nloop\n", "", 0);
        root.expect("/bin/ls", &["/data"], "a\nz\n", "", 0);
        root.expect("/bin/ls", &["/hello.txt"], "/hello.txt\n", "", 0);
        let said = "ls: cannot access 'x': No such file or directory\n";
        root.expect("/bin/ls", &["x"], "", said, 2);
        root.expect(
            "/bin/ls",
            &["data", "x", "hello.txt"],
            "hello.txt\n\ndata:\na\nz\n",
            said,
            2,
        );
        let said = "ls: cannot access 'hello.txt/x': Not a directory\n";
        root.expect("/bin/ls", &["hello.txt/x"], "", said, 2);
        let said = "ls: cannot access 'loop/x': Too many levels of symbolic links\n";
        root.expect("/bin/ls", &["loop/x"], "", said, 2);
    }
}
