//! One tar for each thing that readers take differently, and who of them sees what we see.

use super::maker::{GNU, Header, extended, file, long, padded};

/// How another reader's view compares with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// It sees the same.
    Same,
    /// It sees other entries, or other attributes.
    Differs,
    /// It refuses the tar, or complains.
    Refuses,
}

use View::{Differs, Refuses, Same};

pub struct Case {
    pub what: &'static str,
    pub tar: Vec<u8>,
    /// The kinds of oddities that are told of the tar's entries; the first is what readers differ in.
    pub oddities: &'static [&'static str],
    pub gnu: View,
    pub python: View,
    pub umoci: View,
}

/// All cases. Behind each odd entry stands another one, which shows whether readers find it.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |what, odd: Vec<u8>, oddities, [gnu, python, umoci]: [View; 3]| {
        let tar = [odd, file(b"next").with(b"behind"), vec![0; 1024]].concat();
        cases.push(Case {
            what,
            tar,
            oddities,
            gnu,
            python,
            umoci,
        });
    };
    plain(&mut case);
    names(&mut case);
    headers(&mut case);
    sizes(&mut case);
    numbers(&mut case);
    records(&mut case);
    types(&mut case);
    sparse(&mut case);
    cases
}

type Add<'a> = dyn FnMut(&'static str, Vec<u8>, &'static [&'static str], [View; 3]) + 'a;

fn a() -> Vec<u8> {
    file(b"a").with(b"content")
}

fn link(target: &[u8]) -> Header {
    Header::new(b"l", b'2', 0).at(157, target)
}

fn plain(case: &mut Add<'_>) {
    let all = [Same; 3];
    case("a file", a(), &[], all);
    case("V7", file(b"a").at(257, &[0; 8]).with(b"content"), &[], all);
    case(
        "V7 directory",
        Header::new(b"d/", 0, 0).at(257, &[0; 8]).done(),
        &[],
        all,
    );
    let star = file(b"s").at(345, b"pre").at(508, b"tar\0");
    case(
        "star",
        star.at(476, b"00000000007 00000000007 ").with(b"x"),
        &[],
        all,
    );
    case(
        "a prefix behind another version",
        file(b"a").at(263, b"xx").at(345, b"pre").with(b"c"),
        &[],
        all,
    );
    case(
        "NULs behind digits",
        file(b"a").at(100, b"644\x00777\0").with(b"c"),
        &[],
        all,
    );
    case(
        "blanks around digits",
        file(b"a").at(100, b"  644 \0 ").with(b"c"),
        &[],
        all,
    );
    case(
        "a long name and records",
        [long(b'L', &[b'n'; 200]), extended(b'x', &[("uid", b"9")]), a()].concat(),
        &[],
        all,
    );
    case(
        "the same name twice",
        [extended(b'x', &[("path", b"same")]), long(b'L', b"same"), a()].concat(),
        &[],
        all,
    );
    case(
        "owners by name",
        file(b"a").at(265, b"root").at(297, b"wheel").with(b"c"),
        &[],
        all,
    );
    case(
        "a time before 1970",
        [extended(b'x', &[("mtime", b"-5")]), a()].concat(),
        &[],
        all,
    );
    case(
        "signed sum",
        file(b"\xff\xfe").at(124, b"00000000000\0").signed(),
        &["SignedSum"],
        all,
    );
}

fn names(case: &mut Add<'_>) {
    let x = extended(b'x', &[("path", b"record")]);
    let l = long(b'L', b"long");
    case(
        "record, long name",
        [&x[..], &l, &a()].concat(),
        &["TwoNames"],
        [Same, Same, Differs],
    );
    case(
        "long name, record",
        [&l[..], &x, &a()].concat(),
        &["TwoNames"],
        [Same, Differs, Differs],
    );
    let x = extended(b'x', &[("linkpath", b"record")]);
    let targets = [x, long(b'K', b"long"), link(b"t").done()].concat();
    case("two targets", targets, &["TwoNames"], [Same, Same, Differs]);
    let hidden = file(b"a\0hidden").with(b"content");
    case("bytes behind a name", hidden, &["BehindNul"], [Same; 3]);
    let hidden = [long(b'L', b"long\0hidden"), a()].concat();
    case("bytes behind a long name", hidden, &["BehindNul"], [Same; 3]);
    let odd: &[&str] = &["EmptyName"];
    case("no name", file(b"").with(b"c"), odd, [Same, Same, Refuses]);
    let hard = Header::new(b"h", b'1', 0).done();
    case("a hard link to nothing", hard, odd, [Differs, Same, Refuses]);
    case(
        "a symlink to nothing",
        link(b"").done(),
        odd,
        [Same, Same, Refuses],
    );
    let nul = [extended(b'x', &[("path", b"n\0ul")]), a()].concat();
    case("NUL in a name", nul, &["NulInRecord"], [Same, Differs, Refuses]);
    let nul = [extended(b'x', &[("linkpath", b"n\0ul")]), link(b"t").done()].concat();
    case("NUL in a target", nul, &["NulInRecord"], [Same, Differs, Refuses]);
    let nul = [
        extended(b'x', &[("SCHILY.xattr.user.n\0ul", b"v"), ("path", b"p")]),
        a(),
    ]
    .concat();
    case(
        "NUL in a keyword",
        nul,
        &["NulInRecord"],
        [Refuses, Same, Refuses],
    );
    let times = file(b"a").at(257, GNU).at(345, b"13371337133\0").with(b"c");
    case("GNU's times", times, &["ForeignField"], [Same, Differs, Same]);
    let prefix = file(b"a").at(257, &[0; 8]).at(345, b"pre").with(b"c");
    case("a prefix in V7", prefix, &["ForeignField"], [Same, Differs, Same]);
    let device = Header::new(b"c", b'3', 0).at(257, &[0; 8]).at(329, b"0000001\0");
    case(
        "a device in V7",
        device.done(),
        &["ForeignField"],
        [Same, Differs, Same],
    );
    let slash = file(b"d/").with(b"c");
    case(
        "a file with a slash",
        slash,
        &["TrailingSlash"],
        [Differs, Same, Same],
    );
    let v7 = [extended(b'x', &[("path", b"f")]), Header::new(b"d/", 0, 0).done()].concat();
    case(
        "V7 directory by its header",
        v7,
        &["TrailingSlash"],
        [Same, Differs, Same],
    );
    let v7 = [extended(b'x', &[("path", b"d/")]), Header::new(b"f", 0, 0).done()].concat();
    case(
        "V7 directory by its record",
        v7,
        &["TrailingSlash"],
        [Same, Differs, Same],
    );
}

fn headers(case: &mut Add<'_>) {
    let first = extended(b'x', &[("path", b"first"), ("uid", b"5")]);
    let second = extended(b'x', &[("path", b"second")]);
    case(
        "two PAX headers",
        [&first[..], &second, &a()].concat(),
        &["TwoHeaders"],
        [Same, Differs, Same],
    );
    let two = [long(b'L', b"first"), long(b'L', b"second"), a()].concat();
    case("two long names", two, &["TwoHeaders"], [Same, Differs, Same]);
    let solaris = [extended(b'X', &[("path", b"record")]), a()].concat();
    case("Solaris", solaris, &["SolarisHeader"], [Same, Same, Refuses]);
    let comment = extended(b'g', &[("comment", b"c")]);
    case(
        "a comment",
        [&comment[..], &a()].concat(),
        &["GlobalHeader"],
        [Same, Same, Refuses],
    );
    let between = [&second[..], &comment, &a()].concat();
    case(
        "global between",
        between,
        &["GlobalBetween"],
        [Same, Same, Refuses],
    );
    for (what, record) in [
        ("global path", ("path", &b"global"[..])),
        ("global time", ("mtime", b"77")),
    ] {
        let global = [extended(b'g', &[record]), a()].concat();
        case(
            what,
            global,
            &["GlobalRecord", "GlobalHeader"],
            [Same, Same, Refuses],
        );
    }
    let odd: &[&str] = &["GlobalRecord", "GlobalHeader", "TwoSizes"];
    let global = [extended(b'g', &[("size", b"3")]), a()].concat();
    case("global size", global, odd, [Same, Same, Refuses]);
    // The next entry has 600 bytes too, then: of what stands behind it.
    let more = [Header::new(b"a", b'0', 7).done(), padded(&[b'c'; 600])].concat();
    let global = [extended(b'g', &[("size", b"600")]), more].concat();
    case(
        "global size of more blocks",
        global,
        &["GlobalRecord", "GlobalHeader", "TwoSizes"],
        [Same, Refuses, Refuses],
    );
    let path = extended(b'g', &[("path", b"global")]);
    let odd: &[&str] = &["GlobalNotRepeated", "GlobalHeader", "GlobalRecord"];
    case(
        "two global headers",
        [&path[..], &comment, &a()].concat(),
        odd,
        [Differs, Same, Refuses],
    );
    let back = [
        extended(b'g', &[("path", b"global")]),
        extended(b'x', &[("path", b"")]),
        a(),
    ]
    .concat();
    case(
        "global taken back",
        back,
        &["EmptyValue", "GlobalHeader", "GlobalRecord"],
        [Differs, Differs, Refuses],
    );
}

fn sizes(case: &mut Add<'_>) {
    let inner = file(b"inner").done();
    let big = [
        extended(b'x', &[("size", b"1024")]),
        Header::new(b"a", b'0', 512).done(),
        inner.clone(),
        inner.clone(),
    ];
    case("a larger record", big.concat(), &["TwoSizes"], [Same; 3]);
    let hidden = [
        extended(b'x', &[("size", b"512")]),
        file(b"a").done(),
        inner.clone(),
    ];
    case("a record over 0", hidden.concat(), &["TwoSizes"], [Same; 3]);
    let odd: &[&str] = &["SizeWithoutContent"];
    for (what, header, gnu) in [
        ("a symlink's size", link(b"t").at(124, b"00000001000\0"), Differs),
        ("a fifo's size", Header::new(b"p", b'6', 512), Differs),
        (
            "a device's size",
            Header::new(b"c", b'3', 512)
                .at(329, b"0000001\0")
                .at(337, b"0000003\0"),
            Differs,
        ),
        ("a directory's size", Header::new(b"d/", b'5', 512), Same),
    ] {
        case(
            what,
            [header.done(), inner.clone()].concat(),
            odd,
            [gnu, Same, Same],
        );
    }
    let hard = Header::new(b"h", b'1', 512).at(157, b"a");
    case(
        "a hard link's size",
        [a(), hard.clone().done(), inner.clone()].concat(),
        odd,
        [Same; 3],
    );
    let size = extended(b'x', &[("size", b"512")]);
    let hard = [a(), size, hard.at(124, b"00000000000\0").done(), inner.clone()].concat();
    case("a hard link's record of a size", hard, odd, [Differs, Same, Same]);
    let v7 = [Header::new(b"d/", 0, 512).done(), inner].concat();
    case("a V7 directory's size", v7, odd, [Differs, Same, Same]);
}

fn numbers(case: &mut Add<'_>) {
    for (what, at, bytes) in [
        ("mode", 100, &b"644 777\0"[..]),
        ("uid", 108, b"17 9   \0"),
        ("mtime", 136, b"77 x       \0"),
    ] {
        case(
            what,
            file(b"a").at(at, bytes).with(b"c"),
            &["LooseNumber"],
            [Same, Refuses, Refuses],
        );
    }
    let odd: &[&str] = &["LooseNumber"];
    let late = file(b"a").at(108, b"\0     7 ").with(b"c");
    case("a NUL before digits", late, odd, [Same, Differs, Same]);
    let late = file(b"a").at(108, b"\0\0    7 ").with(b"c");
    case("two NULs before digits", late, odd, [Differs, Differs, Same]);
    let blank = file(b"a").at(108, b"        ").with(b"c");
    case("blanks for a number", blank, odd, [Refuses, Same, Same]);
    let other = file(b"a").at(329, b"junk").with(b"c");
    case(
        "no device's number",
        other,
        &["LooseNumber"],
        [Same, Refuses, Refuses],
    );
    let negative = file(b"a")
        .at(257, GNU)
        .at(108, b"\xff\xff\xff\xff\xff\xff\xff\xfe")
        .with(b"c");
    case(
        "a negative owner",
        negative,
        &["NegativeId"],
        [Refuses, Differs, Same],
    );
    let negative = [extended(b'x', &[("gid", b"-2")]), a()].concat();
    case(
        "a negative group of a record",
        negative,
        &["NegativeId"],
        [Refuses, Differs, Same],
    );
    let unset = [extended(b'x', &[("uid", b"4294967295")]), a()].concat();
    case(
        "the owner that is none",
        unset,
        &["UnsetId"],
        [Same, Same, Differs],
    );
}

fn records(case: &mut Add<'_>) {
    let with = |records: &[(&str, &[u8])], entry: Vec<u8>| [extended(b'x', records), entry].concat();
    let odd: &[&str] = &["EmptyValue"];
    case(
        "an empty name",
        with(&[("path", b"")], a()),
        odd,
        [Differs, Differs, Same],
    );
    case(
        "an empty target",
        with(&[("linkpath", b"")], link(b"t").done()),
        odd,
        [Differs, Differs, Same],
    );
    let owned = file(b"a").at(108, b"0000007\0").with(b"c");
    case(
        "an empty owner",
        with(&[("uid", b"")], owned),
        odd,
        [Refuses, Differs, Same],
    );
    case(
        "an empty time",
        with(&[("mtime", b"")], a()),
        odd,
        [Refuses, Differs, Same],
    );
    case(
        "an empty size",
        with(&[("size", b"")], a()),
        odd,
        [Refuses, Differs, Same],
    );
    let empty = with(&[("SCHILY.xattr.user.x", b"")], a());
    case("an empty xattr", empty, odd, [Same, Same, Differs]);
    let escaped = with(&[("SCHILY.xattr.user.a%3Db", b"v")], a());
    case(
        "an escaped xattr",
        escaped,
        &["EscapedXattr"],
        [Same, Differs, Differs],
    );
    case(
        "an xattr",
        with(&[("SCHILY.xattr.user.x", b"1\n2")], a()),
        &[],
        [Same; 3],
    );
    let two = with(&[("path", b"first"), ("path", b"second")], a());
    case("two records", two, &["TwoRecords"], [Same; 3]);
    let two = [extended(b'g', &[("mtime", b"1"), ("mtime", b"2")]), a()].concat();
    let odd: &[&str] = &["TwoRecords", "GlobalHeader", "GlobalRecord"];
    case("two global records", two, odd, [Differs, Same, Refuses]);
    case(
        "a record of nobody",
        with(&[("foo.bar", b"x")], a()),
        &["UnreadRecord"],
        [Same; 3],
    );
}

fn types(case: &mut Add<'_>) {
    let of = |flag: u8| Header::new(b"a", flag, 0).at(257, GNU).with(b"content");
    case("in one piece", of(b'7'), &["RareType"], [Same, Same, Refuses]);
    case("unknown", of(b'Z'), &["RareType"], [Same, Same, Refuses]);
    case(
        "a directory's names",
        of(b'D'),
        &["RareType"],
        [Differs, Same, Refuses],
    );
}

fn sparse(case: &mut Add<'_>) {
    let map = |more: &[(&str, &[u8])]| {
        let records: &[(&str, &[u8])] = &[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"real"),
            ("GNU.sparse.realsize", b"20"),
        ];
        let content = [&padded(b"1\n5\n7\n")[..], b"content"].concat();
        [
            extended(b'x', &[records, more].concat()),
            file(b"a").with(&content),
        ]
        .concat()
    };
    case("a sparse file", map(&[]), &["Sparse"], [Same; 3]);
    case(
        "its other name",
        map(&[("path", b"other")]),
        &["TwoNames", "Sparse"],
        [Same, Differs, Same],
    );
    let old = file(b"a").at(156, b"S").at(257, GNU);
    let old = old
        .at(386, b"00000000005\x0000000000007\0")
        .at(483, b"00000000024\0");
    case(
        "a sparse file of type S",
        old.with(b"content"),
        &["Sparse"],
        [Same, Same, Refuses],
    );
    let unknown = [
        ("GNU.sparse.major", &b"2"[..]),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"real"),
    ];
    let unknown = [extended(b'x', &unknown), a()].concat();
    case(
        "an unknown version",
        unknown,
        &["SparseIgnored"],
        [Refuses, Differs, Same],
    );
    let directory = [
        ("GNU.sparse.numblocks", &b"1"[..]),
        ("GNU.sparse.map", b"0,5"),
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.size", b"20"),
    ];
    let directory = [extended(b'x', &directory), Header::new(b"d/", b'5', 0).done()].concat();
    case(
        "a sparse directory",
        directory,
        &["SparseIgnored"],
        [Differs, Differs, Refuses],
    );
}
