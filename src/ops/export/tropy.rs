//! JSON-LD as Tropy's "File > Import" takes it (source: tropy/tropy, `src/common/import.js` and `src/common/export.js`): a graph
//! of items, each with a list of photos, each with a list of notes. An item is a file, a photo a page of it. The context is in
//! the document, so that nothing is fetched. Templates, checksums and media types are left to Tropy, which knows them better.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::texts::{Of, PageText, absolute, paragraphs};
use super::{Error, Source, Told, because};
use crate::domain::image::{RelPath, shown};
use crate::ledger::reader::PlacedImage;

const VOCABULARY: &str = "https://tropy.org/v1/tropy#";
const TITLE: &str = "http://purl.org/dc/elements/1.1/title";

/// Writes the document, photo by photo.
pub(super) fn write(source: &Source<'_>, to: &mut dyn Write) -> Result<Told, Error> {
    let mut told = Told::default();
    let mut graph = Graph { to, file: None };
    graph.begin()?;
    let mut texts = source.texts();
    source.placed(&mut |image| {
        let of = Of::placed(&image);
        let found = if of.kind() == Some("api") { Ok(None) } else { texts.of(of)? };
        match found {
            Ok(Some(text)) => match photo(&image, &text) {
                Some(photo) => {
                    graph.photo(&image, &photo)?;
                    told.written += 1;
                }
                None => told.unfit.add(image.path.shown()),
            },
            Ok(None) => told.without += 1,
            Err(cause) => told.unread.add(because(&image.path, &cause)),
        }
        Ok(())
    })?;
    graph.end()?;
    Ok(told)
}

/// The document while it is written.
struct Graph<'a> {
    to: &'a mut dyn Write,
    /// Root and path of the file whose item is open.
    file: Option<(Vec<u8>, RelPath)>,
}

impl Graph<'_> {
    fn begin(&mut self) -> io::Result<()> {
        let list = |name: &str| json!({"@id": format!("{VOCABULARY}{name}"), "@container": "@list"});
        let context = json!({
            "@version": 1.1,
            "@vocab": VOCABULARY,
            "title": {"@id": TITLE},
            "photo": list("photo"),
            "note": list("note"),
        });
        write!(self.to, "{{\"@context\":{context},\n\"@graph\":[")
    }

    /// Adds a photo to the item of its file, which is begun with its first.
    fn photo(&mut self, image: &PlacedImage, photo: &Value) -> io::Result<()> {
        let file = (image.root.clone(), image.path.with_page(1));
        if self.file.as_ref() == Some(&file) {
            return write!(self.to, ",\n{photo}");
        }
        let title = Value::from(shown(&file.1.joined()));
        let before = if self.file.replace(file).is_some() { "]}," } else { "" };
        write!(self.to, "{before}\n{{\"@type\":\"Item\",\"title\":{title},\"photo\":[{photo}")
    }

    fn end(&mut self) -> io::Result<()> {
        let last = if self.file.is_some() { "]}" } else { "" };
        writeln!(self.to, "{last}]}}")
    }
}

/// A page of a file; none if its path is no text: JSON could not name it.
fn photo(image: &PlacedImage, text: &PageText) -> Option<Value> {
    let path = absolute(&image.root, &image.path);
    let mut photo = json!({
        "@type": "Photo",
        "title": shown(&image.path.name),
        "protocol": "file",
        "path": path.to_str()?,
        // Tropy counts the pages of a file from 0.
        "page": image.path.page - 1,
        "note": notes(&text.text),
    });
    if let Some(pixels) = image.pixels {
        photo["width"] = pixels.width.into();
        photo["height"] = pixels.height.into();
    }
    Some(photo)
}

/// The text of a page as the one note of its photo; a blank page has none.
fn notes(text: &str) -> Value {
    let html = html(text);
    if html.is_empty() { json!([]) } else { json!([{"@type": "Note", "html": html}]) }
}

/// Paragraphs, and breaks between their lines: what Tropy's editor keeps of a text.
fn html(text: &str) -> String {
    let escaped = |line: &&str| line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let paragraph = |lines: Vec<&str>| {
        let lines: Vec<String> = lines.iter().map(escaped).collect();
        format!("<p>{}</p>", lines.join("<br>"))
    };
    paragraphs(text).into_iter().map(paragraph).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_as_the_editor_takes_it() {
        assert_eq!(
            html("Dear <b>Sir</b>,\n& friends\n\n\nYours\n"),
            "<p>Dear &lt;b&gt;Sir&lt;/b&gt;,<br>&amp; friends</p><p>Yours</p>"
        );
        assert_eq!(notes("\n"), json!([]));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_json_cannot_hold_makes_no_photo() {
        let image = |name: &[u8]| PlacedImage {
            id: crate::domain::ids::ImageId(1),
            directory: 1,
            root: b"/in".to_vec(),
            path: RelPath { folder: Vec::new(), name: name.to_vec(), page: 2 },
            pixels: None,
            state: crate::ledger::moves::ImageState::Done,
            asked: 1,
            flags: Vec::new(),
            reason: None,
            text: Some("txt".to_owned()),
            text_hash: None,
            model: None,
            recipe: None,
        };
        let text = PageText { text: String::new(), ours: true, changed: 0 };
        let told = photo(&image(b"a.tif"), &text).expect("a photo");
        assert_eq!((&told["path"], &told["page"], &told["width"]), (&"/in/a.tif".into(), &1.into(), &Value::Null));
        assert_eq!(photo(&image(b"a\xff.tif"), &text), None);
    }
}
