//! The texts where they lie, reached by open folders: no link is followed, and nothing but a file is opened.

use std::fs::File;
use std::io::{self, Read as _};

use super::audit::hex;
use crate::corpus::beneath::Root;
use crate::domain::image::RelPath;
use crate::domain::layout::{self, Layout};
use crate::kit::folder::Folder;
use crate::kit::hash::{Short, ShortHasher};
use crate::kit::path_bytes::to_path;
use crate::ledger::reader::EDITED;

/// Bytes of a text read at once.
const CHUNK: usize = 64 * 1024;

/// Whose text lies where an image's text would be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// None lies there.
    Nobody,
    /// Ours, as it was written.
    Ours,
    /// A person's, or one that cannot be read.
    Theirs,
}

/// File name of an image's text; `kind` is the ledger's word.
pub(super) fn name(image: &RelPath, kind: &str) -> Vec<u8> {
    if kind != "api" {
        return layout::text_name(&image.name, hex);
    }
    let of_page = layout::text_name(&layout::page_name(&image.name, image.page), hex);
    [&of_page[..], layout::ROUGH_ENDING.as_bytes()].concat()
}

fn place(layout: &Layout, root: &[u8]) -> io::Result<Root> {
    Root::open(&layout.texts.clone().unwrap_or_else(|| to_path(root)))
}

/// Opens the text of an image where it was written.
pub(super) fn open(layout: &Layout, root: &[u8], path: &RelPath, kind: &str) -> io::Result<File> {
    let text = RelPath { folder: path.folder.clone(), name: name(path, kind), page: 1 };
    place(layout, root)?.file(&text).map(|(file, _)| file)
}

/// The folder that holds the text of an image.
pub(super) fn folder(layout: &Layout, root: &[u8], path: &RelPath) -> io::Result<Folder> {
    place(layout, root)?.folder(&path.folder)
}

/// BLAKE3 of a text, however long it is.
pub(super) fn hash_of(mut file: File) -> io::Result<Short> {
    let mut hasher = ShortHasher::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&chunk[..read]),
        }
    }
}

/// Whose text it is, by what the ledger knows of ours.
pub(super) fn whose(layout: &Layout, root: &[u8], path: &RelPath, kind: &str, ours: Short) -> Whose {
    match open(layout, root, path, kind).and_then(hash_of) {
        Ok(hash) if hash == ours => Whose::Ours,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Whose::Nobody,
        _ => Whose::Theirs,
    }
}

/// Whether a text of ours was changed where it lies since it was written; `kind` and `ours` are the ledger's.
pub(super) fn is_changed(
    layout: &Layout,
    root: &[u8],
    path: &RelPath,
    kind: Option<&str>,
    ours: Option<Short>,
) -> bool {
    let (Some(kind @ ("txt" | "api")), Some(ours)) = (kind, ours) else { return false };
    open(layout, root, path, kind).and_then(hash_of).is_ok_and(|hash| hash != ours)
}

/// Adds the flag of a text that a person has changed, once.
pub(super) fn flag_edited(flags: &mut Vec<String>) {
    if !flags.iter().any(|flag| flag == EDITED) {
        flags.push(EDITED.to_owned());
    }
}
