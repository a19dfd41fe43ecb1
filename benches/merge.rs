//! A million entries over 20 layers merged: `cargo bench --bench merge`. Says how long the merged view takes to be
//! walked once, how long single paths take, and the most memory that the process held.

use std::time::Instant;

use handroll::content::Content;
use handroll::overlay::Stack;
use handroll::tree::{Directory, Metadata, Name, Node, Time, Tree, TreePath};

const LAYERS: usize = 20;
const DIRECTORIES: usize = 500;
const FILES: usize = 100;

fn main() {
    let start = Instant::now();
    let trees: Vec<Tree> = (0..LAYERS).map(tree).collect();
    let entries: u64 = trees.iter().map(|tree| tree.counts().entries).sum();
    println!(
        "{entries} entries in {LAYERS} layers, made in {:.1} s, {}",
        seconds(start),
        memory()
    );
    let stack = Stack::new(trees.iter().collect());
    let start = Instant::now();
    let shown = stack.listing(&TreePath::ROOT, true).count();
    println!(
        "merged view walked: {shown} paths in {:.1} s, {}",
        seconds(start),
        memory()
    );
    let start = Instant::now();
    let all = stack.listing(&TreePath::ROOT, false).count();
    println!(
        "with all that is hidden: {all} paths in {:.1} s, {}",
        seconds(start),
        memory()
    );
    let start = Instant::now();
    let count = 10_000;
    let mut chapters = 0;
    for number in 0..count {
        let path = TreePath::parse(&format!(
            "/dir{:03}/file{:03}",
            number % DIRECTORIES,
            number % FILES
        ));
        chapters += stack.story(&path.expect("a path"), 0).len();
    }
    println!(
        "the story of {count} paths, {chapters} chapters: {:.2} s",
        seconds(start)
    );
}

fn seconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// The most that the process held so far.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = peak.map_or(0, |text| text.trim().trim_end_matches(" kB").parse().unwrap_or(0));
    format!("{} MiB at most", kilobytes / 1024)
}

/// 50,000 files. Half of the directories and names are those of the other layers, with whiteouts and opaque
/// directories among them.
fn tree(number: usize) -> Tree {
    let metadata = Metadata::new(0o644, 0, 0, Time::at(number as i64));
    let mut tree = Tree::new(metadata.clone(), 0);
    for directory in 0..DIRECTORIES {
        let shared = directory % 2 == 0;
        let name = match shared {
            true => format!("dir{directory:03}"),
            false => format!("dir{directory:03}-{number}"),
        };
        let node = Node::Directory(Directory::default());
        let root = handroll::tree::Ino::ROOT;
        let parent = tree.add(root, name_of(&name), node, metadata.clone());
        tree.set_opaque_of(parent, shared && (directory + number).is_multiple_of(50));
        for file in 0..FILES {
            let name = name_of(&format!("file{file:03}"));
            match (file + number) % 40 {
                0 if shared => tree.add_whiteout(parent, name),
                _ => {
                    let node = Node::File(Content::inline(*b"x"));
                    tree.add(parent, name, node, metadata.clone());
                }
            }
        }
    }
    tree
}

fn name_of(text: &str) -> Name {
    Name::new(text.as_bytes()).expect("a name")
}
