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
