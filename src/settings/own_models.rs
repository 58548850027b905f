//! Rows of the user's own for the table of models: `models.toml` in the workspace, and beside the user's settings file.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use toml::Spanned;

use super::models::{self, Model, Models, Table};
use super::problem::{Problem, cause_alone};
use super::raw::{one_line, place};
use crate::domain::tokens::{ImageRule, Level};

/// More than any model has ever cost, in USD per million tokens.
const MOST_USD: f64 = 1_000_000.0;
/// More than any rule has ever counted for a tile or for a hundred patches.
const MOST_TOKENS: u64 = 1_000_000;

/// `models` with the rows of the file at `path`, which messages call `name`. A file that is not there changes nothing; of one
/// with a mistake no row counts.
pub(super) fn read(models: &Models, path: &Path, name: &str) -> Result<Models, Vec<Problem>> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(models.clone()),
        Err(cause) => {
            let problem = Problem::new("E101", format!("cannot read the table of models {name}"));
            return Err(vec![problem.detail(cause_alone(&cause)).hint("a table that is not there is no mistake")]);
        }
    };
    rows(&text, name).map(|rows| models.with(rows))
}

fn rows(text: &str, name: &str) -> Result<Vec<Model>, Vec<Problem>> {
    let table: Table<Spanned<Model>> = toml::from_str(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        let sentence = format!("{name}:{line}:{column} is no table of models: {}", one_line(error.message()));
        vec![Problem::new("E101", sentence).hint("its shape is that of config/models.toml: read_on, then [[model]]")]
    })?;
    let mut problems = Vec::new();
    let mut mistake = |sentence: String, allowed: &str, line: usize| {
        let problem = Problem::new("E102", format!("{sentence}; allowed: {allowed}"));
        problems.push(problem.hint(format!("set in {name}:{line}")));
    };
    if !is_day(&table.read_on) {
        mistake(format!("`read_on` is \"{}\"", shown(&table.read_on)), DAY, 1);
    }
    let mut names = BTreeSet::new();
    for row in &table.model {
        let (line, _) = place(text, row.span().start);
        let row = row.get_ref();
        if row.name.is_empty() || !names.insert(row.name.clone()) {
            mistake(format!("`name` is \"{}\"", shown(&row.name)), "a name, once in a file", line);
        }
        for (what, allowed) in wrong(row) {
            mistake(format!("{what} of {}", shown(&row.name)), allowed, line);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let from_file = |row: Model| if row.source.is_empty() { Model { source: name.to_owned(), ..row } } else { row };
    let model = table.model.into_iter().map(|row| from_file(row.into_inner())).collect();
    Ok(models::dated(Table { read_on: table.read_on, model }))
}

const DAY: &str = "a day, as 2026-12-11";

/// What is wrong with one row, and what would be right.
fn wrong(row: &Model) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for (key, price) in [("input", row.input), ("cached", row.cached), ("output", row.output)] {
        if let Some(usd) = price.filter(|usd| !(0.0..=MOST_USD).contains(usd)) {
            found.push((format!("`{key}` = {usd}"), "USD per million tokens, from 0 to 1,000,000"));
        }
    }
    if row.input.is_some() != row.output.is_some() || (row.cached.is_some() && row.input.is_none()) {
        found.push(("the price".to_owned(), "`input` and `output` together, `cached` with them, or none of the three"));
    }
    if row.image.is_some_and(|rule| !is_sane(rule)) {
        found.push(("`image`".to_owned(), "counts from 1 to 1,000,000; a level is [longest side, patches]"));
    }
    if row.max_output == 0 || row.context == Some(0) {
        found.push(("a limit of 0".to_owned(), "at least one token, or no limit at all"));
    }
    for (key, day) in [("ends", row.ends.as_deref()), ("as_of", Some(row.as_of.as_str()).filter(|day| !day.is_empty()))]
    {
        if let Some(day) = day.filter(|day| !is_day(day)) {
            found.push((format!("`{key}` = \"{}\"", shown(day)), DAY));
        }
    }
    found
}

fn is_sane(rule: ImageRule) -> bool {
    let counts = 1..=MOST_TOKENS;
    match rule {
        ImageRule::Tiles { base, tile } => base <= MOST_TOKENS && counts.contains(&tile),
        ImageRule::Patches { percent, low, high, original, .. } => {
            // A level below one patch would count every image as one.
            let is_level = |Level(side, _): Level| side == 0 || side >= 32;
            counts.contains(&percent) && [low, high, original].into_iter().all(is_level)
        }
    }
}

fn is_day(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok() && text.len() == "2026-12-11".len()
}

fn shown(text: &str) -> String {
    crate::domain::image::shown(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        rows(text, "models.toml").err().into_iter().flatten().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn rows_replace_rows_by_name_and_new_ones_come_last() {
        let text = "read_on = \"2026-11-20\"\n[[model]]\nname = \"gpt-5.4\"\ninput = 2\noutput = 3.5\n\
                    [[model]]\nname = \"qwen3-vl\"\nimage = { tiles = { base = 1, tile = 2 } }\nas_of = \"2026-01-02\"\n";
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join(models::FILE);
        let before = Models::built_in();
        assert_eq!(read(&before, &path, "m").expect("none is no mistake").iter().count(), before.iter().count());
        crate::kit::atomic_file::write(
            &path,
            text.as_bytes(),
            crate::kit::atomic_file::Access::Umask,
            crate::kit::atomic_file::Durability::Derived,
        )
        .expect("file");
        let after = read(&before, &path, "models.toml").expect("good rows");
        assert_eq!(after.iter().count(), before.iter().count() + 1);
        let own = after.find("gpt-5.4-2026-03-05").expect("a row");
        assert_eq!((own.price().map(|price| price.cached), own.image, own.is_own), (Some(2_000_000), None, true));
        assert_eq!((own.as_of.as_str(), own.source.as_str()), ("2026-11-20", "models.toml"));
        let new = after.find("qwen3-vl").expect("a row");
        assert_eq!((new.price(), new.as_of.as_str()), (None, "2026-01-02"));
        assert_eq!(after.find("gpt-5.5"), before.find("gpt-5.5"), "others stay");
        // Elsewhere than at OpenAI only what the user wrote is taken for granted.
        let lookup = after.lookup(false);
        assert_eq!((lookup("gpt-5.5").max_output_tokens, lookup("gpt-5.4").max_output_tokens), (16_384, 128_000));
    }

    #[test]
    fn mistakes_have_their_place() {
        let unknown = told("read_on = \"2026-11-20\"\n[[model]]\nname = \"a\"\nprice = 3\n");
        assert_eq!(unknown.len(), 1, "{unknown:?}");
        assert!(
            unknown[0].starts_with("error[E101]: models.toml:4:1 is no table of models: unknown field `price`"),
            "{unknown:?}"
        );
        assert!(told("read_on = ").first().is_some_and(|told| told.contains("models.toml:1:")));
        let wrong = told(
            "read_on = \"yesterday\"\n[[model]]\nname = \"a\"\ninput = -1\n[[model]]\nname = \"a\"\nends = \"2026-13-01\"\n\
             image = { tiles = { base = 1, tile = 0 } }\nmax_output = 0\n",
        );
        let expected = [
            "`read_on` is \"yesterday\"; allowed: a day, as 2026-12-11\nhint: set in models.toml:1",
            "`input` = -1 of a; allowed: USD per million tokens, from 0 to 1,000,000\nhint: set in models.toml:2",
            "the price of a; allowed: `input` and `output` together, `cached` with them, or none of the three\nhint: set in models.toml:2",
            "`name` is \"a\"; allowed: a name, once in a file\nhint: set in models.toml:5",
            "`image` of a; allowed: counts from 1 to 1,000,000; a level is [longest side, patches]\nhint: set in models.toml:5",
            "a limit of 0 of a; allowed: at least one token, or no limit at all\nhint: set in models.toml:5",
            "`ends` = \"2026-13-01\" of a; allowed: a day, as 2026-12-11\nhint: set in models.toml:5",
        ];
        assert_eq!(wrong, expected.map(|told| format!("error[E102]: {told}")));
    }
}
