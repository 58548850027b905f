//! Hostile result lines through the real program: each as a line of the output file, of the error file, and as a last line
//! without its newline, between good neighbours.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use super::account::{self, Content, Part};
use super::desk::{Desk, Image};
use super::line_cases::{Case, Expect, Ids, answer, cases};
use super::report::Report;

/// Cases in one run: their images are enrolled together, so that each batch is one case.
const A_RUN: usize = 36;
/// The images of a case, in the order in which they are asked.
const IMAGES: [&str; 7] = ["1-good", "2-output", "3-good", "4-last", "5-good", "6-error", "7-good"];
/// Where a hostile line may stand among them.
type Place = (usize, &'static str);
const OUTPUT: Place = (1, "output line");
const LAST: Place = (3, "last line");
const ERROR: Place = (5, "error line");

/// One batch: its files, and what has to come of its hostile lines.
struct Planned {
    name: String,
    files: [Content; 2],
    hostile: Vec<Place>,
    expect: Expect,
}

fn image(case: usize, place: usize) -> String {
    format!("c{case:03}/{}-é.png", IMAGES[place])
}

fn id(case: usize, place: usize) -> String {
    format!("in|{}", image(case, place).replace('/', "|"))
}

fn ids(case: usize, place: usize) -> Ids {
    Ids { own: id(case, place), neighbour: id(case, 0), foreign: id(case + 1, 0) }
}

/// Output and error file of a case: each hostile line stands between good neighbours, and one at an end without newline.
fn files(case: usize, hostile: &[Place], line: impl Fn(&Ids) -> Content) -> [Content; 2] {
    let of = |place: usize| match hostile.iter().any(|(bad, _)| *bad == place) {
        true => line(&ids(case, place)),
        false => vec![Part::Bytes(answer(&id(case, place), "good").into_bytes())],
    };
    let newline = || vec![Part::Bytes(b"\n".to_vec())];
    let output = [of(0), newline(), of(1), newline(), of(2), newline(), of(3)].concat();
    let errors = [of(4), newline(), of(5), newline(), of(6), newline()].concat();
    [output, errors]
}

fn planned(case: usize, table: &Case) -> Planned {
    let hostile = vec![OUTPUT, LAST, ERROR];
    let files = files(case, &hostile, |ids| vec![Part::Bytes((table.line)(ids))]);
    Planned { name: table.name.to_owned(), files, hostile, expect: table.expect.clone() }
}

/// What came of an image.
fn outcome(desk: &Desk, image: &Image, set_aside: bool) -> Expect {
    let text = std::fs::read_to_string(desk.corpus().join(format!("{}.txt", image.path))).ok();
    match (image.state.as_str(), text) {
        ("done", Some(text)) if text == "asked again\n" && set_aside => Expect::SetAside,
        ("done", Some(text)) if text == "asked again\n" => Expect::Again,
        ("done", Some(text)) if text.is_empty() => Expect::Blank,
        ("done", Some(text)) => Expect::Text(text),
        ("rough", None) => Expect::Rough,
        (_, None) => Expect::Failed(image.reason.clone()),
        other => panic!("{image:?} {other:?}"),
    }
}

/// What the run may leave in the workspace: nothing whose name an answer has chosen.
fn is_ours(path: &str, images: &HashSet<String>) -> bool {
    let Some(path) = path.strip_prefix("work/") else { return false };
    if let Some(image) = path.strip_prefix("in/") {
        return images.contains(image.trim_end_matches(".api").trim_end_matches(".txt"));
    }
    if let Some(result) = path.strip_prefix("batch_json_results/") {
        let name = result.split_once('/').map(|(_, name)| name.trim_end_matches(".json").replace('|', "/"));
        return name.is_some_and(|name| name.strip_prefix("in/").is_some_and(|image| images.contains(image)));
    }
    path.starts_with("batch/") || path.starts_with("batch_return/batch_")
}

/// The case that a whole batch is about.
fn case_of(ids: &[String]) -> Option<usize> {
    let case = ids[0].get(4..7)?.parse().ok()?;
    (ids.len() == 7 && (0..7).all(|place| ids[place] == id(case, place))).then_some(case)
}

/// Works the cases off in one run; the most memory that it held, in MiB.
fn run(first: usize, cases: Vec<Planned>, report: &mut Report) -> u64 {
    let numbers = first..first + cases.len();
    let images: HashSet<String> =
        numbers.clone().flat_map(|case| (0..7).map(move |place| image(case, place))).collect();
    let desk = Desk::new(images.iter().cloned());
    let cases = Arc::new(cases);
    // Which case each batch was about; later batches ask again.
    let asked: Arc<Mutex<Vec<Option<usize>>>> = Arc::default();
    let (seen, scripted) = (Arc::clone(&asked), Arc::clone(&cases));
    let base = account::open(Box::new(move |ids| {
        let mut seen = seen.lock().expect("seen");
        let case = case_of(ids).filter(|case| !seen.contains(&Some(*case)));
        seen.push(case);
        match case {
            Some(case) => scripted[case - first].files.clone(),
            None => {
                let again = ids.iter().flat_map(|id| (answer(id, "asked again") + "\n").into_bytes());
                [vec![Part::Bytes(again.collect())], Content::new()]
            }
        }
    }));
    let ran = desk.run(&base, &[("max_images_per_batch", "7")]);
    let asked = asked.lock().expect("asked").clone();
    let answered = asked.iter().flatten().count();
    report.holds(&format!("{answered} of {} cases were answered\n{}", cases.len(), ran.said), answered == cases.len());
    report.holds(&format!("it ended with {:?}\n{}", ran.code, ran.said), matches!(ran.code, Some(0 | 3)));
    report.panicked(ran.panics());
    report.escaped(&desk.all_files().into_iter().filter(|path| !is_ours(path, &images)).collect::<Vec<_>>());
    let of_batch = |id: &String| asked[id.trim_start_matches("batch_").parse::<usize>().expect("a number")];
    let odd: BTreeSet<usize> = desk.batches_with("unknown_id").iter().filter_map(of_batch).collect();
    let ended: BTreeMap<String, Image> = desk.images().into_iter().map(|image| (image.path.clone(), image)).collect();
    for (case, table) in numbers.zip(cases.iter()) {
        for place in 0..IMAGES.len() {
            let came = outcome(&desk, &ended[&image(case, place)], odd.contains(&case));
            match table.hostile.iter().find(|(bad, _)| *bad == place) {
                Some((_, position)) => report.case(&format!("{} as {position}", table.name), &came, &table.expect),
                None => {
                    let is_good = came == Expect::Text("good\n".to_owned());
                    report.holds(&format!("{}: its neighbour {place} is {came:?}", table.name), is_good);
                }
            }
        }
    }
    ran.most_mib
}

/// How many there are, with the huge ones.
pub(crate) fn size() -> usize {
    cases().len() * [OUTPUT, LAST, ERROR].len() + huge().iter().map(|(.., hostile, _)| hostile.len()).sum::<usize>()
}

#[test]
fn hostile_lines() {
    let mut report = Report::new("B1 lines");
    for (n, some) in cases().chunks(A_RUN).enumerate() {
        let first = n * A_RUN;
        let some = some.iter().enumerate().map(|(place, case)| planned(first + place, case)).collect();
        run(first, some, &mut report);
    }
    report.close(480);
}

/// An ordinary line, but with `size` bytes more in a member that nobody reads, or in its text, where they are dots: letters would be
/// a loop.
fn padded(ids: &Ids, size: u64, in_text: bool) -> Content {
    let line = answer(&ids.own, if in_text { "MARK" } else { "read" });
    let line = if in_text { line } else { line.replacen('{', "{\"more\":\"MARK\",", 1) };
    let (before, behind) = line.split_once("MARK").expect("the mark");
    vec![Part::Bytes(before.into()), Part::Fill(if in_text { b'.' } else { b'x' }, size), Part::Bytes(behind.into())]
}

/// Lines by their size: whether it is the text that is long, where they stand, and what has to come of them.
fn huge() -> Vec<(&'static str, u64, bool, Vec<Place>, Expect)> {
    let everywhere = vec![OUTPUT, LAST, ERROR];
    vec![
        ("33 MiB", 33 * 1024 * 1024, false, everywhere.clone(), Expect::SetAside),
        ("a text of 30 MB", 30_000_000, true, everywhere, Expect::Text(".".repeat(30_000_000) + "\n")),
        ("200 MB", 200_000_000, false, vec![OUTPUT], Expect::SetAside),
        ("1 GB without newline", 1_000_000_000, true, vec![LAST], Expect::SetAside),
    ]
}

#[test]
fn huge_lines_cost_no_memory() {
    let mut report = Report::new("B1 huge lines");
    let cases = huge().into_iter().enumerate().map(|(case, (name, size, in_text, hostile, expect))| {
        let files = files(case, &hostile, |ids| padded(ids, size, in_text));
        Planned { name: name.to_owned(), files, hostile, expect }
    });
    let most = run(0, cases.collect(), &mut report);
    println!("B1 huge lines: at most {most} MiB resident");
    report.holds(&format!("{most} MiB are more than 512"), most <= 512);
    report.holds("the memory was seen", most > 0 || !cfg!(target_os = "linux"));
    report.close(8);
}

#[test]
fn a_file_of_another_name_would_be_seen() {
    let images = HashSet::from(["c000/1-good-é.png".to_owned()]);
    let ours = [
        "work/in/c000/1-good-é.png",
        "work/in/c000/1-good-é.png.txt",
        "work/batch_json_results/batch_0/in|c000|1-good-é.png.json",
        "work/batch_return/batch_0.errors.jsonl",
        "work/batch/ledger.sqlite",
    ];
    let others = [
        "x",
        "home/x",
        "work/x.json",
        "work/in/x.txt",
        "work/batch_return/x.jsonl",
        "work/batch_json_results/x.json",
        "work/batch_json_results/batch_0/.._.._x.json",
        "work/batch_json_results/batch_0/in|c001|1-good-é.png.json",
    ];
    assert!(ours.iter().all(|path| is_ours(path, &images)));
    assert!(!others.iter().any(|path| is_ours(path, &images)));
}
