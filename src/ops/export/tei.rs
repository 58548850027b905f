//! TEI P5: the page as a surface without zones, its text as paragraphs whose lines begin with `lb` (source: TEI P5 Guidelines,
//! chapters 2, 3.11.3 and 12).

use super::texts::paragraphs;
use super::tree::Leaf;
use super::uri;
use super::xml::Xml;
use crate::domain::image::shown;
use crate::kit::hash;

const NAMESPACE: &str = "http://www.tei-c.org/ns/1.0";

/// The file of a page.
pub(super) fn document(leaf: &Leaf<'_>) -> Option<Vec<u8>> {
    let Leaf { image, text } = leaf;
    let mut xml = Xml::new();
    xml.open("TEI", &[("xmlns", NAMESPACE)]);
    header(&mut xml, leaf);
    let size = image.pixels.map(|pixels| (pixels.width.to_string(), pixels.height.to_string()));
    let (mut surface, mut graphic) = (vec![("xml:id", "page")], Vec::new());
    let url = uri::path(&image.path.name);
    graphic.push(("url", url.clone()));
    if let Some((width, height)) = &size {
        surface.extend([("ulx", "0"), ("uly", "0"), ("lrx", &width[..]), ("lry", height)]);
        graphic.extend([("width", format!("{width}px")), ("height", format!("{height}px"))]);
    }
    xml.open("facsimile", &[]);
    xml.open("surface", &surface);
    let graphic: Vec<(&str, &str)> = graphic.iter().map(|(name, value)| (*name, &value[..])).collect();
    xml.empty("graphic", &graphic);
    xml.close();
    xml.close();
    xml.open("text", &[]);
    xml.open("body", &[]);
    xml.empty("pb", &[("facs", "#page"), ("n", &image.path.page.to_string())]);
    let paragraphs = paragraphs(&text.text);
    if paragraphs.is_empty() {
        // A body has to hold something: that of a blank page, nothing of which is said.
        xml.empty("p", &[]);
    }
    for lines in paragraphs {
        xml.open("p", &[]);
        lines.iter().for_each(|line| xml.before("lb", line));
        xml.close();
    }
    Some(xml.sealed())
}

/// What a TEI document has to say of itself, and who read the page; nothing of a text that a person wrote or changed.
fn header(xml: &mut Xml, Leaf { image, text }: &Leaf<'_>) {
    xml.open("teiHeader", &[]);
    xml.open("fileDesc", &[]);
    xml.open("titleStmt", &[]);
    xml.text("title", &image.path.shown());
    xml.close();
    xml.open("publicationStmt", &[]);
    xml.text("p", "Exported by batchscribe.");
    xml.close();
    xml.open("sourceDesc", &[]);
    xml.text("p", &format!("Page {} of the image {}", image.path.page, shown(&image.path.with_page(1).joined())));
    xml.close();
    xml.close();
    if text.ours {
        xml.open("encodingDesc", &[]);
        xml.open("appInfo", &[]);
        xml.open("application", &[("ident", "batchscribe"), ("version", env!("CARGO_PKG_VERSION"))]);
        xml.text("label", "batchscribe");
        if let (Some(model), Some(recipe)) = (&image.model, image.recipe) {
            xml.text("desc", &format!("transcribed by {model}, recipe {}", hash::hex(&recipe)));
        }
        (0..3).for_each(|_| xml.close());
    }
    xml.close();
}
