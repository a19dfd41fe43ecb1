//! The doors to what the lean core leaves out. Each asks [`whole`] before it changes anything, or gives nothing where
//! a lean session can hold nothing; what is only reached through them is then never linked.

use crate::LEAN;

use super::error::WorkbenchError;

/// Refuses in the lean core. Inlined, so that the compiler sees that nothing comes after it.
#[inline(always)]
pub(super) fn whole() -> Result<(), WorkbenchError> {
    match LEAN {
        true => Err(WorkbenchError::NeedsWhole),
        false => Ok(()),
    }
}

/// `cargo test --lib --features lean workbench::lean`; the other tests are of the whole core.
#[cfg(all(test, feature = "lean"))]
mod tests {
    use super::super::from_json::tests::actions;
    use super::super::tests::{finish, operation, session, write};
    use super::super::{Action, ArchiveFiles, ContentRef, Export, Query, Workbench};
    use super::*;
    use crate::image::json::read;

    /// What a session is to a person.
    fn seen(workbench: &mut Workbench) -> String {
        let answers = [Query::Overview, Query::Journal].map(|query| workbench.query(&query).unwrap());
        serde_json::to_string(&answers).unwrap()
    }

    fn is_refused<T>(result: Result<T, WorkbenchError>) -> bool {
        result.is_err_and(|error| error.code() == "needs_whole")
    }

    #[test]
    fn of_all_actions_these_are_refused_and_change_nothing() {
        const REFUSED: [&str; 14] = [
            "add_difference",
            "add_layer_tar",
            "call_in",
            "close_archive",
            "collect_garbage",
            "commit_container",
            "discard_container",
            "import_image",
            "open_archive",
            "remove_container_of_machine",
            "remove_image_of_machine",
            "run_line",
            "run_on_machine",
            "start_container",
        ];
        for text in actions() {
            let action: Action = read(text.as_bytes(), 1000).unwrap();
            let name = text.split('"').nth(3).unwrap();
            let mut workbench = session();
            let before = seen(&mut workbench);
            let alone = is_refused(workbench.apply(operation(action.clone())));
            assert_eq!(alone, REFUSED.contains(&name), "{text}");
            if !alone {
                continue;
            }
            let group = Action::Group {
                label: "a group".to_owned(),
                actions: vec![write(1, "/hello.txt", "half"), action],
            };
            assert!(is_refused(workbench.apply(operation(group))), "{text}");
            assert_eq!(seen(&mut workbench), before, "{text}");
        }
    }

    #[test]
    fn of_all_questions_these_are_refused() {
        let questions = [
            (false, r#"{"query":"overview"}"#),
            (false, r#"{"query":"rows","image":1,"from":0,"to":9}"#),
            (false, r#"{"query":"row_of","image":1,"path":"/hello.txt"}"#),
            (false, r#"{"query":"column","image":1,"path":"/hello.txt"}"#),
            (false, r#"{"query":"document","image":1,"document":"config"}"#),
            (false, r#"{"query":"find","image":1,"text":"e","limit":9}"#),
            (false, r#"{"query":"preflight","image":1}"#),
            (false, r#"{"query":"journal"}"#),
            (false, r#"{"query":"history","image":1}"#),
            (false, r#"{"query":"summary","layer":1}"#),
            (false, r#"{"query":"changes","image":1}"#),
            (true, r#"{"query":"graph","archive":1}"#),
            (true, r#"{"query":"raw","archive":1,"node":0}"#),
            (true, r#"{"query":"check","image":1}"#),
            (true, r#"{"query":"blocks","layer":1,"from":0,"limit":9}"#),
            (true, r#"{"query":"entry_of","layer":1,"path":"/hello.txt"}"#),
            (true, r#"{"query":"entry_at","layer":1,"offset":0}"#),
            (true, r#"{"query":"fields","layer":1,"offset":0}"#),
            (
                true,
                r#"{"query":"compare","before":{"image":1,"layers":1},"after":{"image":1,"layers":2},"from":0,"to":9}"#,
            ),
            (true, r#"{"query":"container","container":1}"#),
            (true, r#"{"query":"step","container":1,"step":0}"#),
            (true, r#"{"query":"upper","container":1}"#),
            (
                true,
                r#"{"query":"complete","container":1,"line":"l","cursor":1}"#,
            ),
            (true, r#"{"query":"machine"}"#),
            (true, r#"{"query":"events","from":0,"to":9}"#),
            (true, r#"{"query":"runtime_steps","id":"demo"}"#),
            (true, r#"{"query":"sharing"}"#),
            (true, r#"{"query":"garbage"}"#),
            (true, r#"{"query":"prompt"}"#),
            (true, r#"{"query":"complete_on_machine","line":"l","cursor":1}"#),
        ];
        let unknown = read::<Query>(br#"{"query":""}"#, 100).unwrap_err().to_string();
        for name in unknown.split('`').skip(5).step_by(2) {
            let asked = format!(r#"{{"query":"{name}""#);
            assert!(
                questions.iter().any(|(_, text)| text.starts_with(&asked)),
                "{name}"
            );
        }
        let mut workbench = session();
        for (refused, text) in questions {
            let answer = workbench.query(&read(text.as_bytes(), 1000).unwrap());
            match refused {
                true => assert!(is_refused(answer), "{text}"),
                false => assert!(answer.is_ok(), "{text}: {:?}", answer.err()),
            }
        }
    }

    #[test]
    fn reading_what_is_foreign_is_refused_before_it_begins() {
        let mut workbench = session();
        let content = ContentRef::Text { text: "tar".into() };
        assert!(is_refused(workbench.read_ahead(&content, 1)));
        assert!(is_refused(
            workbench.open_ahead(&ArchiveFiles::Tar { content }, 1)
        ));
        assert!(is_refused(workbench.load_recipe(1)));
        assert!(is_refused(workbench.tar_bytes(1, 0, 1)));
        assert!(is_refused(workbench.check_own(1)));
        assert!(is_refused(workbench.export(&Export::Archive { archive: 1 })));
        assert!(is_refused(
            workbench.export(&Export::Node { archive: 1, node: 0 })
        ));
    }

    #[test]
    fn an_image_is_built_and_written() {
        let mut workbench = session();
        workbench
            .apply(operation(write(1, "/hello.txt", "new\n")))
            .unwrap();
        finish(&mut workbench);
        let exports = [
            Export::Image { image: 1 },
            Export::LayerTar { layer: 1 },
            Export::LayerBlob { layer: 1 },
            Export::Recipe,
        ];
        for export in exports {
            assert!(!workbench.export(&export).unwrap().is_empty(), "{export:?}");
        }
        assert!(workbench.undo() && workbench.redo());
    }
}
