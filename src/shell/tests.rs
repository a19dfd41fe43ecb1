//! What bash cannot be asked: limits, the record of system calls, and the trace beside it.

use std::sync::Arc;

use super::*;
use crate::content::{Content, ContentError, Source};
use crate::overlay::mount::{Call, Lower, Marks, Options, Overlay, Rule, Upper};
use crate::tree::{Directory, Metadata, Node, Time, Tree, TreePath};

const NOW: Time = Time::at(1_700_000_000);

fn metadata() -> Metadata {
    Metadata::new(0o755, 0, 0, Time::at(1))
}

fn directory() -> Node {
    Node::Directory(Directory::default())
}

fn mounted(files: Vec<(String, Node)>) -> Overlay {
    let mut tree = Tree::new(metadata(), 0);
    for (path, node) in files {
        let path = TreePath::parse(&path).unwrap();
        tree.make(&path, node, metadata()).unwrap();
    }
    let marks = Marks::of(Options::default());
    let upper = Upper::from_layer(&Tree::new(metadata(), 0), marks, NOW);
    Overlay::mount(vec![Lower::new(tree)], Some(upper), Options::default(), NOW).unwrap()
}

fn run(overlay: &mut Overlay, line: &str) -> Ran {
    let mut shell = Shell::new(MountInfo {
        options: b"rw,lowerdir=/1,upperdir=/u,workdir=/w".to_vec(),
        ..MountInfo::default()
    });
    shell.run(overlay, Caller::root(NOW), line.as_bytes())
}

fn text(ran: &Ran) -> String {
    let pieces = ran.output.iter().flat_map(|piece| piece.bytes.iter().copied());
    String::from_utf8(pieces.collect()).unwrap()
}

/// Zeros without end, nearly; whoever reads more than a few windows is told so.
struct Zeros;

impl Source for Zeros {
    fn id(&self) -> u64 {
        1
    }
    fn name(&self) -> &str {
        "zeros"
    }
    fn len(&self) -> u64 {
        1 << 40
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let unread = 8 << 20..(1 << 40) - (8 << 20);
        assert!(!unread.contains(&offset), "read at {offset}");
        into.fill(0);
        Ok(())
    }
}

fn huge() -> (String, Node) {
    ("/huge".to_owned(), Node::File(Content::whole(Arc::new(Zeros))))
}

#[test]
fn a_huge_file_is_not_read_to_be_copied() {
    let mut overlay = mounted(vec![huge()]);
    let ran = run(
        &mut overlay,
        "cp huge copy && cat huge > again && ls -sh 2>/dev/null; stat -c %s copy again",
    );
    assert_eq!(text(&ran), format!("{0}\n{0}\n", 1_u64 << 40));
}

#[test]
fn what_is_printed_has_an_end() {
    let mut overlay = mounted(vec![huge()]);
    let ran = run(&mut overlay, "cat huge; echo more; head -c 3 huge");
    assert_eq!(ran.bytes(Stream::Stdout).len(), 1 << 20);
    let note = "[what is printed beyond 1048576 bytes is left out]\n";
    assert_eq!(ran.bytes(Stream::Stderr), note.as_bytes());
    let ran = run(&mut overlay, "head -c 3 huge; tail -c 3 huge");
    assert_eq!(ran.bytes(Stream::Stdout), [0; 6]);
}

#[test]
fn a_line_can_be_stopped() {
    let names = (0..200).map(|number| (format!("/{number}"), directory()));
    let mut overlay = mounted(names.collect());
    let mut shell = Shell::new(MountInfo::default());
    let mut asked = 0;
    let mut goes_on = || {
        asked += 1;
        // The command itself is one of them.
        asked <= 50
    };
    let caller = Caller::root(NOW);
    let ran = shell.run_while(&mut overlay, caller, b"find / ; echo after", &mut goes_on);
    assert_eq!((ran.status, ran.call_count), (130, 49));
    let told = ran.bytes(Stream::Stderr);
    assert_eq!(told, b"[stopped after 49 system calls: it was asked to]\n");
    assert!(!ran.bytes(Stream::Stdout).ends_with(b"after\n"));
    shell.limits.calls = 30;
    for line in [
        "rm -r *",
        "du",
        "cp -r / x",
        "ls -lR",
        "chmod -R 700 /",
        "tree",
        "sha256sum *",
    ] {
        let ran = shell.run(&mut overlay, caller, line.as_bytes());
        assert_eq!((ran.status, ran.call_count), (130, 29), "{line}");
        let told = ran.bytes(Stream::Stderr);
        assert!(
            told.ends_with(b"[stopped after 29 system calls: a line's work has a limit]\n"),
            "{line}"
        );
    }
}

#[test]
fn deep_directories_and_loops_come_to_an_end() {
    let mut files = Vec::new();
    let mut path = String::new();
    // Deeper than the kernel takes a path.
    for _ in 0..25 {
        path = path + "/" + &"d".repeat(200);
        files.push((path.clone(), directory()));
    }
    files.push(("/loop".to_owned(), Node::Symlink(b"loop".as_slice().into())));
    files.push(("/self".to_owned(), Node::Symlink(b".".as_slice().into())));
    let mut overlay = mounted(files);
    for line in [
        "find / > /list",
        "du -s /",
        "tree > /t",
        "ls -R > /l",
        "cp -r d* e",
        "chmod -R 755 d*",
        "rm -r d*",
    ] {
        let ran = run(&mut overlay, line);
        assert!(ran.status < 3 && ran.call_count < 1000, "{line}: {}", text(&ran));
    }
    let ran = run(&mut overlay, "cat loop; cat self/self/self/l*p");
    assert!(text(&ran).contains("Too many levels of symbolic links"));
}

#[test]
fn the_record_of_calls_stands_beside_the_trace() {
    let file = Node::File(Content::inline(*b"base"));
    let mut overlay = mounted(vec![
        ("/data".to_owned(), directory()),
        ("/data/config.txt".to_owned(), file),
    ]);
    let mut shell = Shell::new(MountInfo::default());
    let mut traced = Traced::new(&mut overlay, shell.limits.recorded);
    let line = b"chmod 600 data/config.txt; mv data moved";
    let ran = shell.run(&mut traced, Caller::root(NOW), line);
    assert_eq!(ran.status, 0, "{}", text(&ran));
    assert_eq!(ran.calls.len(), traced.events.len());
    let both: Vec<_> = ran.calls.iter().zip(&traced.events).collect();
    let names: Vec<&str> = ran.calls.iter().map(|made| made.call.name()).collect();
    assert_eq!(names[..3], ["stat", "chmod", "rename"]);
    assert!(
        both[1]
            .1
            .iter()
            .any(|event| event.rule.id().starts_with("copy_up"))
    );
    // The lesson of overlayfs: a directory of a lower layer is not moved, mv copies it.
    assert_eq!(
        both[2].1.last().map(|event| event.rule),
        Some(Rule::ErrnoRenameLowerDirectory)
    );
    assert!(
        names.contains(&"mkdir") && names.ends_with(&["unlink", "rmdir"]),
        "{names:?}"
    );
    let Call::Mkdir { path, .. } = &both
        .iter()
        .find(|(made, _)| made.call.name() == "mkdir")
        .unwrap()
        .0
        .call
    else {
        panic!("not a mkdir");
    };
    assert_eq!(&path[..], b"/moved");
}

#[test]
fn the_record_has_an_end_too() {
    let mut overlay = mounted(
        (0..50)
            .map(|number| (format!("/{number}"), directory()))
            .collect(),
    );
    let mut shell = Shell::new(MountInfo::default());
    shell.limits.recorded = 7;
    let mut traced = Traced::new(&mut overlay, 7);
    let ran = shell.run(&mut traced, Caller::root(NOW), b"ls -l");
    assert_eq!((ran.calls.len(), traced.events.len()), (7, 7));
    assert!(ran.call_count > 50);
}

#[test]
fn the_articles_lines() {
    let file = |text: &str| Node::File(Content::inline(text.as_bytes().to_vec()));
    let mut overlay = mounted(vec![
        ("/bin".to_owned(), directory()),
        ("/bin/busybox".to_owned(), file("elf")),
        ("/bin/sh".to_owned(), Node::Symlink(b"busybox".as_slice().into())),
        ("/hello.txt".to_owned(), file("hello from base\n")),
        ("/data".to_owned(), directory()),
        ("/data/config.txt".to_owned(), file("base config\n")),
    ]);
    for (line, output) in [
        ("ls /", "bin\ndata\nhello.txt\n"),
        ("cat /hello.txt", "hello from base\n"),
        (
            "echo \"hello from delta\" > /hello.txt; cat hello.txt",
            "hello from delta\n",
        ),
        ("rm data/config.txt; ls /data/", ""),
        ("readlink /bin/sh", "busybox\n"),
        (
            "mount",
            "overlay on / type overlay (rw,lowerdir=/1,upperdir=/u,workdir=/w)\n",
        ),
        ("whoami", "whoami: cannot find name for user ID 0\n"),
        (
            "mount /dev/sda /mnt",
            "mount: '/dev/sda': nothing can be mounted here, only the overlay's line is shown\n",
        ),
        (
            "for f in $(ls | head -2); do\n  if test -d \"$f\"; then\n    echo \"$f: $(ls $f)\"\n  fi\ndone",
            "bin: busybox\nsh\ndata: \n",
        ),
        ("X=$(cat hello.txt); echo \"$X\" | wc -c", "17\n"),
        ("cat \"$WORKDIR/x\"; echo more", "WORKDIR: unbound variable\n"),
        ("X=1; unset X; echo $X", "X: unbound variable\n"),
        ("echo $(echo $X) on", "X: unbound variable\non\n"),
    ] {
        assert_eq!(text(&run(&mut overlay, line)), output, "{line}");
    }
}

#[test]
fn every_command_tells_what_it_does() {
    let mut overlay = mounted(Vec::new());
    let overview = text(&run(&mut overlay, "help"));
    for command in help::COMMANDS {
        assert!(
            overview.lines().any(|line| line.starts_with(command.name)),
            "{}",
            command.name
        );
        let one = text(&run(&mut overlay, &format!("help '{}'", command.name)));
        assert!(one.starts_with(&format!("Usage: {}", command.name)), "{one}");
        assert!(
            one.lines().count() < 24,
            "{} has more than a screen",
            command.name
        );
    }
    let ran = run(&mut overlay, "ls --help");
    assert!(text(&ran).starts_with("Usage: ls") && ran.status == 0);
    assert_eq!(run(&mut overlay, "help nothing").status, 1);
}

#[test]
fn loops_pipes_and_variables_are_bounded() {
    let zeros = Node::File(Content::whole(Arc::new(Zeros)));
    let mut overlay = mounted(vec![("/zeros".to_owned(), zeros)]);
    let ten = "0 1 2 3 4 5 6 7 8 9";
    let nested = |body: &str| {
        let loops: String = (0..8)
            .map(|number| format!("for x{number} in {ten}; do "))
            .collect();
        format!("{loops}{body}{}", "; done".repeat(8))
    };
    for line in [nested("true"), nested("X=1")] {
        let mut shell = Shell::new(MountInfo::default());
        shell.limits.calls = 10_000;
        let ran = shell.run(&mut overlay, Caller::root(NOW), line.as_bytes());
        assert_eq!(ran.status, 130, "{line}");
        assert!(text(&ran).ends_with("a line's work has a limit]\n"), "{line}");
    }
    let doubled = format!("X=0123456789abcdef; for a in {ten}; do for b in {ten}; do X=\"$X$X\"; done; done");
    let told = text(&run(&mut overlay, &doubled));
    assert!(told.ends_with("a value of more than 2097152 bytes\n"), "{told}");
    let words =
        format!("X=0123456789abcdef; for a in {ten} a b c d e f; do X=\"$X$X\"; done; true $X $X $X $X");
    assert_eq!(text(&run(&mut overlay, &words)), "Argument list too long\n");
    let told = text(&run(&mut overlay, "X=$(cat zeros)"));
    assert_eq!(told, "a substitution of more than 2097152 bytes\n");
    // What lies elsewhere goes through a pipe without being read.
    assert_eq!(text(&run(&mut overlay, "cat zeros | head -c 3 | wc -c")), "3\n");
    let more = format!("for a in {ten}; do for b in {ten}; do head -c 1000000 zeros; done; done | wc -c");
    assert_eq!(text(&run(&mut overlay, &more)), "100000000\n");
}

#[test]
fn commands_in_commands_fit_a_browsers_stack() {
    let work = || {
        let mut overlay = mounted(Vec::new());
        for (open, close) in [
            ("echo $(", ")"),
            ("if true; then ", "; fi"),
            ("for x in a; do ", "; done"),
        ] {
            let line = format!("{}echo deep{}", open.repeat(49), close.repeat(49));
            assert_eq!(text(&run(&mut overlay, &line)), "deep\n", "{open}");
        }
        // A script that calls itself from within, as deep as it gets.
        let nested = format!("{}sh /s{}", "if true; then ".repeat(30), "; fi".repeat(30));
        let script = Node::File(Content::inline(nested.into_bytes()));
        let mut overlay = mounted(vec![("/s".to_owned(), script)]);
        let mut shell = Shell::new(MountInfo::default());
        let mut process = inside::Inside::new(Vec::new());
        process.kind = inside::Kind::Busybox;
        shell.inside = Some(process);
        let ran = shell.run(&mut overlay, Caller::root(NOW), b"sh /s");
        assert!(
            text(&ran).contains("commands in commands have a limit"),
            "{}",
            text(&ran)
        );
    };
    // Frames are larger here than in a browser.
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    thread.unwrap().join().unwrap();
}
