//! Documents of all kinds against serde_json, and edits that change only their place.

use serde_json::json;

use super::*;
use crate::random::Random;

fn serde(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", escape(bytes)))
}

fn escape(bytes: &[u8]) -> String {
    crate::text::escape(bytes)
}

/// A random document with blanks and escapes of all kinds.
struct Maker {
    random: Random,
    out: Vec<u8>,
}

impl Maker {
    fn document(seed: u64) -> Vec<u8> {
        let random = Random::new(seed);
        let mut maker = Self {
            random,
            out: Vec::new(),
        };
        maker.blanks();
        maker.value(0);
        maker.blanks();
        maker.out
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn blanks(&mut self) {
        let blanks = self
            .random
            .pick(&["", "", "", " ", "\n  ", "\t", "\r\n", " \n\n"]);
        self.put(blanks);
    }

    fn string(&mut self) {
        self.put("\"");
        for _ in 0..self.random.below(5) {
            let piece = self.random.pick(&[
                "a",
                "key",
                "/",
                "~",
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u00e9",
                "\\ud83d\\ude00",
                "\u{e9}",
                "\u{1f600}",
                "\\b\\f\\r\\t",
                "\u{7f}",
            ]);
            self.put(piece);
        }
        // Names that occur twice would make the semantics of readers differ.
        let number = self.random.next();
        self.put(&format!("{number:x}\""));
    }

    fn value(&mut self, depth: usize) {
        let end = if depth < 5 { 8 } else { 6 };
        match self.random.below(end) {
            0 => self.put("null"),
            1 => self.put("true"),
            2 => self.put("false"),
            3 => {
                let number = self.random.pick(&[
                    "0",
                    "-0",
                    "12",
                    "-7.25",
                    "1e3",
                    "1E-2",
                    "9223372036854775807",
                    "0.5e+1",
                ]);
                self.put(number);
            }
            4 | 5 => self.string(),
            kind => {
                self.put(["[", "{"][kind - 6]);
                self.blanks();
                for number in 0..self.random.below(5) {
                    if number > 0 {
                        self.put(",");
                        self.blanks();
                    }
                    if kind == 7 {
                        self.string();
                        self.blanks();
                        self.put(":");
                        self.blanks();
                    }
                    self.value(depth + 1);
                    self.blanks();
                }
                self.put(["]", "}"][kind - 6]);
            }
        }
    }
}

/// What this module read, as serde_json would have it.
fn to_serde(node: Node<'_>) -> serde_json::Value {
    match node.kind() {
        Kind::Array => node.children().map(to_serde).collect(),
        Kind::Object => {
            let members = node.children().map(|child| {
                let key = child.key().expect("a member has a name");
                (key.into_owned(), to_serde(child))
            });
            serde_json::Value::Object(members.collect())
        }
        Kind::String => node.as_str().unwrap().into(),
        _ => serde(node.raw()),
    }
}

#[test]
fn documents_mean_what_they_mean_to_serde_json() {
    let mut random = Random::of_run();
    for _ in 0..2000 {
        let bytes = Maker::document(random.next());
        let document = Document::parse(&bytes[..]);
        assert_eq!((document.error(), document.faults()), (None, &[][..]));
        let root = document.root().unwrap();
        assert_eq!(to_serde(root), serde(&bytes), "{}", escape(&bytes));
        let mut nodes = vec![root];
        while let Some(node) = nodes.pop() {
            let pointer = node.pointer();
            assert_eq!(document.at(&pointer).unwrap().span(), node.span(), "{pointer}");
            let expected = serde(&bytes).pointer(&pointer).cloned();
            assert_eq!(expected, Some(to_serde(node)), "{pointer}");
            assert_eq!(document.node_at(node.span().start).unwrap().span(), node.span());
            nodes.extend(node.children());
        }
    }
}

/// Bytes that are changed anywhere are refused by both or by none, but for what is a fault here.
#[test]
fn damage_is_told_and_never_a_panic() {
    let mut random = Random::of_run();
    for _ in 0..20_000 {
        let mut bytes = Maker::document(random.next());
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.pick(b"\"\\{}[]:,0-9eu. \n\x01\xff\xc3tfn"),
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let document = Document::parse(&bytes[..]);
        let is_good = document.error().is_none()
            && document
                .faults()
                .iter()
                .all(|fault| matches!(fault.kind, FaultKind::Number | FaultKind::Duplicate { .. }));
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        let is_huge = |error: &serde_json::Error| error.to_string().starts_with("number out of range");
        match theirs {
            Ok(_) => assert!(is_good, "{}: {:?}", escape(&bytes), document.error()),
            Err(error) if is_huge(&error) => {}
            Err(error) => assert!(!is_good, "{}: {error}", escape(&bytes)),
        }
        if let Some(root) = document.root() {
            let _ = (root.pointer(), to_pointers(root));
        }
    }
}

fn to_pointers(node: Node<'_>) -> usize {
    node.pointer().len() + node.children().map(to_pointers).sum::<usize>()
}

#[test]
fn errors_say_what_where_and_what_was_expected() {
    let cases: [(&[u8], &str); 13] = [
        (
            b"",
            "byte 0 (line 1, column 1): the end stands where a value is expected",
        ),
        (
            b"{\n \"a\" 1}",
            "byte 7 (line 2, column 6): `1` stands where `:` is expected",
        ),
        (
            b"[1 2]",
            "byte 3 (line 1, column 4): `2` stands where `,` or `]` is expected",
        ),
        (
            b"{\"a\":1]",
            "byte 6 (line 1, column 7): `]` stands where `,` or `}` is expected",
        ),
        (
            b"[1,]",
            "byte 3 (line 1, column 4): `]` stands where a value is expected",
        ),
        (
            b"{,}",
            "byte 1 (line 1, column 2): `,` stands where a member's name in quotes or `}` is expected",
        ),
        (
            b"{\"a\":1,}",
            "byte 7 (line 1, column 8): `}` stands where a member's name in quotes is expected",
        ),
        (
            b"1 2",
            "byte 2 (line 1, column 3): `2` stands where the end is expected",
        ),
        (
            b"nul",
            "byte 3 (line 1, column 4): the end stands where `null`, `true` or `false` is expected",
        ),
        (
            b"\"a",
            "byte 2 (line 1, column 3): the end stands where the quote that ends a text is expected",
        ),
        (
            b"\"\x01\"",
            "byte 1 (line 1, column 2): byte 0x01 stands where a character, or the escape of a control character is expected",
        ),
        (
            b"-x",
            "byte 1 (line 1, column 2): `x` stands where a digit is expected",
        ),
        (
            b"\"\\u12g4\"",
            "byte 5 (line 1, column 6): `g` stands where four hex digits behind `\\u` is expected",
        ),
    ];
    for (bytes, expected) in cases {
        let document = Document::parse(bytes);
        assert_eq!(
            document.error().map(ToString::to_string).as_deref(),
            Some(expected)
        );
    }
    // What stands before the error is there.
    let document = Document::parse(&b"{\"a\": [1, 2, \"thr"[..]);
    assert_eq!(document.at("/a/1").and_then(|node| node.as_u64()), Some(2));
    assert_eq!(document.at("/a/2").map(|node| node.span()), None);
    assert!(Edits::new(&document).is_err());
}

#[test]
fn faults_have_their_places() {
    let document = Document::parse(
        &b"\xef\xbb\xbf{\"a\": 1, \"b\": \"\xff\", \"\\u0061\": \"\\ud800x\", \"c\": 9223372036854775808, \"a\":2}"[..],
    );
    assert_eq!(document.error(), None);
    let duplicate = |offset, first| Fault {
        offset,
        kind: FaultKind::Duplicate {
            name: "a".to_owned(),
            first,
        },
    };
    let fault = |offset, kind| Fault { offset, kind };
    assert_eq!(
        document.faults(),
        [
            fault(0, FaultKind::ByteOrderMark),
            fault(18, FaultKind::NotUtf8),
            duplicate(22, 4),
            fault(33, FaultKind::LoneSurrogate),
            fault(48, FaultKind::Number),
            duplicate(69, 4),
        ]
    );
    let root = document.root().unwrap();
    assert_eq!(root.get("a").and_then(|node| node.as_u64()), Some(2), "the last");
    assert_eq!(root.get("b").unwrap().as_str().unwrap(), "\u{fffd}");
    assert_eq!(document.at("/c").unwrap().as_i64(), None);
}

#[test]
fn limits_hold() {
    let deep = |depth: usize| Document::parse([vec![b'['; depth], vec![b']'; depth]].concat());
    assert_eq!(deep(DEPTH_LIMIT).error(), None);
    assert_eq!(
        deep(DEPTH_LIMIT + 1).error(),
        Some(&JsonError::Depth { offset: DEPTH_LIMIT })
    );
    assert!(deep(1_000_000).error().is_some());
    let wide = Document::parse(format!("[{}0]", "0,".repeat(NODE_LIMIT)).into_bytes());
    assert_eq!(
        wide.error(),
        Some(&JsonError::Nodes {
            offset: 1 + 2 * (NODE_LIMIT - 1),
            limit: NODE_LIMIT
        })
    );
    let large = Document::parse(vec![b' '; SIZE_LIMIT as usize + 1]);
    let (length, limit) = (SIZE_LIMIT + 1, SIZE_LIMIT);
    assert_eq!(large.error(), Some(&JsonError::Size { length, limit }));
    // Names by the hundred thousand, and faults beyond what is kept, in a moment.
    let many = Document::parse(format!("{{{}\"x\":0}}", "\"x\":0,".repeat(200_000)).into_bytes());
    assert_eq!((many.error(), many.faults().len()), (None, FAULT_LIMIT));
}

#[test]
fn numbers_as_go_reads_them() {
    let document = Document::parse(&b"[7, -7, 1.0, 1e3, 18446744073709551615, \"7\"]"[..]);
    let list = document.root().unwrap();
    let whole: Vec<_> = list
        .children()
        .map(|node| (node.as_u64(), node.as_i64()))
        .collect();
    let none = (None, None);
    assert_eq!(
        whole,
        [
            (Some(7), Some(7)),
            (None, Some(-7)),
            none,
            none,
            (Some(u64::MAX), None),
            none
        ]
    );
}

#[test]
fn pointers_are_those_of_the_standard() {
    // RFC 6901, section 5.
    let text =
        br#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
    let document = Document::parse(&text[..]);
    for (pointer, raw) in [
        ("/foo", &br#"["bar","baz"]"#[..]),
        ("/foo/0", br#""bar""#),
        ("/", b"0"),
        ("/a~1b", b"1"),
        ("/c%d", b"2"),
        ("/i\\j", b"5"),
        ("/k\"l", b"6"),
        ("/ ", b"7"),
        ("/m~0n", b"8"),
    ] {
        let node = document.at(pointer).unwrap();
        assert_eq!((node.raw(), node.pointer().as_str()), (raw, pointer));
    }
    for pointer in ["foo", "/foo/2", "/foo/00", "/foo/-", "/foo/0/0", "/x"] {
        assert!(document.at(pointer).is_none(), "{pointer}");
    }
    assert_eq!(document.node_at(9).unwrap().pointer(), "/foo/0");
    assert_eq!(
        document.node_at(2).unwrap().pointer(),
        "",
        "a name is the object's"
    );
    assert!(document.node_at(text.len()).is_none());
}

fn edited<'a>(document: &'a Document, edit: impl FnOnce(&mut Edits<'a>, Node<'a>)) -> String {
    let mut edits = Edits::new(document).unwrap();
    edit(&mut edits, document.root().unwrap());
    String::from_utf8(edits.finish()).unwrap()
}

#[test]
fn what_is_put_in_looks_like_what_is_around_it() {
    let new = || Value::object([("x", Value::from(1)), ("y", Value::Array(vec!["z".into()]))]);
    let check = |before: &str, edit: &dyn for<'a> Fn(&mut Edits<'a>, Node<'a>), after: &str| {
        let document = Document::parse(before.as_bytes());
        assert_eq!(edited(&document, |edits, root| edit(edits, root)), after);
    };
    check(
        r#"{"a":1}"#,
        &|edits, root| edits.set_member(root, "b", new()),
        r#"{"a":1,"b":{"x":1,"y":["z"]}}"#,
    );
    check(
        r#"{"a": 1, "c": []}"#,
        &|edits, root| edits.insert(root.get("c").unwrap(), 0, new()),
        r#"{"a": 1, "c": [{"x": 1, "y": ["z"]}]}"#,
    );
    check(
        "{\n  \"a\": 1\n}\n",
        &|edits, root| edits.set_member(root, "b", new()),
        "{\n  \"a\": 1,\n  \"b\": {\n    \"x\": 1,\n    \"y\": [\n      \"z\"\n    ]\n  }\n}\n",
    );
    check(
        "{\r\n\t\"a\" : [ 1, 2 ],\r\n\t\"e\" : {}\r\n}",
        &|edits, root| {
            edits.insert(root.get("a").unwrap(), 1, 9);
            edits.set_member(root.get("e").unwrap(), "n", 3);
        },
        "{\r\n\t\"a\" : [ 1, 9, 2 ],\r\n\t\"e\" : {\r\n\t\t\"n\" : 3\r\n\t}\r\n}",
    );
    check(
        "[\n 1,\n 2,\n 3\n]",
        &|edits, root| {
            edits.remove(root.at(0).unwrap());
            edits.remove(root.at(2).unwrap());
        },
        "[\n 2\n]",
    );
    check(
        "{\"a\": 1,  \"b\": 2 }",
        &|edits, root| {
            edits.remove_member(root, "a");
            edits.remove_member(root, "b");
        },
        "{}",
    );
    check(
        "[ 1,2, 3 ]",
        &|edits, root| {
            let keep = |at| Item::Keep(root.at(at).unwrap());
            edits.set_elements(root, [keep(2), Item::New(Value::Null), keep(0)]);
        },
        "[ 3,null,1 ]",
    );
    check(
        r#"{"text":"old"}"#,
        &|edits, _| edits.set_at("/text", "\"\\\n\r\t\u{1}\u{e9}").unwrap(),
        "{\"text\":\"\\\"\\\\\\n\\r\\t\\u0001\u{e9}\"}",
    );
    let document = Document::parse(&b"{}"[..]);
    let error = Edits::new(&document).unwrap().set_at("/a", 1);
    assert_eq!(
        error,
        Err(EditError::NotThere {
            pointer: "/a".to_owned()
        })
    );
}

fn nodes(document: &Document) -> Vec<Node<'_>> {
    (0..document.len() as u32)
        .map(|index| Node::new(document, index))
        .collect()
}

/// How much two texts begin alike, and end alike.
fn alike(a: &[u8], b: &[u8]) -> usize {
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    start
        + a.iter()
            .rev()
            .zip(b.iter().rev())
            .take_while(|(a, b)| a == b)
            .count()
}

#[test]
fn an_edit_changes_its_place_alone() {
    let mut random = Random::of_run();
    for _ in 0..5000 {
        let bytes = Maker::document(random.next());
        let document = Document::parse(&bytes[..]);
        let nodes = nodes(&document);
        let node = nodes[random.below(nodes.len())];
        let pointer = node.pointer();
        let mut edits = Edits::new(&document).unwrap();
        let mut expected = serde(&bytes);
        let place = expected.pointer_mut(&pointer).unwrap();
        // How many bytes of the original may be gone.
        let gone = match (random.below(3), node.kind()) {
            (0, Kind::Object) => {
                edits.set_member(node, "new", Value::object([("n", 1.into())]));
                place["new"] = json!({"n": 1});
                blanks_inside(node)
            }
            (0, Kind::Array) => {
                let length = node.children().count();
                let at = random.below(length + 1);
                edits.insert(node, at, "new");
                place.as_array_mut().unwrap().insert(at, json!("new"));
                blanks_inside(node)
            }
            (1, _) if node.parent().is_some() => {
                let parent = node.parent().unwrap();
                let span = parent.span();
                let siblings = parent.children().count();
                edits.remove(node);
                let parent = expected.pointer_mut(&parent.pointer()).unwrap();
                match node.key() {
                    Some(key) => drop(parent.as_object_mut().unwrap().remove(&*key)),
                    None => {
                        let at = pointer.rsplit('/').next().unwrap().parse().unwrap();
                        parent.as_array_mut().unwrap().remove(at);
                    }
                }
                match siblings {
                    1 => span.end - span.start,
                    _ => gap_and_member(node),
                }
            }
            _ => {
                edits.set(node, Value::Array(vec![Value::Null, "x".into()]));
                *place = json!([null, "x"]);
                node.raw().len()
            }
        };
        let after = edits.finish();
        assert_eq!(serde(&after), expected, "{}", escape(&bytes));
        assert!(
            alike(&bytes, &after) + gone >= bytes.len(),
            "{}\n{}",
            escape(&bytes),
            escape(&after)
        );
        // Without an edit, and with a value set to itself, the bytes are the same.
        let mut edits = Edits::new(&document).unwrap();
        edits.set(node, node);
        if node.kind() == Kind::Array {
            edits.set_elements(node, node.children().map(Item::Keep));
        }
        assert!(edits.finish() == bytes, "{}", escape(&bytes));
    }
}

/// The blanks of a list or an object that has nothing else in it.
fn blanks_inside(node: Node<'_>) -> usize {
    match node.children().next() {
        None => node.raw().len() - 2,
        Some(_) => 0,
    }
}

/// A member with the blanks and the comma that separate it from a neighbour.
fn gap_and_member(node: Node<'_>) -> usize {
    let parent = node.parent().unwrap();
    let siblings: Vec<_> = parent.children().map(|child| child.span()).collect();
    let at = siblings
        .iter()
        .position(|span| *span == node.span())
        .expect("a child of its parent");
    let start = match at {
        0 => parent.span().start,
        at => siblings[at - 1].end,
    };
    let end = match siblings.get(at + 1) {
        Some(next) if at == 0 => next.start,
        _ => node.span().end,
    };
    end - start
}

#[test]
fn several_edits_at_once() {
    let mut random = Random::of_run();
    for _ in 0..2000 {
        let bytes = Maker::document(random.next());
        let document = Document::parse(&bytes[..]);
        let nodes = nodes(&document);
        let mut edits = Edits::new(&document).unwrap();
        for _ in 0..random.below(10) {
            let node = nodes[random.below(nodes.len())];
            match (random.below(4), node.kind()) {
                (0, Kind::Object) => edits.set_member(node, "new", 7),
                (0, Kind::Array) => edits.insert(node, 0, 7),
                (1, Kind::Array) => {
                    let mut items: Vec<_> = node.children().map(Item::Keep).collect();
                    items.reverse();
                    edits.set_elements(node, items);
                }
                (2, _) => edits.remove(node),
                _ => edits.set(node, Value::Bool(true)),
            }
        }
        let after = edits.finish();
        let again = Document::parse(&after[..]);
        assert_eq!(again.error(), None, "{}\n{}", escape(&bytes), escape(&after));
    }
}
