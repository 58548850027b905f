//! A manifest of IIIF Presentation 3: a canvas for each page, as large as its image, and its text as an annotation of the whole canvas
//! (source: IIIF Presentation API 3.0, sections 3, 5 and B).

use std::io::{self, Write};

use serde_json::{Value, json};

use super::texts::{Of, PageText, lines};
use super::{Error, Source, Told, because, uri};
use crate::domain::image::{Pixels, RelPath};

const CONTEXT: &str = "http://iiif.io/api/presentation/3/context.json";

/// An address below which others can be, without a slash at its end; `None` if this is none.
#[must_use]
pub fn base_address(text: &str) -> Option<String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let is_odd = text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'));
    (!host.trim_matches('/').is_empty() && !is_odd).then(|| text.trim_end_matches('/').to_owned())
}

/// Writes the manifest, canvas by canvas. A manifest has to have one (section 5.2): where there is none, nothing is written.
pub(super) fn write(source: &Source<'_>, to: &mut dyn Write, base: &str) -> Result<Told, Error> {
    let mut told = Told::default();
    let mut texts = source.texts();
    source.placed(&mut |image| {
        let of = Of::placed(&image);
        let found = if of.kind() == Some("api") { Ok(None) } else { texts.of(of)? };
        match (found, image.pixels) {
            (Ok(Some(text)), Some(pixels)) => {
                let folder = source.folder(&image.root, &image.path);
                let path = RelPath { folder, ..image.path };
                match told.written {
                    0 => begin(to, base)?,
                    _ => write!(to, ",")?,
                }
                write!(to, "\n{}", canvas(base, &path, pixels, &text))?;
                told.written += 1;
            }
            (Ok(Some(_)), None) => told.unfit.add(image.path.shown()),
            (Ok(None), _) => told.without += 1,
            (Err(cause), _) => told.unread.add(because(&image.path, &cause)),
        }
        Ok(())
    })?;
    if told.written == 0 {
        return Err(Error::NothingToTell(told));
    }
    writeln!(to, "\n]}}")?;
    Ok(told)
}

fn begin(to: &mut dyn Write, base: &str) -> io::Result<()> {
    let (id, label) = (Value::from(format!("{base}/manifest.json")), Value::from(base));
    write!(
        to,
        "{{\"@context\":\"{CONTEXT}\",\"id\":{id},\"type\":\"Manifest\",\"label\":{{\"none\":[{label}]}},\"items\":["
    )
}

/// A page. A page of a file that has several is asked for by `?page=`, since the file has one address.
fn canvas(base: &str, path: &RelPath, Pixels { width, height }: Pixels, text: &PageText) -> Value {
    let file = uri::path(&path.with_page(1).joined());
    let page = if path.page > 1 { format!("?page={}", path.page) } else { String::new() };
    // No image lies below a file, so no canvas bears the address of one.
    let id = format!("{base}/manifest.json/canvas/{file}{page}");
    let part = |name: &str| format!("{id}#{name}");
    let body = json!({"id": format!("{base}/{file}{page}"), "type": "Image", "width": width, "height": height});
    let painting =
        json!({"id": part("painting"), "type": "Annotation", "motivation": "painting", "body": body, "target": id});
    json!({
        "id": id,
        "type": "Canvas",
        "label": {"none": [path.shown()]},
        "width": width,
        "height": height,
        "items": [{"id": part("image"), "type": "AnnotationPage", "items": [painting]}],
        "annotations": [{"id": part("texts"), "type": "AnnotationPage", "items": annotations(&part("text"), &id, text)}],
    })
}

/// The text of a page; a blank page has none.
fn annotations(id: &str, canvas: &str, text: &PageText) -> Vec<Value> {
    let value = lines(&text.text).collect::<Vec<_>>().join("\n");
    if value.trim().is_empty() {
        return Vec::new();
    }
    let body = json!({"type": "TextualBody", "format": "text/plain", "value": value});
    vec![json!({"id": id, "type": "Annotation", "motivation": "supplementing", "body": body, "target": canvas})]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_can_have_others_below() {
        for (text, told) in [
            ("https://example.org/l/", Some("https://example.org/l")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("https://", None),
            ("https:///", None),
            ("example.org", None),
            ("https://example.org/?a=b", None),
            ("https://example.org/a b", None),
        ] {
            assert_eq!(base_address(text).as_deref(), told, "{text}");
        }
    }
}
