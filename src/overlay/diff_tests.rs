//! Layers of differences, judged by the dialects: whoever applies such a layer gets the second view.

use super::*;
use crate::content::{Content, ContentError};
use crate::layer::dialect::cases::{Seen, describe as described, short};
use crate::layer::dialect::{Dialect, apply};
use crate::layer::{Walk, write_tar};
use crate::random::Random;
use crate::text::escape;
use crate::tree::{Device, Directory, Ino, Metadata, Name, Node, Time, Tree, TreePath};

#[path = "diff_cases.rs"]
mod cases;

fn tar(tree: &Tree) -> Content {
    let mut tar = Vec::new();
    write_tar::<ContentError>(Walk::new(tree), |bytes| {
        tar.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap();
    Content::inline(tar)
}

/// What a dialect makes of layers that is not this view. containerd leaves the root as it made it.
fn difference(dialect: Dialect, layers: &[Tree], view: &Stack) -> Option<String> {
    let copy = dialect == Dialect::ContainerdNative;
    let mut expected = cases::describe(view, copy);
    let mut shown = match apply(dialect, layers.iter().map(tar).collect()).result {
        Ok(fs) => described(&fs, !copy),
        Err(failure) => return Some(failure.to_string()),
    };
    if matches!(dialect, Dialect::ContainerdNative | Dialect::ContainerdOverlayfs) {
        shown.remove(".");
        expected.remove(".");
    }
    (shown != expected).then(|| format!("{shown:#?}\nis not\n{expected:#?}"))
}

/// Whether a directory of the first view lost an extended attribute: containerd's native snapshotter never takes any
/// from a directory that is there.
fn lost_xattrs(before: &Stack, after: &Stack) -> bool {
    let mut both = before.listing(&TreePath::ROOT, true).filter_map(|(path, spot)| {
        let inode = |view: &Stack, place: Place| view.trees()[place.0].inode(place.1).metadata.clone();
        let new = after
            .spot(&TreePath::from_bytes(&path).unwrap())
            .visible()
            .map(|place| inode(after, place))?;
        Some((inode(before, spot.visible()?), new))
    });
    both.any(|(old, new)| old.xattrs.keys().any(|name| !new.xattrs.contains_key(name)))
}

#[test]
fn whoever_applies_the_layer_gets_the_second_view() {
    let mut random = Random::of_run();
    let mut entries = 0;
    for number in 0..500 {
        // Below, layers that were made the same way.
        let mut trees = vec![cases::tree(&mut random)];
        let mut plain = trees[0].clone();
        let steps = 1 + random.below(3);
        for _ in 0..steps {
            plain = match random.once_in(4) {
                true => cases::tree(&mut random),
                false => cases::changed(&mut random, &plain),
            };
            let (before, after) = (Stack::new(trees.iter().collect()), Stack::new(vec![&plain]));
            let layer = before.layer_to(&after, 0);
            let native = !lost_xattrs(&before, &after);
            trees.push(layer);
            let now = Stack::new(trees.iter().collect());
            assert_eq!(
                cases::describe(&now, false),
                cases::describe(&after, false),
                "pair {number}"
            );
            assert_eq!(now.differences(&after, u64::MAX).next(), None, "pair {number}");
            let counts = now.layer_to(&after, 0).counts();
            assert_eq!((counts.entries, counts.whiteouts), (0, 0));
            entries += trees.last().unwrap().counts().entries;
            for dialect in Dialect::ALL {
                if dialect == Dialect::ContainerdNative && !native {
                    continue;
                }
                if let Some(text) = difference(dialect, &trees, &after) {
                    panic!("pair {number}, {dialect}: {text}");
                }
            }
            if !native {
                break;
            }
        }
    }
    assert!(entries > 1000, "only {entries} entries");
}

/// Nothing in a layer can be spared: without any one of its names or whiteouts something else shows. Directories stay,
/// as they are there for their times.
#[test]
fn nothing_in_the_layer_can_be_spared() {
    let mut random = Random::of_run();
    let mut tried = 0;
    for number in 0..300 {
        let before = cases::tree(&mut random);
        let after = match random.once_in(4) {
            true => cases::tree(&mut random),
            false => cases::changed(&mut random, &before),
        };
        let after = Stack::new(vec![&after]);
        let layer = Stack::new(vec![&before]).layer_to(&after, 0);
        let expected = cases::describe(&after, false);
        let mut pending = vec![Ino::ROOT];
        while let Some(ino) = pending.pop() {
            let directory = layer.directory(ino).unwrap();
            let mut poorer = Vec::new();
            for (name, child) in directory.entries() {
                match layer.directory(*child) {
                    Some(_) => pending.push(*child),
                    None => {
                        let mut tree = layer.clone();
                        tree.remove(ino, name);
                        poorer.push(tree);
                    }
                }
            }
            for name in directory.whiteouts() {
                let mut tree = layer.clone();
                let path = path_of(&layer, ino).join(name.clone());
                tree.clear_whiteout(&path).unwrap();
                poorer.push(tree);
            }
            tried += poorer.len();
            for tree in poorer {
                let shown = cases::describe(&Stack::new(vec![&before, &tree]), false);
                assert_ne!(shown, expected, "pair {number}");
            }
        }
    }
    assert!(tried > 500, "only {tried} were left out");
}

fn path_of(tree: &Tree, wanted: Ino) -> TreePath {
    let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        if ino == wanted {
            return path;
        }
        let entries = tree
            .directory(ino)
            .into_iter()
            .flat_map(|directory| directory.entries());
        pending.extend(entries.map(|(name, ino)| (path.join(name.clone()), *ino)));
    }
    unreachable!("it is a directory of this tree")
}

/// The way back has the same paths, with what is added removed.
#[test]
fn the_way_back_is_the_mirror_image() {
    let mut random = Random::of_run();
    for number in 0..500 {
        let trees = [cases::tree(&mut random), cases::tree(&mut random)];
        let [a, b] = [&trees[0], &trees[1]].map(|tree| Stack::new(vec![tree]));
        let there = a.differences(&b, u64::MAX);
        let back = b.differences(&a, u64::MAX);
        // Which of the names of a file goes on as it is depends on the direction.
        let facts = |difference: Difference, turned: bool| {
            let mut changes = difference.changes;
            changes.retain(|change| *change != Change::Links);
            let sides = (difference.before, difference.after);
            let (before, after) = if turned { (sides.1, sides.0) } else { sides };
            let is_plain = before.is_some() && after.is_some() && changes.is_empty();
            (!is_plain).then_some((difference.path, before, after, changes))
        };
        let there: Vec<_> = there.filter_map(|difference| facts(difference, false)).collect();
        let back: Vec<_> = back.filter_map(|difference| facts(difference, true)).collect();
        assert_eq!(there, back, "pair {number}");
    }
}

/// Layers that both views stand on are passed over, which changes nothing of what is told.
#[test]
fn shared_layers_are_passed_over() {
    let mut random = Random::of_run();
    let mut told = 0;
    for number in 0..500 {
        let mut trees = vec![cases::tree(&mut random)];
        for _ in 0..3 {
            let next = cases::changed(&mut random, trees.last().unwrap());
            trees.push(next);
        }
        let views = trees.clone();
        for (layer, pair) in trees[1..].iter_mut().zip(views.windows(2)) {
            let [before, after] = [&pair[0], &pair[1]].map(|tree| Stack::new(vec![tree]));
            *layer = before.layer_to(&after, 0);
        }
        let (from, to) = (1 + random.below(4), 1 + random.below(4));
        let facts = |a: &Stack, b: &Stack| -> Vec<_> {
            let differences = a.differences(b, u64::MAX);
            differences
                .map(|it| (it.path, it.before.is_some(), it.after.is_some(), it.changes))
                .collect()
        };
        let [a, b] = [from, to].map(|count| Stack::new(trees[..count].iter().collect()));
        let [flat_a, flat_b] = [from, to].map(|count| Stack::new(vec![&views[count - 1]]));
        // Which of equal names goes on as it is may be chosen otherwise; how many are is the same.
        let plain = |facts: &[(Vec<u8>, bool, bool, Vec<Change>)]| -> Vec<_> {
            let mut facts = facts.to_vec();
            facts.retain(|fact| fact.3 != [Change::Links]);
            facts
                .iter_mut()
                .for_each(|fact| fact.3.retain(|change| *change != Change::Links));
            facts
        };
        let (stacked, flat) = (facts(&a, &b), facts(&flat_a, &flat_b));
        assert_eq!(plain(&stacked), plain(&flat), "stack {number}");
        assert_eq!(stacked.len(), flat.len(), "stack {number}");
        told += stacked.len();
    }
    assert!(told > 1000, "only {told} differences");
}

/// Two steps of a container are stacks too.
#[test]
fn steps_of_a_container_compare() {
    use crate::overlay::mount::{Caller, System};
    use crate::overlay::script::{NOW, Script};
    let script = "layer\ndir /d\nfile /d/x 1\nfile /y 2\nmount\nwrite /y 3\nunlink /d/x\nmkdir /e\nrmdir /d";
    let script = Script::parse(script).unwrap();
    let mut overlay = script.mount().unwrap();
    let mut steps = vec![overlay.commit(0).unwrap().tree];
    for step in &script.steps {
        System::call(&mut overlay, Caller::root(NOW), &step.call).unwrap();
        steps.push(overlay.commit(0).unwrap().tree);
    }
    let view = |step: usize| Stack::new(vec![&script.lowers[0], &steps[step]]);
    let lines = |from: usize, to: usize| -> Vec<String> {
        let (a, b) = (view(from), view(to));
        let line = |it: Difference| {
            let sign = match (it.before, it.after) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            format!("{sign}{} {:?}", escape(&it.path), it.changes)
        };
        a.differences(&b, u64::MAX).map(line).collect()
    };
    assert_eq!(lines(0, 1), ["~/y [Content]"]);
    assert_eq!(lines(1, 2), ["-/d/x []"]);
    assert_eq!(lines(2, 4), ["-/d []", "+/e []"]);
    assert_eq!(lines(4, 4), [""; 0]);
}

/// A layer in lines: directories with a slash, whiteouts with a minus, further names of a file with the first.
fn lines(tree: &Tree) -> String {
    let mut firsts = std::collections::BTreeMap::new();
    let mut lines = Vec::new();
    for (path, spot) in Stack::new(vec![tree]).listing(&TreePath::ROOT, false).skip(1) {
        let path = escape(&path);
        let Some((_, ino)) = spot.visible() else {
            lines.push(format!("-{path}"));
            continue;
        };
        let first = firsts.entry(ino).or_insert_with(|| path.clone()).clone();
        lines.push(match tree.directory(ino) {
            Some(_) => format!("{path}/"),
            None if first != path => format!("{path}={first}"),
            None => path,
        });
    }
    lines.join(" ")
}

/// Trees of words: `dir/`, `file`, `file:content`, `name=other` for a link, all with the same attributes.
fn of_words(words: &str) -> Tree {
    let mut tree = Tree::new(Metadata::default(), 0);
    let path = |text: &str| TreePath::from_bytes(text.as_bytes()).unwrap();
    for word in words.split_whitespace() {
        if let Some((name, target)) = word.split_once('=') {
            tree.link(&path(name), &path(target)).unwrap();
            continue;
        }
        let (name, content) = word.split_once(':').unwrap_or((word, ""));
        let node = match name.ends_with('/') {
            true => Node::Directory(Directory::default()),
            false => Node::File(Content::inline(content.as_bytes())),
        };
        tree.make(&path(name), node, Metadata::default()).unwrap();
    }
    tree
}

#[test]
fn what_is_in_a_layer() {
    for (before, after, expected) in [
        ("a d/ d/x", "a d/ d/x", ""),
        ("d/ d/x d/y", "d/", "/d/ -/d/x -/d/y"),
        ("d/ d/e/ d/e/x", "d/", "/d/ -/d/e"),
        ("d/ d/x", "d", "/d"),
        ("d", "d/ d/x", "/d/ /d/x"),
        ("d/ d/e/ d/e/x:1", "d/ d/e/ d/e/x:2", "/d/ /d/e/ /d/e/x"),
        // A name less leaves the others alone; a name more needs them all.
        ("x y=x z=x", "x y=x", "-/z"),
        ("x", "x y=x", "/x /y=/x"),
        ("x:1 y=x", "x:2 y=x", "/x /y=/x"),
        // Of names that part, those stay that are most, and those that did not change.
        ("x y=x z=x", "x y z=y", "/x"),
        ("x:1 y=x", "x:2 y:1", "/x"),
        ("x y", "x y=x", "/x /y=/x"),
    ] {
        let [a, b] = [before, after].map(of_words);
        let layer = Stack::new(vec![&a]).layer_to(&Stack::new(vec![&b]), 0);
        assert_eq!(lines(&layer), expected, "{before} to {after}");
    }
}

/// A source that cannot be read.
struct Unread(u64);

impl crate::content::Source for Unread {
    fn id(&self) -> u64 {
        self.0
    }

    fn name(&self) -> &str {
        "unread"
    }

    fn len(&self) -> u64 {
        5
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        Err(ContentError::Read {
            name: "unread".to_owned(),
            offset,
            length: into.len() as u64,
            reason: "it must not be".to_owned(),
        })
    }
}

#[test]
fn contents_are_read_only_if_they_must_be() {
    let path = TreePath::parse("/f").unwrap();
    let tree = |id: u64| {
        let mut tree = Tree::new(Metadata::default(), 0);
        let content = Content::whole(std::sync::Arc::new(Unread(id)));
        tree.make(&path, Node::File(content), Metadata::default())
            .unwrap();
        tree
    };
    let changes = |a: &Tree, b: &Tree| -> Vec<Vec<Change>> {
        let [a, b] = [a, b].map(|tree| Stack::new(vec![tree]));
        a.differences(&b, u64::MAX)
            .map(|difference| difference.changes)
            .collect()
    };
    assert_eq!(changes(&tree(1), &tree(1)), Vec::<Vec<Change>>::new());
    // What cannot be read may differ, so it comes along.
    assert_eq!(changes(&tree(1), &tree(2)), [[Change::ContentUnread]]);
    assert_eq!(changes(&tree(1), &of_words("f:1")), [[Change::Content]]);
}

/// What a directory without an entry looks like is nobody's decision: it is not compared, and not written.
#[test]
fn implied_directories_have_no_attributes() {
    let named = of_words("d/ d/x:1");
    let mut implied = Tree::new(Metadata::new(0o700, 1, 1, Time::at(1)), 0);
    implied.imply_root();
    let d = implied.imply(Ino::ROOT, Name::new(b"d").unwrap());
    let file = Node::File(Content::inline(*b"2"));
    implied.add(d, Name::new(b"x").unwrap(), file, Metadata::default());
    let [a, b] = [&named, &implied].map(|tree| Stack::new(vec![tree]));
    let layer = a.layer_to(&b, 0);
    let is_implied = |ino| layer.directory(ino).unwrap().implied();
    let inner = layer.lookup(&TreePath::parse("/d").unwrap()).unwrap();
    assert_eq!(
        (lines(&layer).as_str(), is_implied(Ino::ROOT), is_implied(inner)),
        ("/d/ /d/x", true, true)
    );
    // Where it becomes one with an entry, that is a change.
    let back: Vec<_> = b
        .differences(&a, u64::MAX)
        .map(|difference| difference.path)
        .collect();
    assert_eq!(back, [&b"/"[..], b"/d", b"/d/x"]);
}

/// Reading is dear where files lie in a browser: beyond so many pairs nothing is read, and nothing is left out.
#[test]
fn so_many_contents_are_read_and_no_more() {
    let (before, after) = (of_words("a:1 b:2 c:3 d:4 e:x"), of_words("a:1 b:9 c:9 d:4 e:xx"));
    let [a, b] = [&before, &after].map(|tree| Stack::new(vec![tree]));
    let told = |reads: u64| -> Vec<_> {
        let found = a.differences_within(&b, u64::MAX, reads);
        found
            .map(|difference| (escape(&difference.path), difference.changes))
            .collect()
    };
    let (content, unread) = (vec![Change::Content], vec![Change::ContentUnread]);
    let path = |path: &str, changes: &Vec<Change>| (path.to_owned(), changes.clone());
    assert_eq!(
        told(u64::MAX),
        [path("/b", &content), path("/c", &content), path("/e", &content)]
    );
    assert_eq!(
        told(1),
        [path("/b", &content), path("/c", &unread), path("/e", &content)]
    );
}
