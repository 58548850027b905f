//! The house rules as tests: they read the source, need nothing but it, and say what to write instead.

#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tables.rs"]
mod tables;

use source::{Source, sources};
use tables::{
    ALLOWED, BANNED, DOC_PERCENT, EXCEPTIONS, EXPECTS, FILE_LINES, FUNCTION_LINES, GUESTS, HANDLER_LINES, IMPORTS,
    QUESTIONS, STATICS,
};

fn nothing(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}

fn may_import(room: &str) -> Option<&'static [&'static str]> {
    IMPORTS.iter().find(|(name, _)| *name == room).map(|(_, rooms)| *rooms)
}

/// The rooms that a file names by path, with the place of each.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate", "batchscribe"] {
        for at in source.words(root) {
            let Some(path) = source.code[at + root.len()..].strip_prefix("::") else { continue };
            found.extend(heads(path).into_iter().map(|head| (at, head)));
        }
    }
    // A chain of `super` that climbs out of its room.
    for at in source.words("super") {
        let mut path = &source.code[at..];
        let mut climbed = 0;
        while let Some(rest) = path.strip_prefix("super::") {
            (path, climbed) = (rest, climbed + 1);
        }
        if climbed >= source.depth() {
            found.extend(heads(path).into_iter().map(|head| (at, head)));
        }
    }
    found.retain(|(_, head)| may_import(head).is_some());
    found
}

/// First names of a path or of the paths in its braces: `a` of `a::b`, `a` and `c` of `{a::b, c}`.
fn heads(path: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut heads = vec![name(group)];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn rooms_import_only_downwards() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let room = source.room();
        let Some(allowed) = may_import(room) else {
            findings.push(format!("src/{}: room {room:?} has no row in tests/tidy/tables.rs", source.path));
            continue;
        };
        let excepted = |other: &str| EXCEPTIONS.iter().any(|(file, to, _)| *file == source.path && *to == other);
        for (at, other) in imports(source) {
            if other != room && !allowed.contains(&other.as_str()) && !excepted(&other) {
                let list = allowed.join(", ");
                findings.push(format!("{}: {room} may not import {other}; it may import: {list}. Hand the value in, or move the code down", source.at(at)));
            }
        }
    }
    nothing("Imports point down the table of rooms only.", &findings);
}

#[test]
fn the_table_of_rooms_has_no_knot() {
    // A room may import only rooms whose own row stands below it, so no two can meet again.
    let below = |room: &str| IMPORTS.iter().position(|(name, _)| *name == room);
    for (row, (room, allowed)) in IMPORTS.iter().enumerate() {
        for other in *allowed {
            assert!(below(other).is_some_and(|at| at > row), "{room} imports {other}, whose row must stand below");
        }
    }
}

#[test]
fn guests_stay_at_home() {
    let mut findings = Vec::new();
    for source in sources() {
        for (guest, homes) in GUESTS {
            let is_home = homes
                .iter()
                .any(|home| if home.ends_with('/') { source.path.starts_with(home) } else { source.path == *home });
            if is_home {
                continue;
            }
            for at in source.words(guest) {
                let is_path = source.code[at + guest.len()..].starts_with("::") && !source.code[..at].ends_with("::");
                if is_path {
                    findings.push(format!(
                        "{}: {guest} is at home in {}; use what that file offers",
                        source.at(at),
                        homes.join(", ")
                    ));
                }
            }
        }
    }
    nothing("A guest package has one home, so that replacing it is one room's work.", &findings);
}

#[test]
fn files_functions_and_handlers_are_short() {
    let mut findings = Vec::new();
    for source in sources() {
        let lines = source.production_lines();
        if lines > FILE_LINES {
            findings.push(format!(
                "src/{}: {lines} lines without tests, {FILE_LINES} allowed; it is two files",
                source.path
            ));
        }
        for function in source.functions() {
            let most = if function.name == "handle" { HANDLER_LINES } else { FUNCTION_LINES };
            if function.lines > most {
                let place = format!("src/{}:{}", source.path, function.line);
                findings.push(format!(
                    "{place}: fn {} has {} lines, {most} allowed; name its parts",
                    function.name, function.lines
                ));
            }
        }
    }
    nothing("A page holds a file's idea, a screen a function.", &findings);
}

#[test]
fn every_room_answers_its_questions() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| source.path.ends_with("/mod.rs") && source.depth() == 1) {
        // "*In, Out*: values" answers both.
        let page: String = source.text.lines().filter(|line| line.starts_with("//!")).map(|line| &line[3..]).collect();
        let answered: Vec<&str> = page.split('*').skip(1).step_by(2).flat_map(|heading| heading.split(", ")).collect();
        let missing: Vec<&str> = QUESTIONS.into_iter().filter(|question| !answered.contains(question)).collect();
        if !missing.is_empty() && !source.is_placeholder() {
            findings.push(format!("src/{}:1: the page does not answer *{}*", source.path, missing.join("*, *")));
        }
    }
    nothing("Each room's first page answers six questions.", &findings);
}

#[test]
fn production_code_does_not_say() {
    let mut findings = Vec::new();
    for source in sources() {
        for (banned, instead) in BANNED {
            findings.extend(
                source
                    .code
                    .match_indices(banned)
                    .filter(|_| !ALLOWED.contains(&(source.path.as_str(), banned)))
                    .map(|(at, _)| format!("{}: {banned}; instead: {instead}", source.at(at))),
            );
        }
    }
    nothing("Some words have no place in production code.", &findings);
}

#[test]
fn globals_are_on_the_list() {
    let mut findings = Vec::new();
    for source in sources() {
        for at in source.words("static").filter(|at| !source.code[..*at].ends_with('\'')) {
            let rest = source.code[at + "static".len()..].trim_start().trim_start_matches("mut ");
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() && !STATICS.contains(&(source.path.as_str(), name.as_str())) {
                findings.push(format!(
                    "{}: static {name}; hand the value in, or argue for it in tests/tidy/tables.rs",
                    source.at(at)
                ));
            }
        }
    }
    nothing("No globals: the first caller would win for ever.", &findings);
}

#[test]
fn the_oracle_knows_nothing_of_the_crate() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let knowing =
        files.filter(|file| std::fs::read_to_string(file.path()).is_ok_and(|text| text.contains("batchscribe::")));
    let findings: Vec<String> =
        knowing.map(|file| format!("{}: imports the crate it judges", file.path().display())).collect();
    nothing("The oracle shares no code with what it checks.", &findings);
}

#[test]
fn the_checks_see_code_and_nothing_else() {
    let text = r##"
//! use crate::cli::X; static A: u8 = 0;
use crate::{kit::{a, b}, cli::Y, domain};
use super::super::ops;
fn long<'a>(text: &'a str) -> [u8; 3] {
    let _ = ("}", '}', r#"crate::ops "{"#, b'{', "\"{"); /* { /* { */ */
    crate::scan::go()
}
static B: u8 = 0;
#[cfg(test)]
mod tests {

    use crate::cli::Z;
    static C: u8 = 0;
}
"##;
    let source = Source::new("kit/clock.rs".into(), text.into());
    let mut rooms: Vec<String> = imports(&source).into_iter().map(|(_, room)| room).collect();
    rooms.sort();
    assert_eq!(rooms, ["cli", "domain", "kit", "ops", "scan"]);
    assert_eq!(source.words("static").map(|at| source.at(at)).collect::<Vec<_>>(), ["src/kit/clock.rs:9"]);
    let functions = source.functions();
    assert_eq!((functions.len(), functions[0].name.as_str(), functions[0].line, functions[0].lines), (1, "long", 5, 4));
    assert_eq!(source.production_lines(), 9);
}

/// Largest value, 95th percentile and median.
fn figures(mut values: Vec<usize>) -> [usize; 3] {
    values.sort_unstable();
    [100, 95, 50].map(|percent| {
        values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
    })
}

#[test]
#[expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "the scorecard is for reading; run with --nocapture"
)]
fn scorecard() {
    let sources = sources();
    let files = figures(sources.iter().map(Source::production_lines).collect());
    let functions = figures(sources.iter().flat_map(Source::functions).map(|function| function.lines).collect());
    let handlers = sources.iter().flat_map(Source::functions).filter(|function| function.name == "handle");
    let handler = handlers.map(|function| function.lines).max().unwrap_or(0);
    let (docs, lines) =
        sources.iter().map(Source::doc_lines).fold((0, 0), |sum, (doc, all)| (sum.0 + doc, sum.1 + all));
    let doc_percent = 100.0 * docs as f64 / lines.max(1) as f64;
    let expects: usize = sources.iter().map(|source| source.code.matches(".expect(").count()).sum();
    let per_thousand = 1_000.0 * expects as f64 / lines.max(1) as f64;
    let with_actix = sources.iter().filter(|source| source.words("actix").next().is_some()).count();
    println!("files                 {:>6}   lines {lines}", sources.len());
    println!("file                  {:>6}   95th percentile {}, median {}", files[0], files[1], files[2]);
    println!("function              {:>6}   95th percentile {}, median {}", functions[0], functions[1], functions[2]);
    println!("handler               {handler:>6}");
    println!("documentation         {doc_percent:>5.1} %");
    println!("expect in 1,000 lines {per_thousand:>6.1}");
    println!("files with actix      {with_actix:>6}");
    assert!(
        DOC_PERCENT.contains(&doc_percent),
        "{doc_percent:.1} % of the lines are documentation; {DOC_PERCENT:?} is readable"
    );
    assert!(per_thousand <= EXPECTS, "{per_thousand:.1} `expect` in 1,000 lines; each is a panic, return the error");
}
