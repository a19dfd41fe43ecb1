//! Operations, questions and exports as they come as JSON: the other end of `www/src/core/protocol.ts`. What is
//! written by serde is read here, by name; a name that is not in a table is an error that lists the table.

use crate::digest::Digest;
use crate::image::json::{FromJson, Members, Node, ReadError, fields, from_name, from_object, from_tagged};
use crate::image::{ConfigField, Platform};
use crate::layer::Compression;
use crate::tree::Time;

use super::compare::Point;
use super::effects::Effect;
use super::export::Export;
use super::operation::{
    Action, ArchiveFile, ArchiveFiles, Attributes, Caller, ContentRef, NewEntry, Operation, Place,
};
use super::query::Query;
use super::recipe::Recipe;
use super::rows::RowsOf;

from_object! {
    Operation { time, caller, action }
    Time { seconds, nanos }
    Caller { uid, gid, umask }
    Attributes { mode, uid, gid, mtime }
    Place { layer, path }
    ArchiveFile { path, content }
    Platform { os, architecture, variant }
    Recipe { version, operations }
}

from_name! { Compression { "none" => None, "gz1" => Gz1, "original" => Original, } }
from_name! { Effect { "added" => Added, "changed" => Changed, "hides" => Hides, } }

impl FromJson for Digest {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        let text = String::from_json(node)?;
        text.parse()
            .map_err(|error| ReadError::at(node, format!("{error}")))
    }
}

impl FromJson for ContentRef {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        let mut it = Members::of(node)?;
        let has = |name| node.get(name).is_some();
        let content = if has("text") {
            fields!(it => Self::Text { text })
        } else if has("base64") {
            fields!(it => Self::Base64 { base64 })
        } else if has("blob") {
            fields!(it => Self::Blob { blob, size })
        } else {
            fields!(it => Self::Source { source, offset, length })
        };
        it.end()?;
        Ok(content)
    }
}

impl FromJson for Point {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        let mut it = Members::of(node)?;
        let point = match node.get("container") {
            Some(_) => fields!(it => Self::Step { container, step }),
            None => fields!(it => Self::Layers { image, layers }),
        };
        it.end()?;
        Ok(point)
    }
}

impl FromJson for ArchiveFiles {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        let mut it = Members::of(node)?;
        let files = match node.get("files") {
            Some(_) => fields!(it => Self::Directory { files }),
            None => fields!(it => Self::Tar { content }),
        };
        it.end()?;
        Ok(files)
    }
}

from_tagged! { NewEntry by "kind", it {
    "file" => fields!(it => Self::File { content }),
    "directory" => Self::Directory,
    "symlink" => fields!(it => Self::Symlink { target }),
    "hard_link" => fields!(it => Self::HardLink { target }),
    "fifo" => Self::Fifo,
    "char_device" => fields!(it => Self::CharDevice { major, minor }),
    "block_device" => fields!(it => Self::BlockDevice { major, minor }),
}}

from_tagged! { ConfigField by "field", it {
    "cmd" => Self::Cmd(it.take("value")?),
    "entrypoint" => Self::Entrypoint(it.take("value")?),
    "env" => Self::Env(it.take("value")?),
    "working_dir" => Self::WorkingDir(it.take("value")?),
    "user" => Self::User(it.take("value")?),
    "stop_signal" => Self::StopSignal(it.take("value")?),
    "author" => Self::Author(it.take("value")?),
    "created" => Self::Created(it.take("value")?),
    "labels" => Self::Labels(it.take("value")?),
    "exposed_ports" => Self::ExposedPorts(it.take("value")?),
    "volumes" => Self::Volumes(it.take("value")?),
    "platform" => Self::Platform(it.take("value")?),
}}

from_tagged! { Action by "op", it {
    "create_image" => fields!(it => Self::CreateImage { image, name }),
    "set_name" => fields!(it => Self::SetName { image, name }),
    "set_config" => fields!(it => Self::SetConfig { image, set }),
    "add_layer" => fields!(it => Self::AddLayer { image, layer, name, position }),
    "add_layer_tar" => fields!(it => Self::AddLayerTar { image, layer, name, content, position }),
    "duplicate_layer" => fields!(it => Self::DuplicateLayer { layer, copy, name }),
    "remove_layer" => fields!(it => Self::RemoveLayer { layer }),
    "rename_layer" => fields!(it => Self::RenameLayer { layer, name }),
    "move_layer" => fields!(it => Self::MoveLayer { layer, position }),
    "set_compression" => fields!(it => Self::SetCompression { layer, compression }),
    "set_history" => fields!(it => Self::SetHistory { layer, created_by, comment }),
    "open_archive" => fields!(it => Self::OpenArchive { archive, name, from, first_image, first_layer }),
    "close_archive" => fields!(it => Self::CloseArchive { archive }),
    "remove_image" => fields!(it => Self::RemoveImage { image }),
    "remove_path" => fields!(it => Self::RemovePath { image, path }),
    "squash_layers" => fields!(it => Self::SquashLayers { bottom, top }),
    "split_layer" => fields!(it => Self::SplitLayer { layer, new_layer, name, paths }),
    "strip_times" => fields!(it => Self::StripTimes { layer }),
    "normalise" => fields!(it => Self::Normalise { layer }),
    "make" => fields!(it => Self::Make { layer, path, entry; attributes, parents, replace }),
    "write" => fields!(it => Self::Write { layer, path, content }),
    "set_target" => fields!(it => Self::SetTarget { layer, path, target }),
    "delete" => fields!(it => Self::Delete { layer, path }),
    "move" => fields!(it => Self::Move { from, to }),
    "copy" => fields!(it => Self::Copy { from, to }),
    "set_attributes" => fields!(it => Self::SetAttributes { layer, path, attributes }),
    "set_xattr" => fields!(it => Self::SetXattr { layer, path, name, value }),
    "whiteout" => fields!(it => Self::Whiteout { layer, path; parents }),
    "clear_whiteout" => fields!(it => Self::ClearWhiteout { layer, path }),
    "set_opaque" => fields!(it => Self::SetOpaque { layer, path, opaque; parents }),
    "start_container" => fields!(it => Self::StartContainer { container, image, layer, options }),
    "run_line" => fields!(it => Self::RunLine { container, line }),
    "call_in" => fields!(it => Self::CallIn { container, call }),
    "import_image" => fields!(it => Self::ImportImage { image, name, platforms; unpack }),
    "run_on_machine" => fields!(it => Self::RunOnMachine { line, container, layer }),
    "remove_image_of_machine" => fields!(it => Self::RemoveImageOfMachine { name }),
    "collect_garbage" => Self::CollectGarbage,
    "remove_container_of_machine" => fields!(it => Self::RemoveContainerOfMachine { id }),
    "discard_container" => fields!(it => Self::DiscardContainer { container }),
    "commit_container" => fields!(it => Self::CommitContainer { container, layer, name }),
    "add_difference" => fields!(it => Self::AddDifference { image, layer, name, before, after }),
    "group" => fields!(it => Self::Group { label, actions }),
}}

from_tagged! { Query by "query", it {
    "overview" => Self::Overview,
    "rows" => Self::Rows {
        image: it.take("image")?,
        from: it.take("from")?,
        to: it.take("to")?,
        of: fields!(it => RowsOf { layer, filter, only; merged }),
    },
    "row_of" => Self::RowOf {
        image: it.take("image")?,
        path: it.take("path")?,
        of: fields!(it => RowsOf { layer, filter, only; merged }),
    },
    "column" => fields!(it => Self::Column { image, path }),
    "document" => fields!(it => Self::Document { image, document }),
    "find" => fields!(it => Self::Find { image, text, limit }),
    "preflight" => fields!(it => Self::Preflight { image }),
    "journal" => Self::Journal,
    "graph" => fields!(it => Self::Graph { archive }),
    "raw" => fields!(it => Self::Raw { archive, node }),
    "history" => fields!(it => Self::History { image }),
    "check" => fields!(it => Self::Check { image }),
    "summary" => fields!(it => Self::Summary { layer }),
    "blocks" => fields!(it => Self::Blocks { layer, from, limit }),
    "entry_of" => fields!(it => Self::EntryOf { layer, path }),
    "entry_at" => fields!(it => Self::EntryAt { layer, offset }),
    "fields" => fields!(it => Self::Fields { layer, offset }),
    "changes" => fields!(it => Self::Changes { image }),
    "compare" => fields!(it => Self::Compare { before, after, from, to }),
    "container" => fields!(it => Self::Container { container }),
    "step" => fields!(it => Self::Step { container, step }),
    "upper" => fields!(it => Self::Upper { container }),
    "complete" => fields!(it => Self::Complete { container, line, cursor }),
    "machine" => Self::Machine,
    "prompt" => Self::Prompt,
    "complete_on_machine" => fields!(it => Self::CompleteOnMachine { line, cursor }),
    "events" => fields!(it => Self::Events { from, to }),
    "runtime_steps" => fields!(it => Self::RuntimeSteps { id }),
    "sharing" => Self::Sharing,
    "garbage" => Self::Garbage,
}}

from_tagged! { Export by "export", it {
    "image" => fields!(it => Self::Image { image }),
    "archive" => fields!(it => Self::Archive { archive }),
    "node" => fields!(it => Self::Node { archive, node }),
    "layer_tar" => fields!(it => Self::LayerTar { layer }),
    "layer_blob" => fields!(it => Self::LayerBlob { layer }),
    "file" => fields!(it => Self::File { layer, path }),
    "directory_tar" => fields!(it => Self::DirectoryTar { layer, path }),
    "difference_tar" => fields!(it => Self::DifferenceTar { before, after }),
    "recipe" => Self::Recipe,
}}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::image::json::read;

    /// One of each, as serde writes them.
    const ACTIONS: &str = r#"
        {"op":"create_image","image":1,"name":"a"}
        {"op":"set_name","image":1,"name":"b:c"}
        {"op":"set_config","image":1,"set":{"field":"user","value":null}}
        {"op":"add_layer","image":1,"layer":2,"name":"l"}
        {"op":"add_layer","image":1,"layer":2,"name":"l","position":0}
        {"op":"add_layer_tar","image":1,"layer":2,"name":"l","content":{"source":3,"offset":0,"length":1024}}
        {"op":"duplicate_layer","layer":1,"copy":2,"name":"d"}
        {"op":"remove_layer","layer":4294967295}
        {"op":"rename_layer","layer":1,"name":"\"\\\n\u0001é😀"}
        {"op":"move_layer","layer":1,"position":7}
        {"op":"set_compression","layer":1,"compression":"gz1"}
        {"op":"set_compression","layer":1,"compression":"none"}
        {"op":"set_history","layer":1,"created_by":"x","comment":null}
        {"op":"set_compression","layer":1,"compression":"original"}
        {"op":"normalise","layer":1}
        {"op":"open_archive","archive":1,"name":"a.tar","from":{"content":{"source":1,"offset":0,"length":9}},"first_image":2,"first_layer":3}
        {"op":"open_archive","archive":1,"name":"a","from":{"files":[{"path":"index.json","content":{"text":"{}"}}]},"first_image":2,"first_layer":3}
        {"op":"close_archive","archive":1}
        {"op":"remove_image","image":1}
        {"op":"remove_path","image":1,"path":"/a"}
        {"op":"squash_layers","bottom":1,"top":2}
        {"op":"split_layer","layer":1,"new_layer":2,"name":"n","paths":["/a","/b"]}
        {"op":"strip_times","layer":1}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"file","content":{"text":""}},"attributes":{},"parents":true,"replace":false}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"directory"},"attributes":{"mode":493,"uid":-1,"gid":0,"mtime":{"seconds":-1,"nanos":5}},"parents":false,"replace":false}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"symlink","target":"b"},"attributes":{},"parents":false,"replace":false}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"hard_link","target":"b"},"attributes":{},"parents":false,"replace":false}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"fifo"},"attributes":{},"parents":false,"replace":false}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"char_device","major":1,"minor":2},"attributes":{},"parents":false,"replace":false}
        {"op":"make","layer":1,"path":"/a","entry":{"kind":"block_device","major":1,"minor":2},"attributes":{},"parents":false,"replace":false}
        {"op":"write","layer":1,"path":"/a","content":{"base64":"AA=="}}
        {"op":"write","layer":1,"path":"/a","content":{"blob":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}}
        {"op":"set_target","layer":1,"path":"/a","target":"b"}
        {"op":"delete","layer":1,"path":"/a"}
        {"op":"move","from":{"layer":1,"path":"/a"},"to":{"layer":2,"path":"/b"}}
        {"op":"copy","from":{"layer":1,"path":"/a"},"to":{"layer":2,"path":"/b"}}
        {"op":"set_attributes","layer":1,"path":"/a","attributes":{"mode":420}}
        {"op":"set_xattr","layer":1,"path":"/a","name":"user.x","value":"y"}
        {"op":"whiteout","layer":1,"path":"/a","parents":false}
        {"op":"clear_whiteout","layer":1,"path":"/a"}
        {"op":"set_opaque","layer":1,"path":"/a","opaque":true,"parents":false}
        {"op":"start_container","container":9,"image":1,"layer":8,"options":"redirect_dir=on"}
        {"op":"run_line","container":9,"line":"rm -r /a"}
        {"op":"call_in","container":9,"call":"unlink /a"}
        {"op":"discard_container","container":9}
        {"op":"import_image","image":1,"unpack":true}
        {"op":"import_image","image":1,"name":"a","platforms":"all","unpack":false}
        {"op":"run_on_machine","line":"ctr images ls"}
        {"op":"run_on_machine","line":"ctr run a b","container":9,"layer":8}
        {"op":"remove_image_of_machine","name":"a"}
        {"op":"collect_garbage"}
        {"op":"remove_container_of_machine","id":"b"}
        {"op":"commit_container","container":9,"layer":10,"name":"n"}
        {"op":"add_difference","image":1,"layer":10,"name":"n","before":{"image":1,"layers":2},"after":{"container":9,"step":3}}
        {"op":"group","label":"g","actions":[{"op":"remove_layer","layer":1}]}
    "#;

    pub(in crate::workbench) fn actions() -> impl Iterator<Item = &'static str> {
        ACTIONS.lines().map(str::trim).filter(|line| !line.is_empty())
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in actions() {
            let action: Action = read(text.as_bytes(), 1000).unwrap();
            assert_eq!(serde_json::to_string(&action).unwrap(), text);
        }
        let unknown = read::<Action>(br#"{"op":""}"#, 100).unwrap_err().to_string();
        for name in unknown.split('`').skip(5).step_by(2) {
            let written = format!(r#"{{"op":"{name}""#);
            assert!(
                actions().any(|text| text.starts_with(&written)),
                "{name} is not tested"
            );
        }
    }

    #[test]
    fn what_may_be_absent_has_a_default() {
        let make = |rest: &str| {
            let text = format!(r#"{{"op":"make","layer":1,"path":"/a","entry":{{"kind":"fifo"}}{rest}}}"#);
            read::<Action>(text.as_bytes(), 1000)
        };
        let all = make(r#","attributes":{},"parents":false,"replace":false"#);
        assert_eq!(make("").unwrap(), all.unwrap());
        assert!(make(r#","parent":true"#).is_err());
        assert!(make(r#","attributes":{"mod":1}"#).is_err());
    }
}
