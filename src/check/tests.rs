//! What is found in the cases of `tests/checks/cases.txt` is what the file says, all that can be found is found in
//! one of them, and `docs/checks.md` says of each what the code says.

use std::collections::BTreeSet;

use super::*;
use crate::content::Content;
use crate::layer::dialect::Dialect;
use crate::layer::dialect::cases::{self, Case};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/checks/cases.txt");

fn report(case: &Case) -> Report {
    let input = |tar: Vec<u8>| LayerInput {
        is_cut: false,
        packed: None,
        tar: Content::inline(tar),
    };
    StackCheck::new(case.tars().into_iter().map(input).collect()).run()
}

/// A line for each finding: its id, the path or the byte that it is about.
fn finds(case: &Case) -> Vec<String> {
    let line = |finding: &Finding| {
        let place = match (&finding.place.path, finding.place.offset) {
            (Some(path), _) if path.is_empty() => ".".to_owned(),
            (Some(path), _) => escape(path),
            (None, Some(offset)) => format!("byte {offset}"),
            (None, None) => "all".to_owned(),
        };
        format!(
            "{} in layer {}: {place}",
            finding.check.id(),
            finding.place.layer + 1
        )
    };
    report(case).findings.iter().map(line).collect()
}

/// Writes what is found into the file if `HANDROLL_UPDATE` is set, and compares it.
#[test]
fn what_the_file_says_is_found() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let head: Vec<&str> = text.lines().take_while(|line| !line.starts_with("== ")).collect();
    let mut wrong = Vec::new();
    let mut updated = head.join("\n");
    for case in cases::parse(&text) {
        let finds = finds(&case);
        if finds != case.finds {
            wrong.push(case.name.clone());
        }
        updated += &format!("\n{}", Case { finds, ..case }.text());
    }
    if std::env::var_os("HANDROLL_UPDATE").is_some() {
        std::fs::write(FILE, updated).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "found otherwise than the file says, which HANDROLL_UPDATE=1 shows: {wrong:?}"
    );
}

#[test]
fn all_that_can_be_found_is_found() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let mut found: BTreeSet<Check> = cases::parse(&text)
        .iter()
        .flat_map(|case| report(case).findings)
        .map(|finding| finding.check)
        .collect();
    found.extend(of_large_layers());
    let missing: Vec<_> = Check::all().filter(|check| !found.contains(check)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn layer(lines: &[&str]) -> LayerInput {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    LayerInput {
        is_cut: false,
        tar: Content::inline(cases::tar(&lines).unwrap()),
        packed: None,
    }
}

fn checks(layers: Vec<LayerInput>) -> BTreeSet<Check> {
    let report = StackCheck::new(layers).run();
    report.findings.iter().map(|finding| finding.check).collect()
}

/// A tar whose bytes behind the first blocks are zeros, and cost nothing.
fn with_zeros(lines: &[&str], zeros: u64) -> Content {
    let tar = layer(&[lines, &["!end none"]].concat()).tar;
    let length = tar.len();
    crate::tar::expand(length + zeros, std::iter::once((0, length)), tar)
}

/// What is peculiar about compressed layers, as unpacking them tells.
fn of_packed_layers() -> BTreeSet<Check> {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0";
    let skippable = b"\x50\x2a\x4d\x18\x02\0\0\0ab";
    let mut found = BTreeSet::new();
    for (blob, expected) in [
        ([&gzip[..], &gzip[..]].concat(), Check::PackedPieces),
        ([&gzip[..], &[0; 3][..]].concat(), Check::PackedPadding),
        (skippable.to_vec(), Check::PackedSkippable),
    ] {
        let size = blob.len() as u64;
        let layer = crate::layer::Layer::read(&Content::inline(blob), &crate::scratch::MemorySpace).unwrap();
        let read = layer.as_read().unwrap();
        assert_eq!(read.damage, None);
        let of_it = checks(vec![LayerInput {
            is_cut: false,
            tar: read.tar.clone(),
            packed: Some(Packed {
                size,
                notes: read.packing_notes.clone(),
            }),
        }]);
        assert!(of_it.contains(&expected), "{expected:?}: {of_it:?}");
        found.extend(of_it);
    }
    found
}

/// What only layers of many bytes, entries or layers have.
fn of_large_layers() -> BTreeSet<Check> {
    let size = format!("file large size={}", 1u64 << 30);
    let mut found = checks(vec![LayerInput {
        is_cut: false,
        tar: with_zeros(&[&size], (1 << 30) + 1024),
        packed: Some(Packed {
            size: 1 << 20,
            notes: Vec::new(),
        }),
    }]);
    assert!(found.contains(&Check::HugeRatio));
    found.extend(of_packed_layers());
    let hole = "file hole pax.GNU.sparse.size=2000000000 pax.GNU.sparse.numblocks=0 pax.GNU.sparse.map=''";
    found.extend(checks(vec![layer(&[hole])]));
    let million = format!("file wasted content=\\*{}*x", 1 << 20);
    found.extend(checks(vec![layer(&[&million]), layer(&["file .wh.wasted"])]));
    let map = "pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0 content=0\\x0a\\*510*0";
    let hole = format!("file hole pax.GNU.sparse.realsize={} {map}", 1u64 << 50);
    let not_followed = checks(vec![layer(&[&hole])]);
    assert!(!not_followed.contains(&Check::RuntimeRefuses), "{not_followed:?}");
    found.extend(not_followed);
    let long = format!("file {}", ["\\*250*a"; 16].join("/"));
    found.extend(checks(vec![layer(&[&long])]));
    found.extend(checks(vec![layer(&["file a"]); 128]));
    let mut check = LayerCheck::new(0);
    check.limit = 2;
    let view = crate::layer::dialect::View::new();
    for entry in crate::tar::Entries::new(layer(&["file a", "file b", "file c", "file d"]).tar) {
        check.entry(&entry.unwrap(), view.fs());
    }
    let many = check
        .findings
        .list
        .iter()
        .filter(|finding| finding.check == Check::TooManyEntries);
    assert_eq!(many.count(), 1);
    found.insert(Check::TooManyEntries);
    found
}

#[test]
fn readings_are_what_dialects_say() {
    let stack = vec![
        layer(&["file a", "dir d", "file d/old"]),
        layer(&["file a content=new", "file .wh.a"]),
    ];
    let report = StackCheck::new(stack).run();
    let own = report
        .findings
        .iter()
        .find(|finding| finding.check == Check::WhiteoutOfOwnEntry)
        .unwrap();
    let readings: Vec<_> = own
        .readings
        .iter()
        .map(|reading| (reading.reader, &reading.reads[..]))
        .collect();
    assert_eq!(
        readings,
        [
            (
                "the image specification",
                "a file of 3 bytes, mode 0644, owner 0:0, time 1000"
            ),
            ("containerd (overlayfs)", "refuses the layer: file exists"),
            ("containerd (native)", "nothing"),
            ("umoci", "a file of 3 bytes, mode 0644, owner 0:0, time 1000"),
        ]
    );
    assert_eq!(own.fix, Some(Fix::Normalise { layer: 1 }));
    assert_eq!(own.place.path.as_deref(), Some(&b"a"[..]));
}

/// Differences that nothing else was found about are found as such, and there are none but these.
#[test]
fn no_difference_goes_unfound() {
    let text = include_str!("../../tests/dialects/cases.txt");
    let mut unforeseen = Vec::new();
    for case in cases::parse(text) {
        let report = report(&case);
        let answers: BTreeSet<String> = Dialect::ALL
            .iter()
            .map(|&dialect| cases::answer(dialect, &case))
            .collect();
        let grave =
            |finding: &&Finding| finding.check.severity() != Severity::Info || !finding.readings.is_empty();
        if answers.len() > 1 && !case.times {
            assert!(
                report.findings.iter().any(|finding| grave(&finding)),
                "{}: {answers:?}",
                case.name
            );
        }
        let is_general =
            |finding: &Finding| matches!(finding.check, Check::RuntimesDiffer | Check::RuntimeRefuses);
        let has_other = report
            .findings
            .iter()
            .any(|finding| grave(&finding) && !is_general(finding));
        if report.findings.iter().any(is_general) && !has_other {
            unforeseen.push(case.name);
        }
    }
    assert_eq!(unforeseen, ["mode-with-other-type-bits"]);
}

#[test]
fn many_findings_of_a_kind_are_counted() {
    let lines: Vec<String> = (0..250)
        .map(|number| format!("char device{number} 1:3"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let report = StackCheck::new(vec![layer(&lines), layer(&lines)]).run();
    assert_eq!(report.findings.len(), 100);
    assert_eq!(report.more, [(Check::Device, 400)]);
}

#[test]
fn small_steps_find_the_same() {
    for case in cases::parse(&std::fs::read_to_string(FILE).unwrap()) {
        let input = |tar: Vec<u8>| LayerInput {
            is_cut: false,
            packed: None,
            tar: Content::inline(tar),
        };
        let mut check = StackCheck::new(case.tars().into_iter().map(input).collect());
        let mut last = 0;
        let stepped = loop {
            match check.step(1) {
                Checking::Done(report) => break report,
                Checking::Working { done, total } => {
                    assert!(
                        last <= done && done <= total,
                        "{}: {last} {done} {total}",
                        case.name
                    );
                    last = done;
                }
            }
        };
        assert_eq!(stepped.findings, report(&case).findings, "{}", case.name);
    }
}

#[test]
fn the_documentation_says_what_the_code_says() {
    let text = include_str!("../../docs/checks.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let documented: Vec<_> = rows
        .iter()
        .map(|row| {
            assert!(
                row.len() == 6 && row.iter().all(|cell| !cell.is_empty()),
                "{row:?}"
            );
            (row[0].trim_matches('`'), row[1], row[2], row[4])
        })
        .collect();
    let said: Vec<_> = Check::all()
        .map(|check| {
            (
                check.id(),
                check.severity().name(),
                check.sentence(),
                check.clause(),
            )
        })
        .collect();
    assert_eq!(documented, said);
}

/// Damage of all kinds, with checksums that are right again, makes neither the check nor a dialect panic.
#[test]
fn damage_is_no_panic() {
    let mut random = crate::random::Random::of_run();
    let cases = cases::parse(include_str!("../../tests/dialects/cases.txt"));
    for _ in 0..1000 {
        let case = &cases[random.below(cases.len())];
        let mut tars = case.tars();
        let other = cases[random.below(cases.len())].tars();
        for tar in &mut tars {
            // One tar's entries behind another's.
            if random.once_in(4) {
                tar.splice(..0, other[0][..other[0].len() / 512 * 512].iter().copied());
            }
            for _ in 0..random.below(4) {
                let at = random.below(tar.len() + 1);
                match tar.get_mut(at) {
                    Some(byte) if random.once_in(2) => *byte = random.next() as u8,
                    Some(byte) => *byte = random.pick(b"07/.wh\0 9"),
                    None => tar.truncate(random.below(tar.len() + 1)),
                }
            }
            for block in tar
                .chunks_exact_mut(512)
                .filter(|block| block[257..].starts_with(b"ustar"))
            {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
                block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            }
        }
        let input = |tar: Vec<u8>| LayerInput {
            is_cut: false,
            packed: None,
            tar: Content::inline(tar),
        };
        StackCheck::new(tars.into_iter().map(input).collect()).run();
    }
}

/// Of a layer of which only a part is there nothing is said that the rest could prove wrong, nor of those above it,
/// nor what runtimes make of them. What is there is looked at.
#[test]
fn what_is_not_there_is_not_missed() {
    let stack = |cut: Option<u64>| {
        let mut base = layer(&[
            "dir etc",
            "link etc/other -> etc/later",
            "dir x",
            "file etc/later",
        ]);
        base.is_cut = cut.is_some();
        base.tar = base.tar.slice(0, cut.unwrap_or(base.tar.len()));
        vec![
            base,
            layer(&[
                "file usr/bin/tool mode=4755",
                "file .wh.gone",
                "link a -> var/b",
                "file .wh.etc",
            ]),
        ]
    };
    let whole = checks(stack(None));
    for check in [
        Check::LinkBeforeTarget,
        Check::LinkMissing,
        Check::ParentWithoutEntry,
        Check::WhiteoutOfNothing,
    ] {
        assert!(whole.contains(&check), "{check:?}: {whole:?}");
    }
    // Nothing of it, cut between two entries, cut inside of one.
    for cut in [0, 1024, 1100] {
        let found: Vec<_> = checks(stack(Some(cut))).into_iter().collect();
        assert_eq!(found, [Check::MarkAfterSiblings, Check::Setuid], "{cut}");
    }
}

#[test]
fn paths_without_end_are_no_work_without_end() {
    // All the paths above it would be gigabytes.
    let deep = format!("file {}", ["a"; 100_000].join("/"));
    let mut found = checks(vec![layer(&[&deep])]);
    found.remove(&Check::RuntimeRefuses);
    assert_eq!(found, BTreeSet::from([Check::PathTooLong]));
    // One that Linux takes costs as much as it keeps.
    let lines: Vec<String> = (0..20)
        .map(|number| format!("file {number}/{}", ["b"; 1900].join("/")))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut check = LayerCheck::new(0);
    check.limit = 20_000;
    let view = crate::layer::dialect::View::new();
    for entry in crate::tar::Entries::new(layer(&lines).tar) {
        check.entry(&entry.unwrap(), view.fs());
    }
    let is_full = |finding: &Finding| finding.check == Check::TooManyEntries;
    assert!(check.findings.list.iter().any(is_full));
}

/// What is beyond is told, and readers are not compared with half of what was found in mind.
#[test]
fn paths_with_findings_are_bounded() {
    let mut findings = Findings::default();
    let path = |number: usize| [number.to_string().into_bytes(), vec![b'a'; 1 << 20]].concat();
    for number in 0..100 {
        findings.remember(path(number), false, 3);
    }
    assert_eq!(findings.full_at, Some(3));
    let kept = (0..100)
        .filter(|&number| findings.is_about(&path(number)))
        .count();
    assert_eq!(kept, 63);
    let seen = || crate::layer::dialect::apply(Dialect::Spec, Vec::new());
    differ::differ(&[seen(), seen()], &mut findings);
    let told: Vec<_> = findings.list.iter().map(|finding| finding.check).collect();
    assert_eq!(told, [Check::NotFollowed]);
}
