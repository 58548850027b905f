//! A tree of files, one a page, in the folders of the images. Each is written whole or not at all; what lies there already is
//! replaced only if an export wrote it and nobody has changed it since.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::texts::{Of, PageText};
use super::xml::is_sealed;
use super::{Error, LIST, LIST_NAME, OLDEST, Source, Told, because, list_row};
use crate::domain::image::RelPath;
use crate::domain::layout;
use crate::kit::atomic_file::{self, Access, Draft, Durability};
use crate::kit::hash;
use crate::kit::path_bytes::{parts, to_path};
use crate::ledger::reader::PlacedImage;

/// Bytes of the largest file that could be one of ours: that of the longest text, every sign of it escaped.
const LARGEST: u64 = 1 << 30;

/// A page with its text.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// The page.
    pub(super) image: &'a PlacedImage,
    /// Its text.
    pub(super) text: &'a PageText,
}

/// Makes the file of a page; none where its form cannot hold the page.
pub(super) type Document = dyn Fn(&Leaf<'_>) -> Option<Vec<u8>>;

/// Writes the tree and, when it stands, the list of its files.
pub(super) fn write(source: &Source<'_>, out: &Path, ending: &str, document: &Document) -> Result<Told, Error> {
    fs_err::create_dir_all(out)?;
    let list_path = out.join(LIST_NAME);
    if !may_be_listed(&list_path)? {
        return Err(Error::NotOurs(list_path));
    }
    let mut draft = Draft::create(out, Access::Umask)?;
    let mut told = Told::default();
    let mut list = csv::Writer::from_writer(BufWriter::new(draft.file()?.try_clone()?));
    list.write_record(LIST).map_err(io::Error::from)?;
    let mut tree = Tree { out, folder: None };
    let mut texts = source.texts();
    source.placed(&mut |image| {
        let of = Of::placed(&image);
        if of.kind() == Some("api") {
            told.without += 1;
            return Ok(());
        }
        let text = match texts.of(of)? {
            Ok(Some(text)) => text,
            Ok(None) => {
                told.without += 1;
                return Ok(());
            }
            Err(cause) => {
                told.unread.add(because(&image.path, &cause));
                return Ok(());
            }
        };
        let place = place(source, &image, ending);
        let body = document(&Leaf { image: &image, text: &text });
        let (Some(body), Some(_)) = (body, parts(&place)) else {
            told.unfit.add(image.path.shown());
            return Ok(());
        };
        if tree.put(&place, &body)? {
            told.written += 1;
            let row = list_row(&place.joined(), &image, Some(image.path.page), &body);
            list.write_record(row).map_err(io::Error::from)?;
        } else {
            told.kept.add(place.shown());
        }
        Ok(())
    })?;
    list.flush()?;
    drop(list);
    draft.publish(&list_path, Durability::Synced)?;
    Ok(told)
}

/// Where the file of a page lies below the tree.
fn place(source: &Source<'_>, image: &PlacedImage, ending: &str) -> RelPath {
    let digits = |bytes: &[u8]| hash::hex_digits(bytes, 64);
    let name = layout::export_name(&image.path.name, image.path.page, ending, digits);
    RelPath { folder: source.folder(&image.root, &image.path), name, page: 1 }
}

/// Whether a list of files may be written: none is there, or one of ours.
fn may_be_listed(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    match File::open(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(true),
        opened => opened?.take(64).read_to_end(&mut head)?,
    };
    Ok(head.starts_with(LIST[..OLDEST].join(",").as_bytes()))
}

/// The tree while it is written.
struct Tree<'a> {
    out: &'a Path,
    /// The folder that was made last.
    folder: Option<PathBuf>,
}

impl Tree<'_> {
    /// Writes a file, unless somebody else's lies there: then `false`.
    fn put(&mut self, place: &RelPath, body: &[u8]) -> io::Result<bool> {
        let folder = self.out.join(to_path(&place.folder));
        if self.folder.as_deref() != Some(&folder) {
            atomic_file::open_folder(&folder)?;
            self.folder = Some(folder.clone());
        }
        let target = folder.join(to_path(&place.name));
        match held(&target)? {
            None => match atomic_file::write_new(&target, body, Access::Umask, Durability::Derived) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Ok(false),
                written => written?,
            },
            Some(held) if held == body => {}
            Some(held) if is_sealed(&held) => {
                atomic_file::write(&target, body, Access::Umask, Durability::Derived)?;
            }
            Some(_) => return Ok(false),
        }
        Ok(true)
    }
}

/// What lies at a place: nothing, or bytes; of what is no file of ours by its kind or size, none.
fn held(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let facts = match fs_err::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        facts => facts?,
    };
    if !facts.is_file() || facts.len() > LARGEST {
        return Ok(Some(Vec::new()));
    }
    fs_err::read(path).map(Some)
}
