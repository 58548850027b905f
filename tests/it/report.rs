//! The report: its table has every image, its sums are the bill's, its page needs nothing and obeys nobody's text.

use batchscribe::emulator::scenario::Scenario;
use serde_json::{Value, json};

use crate::cancel::call;
use crate::prepared::tiff;
use crate::sandbox::{Sandbox, Weather};
use crate::visitor::Visitor;

const WEATHER: &str = r#"
[habits]
cached_percent = 30

[[line]]
custom_id_contains = "page0005"
outcome = "length_cut"
when = { times = 1 }

[[line]]
custom_id_contains = "page0009"
outcome = "content_filter"
"#;

fn weather() -> Weather {
    Weather { scenario: Scenario::read(WEATHER).expect("a scenario"), ..Weather::default() }
}

/// The cells of a table whose cells hold no line ends.
fn table(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(sandbox.workspace().join("report.csv")).expect("a table");
    let text = text.strip_prefix('\u{feff}').expect("a byte order mark");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

fn document(sandbox: &Sandbox) -> Value {
    let text = std::fs::read_to_string(sandbox.workspace().join("report.json")).expect("a document");
    serde_json::from_str(&text).expect("JSON")
}

fn page(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.workspace().join("report.html")).expect("a page")
}

#[test]
fn the_table_has_every_image_and_its_sums_are_the_bills() {
    let mut sandbox = Sandbox::with(12, weather());
    sandbox.set("request.model", "gpt-5.6-luna");
    assert!(sandbox.run().fault.is_none());
    let (exit, out, err) = call(&sandbox, "report");
    assert_eq!((exit, out.lines().count()), (Some(0), 3), "{err}");
    let rows = table(&sandbox);
    let column = |name: &str| rows[0].iter().position(|head| head == name).expect("a column");
    let sum = |name: &str| {
        let cells = rows[1..].iter().map(|row| row[column(name)].parse::<f64>().expect("a number"));
        cells.sum::<f64>()
    };
    assert_eq!(rows.len(), 13, "{rows:?}");
    let (_, bill, _) = call(&sandbox, "bill --json");
    let total = &serde_json::from_str::<Value>(&bill).expect("a bill")["total"];
    for (name, billed) in [("tokens_in", "in"), ("tokens_out", "out"), ("tokens_reasoning", "reasoning")] {
        assert_eq!(sum(name), total["tokens"][billed].as_f64().expect("a count"), "{name}");
    }
    let (costs, cost) = (sum("cost_usd"), total["cost_usd"].as_f64().expect("a cost"));
    assert!((costs - cost).abs() < 6e-7, "the bill is told to the microdollar: {costs} {cost}");
    let states: Vec<&str> = rows[1..].iter().map(|row| row[column("state")].as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "failed").count(), 1, "{states:?}");
    let twice = rows[1..].iter().filter(|row| row[column("attempts")] == "2").count();
    assert!(twice >= 1, "the cut answer was asked again: {rows:?}");
    for row in rows[1..].iter().filter(|row| row[column("state")] == "done") {
        let text = std::fs::read_to_string(sandbox.corpus().join(&row[column("text_file")])).expect("its text");
        assert_eq!(row[column("chars")], text.chars().count().to_string(), "{row:?}");
        assert_eq!(row[column("lines")], text.lines().count().to_string(), "{row:?}");
    }
    let told = document(&sandbox);
    assert_eq!(told["images"]["done"], 11, "{told}");
    assert_eq!(told["reasons"][0]["reason"], "content_filter", "{told}");
    assert_eq!(told["cost"]["tokens"]["in"], total["tokens"]["in"]);
    assert_eq!(told["sample"]["random"].as_array().map(Vec::len), Some(11), "{told}");
}

#[test]
fn the_page_needs_nothing_and_obeys_no_text() {
    let sandbox = Sandbox::with(3, Weather::default());
    sandbox.image("box/<img src=x onerror=alert(1)>.png", 7);
    assert!(sandbox.run().fault.is_none());
    let hostile = "</pre><script>alert('x')</script> {{ name }} & \u{202e}";
    std::fs::write(sandbox.corpus().join("box/<img src=x onerror=alert(1)>.png.txt"), hostile)
        .expect("a person's text");
    let (exit, _, err) = call(&sandbox, "report");
    assert_eq!(exit, Some(0), "{err}");
    let page = page(&sandbox);
    assert!(!page.contains("<script") && !page.contains("<img src=x"), "escaped");
    assert!(page.contains("&lt;script&gt;") && page.contains("{{ name }} &amp;"), "shown as it is");
    assert!(page.contains("default-src 'none'"), "and nothing is loaded");
    let addresses = page.matches("src=\"").count();
    assert_eq!((addresses, page.matches("src=\"data:image/").count()), (4, 4), "pictures are in the page");
    assert!(!page.contains("http-equiv=\"refresh") && !page.contains("@import") && !page.contains("url("));
}

#[test]
fn a_text_that_a_person_edited_says_so_wherever_it_is_told() {
    let sandbox = Sandbox::with(4, Weather::default());
    std::fs::write(sandbox.corpus().join("deed.tif"), tiff(&[10, 200])).expect("a file of pages");
    assert!(sandbox.run().fault.is_none());
    let visitor = Visitor::entered(&sandbox, &[]);
    let image = visitor.image("tray_0/page0002.png");
    let edit = json!({"image": image["id"], "text": "in the browser", "hash": image["hash"]});
    assert_eq!(visitor.post("/api/v1/text", &edit).status, 200);
    drop(visitor);
    // The ledger knows nothing of those.
    for image in ["tray_1/page0003.png", "deed.tif"] {
        let text = sandbox.text(image).expect("a text");
        std::fs::write(sandbox.corpus().join(format!("{image}.txt")), format!("{text}in an editor\n")).expect("edited");
    }
    assert_eq!(call(&sandbox, "report").0, Some(0));
    let rows = table(&sandbox);
    let column = |name: &str| rows[0].iter().position(|head| head == name).expect("a column");
    let edited: Vec<&str> = rows[1..]
        .iter()
        .filter(|row| row[column("flags")].split(' ').any(|flag| flag == "edited"))
        .map(|row| row[column("path")].as_str())
        .collect();
    assert_eq!(edited, ["deed.tif", "deed.tif", "tray_0/page0002.png", "tray_1/page0003.png"]);
    let told = document(&sandbox);
    assert_eq!((&told["flags"]["edited"], &told["images"]["doubtful"]), (&json!(4), &json!(0)), "{told}");
    let sentence = "no text was corrected by hand unless its row in report.csv bears the flag edited";
    assert!(page(&sandbox).contains(sentence));
    let (_, out, _) = call(&sandbox, "export jsonl --where flag=edited");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(lines.iter().all(|line| line["edited"] == true && line["flags"] == json!(["edited"])), "{out}");
    let (_, out, _) = call(&sandbox, "export csv --where flag=edited");
    assert_eq!(out.lines().count(), 5, "{out}");
    assert_eq!(call(&sandbox, "export jsonl").1.lines().count(), 6);
    // They are found, and left as they are.
    let (_, out, err) = call(&sandbox, "retry --where flag=edited --json");
    let found: Value = serde_json::from_str(&out).expect("one document");
    assert_eq!(found["edited"], 4, "{out}{err}");
    // A person has looked at them: no answer bears a flag.
    assert_eq!(call(&sandbox, "status --list flagged").1, "");
}

#[test]
fn a_report_can_be_had_at_any_time_and_elsewhere() {
    let sandbox = Sandbox::new(2);
    let (exit, out, err) = call(&sandbox, "report");
    assert_eq!((exit, out.as_str()), (Some(0), ""), "nothing was begun");
    assert!(err.contains("Nothing was begun"), "{err}");
    assert!(sandbox.run().fault.is_none());
    std::fs::remove_file(sandbox.corpus().join("tray_1/page0001.png")).expect("an image goes");
    let (exit, out, err) = call(&sandbox, "report --out elsewhere");
    assert_eq!(exit, Some(0), "{err}");
    let pages: Vec<&str> = out.lines().filter(|path| path.ends_with("report.html")).collect();
    let page = std::fs::read_to_string(pages[0]).expect("a page");
    assert_eq!(page.matches("No picture: ").count(), 1, "the page that has gone is still told");
    assert_eq!(page.matches("src=\"data:image/").count(), 1);
    std::fs::remove_dir_all(std::path::Path::new(pages[0]).parent().expect("its folder")).expect("tidy");
    assert_eq!(json!(pages.len()), 1);
}
