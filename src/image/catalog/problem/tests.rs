//! One problem of each kind: its sentence can be read, and `docs/documents.md` says of it what the code says.

use super::*;
use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::catalog::{Claim, ClaimFault, Role};
use crate::image::files::Via;
use crate::image::json::Kind;
use crate::tar::Oddity;

/// All kinds, in the order of the documentation.
fn kinds() -> Vec<ProblemKind> {
    let text = || "x".to_owned();
    let path = || b"blobs/sha256/x".to_vec();
    let (claimed, actual) = (Claim::new("sha256:x"), Digest::of(b""));
    let claim = || claimed.clone();
    let missing = |role| BlobProblem::Missing { path: path(), role };
    let form = |fault| BlobProblem::DigestForm {
        claimed: claim(),
        fault,
    };
    let packing = |is_docker| LayerProblem::Packing {
        claimed: Packing::Plain,
        actual: Packing::Gzip,
        is_docker,
    };
    let duplicate = FaultKind::Duplicate {
        name: text(),
        first: 0,
    };
    let archive: [ProblemKind; 8] = [
        Fault::Damaged {
            offset: 1,
            reason: text(),
        }
        .into(),
        Fault::Duplicate {
            path: path(),
            first: Some(0),
            last: None,
        }
        .into(),
        Fault::NoEnd { offset: 1 }.into(),
        Fault::Files { entries: 1 }.into(),
        Fault::Entries { offset: 1 }.into(),
        Fault::LongPath {
            offset: None,
            length: 5000,
        }
        .into(),
        Fault::Differs {
            path: path(),
            oddity: Oddity::TrailingSlash { offset: 1 },
        }
        .into(),
        Fault::Unlisted {
            path: path(),
            reason: text(),
        }
        .into(),
    ];
    let layout: [ProblemKind; 13] = [
        LayoutProblem::MarkerMissing.into(),
        LayoutProblem::IndexMissing.into(),
        LayoutProblem::InDirectory { directory: path() }.into(),
        LayoutProblem::NestedLayouts { directory: path() }.into(),
        LayoutProblem::BlobIsLink {
            path: path(),
            target: path(),
            via: Via::HardLink,
        }
        .into(),
        LayoutProblem::LinkCircle { path: path() }.into(),
        LayoutProblem::UnnamedBlobs {
            count: 2,
            first: path(),
        }
        .into(),
        LayoutProblem::StrayFiles {
            count: 2,
            first: path(),
        }
        .into(),
        LayoutProblem::SeveralImages { count: 2 }.into(),
        LayoutProblem::ViewsDisagree.into(),
        LayoutProblem::DockerTag {
            tag: text(),
            reason: text(),
        }
        .into(),
        LayoutProblem::ParentMissing { layer: text() }.into(),
        LayoutProblem::TooManyLinks.into(),
    ];
    let error = JsonError::Depth { offset: 1 };
    let documents: [ProblemKind; 16] = [
        DocumentProblem::NotJson(error).into(),
        duplicate.into(),
        FaultKind::NotUtf8.into(),
        FaultKind::LoneSurrogate.into(),
        FaultKind::Number.into(),
        FaultKind::ByteOrderMark.into(),
        DocumentProblem::DocumentTooLarge { size: 1 }.into(),
        DocumentProblem::DocumentsTooLarge { size: 1 }.into(),
        DocumentProblem::LargeForRegistries { size: 1 }.into(),
        DocumentProblem::TypeConfusion { is_index: true }.into(),
        DocumentProblem::NoMediaType.into(),
        DocumentProblem::NoLayers.into(),
        DocumentProblem::NoArtifactType.into(),
        DocumentProblem::RootfsType { found: text() }.into(),
        DocumentProblem::EnvForm { variable: text() }.into(),
        DocumentProblem::PortForm { port: text() }.into(),
    ];
    let schema: [ProblemKind; 9] = [
        SchemaFault::Missing { field: "size" }.into(),
        SchemaFault::Type {
            expected: "a text",
            found: Kind::Array,
        }
        .into(),
        SchemaFault::Value {
            expected: "a number",
            found: text(),
        }
        .into(),
        SchemaFault::Case {
            known: "layers",
            found: text(),
        }
        .into(),
        SchemaFault::ListForMap.into(),
        SchemaFault::Time { found: text() }.into(),
        SchemaFault::MediaType { found: text() }.into(),
        SchemaFault::Version { found: text() }.into(),
        SchemaFault::LayoutVersion { found: text() }.into(),
    ];
    let blobs: [ProblemKind; 21] = [
        BlobProblem::Digest {
            claimed: claim(),
            actual,
        }
        .into(),
        BlobProblem::Size {
            claimed: 1,
            actual: 2,
        }
        .into(),
        missing(Role::Layer(0)).into(),
        missing(Role::Entry).into(),
        BlobProblem::Foreign { urls: vec![text()] }.into(),
        BlobProblem::Unreadable { reason: text() }.into(),
        form(ClaimFault::Grammar).into(),
        form(ClaimFault::Uppercase).into(),
        form(ClaimFault::Algorithm).into(),
        BlobProblem::DigestUnverified { claimed: claim() }.into(),
        BlobProblem::Data { reason: text() }.into(),
        BlobProblem::NotEmpty.into(),
        BlobProblem::MediaTypeMismatch {
            claimed: text(),
            own: text(),
        }
        .into(),
        BlobProblem::OldManifest.into(),
        BlobProblem::TooDeep.into(),
        BlobProblem::RefNameForm { name: text() }.into(),
        BlobProblem::RefNameMisplaced.into(),
        BlobProblem::PlatformAlias {
            name: text(),
            go_name: "amd64",
        }
        .into(),
        BlobProblem::SamePlatform { platform: text() }.into(),
        BlobProblem::AttestationSubject { digest: None }.into(),
        form(ClaimFault::Length { expected: 64 }).into(),
    ];
    let layers: [ProblemKind; 10] = [
        LayerProblem::DiffId {
            claimed: claim(),
            actual,
        }
        .into(),
        LayerProblem::DiffIdCount {
            diff_ids: 1,
            layers: 2,
        }
        .into(),
        LayerProblem::HistoryCount {
            history: 1,
            layers: 2,
        }
        .into(),
        LayerProblem::Unpack { reason: text() }.into(),
        LayerProblem::TooMuch { reason: text() }.into(),
        packing(false).into(),
        packing(true).into(),
        LayerProblem::LayerType { media_type: text() }.into(),
        LayerProblem::ZstdLayer.into(),
        LayerProblem::NonDistributable.into(),
    ];
    let names: [ProblemKind; 5] = [
        NameProblem::Unnamed.into(),
        NameProblem::BareTag { tag: text() }.into(),
        NameProblem::SameName { name: text() }.into(),
        NameProblem::NameNotCanonical {
            name: text(),
            canonical: None,
        }
        .into(),
        NameProblem::PlatformMismatch {
            claimed: text(),
            config: text(),
        }
        .into(),
    ];
    let all = archive.into_iter().chain(layout).chain(documents).chain(schema);
    all.chain(blobs).chain(layers).chain(names).collect()
}

#[test]
fn the_documentation_says_what_the_code_says() {
    let text = include_str!("../../../../docs/documents.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let documented: Vec<Vec<&str>> = rows
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(
        documented
            .iter()
            .all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty()))
    );
    let documented: Vec<_> = documented
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[1], row[3]))
        .collect();
    let problems: Vec<_> = kinds()
        .into_iter()
        .map(|kind| Problem {
            kind,
            place: Place::default(),
        })
        .collect();
    let mut said: Vec<_> = problems
        .iter()
        .map(|problem| (problem.id(), problem.severity().name(), problem.clause()))
        .collect();
    // `digest_form` stands for digests of the wrong length too.
    said.dedup();
    let last = said
        .iter()
        .rposition(|(id, ..)| *id == "digest_form")
        .expect("there are two");
    said.remove(last);
    assert_eq!(documented, said);
    for problem in &problems {
        let sentence = problem.sentence();
        assert!(sentence.ends_with('.') && !sentence.contains("  "), "{sentence}");
    }
}
