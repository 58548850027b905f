//! hOCR 1.2 as XHTML: the page with its paragraphs and lines. Only the page has a box, because no other is known (source: the hOCR
//! specification, sections 2.1, 3 and 4).

use super::texts::paragraphs;
use super::tree::Leaf;
use super::xml::Xml;
use crate::domain::image::shown;

/// The file of a page. Letters of either direction keep theirs: each paragraph finds its own.
pub(super) fn document(leaf: &Leaf<'_>) -> Option<Vec<u8>> {
    let Leaf { image, text } = leaf;
    let mut xml = Xml::new();
    xml.open("html", &[("xmlns", "http://www.w3.org/1999/xhtml")]);
    xml.open("head", &[]);
    xml.text("title", &image.path.shown());
    let system = concat!("batchscribe ", env!("CARGO_PKG_VERSION"));
    let model = image.model.as_ref().filter(|_| text.ours).map(|model| format!("{system} ({model})"));
    xml.empty("meta", &[("http-equiv", "Content-Type"), ("content", "text/html; charset=utf-8")]);
    xml.empty(
        "meta",
        &[("name", "ocr-system"), ("content", model.as_deref().unwrap_or(if text.ours { system } else { "unknown" }))],
    );
    xml.empty("meta", &[("name", "ocr-capabilities"), ("content", "ocr_page ocr_par ocr_line")]);
    xml.empty("meta", &[("name", "ocr-number-of-pages"), ("content", "1")]);
    xml.close();
    xml.open("body", &[]);
    xml.open("div", &[("class", "ocr_page"), ("id", "page_1"), ("title", &title(leaf))]);
    for (block, lines) in (1..).zip(paragraphs(&text.text)) {
        xml.open("p", &[("class", "ocr_par"), ("id", &format!("par_{block}")), ("dir", "auto")]);
        for (number, line) in (1..).zip(lines) {
            if number > 1 {
                xml.empty("br", &[]);
            }
            xml.text_with("span", &[("class", "ocr_line"), ("id", &format!("line_{block}_{number}"))], line);
        }
        xml.close();
    }
    Some(xml.sealed())
}

/// The properties of the page: its image, its box, its number in the file, counted from 0.
fn title(Leaf { image, .. }: &Leaf<'_>) -> String {
    // The format parts strings by quotation marks, and has no way to write one.
    let name = shown(&image.path.name).replace('"', "%22");
    let bounds = image.pixels.map(|pixels| format!("bbox 0 0 {} {}; ", pixels.width, pixels.height));
    format!("image \"{name}\"; {}ppageno {}", bounds.unwrap_or_default(), image.path.page - 1)
}
