//! What the check offers as a fix mends what was found, for every case of `tests/checks/cases.txt`.

use std::sync::Arc;

use super::checking::{CheckFinding, CheckFix};
use super::tests::{Memory, finish, operation};
use super::*;
use crate::layer::dialect::cases::{self, Case};

/// A session with the layers of a case; none if one of them cannot be edited.
fn session(case: &Case) -> Option<Workbench> {
    let mut workbench = Workbench::new();
    let name = case.name.clone();
    let create = Action::CreateImage { image: 1, name };
    workbench.apply(operation(create)).unwrap();
    for (number, tar) in (1..).zip(case.tars()) {
        let content = ContentRef::Source {
            source: number,
            offset: 0,
            length: tar.len() as u64,
        };
        workbench.open_source(number, Arc::new(Memory(tar))).unwrap();
        let add = Action::AddLayerTar {
            image: 1,
            layer: number,
            name: format!("layer {number}"),
            content,
            position: None,
        };
        workbench.apply(operation(add)).ok()?;
    }
    finish(&mut workbench);
    Some(workbench)
}

fn checked(workbench: &mut Workbench) -> Vec<CheckFinding> {
    loop {
        let Ok(Answer::Check(view)) = workbench.query(&Query::Check { image: 1 }) else {
            panic!("an image can be checked");
        };
        if view.progress.is_none() {
            return view.findings;
        }
    }
}

#[test]
fn fixes_mend() {
    let cases = include_str!("../../tests/checks/cases.txt");
    let (mut wrong, mut mended, mut refused) = (Vec::new(), 0, Vec::new());
    for case in cases::parse(cases) {
        let Some(mut workbench) = session(&case) else {
            refused.push(case.name);
            continue;
        };
        for finding in checked(&mut workbench) {
            let Some(CheckFix { action, label }) = finding.fix.clone() else {
                continue;
            };
            if let Err(error) = workbench.apply(operation(action)) {
                wrong.push(format!(
                    "{}: {} cannot be mended by `{label}`: {error}",
                    case.name, finding.id
                ));
                continue;
            }
            finish(&mut workbench);
            let is_it = |other: &CheckFinding| {
                (other.id, &other.place.path) == (finding.id, &finding.place.path)
                    && other.place.layer == finding.place.layer
            };
            match checked(&mut workbench).iter().any(is_it) {
                true => wrong.push(format!(
                    "{}: {} is still there after `{label}`",
                    case.name, finding.id
                )),
                false => mended += 1,
            }
            assert!(workbench.undo());
            finish(&mut workbench);
        }
    }
    assert!(wrong.is_empty(), "{mended} mended, but\n{}", wrong.join("\n"));
    assert_eq!(refused, ["damaged"]);
}
