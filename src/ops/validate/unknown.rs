//! Texts beside images that the ledger does not know: they are checked and listed, and nothing else.

use super::{Became, Error, Work, image_name};
use crate::corpus::beneath::Root;
use crate::domain::image::RelPath;
use crate::domain::layout::is_working_folder;
use crate::kit::folder::Sort;
use crate::kit::path_bytes::to_path;
use crate::ledger::reader::{CorpusRoot, Reader};

/// Lists the image folders, or the mirror tree of the texts. A folder that is not there, or not to be read, has none.
pub(super) fn walk(reader: &Reader, work: &mut Work<'_>) -> Result<(), Error> {
    let corpora = reader.corpora()?;
    if work.layout.texts.is_some() {
        return tree(reader, work, &corpora);
    }
    corpora.iter().try_for_each(|corpus| tree(reader, work, std::slice::from_ref(corpus)))
}

/// One tree of texts, which may belong to images of any of `corpora`.
fn tree(reader: &Reader, work: &mut Work<'_>, corpora: &[CorpusRoot]) -> Result<(), Error> {
    let Some(first) = corpora.first() else { return Ok(()) };
    let place = work.layout.texts.clone().unwrap_or_else(|| to_path(&first.root));
    let Ok(root) = Root::open(&place) else { return Ok(()) };
    let mut folders = vec![Vec::new()];
    while let Some(folder) = folders.pop() {
        let path = to_path(&RelPath { folder: folder.clone(), name: Vec::new(), page: 1 }.joined());
        if work.layout.texts.is_none() && is_working_folder(work.layout, &place.join(path)) {
            continue;
        }
        let Ok(entries) = root.folder(&folder).and_then(crate::kit::folder::Folder::entries) else { continue };
        for entry in entries.flatten() {
            match entry.sort {
                Sort::Folder => folders.push(below(&folder, &entry.name)),
                Sort::File => text(reader, work, corpora, &folder, &entry.name)?,
                Sort::Link | Sort::Odd => {}
            }
        }
    }
    Ok(())
}

fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn text(reader: &Reader, work: &mut Work<'_>, corpora: &[CorpusRoot], folder: &[u8], name: &[u8]) -> Result<(), Error> {
    let Some(image) = image_name(name, &work.rules.endings) else { return Ok(()) };
    let path = RelPath { folder: folder.to_vec(), name: image.to_vec(), page: 1 };
    for corpus in corpora {
        if reader.knows_image(&corpus.root, &path)? {
            return Ok(());
        }
    }
    let Some(root) = corpora.first().map(|corpus| &corpus.root) else { return Ok(()) };
    let Some(bytes) = work.text(root, &path)? else { return Ok(()) };
    let json = work.rules.json.unwrap_or(work.rules.asks_json);
    if let Some(fault) = work.judged(&bytes, json) {
        work.found(&path, fault, Became::Unknown);
    }
    Ok(())
}
