//! A ZIP archive of the texts, byte for byte, in the folders of their images. The list of its files is its last one: until then
//! it waits in a scratch file. The table of contents is kept in memory until the end, as the format demands: about 250
//! bytes a text.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use zip::result::ZipError;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

use super::texts::Of;
use super::{Error, LIST, LIST_NAME, Source, Told, because, list_row};
use crate::domain::image::RelPath;
use crate::kit::hash;
use crate::kit::path_bytes::parts;

/// Bytes copied at once.
const CHUNK: usize = 64 * 1024;

/// A file that can be written and read again.
pub trait Target: Write + io::Read + Seek {}

impl<T: Write + io::Read + Seek> Target for T {}

/// Writes the archive.
pub(super) fn write(source: &Source<'_>, to: &mut dyn Target, scratch: &mut dyn Target) -> Result<Told, Error> {
    let mut told = Told::default();
    let mut list = csv::Writer::from_writer(BufWriter::new(&mut *scratch));
    list.write_record(LIST).map_err(io::Error::from)?;
    let mut archive = ZipWriter::new(BufWriter::new(to));
    source.placed(&mut |image| {
        let of = Of::placed(&image);
        let (Some("txt" | "kept"), Some(file)) = (of.kind(), of.file()) else {
            told.without += 1;
            return Ok(());
        };
        // The pages of a file share its text.
        if image.path.page > 1 {
            return Ok(());
        }
        let place = RelPath { folder: source.folder(&image.root, &image.path), ..file };
        if parts(&place).is_none() {
            told.unfit.add(image.path.shown());
            return Ok(());
        }
        match of.bytes(source.layout) {
            Ok((bytes, _)) => {
                let name = entry_name(place.joined());
                archive.start_file(name.as_str(), options()).map_err(failed)?;
                archive.write_all(&bytes)?;
                told.written += 1;
                list.write_record(list_row(name.as_bytes(), &image, None, &bytes)).map_err(io::Error::from)?;
            }
            Err(cause) => told.unread.add(because(&image.path, &cause)),
        }
        Ok(())
    })?;
    list.flush()?;
    drop(list);
    archive.start_file(LIST_NAME, options()).map_err(failed)?;
    scratch.seek(SeekFrom::Start(0))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match scratch.read(&mut chunk)? {
            0 => break,
            read => archive.write_all(&chunk[..read])?,
        }
    }
    archive.finish().map_err(failed)?.flush()?;
    Ok(told)
}

/// The same texts make the same archive: no entry has the time of the export.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
}

/// A name within the archive, which has to be text.
fn entry_name(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|odd| {
        let bytes = odd.as_bytes();
        format!("{}~{}", String::from_utf8_lossy(bytes), hash::hex_digits(bytes, 8))
    })
}

fn failed(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(cause) => cause,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_stay_apart() {
        assert_eq!(entry_name("böx/a.txt".into()), "böx/a.txt");
        let [one, other] = [b"a\xff.txt", b"a\xfe.txt"].map(|name| entry_name(name.to_vec()));
        assert!(one.starts_with("a\u{fffd}.txt~") && one != other, "{one} {other}");
    }
}
