//! PAGE-XML of 2019-07-15: one region that is the whole page, and its text (source: PRImA's `pagecontent.xsd` of that day). Lines
//! would each need an outline, and none is known.

use super::texts::lines;
use super::tree::Leaf;
use super::xml::Xml;
use crate::domain::image::{Pixels, shown};
use crate::kit::clock::utc;
use crate::kit::hash;

const NAMESPACE: &str = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15";

/// The file of a page; none if its size is not known, because the form wants it.
pub(super) fn document(leaf: &Leaf<'_>) -> Option<Vec<u8>> {
    let Leaf { image, text } = leaf;
    let pixels = image.pixels?;
    let mut xml = Xml::new();
    let location = format!("{NAMESPACE} {NAMESPACE}/pagecontent.xsd");
    xml.open(
        "PcGts",
        &[
            ("xmlns", NAMESPACE),
            ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
            ("xsi:schemaLocation", &location),
        ],
    );
    xml.open("Metadata", &[]);
    xml.text("Creator", concat!("batchscribe ", env!("CARGO_PKG_VERSION")));
    // The text's own time, not that of the export: the same text makes the same file.
    let changed = utc(text.changed);
    xml.text("Created", &changed);
    xml.text("LastChange", &changed);
    if let (true, Some(model), Some(recipe)) = (text.ours, &image.model, image.recipe) {
        xml.text("Comments", &format!("transcribed by {model}, recipe {}", hash::hex(&recipe)));
    }
    xml.close();
    let name = shown(&image.path.name);
    let (width, height) = (pixels.width.to_string(), pixels.height.to_string());
    xml.open("Page", &[("imageFilename", &name), ("imageWidth", &width), ("imageHeight", &height)]);
    xml.open("TextRegion", &[("id", "page")]);
    xml.empty("Coords", &[("points", &outline(pixels))]);
    xml.open("TextEquiv", &[]);
    xml.text("Unicode", &lines(&text.text).collect::<Vec<_>>().join("\n"));
    Some(xml.sealed())
}

/// The corners of the page, clockwise: its outermost pixels.
fn outline(Pixels { width, height }: Pixels) -> String {
    let (right, bottom) = (width.saturating_sub(1), height.saturating_sub(1));
    format!("0,0 {right},0 {right},{bottom} 0,{bottom}")
}
