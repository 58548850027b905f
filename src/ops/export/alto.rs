//! ALTO 4.4: the lines of a page in reading order. No position is told, because none is known; every one is optional in the
//! schema (source: altoxml/schema, `v4/alto-4-4.xsd`).

use super::texts::{PageText, paragraphs};
use super::tree::Leaf;
use super::xml::Xml;
use crate::domain::image::shown;
use crate::kit::hash;

const NAMESPACE: &str = "http://www.loc.gov/standards/alto/ns-v4#";
const SCHEMA: &str = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd";

/// The file of a page. Empty lines part blocks; words part at white space, of which only that it was there is kept.
pub(super) fn document(leaf: &Leaf<'_>) -> Option<Vec<u8>> {
    let Leaf { image, text } = leaf;
    let mut xml = Xml::new();
    let location = format!("{NAMESPACE} {SCHEMA}");
    xml.open(
        "alto",
        &[
            ("xmlns", NAMESPACE),
            ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
            ("xsi:schemaLocation", &location),
            ("SCHEMAVERSION", "4.4"),
        ],
    );
    xml.open("Description", &[]);
    xml.text("MeasurementUnit", "pixel");
    xml.open("sourceImageInformation", &[]);
    xml.text("fileName", &shown(&image.path.name));
    xml.text("fileIdentifier", &shown(&image.path.with_page(1).joined()));
    xml.close();
    processing(&mut xml, leaf);
    xml.close();
    xml.open("Layout", &[]);
    let number = image.path.page.to_string();
    let size = image.pixels.map(|pixels| (pixels.width.to_string(), pixels.height.to_string()));
    let mut attributes = vec![("ID", "page"), ("PHYSICAL_IMG_NR", &number[..])];
    if text.ours {
        attributes.push(("PROCESSINGREFS", "reading"));
    }
    if let Some((width, height)) = &size {
        attributes.extend([("WIDTH", &width[..]), ("HEIGHT", height)]);
    }
    xml.open("Page", &attributes);
    xml.open("PrintSpace", &[]);
    for (block, lines) in (1..).zip(paragraphs(&text.text)) {
        xml.open("TextBlock", &[("ID", &format!("block_{block}"))]);
        for (number, line) in (1..).zip(lines) {
            xml.open("TextLine", &[("ID", &format!("line_{block}_{number}"))]);
            for (n, word) in line.split_whitespace().enumerate() {
                if n > 0 {
                    xml.empty("SP", &[]);
                }
                xml.empty("String", &[("CONTENT", word)]);
            }
            xml.close();
        }
        xml.close();
    }
    Some(xml.sealed())
}

/// Who read the page; nothing of a text that a person wrote or changed.
fn processing(xml: &mut Xml, Leaf { image, text }: &Leaf<'_>) {
    let PageText { ours: true, .. } = text else { return };
    xml.open("Processing", &[("ID", "reading")]);
    xml.text("processingCategory", "contentGeneration");
    if let (Some(model), Some(recipe)) = (&image.model, image.recipe) {
        xml.text("processingStepDescription", &format!("transcribed by {model}"));
        xml.text("processingStepSettings", &format!("recipe {}", hash::hex(&recipe)));
    }
    xml.open("processingSoftware", &[]);
    xml.text("softwareName", "batchscribe");
    xml.text("softwareVersion", env!("CARGO_PKG_VERSION"));
    xml.close();
    xml.close();
}
