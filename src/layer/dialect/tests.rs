//! The cases of `tests/dialects/cases.txt` without the runtimes that judge them: what each dialect shows is
//! what the file says, and every rule counts somewhere.

use std::collections::BTreeSet;

use super::*;
use cases::Case;

fn all() -> Vec<Case> {
    cases::parse(include_str!("../../../tests/dialects/cases.txt"))
}

#[test]
fn what_the_file_says_is_what_shows() {
    let mut wrong = Vec::new();
    for case in all() {
        for dialect in Dialect::ALL {
            let answer = cases::answer(dialect, &case);
            let id = dialect.id().to_owned();
            let said = case.shows.iter().find(|(who, _)| who.contains(&id));
            if said.map(|(_, what)| what) != Some(&answer) {
                wrong.push(format!("{} {id}: says {said:?}, shows `{answer}`", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_counts_in_some_case() {
    let mut seen = BTreeSet::new();
    for case in all() {
        for dialect in Dialect::ALL {
            let layers = case.tars().into_iter().map(Content::inline).collect();
            seen.extend(apply(dialect, layers).notes.iter().map(|(rule, ..)| rule.id()));
        }
    }
    let all: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(all.difference(&seen).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(
        Rule::ALL
            .iter()
            .all(|rule| !rule.text().is_empty() && rule.source().contains(", "))
    );
}

#[test]
fn small_steps_give_the_same() {
    for case in all() {
        let layers: Vec<_> = case.tars().into_iter().map(Content::inline).collect();
        for dialect in Dialect::ALL {
            let mut work = Apply::new(&[dialect], layers.clone());
            let mut last = 0;
            let outcome = loop {
                match work.step(1) {
                    Applying::Done(mut outcomes) => break outcomes.remove(0),
                    Applying::Working { done, total } => {
                        assert!(last <= done && done <= total, "{}", case.name);
                        last = done;
                    }
                }
            };
            let answer = |outcome: Outcome| match outcome.result {
                Ok(fs) => format!("{:?}", cases::describe(&fs, true)),
                Err(failure) => cases::failed(&failure),
            };
            let at_once = apply(dialect, layers.clone());
            assert_eq!(answer(outcome), answer(at_once), "{}", case.name);
        }
    }
}

/// The same bytes over and over.
struct Repeated(Vec<u8>, u64);

impl crate::content::Source for Repeated {
    fn id(&self) -> u64 {
        1
    }

    fn name(&self) -> &'static str {
        "repeated"
    }

    fn len(&self) -> u64 {
        self.0.len() as u64 * self.1
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), crate::content::ContentError> {
        let mut done = 0;
        while done < into.len() {
            let start = ((offset + done as u64) % self.0.len() as u64) as usize;
            let length = (self.0.len() - start).min(into.len() - done);
            into[done..done + length].copy_from_slice(&self.0[start..start + length]);
            done += length;
        }
        Ok(())
    }
}

/// A file with nearly 1 MiB of attributes, written again and again: nothing of it is held twice, and yet it ends.
#[test]
fn bytes_of_attributes_are_bounded() {
    let mut one = ::tar::Builder::new(Vec::new());
    let value = [b'v'; 60_000];
    let keys: Vec<String> = (0..16)
        .map(|number| format!("SCHILY.xattr.user.{number}"))
        .collect();
    one.append_pax_extensions(keys.iter().map(|key| (&key[..], &value[..])))
        .unwrap();
    let mut header = ::tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(0);
    one.append_data(&mut header, "file", &b""[..]).unwrap();
    let mut one = one.into_inner().unwrap();
    // Without the end.
    one.truncate(one.len() - 1024);
    let each = keys.len() as u64 * value.len() as u64;
    let layer = |count: u64| {
        let source = std::sync::Arc::new(Repeated(one.clone(), count));
        Content::whole(source)
    };
    let full = |count| {
        let outcomes = Apply::new(&Dialect::ALL, vec![layer(count)]).run().into_iter();
        let failures = outcomes.filter_map(|outcome| outcome.result.err());
        let limits = failures.filter(|failure| matches!(failure.why, Why::Limit { limit: MAX_BYTES, .. }));
        limits.count()
    };
    assert_eq!(full(MAX_BYTES / each - 8), 0);
    assert_eq!(full(MAX_BYTES / each + 8), Dialect::ALL.len());
}
