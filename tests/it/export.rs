//! `export`: what other programs are given, and what they make of it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::hash;
use serde_json::Value;

use crate::cancel::call;
use crate::prepared::tiff;
use crate::sandbox::{Sandbox, Weather};

const WEATHER: &str = r#"
[[line]]
custom_id_contains = "page0003"
outcome = "content_filter"

[[line]]
custom_id_contains = "page0005"
outcome = "fenced"
"#;

/// What a text may hold, and XML may not.
const ODD: &str = "\u{feff}Dear  <Sir> & \"friends\",\r\n\ta\u{1}b\u{c}c ]]>\n\n\n日本 😀\n";

/// Six images in two folders, one of which fails, and one whose answer is flagged; a file of three pages; an image whose text a person wrote.
pub(crate) fn finished() -> Sandbox {
    let weather = Weather { scenario: Scenario::read(WEATHER).expect("a scenario"), ..Weather::default() };
    let sandbox = Sandbox::with(6, weather);
    sandbox.image("=box/a & <b>.png", 77);
    std::fs::write(sandbox.corpus().join("=box/a & <b>.png.txt"), ODD).expect("a person's text");
    std::fs::write(sandbox.corpus().join("deed.tif"), tiff(&[10, 200, 90])).expect("a file of pages");
    assert!(sandbox.run().fault.is_none());
    sandbox
}

fn rows(sandbox: &Sandbox, file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(sandbox.workspace().join(file)).expect("a table");
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut sha256 = hash::Sha256::default();
    sha256.update(bytes);
    hash::hex(&sha256.finish())
}

#[test]
fn a_line_for_every_image_with_its_text_and_what_it_cost() {
    let mut sandbox = finished();
    sandbox.set("request.model", "gpt-5.6-luna");
    let (exit, out, err) = call(&sandbox, "export jsonl");
    assert_eq!(exit, Some(0), "{err}");
    assert_eq!(err, "1 image has no text, or only a rough one; see: batchscribe status\n");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 10);
    let of =
        |path: &str, page: u64| lines.iter().find(|line| line["path"] == path && line["page"] == page).expect("a line");
    for (n, line) in lines.iter().enumerate().filter(|(_, line)| line["state"] == "done" && line["page"] == 1) {
        let file = sandbox.corpus().join(line["text_file"].as_str().expect("a file"));
        let text = std::fs::read_to_string(file).expect("its text");
        let first = text.split('\u{c}').next();
        assert_eq!(line["text"].as_str(), first, "line {n}");
        assert_eq!(line["edited"], false);
        assert!(line["tokens_in"].as_u64() > Some(0) && line["cost_usd"].is_number(), "{line}");
        assert!(line["model"].is_string() && line["batch"].is_string() && line["finished_at"].is_string(), "{line}");
    }
    let failed = of("tray_1/page0003.png", 1);
    assert_eq!(
        (&failed["state"], &failed["reason"], &failed["text"]),
        (&"failed".into(), &"content_filter".into(), &Value::Null)
    );
    let whole = sandbox.text("deed.tif").expect("a text");
    let pages: Vec<&str> = (1..=3).map(|page| of("deed.tif", page)["text"].as_str().expect("a text")).collect();
    assert_eq!(pages.join("\u{c}"), whole, "each page has its part");
    let own = of("=box/a & <b>.png", 1);
    assert_eq!((&own["state"], &own["edited"], &own["tokens_in"]), (&"skipped".into(), &true.into(), &Value::Null));
    assert_eq!(own["text"].as_str(), ODD.strip_prefix('\u{feff}'));
    let (exit, none, err) = call(&sandbox, "export jsonl --out all.jsonl");
    assert_eq!((exit, none.as_str()), (Some(0), ""));
    assert!(err.starts_with("Wrote 10 lines to "), "{err}");
    assert_eq!(std::fs::read_to_string(sandbox.workspace().join("all.jsonl")).expect("file"), out);
}

#[test]
fn a_file_that_is_there_is_replaced_with_leave_alone() {
    let sandbox = finished();
    call(&sandbox, "report");
    let (exit, _, err) = call(&sandbox, "export csv --out report.csv");
    assert_eq!(exit, Some(2), "{err}");
    assert!(err.contains("E109") && err.contains("report.csv is there already") && err.contains("--yes"), "{err}");
    std::fs::write(sandbox.workspace().join("mine.csv"), "mine").expect("a file");
    assert_eq!(call(&sandbox, "export csv --out mine.csv --yes").0, Some(0));
    assert_eq!(rows(&sandbox, "mine.csv"), rows(&sandbox, "report.csv"), "it is the report's table");
    assert_eq!(call(&sandbox, "export csv").1.lines().count(), 11, "on the standard output as well");
    for form in ["alto", "page", "tei", "hocr", "txt-zip"] {
        let (exit, out, err) = call(&sandbox, &format!("export {form}"));
        assert_eq!((exit, out.as_str()), (Some(2), ""), "{form}: {err}");
        assert!(err.contains("--out"), "{err}");
    }
}

#[test]
fn an_archive_of_the_texts_as_they_are() {
    let sandbox = finished();
    let (exit, _, err) = call(&sandbox, "export txt-zip --out texts.zip");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.starts_with("Wrote 7 texts and manifest.csv to ") && err.contains("\n1 image has no text"), "{err}");
    let bytes = std::fs::read(sandbox.workspace().join("texts.zip")).expect("an archive");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).expect("an archive");
    assert_eq!(archive.len(), 8);
    let mut list = String::new();
    archive.by_name("manifest.csv").expect("a list").read_to_string(&mut list).expect("text");
    let mut listed = csv::Reader::from_reader(list.as_bytes());
    let mut texts = 0;
    for row in listed.records() {
        let row = row.expect("a row");
        let name = row[0].strip_prefix("./").unwrap_or(&row[0]).to_owned();
        let mut text = Vec::new();
        archive.by_name(&name).expect("a text").read_to_end(&mut text).expect("its bytes");
        assert_eq!(text, std::fs::read(sandbox.corpus().join(&name)).expect("the text"), "byte for byte");
        assert_eq!(
            (&row[3], &row[4], &row[5]),
            (&*text.len().to_string(), &*hash::hex_digits(&text, 64), &*sha256(&text))
        );
        texts += 1;
    }
    assert_eq!(texts, 7);
    assert!(list.contains("\n./=box/"), "no spreadsheet takes a path for a formula: {list}");
    call(&sandbox, "export txt-zip --out again.zip");
    assert_eq!(
        std::fs::read(sandbox.workspace().join("again.zip")).expect("an archive"),
        bytes,
        "the same texts, the same bytes"
    );
    assert!(sandbox.tree().iter().all(|file| !file.ends_with(".tmp")), "the scratch file is gone");
}

#[test]
fn a_text_that_outlived_its_image_is_handed_over_and_says_so() {
    let sandbox = Sandbox::new(2);
    assert!(sandbox.run().fault.is_none());
    let (exit, _, err) = call(&sandbox, "retry --where state=done --path tray_0/page0000.png");
    assert_eq!(exit, Some(0), "{err}");
    std::fs::remove_file(sandbox.corpus().join("tray_0/page0000.png")).expect("it was there");
    assert_eq!(sandbox.run().standing.failed, 1);
    let (exit, _, err) = call(&sandbox, "export txt-zip --out texts.zip");
    assert!(exit == Some(0) && err.starts_with("Wrote 2 texts and manifest.csv to "), "{err}");
    let bytes = std::fs::read(sandbox.workspace().join("texts.zip")).expect("an archive");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).expect("an archive");
    let mut list = String::new();
    archive.by_name("manifest.csv").expect("a list").read_to_string(&mut list).expect("text");
    let mut listed = csv::Reader::from_reader(list.as_bytes());
    let states: Vec<[String; 2]> =
        listed.records().map(|row| row.expect("a row")).map(|row| [row[1].to_owned(), row[6].to_owned()]).collect();
    let of = |name: &str, state: &str| [name.to_owned(), state.to_owned()];
    assert_eq!(states, [of("tray_0/page0000.png", "failed"), of("tray_1/page0001.png", "done")]);
    let (_, _, err) = call(&sandbox, "export txt-zip --out done.zip --where state=done");
    assert!(err.starts_with("Wrote 1 text and manifest.csv to "), "{err}");
}

/// Files of a tree as its list tells them; their checksums hold.
fn listed(sandbox: &Sandbox, out: &str) -> Vec<PathBuf> {
    let folder = sandbox.workspace().join(out);
    let rows = rows(sandbox, &format!("{out}/manifest.csv"));
    assert_eq!(rows[0], ["file", "image", "page", "bytes", "blake3", "sha256", "state"]);
    rows[1..]
        .iter()
        .map(|row| {
            let path = folder.join(&row[0]);
            let bytes = std::fs::read(&path).expect("a file of the list");
            assert_eq!((&row[3], &row[5]), (&bytes.len().to_string(), &sha256(&bytes)));
            path
        })
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

/// Whether files fit a schema, as libxml2 sees it; where it is not installed, that is said.
fn fits(schema: &str, files: &[PathBuf]) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemas").join(schema);
    is_well(Command::new("xmllint").args(["--nonet", "--noout", "--schema"]).arg(schema).args(files));
}

fn is_well(xmllint: &mut Command) {
    match xmllint.output() {
        Ok(told) => assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            use std::io::Write as _;
            writeln!(std::io::stderr(), "skipped: xmllint is not installed").expect("stderr");
        }
        Err(cause) => panic!("xmllint: {cause}"),
    }
}

#[test]
fn alto_holds_the_lines_and_invents_no_place() {
    let sandbox = finished();
    let (exit, _, err) = call(&sandbox, "export alto --out alto");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.starts_with("Wrote 9 pages and manifest.csv below "), "{err}");
    let files = listed(&sandbox, "alto");
    assert_eq!(files.len(), 9);
    fits("alto-4-4-excerpt.xsd", &files);
    let page = read(&sandbox.workspace().join("alto/tray_0/page0000.png.xml"));
    let text = sandbox.text("tray_0/page0000.png").expect("a text");
    let words: Vec<&str> = text.split_whitespace().collect();
    let told: Vec<&str> = page.split("CONTENT=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(told, words, "every word, in order");
    assert_eq!(page.matches("<TextLine ").count(), text.lines().filter(|line| !line.trim().is_empty()).count());
    assert!(page.contains("<fileName>page0000.png</fileName>") && page.contains("WIDTH=\"12\" HEIGHT=\"9\""), "{page}");
    assert!(page.contains("<processingStepDescription>transcribed by "), "{page}");
    assert!(
        !page.contains("HPOS") && !page.contains("VPOS") && !page.contains("BASELINE"),
        "nothing is known of places"
    );
    let odd = read(&sandbox.workspace().join("alto/=box/a & <b>.png.xml"));
    assert!(odd.contains("<fileName>a &amp; &lt;b&gt;.png</fileName>") && odd.contains("\"&lt;Sir&gt;\""), "{odd}");
    assert!(odd.contains("\"a\u{fffd}b\"") && !odd.contains('\u{1}') && !odd.contains("transcribed by"), "{odd}");
    let second = read(&sandbox.workspace().join("alto/deed.tif#2.xml"));
    assert!(second.contains("PHYSICAL_IMG_NR=\"2\"") && second.contains("WIDTH=\"24\""), "{second}");
}

#[test]
fn page_xml_holds_the_text_of_the_whole_page() {
    let sandbox = finished();
    let (exit, _, err) = call(&sandbox, "export page --out page");
    assert_eq!(exit, Some(0), "{err}");
    let files = listed(&sandbox, "page");
    assert_eq!(files.len(), 9, "{err}");
    fits("pagecontent-2019-07-15.xsd", &files);
    let page = read(&sandbox.workspace().join("page/tray_0/page0000.png.xml"));
    let text = sandbox.text("tray_0/page0000.png").expect("a text");
    assert!(page.contains(&format!("<Unicode>{}</Unicode>", text.trim_end_matches('\n'))), "{page}");
    assert!(page.contains("imageFilename=\"page0000.png\" imageWidth=\"12\" imageHeight=\"9\""), "{page}");
    assert!(page.contains("points=\"0,0 11,0 11,8 0,8\""), "{page}");
    assert_eq!(page.matches("<TextRegion ").count(), 1);
    let odd = read(&sandbox.workspace().join("page/=box/a & <b>.png.xml"));
    let told = "<Unicode>Dear  &lt;Sir&gt; &amp; \"friends\",\n\ta\u{fffd}b\nc ]]&gt;\n\n\n日本 😀</Unicode>";
    assert!(odd.contains(told) && !odd.contains("transcribed by"), "{odd}");
}

/// Whether files fit a RELAX NG schema, as libxml2 sees it; where it is not installed, that is said.
fn fits_grammar(grammar: &str, files: &[PathBuf]) {
    let grammar = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemas").join(grammar);
    is_well(Command::new("xmllint").args(["--nonet", "--noout", "--relaxng"]).arg(grammar).args(files));
}

/// Whether files are well-formed, as libxml2 sees it; where it is not installed, that is said.
fn are_well_formed(files: &[PathBuf]) {
    is_well(Command::new("xmllint").args(["--nonet", "--noout"]).args(files));
}

/// A text of both directions.
const HEBREW: &str = "שלום (1912) עולם\n\nand back\n";

#[test]
fn tei_has_the_page_as_a_surface_and_its_lines() {
    let sandbox = finished();
    std::fs::write(sandbox.corpus().join("tray_0/page0002.png.txt"), HEBREW).expect("a person's text");
    std::fs::write(sandbox.corpus().join("tray_0/page0004.png.txt"), "").expect("a blank page");
    let (exit, _, err) = call(&sandbox, "export tei --out tei");
    assert_eq!(exit, Some(0), "{err}");
    let files = listed(&sandbox, "tei");
    assert_eq!(files.len(), 9, "{err}");
    fits_grammar("tei-excerpt.rng", &files);
    let of = |file: &str| read(&sandbox.workspace().join("tei").join(file));
    let page = of("tray_0/page0002.png.xml");
    let body = "    <body>
      <pb facs=\"#page\" n=\"1\"/>
      <p>
        <lb/>שלום (1912) עולם
      </p>
      <p>
        <lb/>and back
      </p>
    </body>
";
    assert!(page.contains(body), "{page}");
    assert!(page.contains("<surface xml:id=\"page\" ulx=\"0\" uly=\"0\" lrx=\"12\" lry=\"9\">\n"), "{page}");
    assert!(page.contains("<graphic url=\"page0002.png\" width=\"12px\" height=\"9px\"/>"), "{page}");
    assert!(!page.contains("appInfo") && !page.contains("<zone"), "a person wrote it, and no place is known: {page}");
    let ours = of("tray_0/page0000.png.xml");
    assert!(ours.contains("<application ident=\"batchscribe\"") && ours.contains("<desc>transcribed by "), "{ours}");
    assert!(of("tray_0/page0004.png.xml").contains("n=\"1\"/>\n      <p/>\n    </body>"));
    assert!(of("deed.tif#2.xml").contains("<pb facs=\"#page\" n=\"2\"/>"));
    let odd = of("=box/a & <b>.png.xml");
    assert!(
        odd.contains("<graphic url=\"a%20%26%20%3Cb%3E.png\"") && odd.contains("<lb/>Dear  &lt;Sir&gt; &amp; \""),
        "{odd}"
    );
    assert!(odd.contains("a\u{fffd}b") && !odd.contains('\u{1}'), "{odd}");
}

#[test]
fn hocr_has_paragraphs_and_lines_and_one_box() {
    let sandbox = finished();
    std::fs::write(sandbox.corpus().join("tray_0/page0002.png.txt"), HEBREW).expect("a person's text");
    let (exit, _, err) = call(&sandbox, "export hocr --out hocr");
    assert_eq!(exit, Some(0), "{err}");
    let files = listed(&sandbox, "hocr");
    assert_eq!(files.len(), 9, "{err}");
    are_well_formed(&files);
    let of = |file: &str| read(&sandbox.workspace().join("hocr").join(file));
    let page = of("tray_0/page0002.png.hocr");
    let body = "  <body>
    <div class=\"ocr_page\" id=\"page_1\" title=\"image &quot;page0002.png&quot;; bbox 0 0 12 9; ppageno 0\">
      <p class=\"ocr_par\" id=\"par_1\" dir=\"auto\">
        <span class=\"ocr_line\" id=\"line_1_1\">שלום (1912) עולם</span>
      </p>
      <p class=\"ocr_par\" id=\"par_2\" dir=\"auto\">
        <span class=\"ocr_line\" id=\"line_2_1\">and back</span>
      </p>
    </div>
  </body>
";
    assert!(page.contains(body), "{page}");
    let odd = of("=box/a & <b>.png.hocr");
    assert_eq!((odd.matches("bbox").count(), odd.matches("<br/>").count()), (1, 2), "{odd}");
    assert!(odd.contains("a\u{fffd}b</span>") && odd.contains("Dear  &lt;Sir&gt; &amp; \"friends\","), "{odd}");
    assert!(of("deed.tif#2.hocr").contains("ppageno 1"));
    assert!(of("tray_0/page0000.png.hocr").contains("name=\"ocr-system\" content=\"batchscribe "));
    assert_eq!(call(&sandbox, "export hocr --out hocr").0, Some(0));
    assert_eq!(listed(&sandbox, "hocr").len(), 9, "it knows its own files again");
}

#[test]
fn a_manifest_of_iiif_has_a_canvas_for_each_page() {
    let sandbox = finished();
    std::fs::write(sandbox.corpus().join("tray_0/page0002.png.txt"), HEBREW).expect("a person's text");
    std::fs::write(sandbox.corpus().join("tray_0/page0004.png.txt"), "").expect("a blank page");
    let (exit, out, err) = call(&sandbox, "export iiif");
    assert!(exit == Some(2) && out.is_empty() && err.contains("--base"), "{err}");
    assert_eq!(call(&sandbox, "export iiif --base here").0, Some(2));
    let (exit, out, err) = call(&sandbox, "export iiif --base https://example.org/l/");
    assert_eq!((exit, err.as_str()), (Some(0), "1 image has no text, or only a rough one; see: batchscribe status\n"));
    let manifest: Value = serde_json::from_str(&out).expect("JSON");
    is_a_manifest(&manifest);
    assert!(out.starts_with("{\"@context\":"), "what it is stands first");
    assert_eq!(manifest["@context"], "http://iiif.io/api/presentation/3/context.json");
    assert_eq!(
        (&manifest["type"], &manifest["id"]),
        (&"Manifest".into(), &"https://example.org/l/manifest.json".into())
    );
    let canvases = manifest["items"].as_array().expect("canvases");
    assert_eq!(canvases.len(), 9);
    let mut ids = std::collections::BTreeSet::new();
    for canvas in canvases {
        let painting = &canvas["items"][0]["items"][0];
        assert_eq!([&canvas["type"], &painting["motivation"]], ["Canvas", "painting"]);
        assert_eq!([&painting["body"]["width"], &painting["body"]["height"]], [&canvas["width"], &canvas["height"]]);
        assert_eq!(painting["target"], canvas["id"]);
        for id in [&canvas["id"], &painting["id"], &painting["body"]["id"], &canvas["annotations"][0]["id"]] {
            let id = id.as_str().expect("an id");
            assert!(id.starts_with("https://example.org/l/") && !id.contains([' ', '<', '"']), "{id}");
            assert!(ids.insert(id.to_owned()), "{id} is not its own");
        }
    }
    let of = |label: &str| canvases.iter().find(|canvas| canvas["label"]["none"][0] == label).expect("a canvas");
    let text = |canvas: &Value| canvas["annotations"][0]["items"][0]["body"]["value"].clone();
    assert_eq!(text(of("tray_0/page0002.png")), HEBREW.trim_end());
    assert_eq!(of("tray_0/page0002.png")["annotations"][0]["items"][0]["motivation"], "supplementing");
    assert_eq!(of("tray_0/page0004.png")["annotations"][0]["items"], serde_json::json!([]), "a blank page");
    assert_eq!((&of("tray_0/page0000.png")["width"], &of("tray_0/page0000.png")["height"]), (&12.into(), &9.into()));
    let odd = of("=box/a & <b>.png");
    assert_eq!(odd["items"][0]["items"][0]["body"]["id"], "https://example.org/l/%3Dbox/a%20%26%20%3Cb%3E.png");
    assert_eq!(text(odd), "Dear  <Sir> & \"friends\",\n\ta\u{1}b\nc ]]>\n\n\n日本 😀");
    assert!(of("deed.tif#2")["id"].as_str().is_some_and(|id| id.ends_with("/canvas/deed.tif?page=2")));
}

/// Whether an address is one of the web, without a part behind `#` where it names a canvas.
fn is_address(id: &Value, may_have_part: bool) -> bool {
    id.as_str().is_some_and(|id| id.starts_with("http") && (may_have_part || !id.contains('#')))
}

/// The rules of IIIF Presentation 3.0 (sections 3, 4.4 and 5) for what a manifest of ours has: no viewer shows one that breaks them.
fn is_a_manifest(manifest: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| panic!("a list: {value}"));
    let labelled = |thing: &Value| {
        let label = thing["label"].as_object().expect("a label by language");
        let texts = |texts: &Value| list(texts).iter().all(Value::is_string) && !list(texts).is_empty();
        assert!(!label.is_empty() && label.values().all(texts), "{thing}");
    };
    let page = |page: &Value, motivation: &str, canvas: &Value| {
        assert!(page["type"] == "AnnotationPage" && is_address(&page["id"], true), "{page}");
        for annotation in list(&page["items"]) {
            assert!(annotation["type"] == "Annotation" && is_address(&annotation["id"], true), "{annotation}");
            assert_eq!((&annotation["motivation"], &annotation["target"]), (&motivation.into(), &canvas["id"]));
            let body = &annotation["body"];
            let is_right = match motivation {
                "painting" => body["type"] == "Image" && is_address(&body["id"], false),
                _ => body["type"] == "TextualBody" && body["value"].is_string() && body["format"] == "text/plain",
            };
            assert!(is_right, "{annotation}");
        }
    };
    assert!(manifest["type"] == "Manifest" && is_address(&manifest["id"], false), "{manifest}");
    labelled(manifest);
    assert!(!list(&manifest["items"]).is_empty(), "a manifest has a canvas at least");
    for canvas in list(&manifest["items"]) {
        assert!(canvas["type"] == "Canvas" && is_address(&canvas["id"], false), "{canvas}");
        labelled(&canvas);
        for side in ["width", "height"] {
            assert!(canvas[side].as_u64().is_some_and(|side| side > 0), "{canvas}");
        }
        assert_eq!(list(&canvas["items"]).len(), 1, "{canvas}");
        list(&canvas["items"]).iter().for_each(|one| page(one, "painting", &canvas));
        list(&canvas["annotations"]).iter().for_each(|one| page(one, "supplementing", &canvas));
        assert_eq!(list(&canvas["items"][0]["items"]).len(), 1, "one picture: {canvas}");
    }
}

#[test]
fn a_manifest_without_a_canvas_is_none() {
    let sandbox = finished();
    let iiif = "export iiif --base https://example.org/l";
    let (exit, out, err) = call(&sandbox, &format!("{iiif} --where state=failed"));
    assert!(exit == Some(2) && out.is_empty(), "{out}");
    assert!(err.contains("no page can go into the manifest") && err.contains("no image that was chosen"), "{err}");
    let (exit, _, err) = call(&sandbox, &format!("{iiif} --where state=failed --out empty.json"));
    assert_eq!(exit, Some(2), "{err}");
    assert!(sandbox.tree().iter().all(|file| !file.contains("empty.json") && !file.ends_with(".tmp")));
    std::fs::remove_file(sandbox.corpus().join("tray_1/page0005.png.txt")).expect("a text");
    let (exit, _, err) = call(&sandbox, &format!("{iiif} --where flag=fenced"));
    assert!(exit == Some(2) && err.contains("1 text cannot be read: tray_1/page0005.png: "), "{err}");
}

#[test]
fn a_flag_that_says_nothing_to_a_form_is_refused() {
    let sandbox = finished();
    for form in ["jsonl", "csv", "tropy", "alto --out there", "txt-zip --out texts.zip", "provenance", "parquet"] {
        let (exit, out, err) = call(&sandbox, &format!("export {form} --base https://example.org/l"));
        assert!(exit == Some(2) && out.is_empty(), "{form}: {out}");
        assert!(err.contains("error[E103]: --base is for export iiif alone"), "{form}: {err}");
    }
    assert!(!sandbox.workspace().join("there").exists());
}

#[test]
fn an_export_of_some_images_takes_the_conditions_of_retry() {
    let sandbox = finished();
    let lines = |line: &str| {
        let (exit, out, err) = call(&sandbox, line);
        assert_eq!(exit, Some(0), "{err}");
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let all = lines("export jsonl");
    let paths = |lines: &[Value]| lines.iter().map(|line| line["path"].to_string()).collect::<Vec<_>>();
    let failed = lines("export jsonl --where code=E502");
    assert_eq!(paths(&failed), ["\"tray_1/page0003.png\""]);
    assert_eq!(failed, lines("export jsonl --where state=failed|rough --where reason=content_filter"));
    let done = lines("export jsonl --where state=done");
    assert_eq!(done.len(), all.iter().filter(|line| line["state"] == "done").count());
    let flagged = all.iter().filter(|line| line["flags"].as_array().is_some_and(|flags| !flags.is_empty())).count();
    assert_eq!(paths(&lines("export jsonl --where flag=fenced|loop")), ["\"tray_1/page0005.png\""]);
    let (_, status, _) = call(&sandbox, "status --json");
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["images"]["flagged"], flagged);
    assert!(flagged > 0 && status["cost"]["unknown"] == 0, "{status}");
    assert_eq!(call(&sandbox, "export csv --where state=failed").1.lines().count(), 2);
    assert_eq!(call(&sandbox, "export tei --out some --where state=skipped").0, Some(0));
    assert_eq!(listed(&sandbox, "some").len(), 1, "a person's text alone");
    assert_eq!(call(&sandbox, "export tei --out flagged --where flag=fenced").0, Some(0));
    assert_eq!(listed(&sandbox, "flagged").len(), 1);
    for (line, told) in [
        ("export jsonl --where flag=odd", "flags are"),
        ("export jsonl --where odd", "is no condition"),
        ("export provenance --where state=done", "every request"),
    ] {
        let (exit, out, err) = call(&sandbox, line);
        assert!(exit == Some(2) && out.is_empty() && err.contains(told), "{line}: {err}");
    }
}

#[test]
fn a_second_export_replaces_its_own_and_nothing_else() {
    let sandbox = finished();
    let at = |file: &str| sandbox.workspace().join("out").join(file);
    assert_eq!(call(&sandbox, "export page --out out").0, Some(0));
    let edited = read(&at("tray_0/page0002.png.xml")).replace("<Unicode>", "<Unicode>by hand: ");
    std::fs::write(at("tray_0/page0002.png.xml"), &edited).expect("an edit");
    std::fs::write(sandbox.corpus().join("tray_0/page0000.png.txt"), "read by a person\n").expect("a text");
    let (exit, _, err) = call(&sandbox, "export page --out out");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.starts_with("Wrote 8 pages"), "{err}");
    assert!(err.contains("warning: 1 file left as they are") && err.contains("tray_0/page0002.png.xml"), "{err}");
    assert_eq!(read(&at("tray_0/page0002.png.xml")), edited, "a person was at it");
    assert!(
        read(&at("tray_0/page0000.png.xml")).contains("<Unicode>read by a person</Unicode>"),
        "it follows its text"
    );
    assert_eq!(listed(&sandbox, "out").len(), 8, "the list has what this export answers for");
    // The other form replaces what is ours, too; a list that is not ours stops it before anything is written.
    assert_eq!(call(&sandbox, "export alto --out out").0, Some(0));
    assert!(read(&at("tray_0/page0000.png.xml")).contains("<alto "));
    std::fs::write(at("manifest.csv"), "my,own,list\n").expect("a list");
    std::fs::remove_file(at("deed.tif.xml")).expect("a file");
    let (exit, _, err) = call(&sandbox, "export alto --out out");
    assert!(exit == Some(1) && err.contains("is not the list of an earlier export"), "{err}");
    assert!(!at("deed.tif.xml").exists(), "nothing was written");
    assert!(sandbox.tree().iter().all(|file| !file.ends_with(".tmp")));
}

#[test]
fn a_text_that_is_gone_is_told_and_the_others_go_on() {
    let sandbox = finished();
    std::fs::remove_file(sandbox.corpus().join("tray_0/page0000.png.txt")).expect("a text");
    std::fs::write(sandbox.corpus().join("deed.tif.txt"), "one text\u{c}for three pages\n").expect("a person's text");
    let (exit, _, err) = call(&sandbox, "export alto --out alto");
    assert_eq!(exit, Some(3), "{err}");
    assert!(err.contains("warning: 1 text cannot be read: tray_0/page0000.png: "), "{err}");
    assert!(err.contains("\n3 images have no text"), "page breaks do not fit: all of it is the first page's: {err}");
    let first = read(&sandbox.workspace().join("alto/deed.tif.xml"));
    assert_eq!(first.matches("CONTENT=").count(), 5, "{first}");
    assert!(!sandbox.workspace().join("alto/deed.tif#2.xml").exists());
    // The table holds no texts, and lacks none.
    assert_eq!(call(&sandbox, "export csv").0, Some(0));
    let others = ["jsonl", "tropy", "iiif --base https://example.org/l", "txt-zip --out t.zip", "hocr --out hocr"];
    for form in others {
        let (exit, _, err) = call(&sandbox, &format!("export {form}"));
        assert_eq!(exit, Some(3), "{form}: {err}");
        assert!(err.contains("cannot be read: tray_0/page0000.png: "), "{form}: {err}");
    }
}

#[test]
fn pages_whose_file_has_no_text_yet_are_told_by_themselves() {
    let scenario = "[[line]]\ncustom_id_contains = \"deed.tif#2\"\noutcome = \"content_filter\"\n";
    let weather = Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() };
    let sandbox = Sandbox::with(0, weather);
    std::fs::write(sandbox.corpus().join("deed.tif"), tiff(&[10, 200, 90])).expect("a file of pages");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(sandbox.text("deed.tif"), None, "its second page failed");
    let (exit, _, err) = call(&sandbox, "export page --out page");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.contains("Wrote 2 pages") && err.contains("1 image has no text"), "{err}");
    let files = listed(&sandbox, "page");
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(names, ["deed.tif.xml", "deed.tif#3.xml"]);
    assert_ne!(read(&files[0]), read(&files[1]));
    let (_, out, _) = call(&sandbox, "export jsonl");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<bool> = lines.iter().map(|line| line["text"].is_string()).collect();
    assert_eq!(told, [true, false, true]);
    assert!(lines.iter().all(|line| line["text_file"].is_null()), "there is no file of theirs beside the image");
    let (_, _, err) = call(&sandbox, "export txt-zip --out texts.zip");
    assert!(err.starts_with("Wrote 0 texts and manifest.csv to ") && err.contains("3 images have no text"), "{err}");
}

/// A photo: path, page, notes.
type Photo = (String, u64, Vec<String>);

/// What Tropy's importer takes from a document (`src/common/import.js`): the properties behind the terms of the context.
fn imported(document: &Value) -> Vec<(String, Vec<Photo>)> {
    const BASE: &str = "https://tropy.org/v1/tropy#";
    let context = &document["@context"];
    assert_eq!(context["@vocab"], BASE);
    for list in ["photo", "note"] {
        assert_eq!(
            (&context[list]["@id"], &context[list]["@container"]),
            (&format!("{BASE}{list}").into(), &"@list".into())
        );
    }
    assert_eq!(context["title"]["@id"], "http://purl.org/dc/elements/1.1/title");
    assert_eq!(document.as_object().map(serde_json::Map::len), Some(2), "nothing but context and graph");
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let photo = |photo: &Value| {
        assert_eq!((&photo["@type"], &photo["protocol"]), (&"Photo".into(), &"file".into()));
        let notes = list(&photo["note"]).iter().map(|note| text(&note["html"])).collect();
        (text(&photo["path"]), photo["page"].as_u64().expect("a page"), notes)
    };
    list(&document["@graph"])
        .iter()
        .map(|item| {
            assert_eq!(item["@type"], "Item");
            (text(&item["title"]), list(&item["photo"]).iter().map(photo).collect())
        })
        .collect()
}

#[test]
fn tropy_finds_an_item_for_each_file_and_a_note_for_each_page() {
    let sandbox = finished();
    let (exit, out, err) = call(&sandbox, "export tropy");
    assert_eq!((exit, err.as_str()), (Some(0), "1 image has no text, or only a rough one; see: batchscribe status\n"));
    let items = imported(&serde_json::from_str(&out).expect("JSON"));
    assert_eq!(items.len(), 7, "{items:?}");
    let deed = &items.iter().find(|(title, _)| title == "deed.tif").expect("an item").1;
    let pages: Vec<u64> = deed.iter().map(|(_, page, _)| *page).collect();
    assert_eq!(pages, [0, 1, 2], "counted from 0");
    for (_, photos) in &items {
        for (path, ..) in photos {
            assert!(Path::new(path).is_absolute() && Path::new(path).is_file(), "{path}");
        }
    }
    let odd = &items.iter().find(|(title, _)| title.starts_with("=box/")).expect("an item").1[0].2;
    assert_eq!(odd, &["<p>Dear  &lt;Sir&gt; &amp; \"friends\",<br>\ta\u{1}b<br>c ]]&gt;</p><p>日本 😀</p>"]);
    let empty = Sandbox::new(1);
    std::fs::write(empty.corpus().join("tray_0/page0000.png"), "no image").expect("a file");
    assert!(empty.run().fault.is_none());
    let (_, out, _) = call(&empty, "export tropy");
    assert_eq!(imported(&serde_json::from_str(&out).expect("JSON")), []);
}
