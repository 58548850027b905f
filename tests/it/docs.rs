//! The documents say what the program does: their commands, flags and settings exist, and what can be made is made.
//!
//! `BLESS=1 cargo test --test it docs` writes docs/settings.md and docs/verbs.md anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use batchscribe::cli::args::Cli;
use batchscribe::settings::default_text;
use clap::{Command, CommandFactory as _};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and the documents.
fn documents() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("entry").path());
    let named = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let all = std::iter::once(root().join("README.md")).chain(named);
    all.map(|path| (shown(&path), std::fs::read_to_string(&path).expect("text"))).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).expect("ours").to_string_lossy().into_owned()
}

/// Pieces of code: lines of fenced blocks, and what stands between backticks, also over the end of a line.
fn code(text: &str) -> Vec<String> {
    let (mut pieces, mut prose, mut fenced) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            pieces.push(line.to_owned());
        } else {
            prose.push_str(line.trim());
            prose.push(if line.is_empty() { '`' } else { ' ' });
            // A paragraph with an open backtick must not turn the next one inside out.
            if line.is_empty() && prose.matches('`').count() % 2 == 1 {
                prose.push('`');
            }
        }
    }
    pieces.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    pieces
}

/// The grammar, with the global flags in every verb.
fn grammar() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn flags_of(command: &Command) -> BTreeSet<String> {
    let long = command.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}"));
    let below = command.get_subcommands().flat_map(flags_of);
    long.chain(["--help".to_owned(), "--version".to_owned()]).chain(below).collect()
}

/// What is wrong with a line that begins with our name.
fn wrong(grammar: &Command, words: &[&str]) -> Option<String> {
    let verb = words.iter().find(|word| !word.starts_with('-') && !word.contains('='))?;
    let is_name = verb.chars().all(|letter| letter.is_ascii_lowercase());
    // `batchscribe VERB`, and a flag with its value in front of the verb, tell nothing about a verb.
    let Some(command) = grammar.find_subcommand(verb) else {
        return (is_name && words[0] == *verb).then(|| format!("there is no verb {verb}"));
    };
    let flags: BTreeSet<String> = flags_of(command).into_iter().chain(flags_of_the_top(grammar)).collect();
    let said = words.iter().filter(|word| word.starts_with("--") && word.len() > 2);
    let unknown = said.map(|word| word.split('=').next().unwrap_or(word)).find(|word| !flags.contains(*word));
    unknown.map(|flag| format!("{verb} has no flag {flag}"))
}

fn flags_of_the_top(grammar: &Command) -> Vec<String> {
    grammar.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect()
}

#[test]
fn every_command_in_the_documents_exists() {
    let grammar = grammar();
    let (mut wrongs, mut seen) = (Vec::new(), 0);
    for (name, text) in documents() {
        for piece in code(&text) {
            let Some(at) = piece.find("batchscribe ").filter(|at| *at == 0 || piece[..*at].ends_with([' ', '(', ';']))
            else {
                continue;
            };
            // Behind a gap or a sign, the words are for people.
            let line = piece[at..].split(['#', '|', '&', ';', ',', '·']).next().unwrap_or_default();
            let line = line.split("   ").next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            if !words.is_empty() {
                seen += 1;
                wrongs.extend(wrong(&grammar, &words).map(|why| format!("{name}: `{}`: {why}", line.trim())));
            }
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
    assert!(seen > 20, "only {seen} commands were found");
    assert!(wrong(&grammar, &["statsu"]).is_some() && wrong(&grammar, &["run", "--bogus"]).is_some());
}

#[test]
fn every_setting_in_the_documents_exists() {
    let table: toml::Table = default_text().parse().expect("TOML");
    let keys = |section: &str| table.get(section).and_then(toml::Value::as_table);
    let (mut wrongs, mut seen) = (Vec::new(), 0);
    for (name, text) in documents() {
        for piece in code(&text) {
            let said = piece.split([' ', '=', '(', ')', ',', '\t']).next().unwrap_or_default();
            let Some((section, key)) = said.split_once('.') else { continue };
            let key = key.split('.').next().unwrap_or_default();
            let Some(keys) =
                keys(section).filter(|_| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            else {
                continue;
            };
            // `report.html` is no setting, and `report` no section.
            seen += 1;
            if !keys.contains_key(key) {
                wrongs.push(format!("{name}: there is no setting `{said}`"));
            }
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
    assert!(seen > 10, "only {seen} settings were found");
}

/// Compares a document with what it has to be.
fn is_as_made(name: &str, made: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, made).expect("written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let line = written.lines().zip(made.lines()).take_while(|(written, made)| written == made).count() + 1;
    assert!(written == made, "docs/{name} is out of date from line {line} on: BLESS=1 cargo test --test it docs");
}

#[test]
fn the_page_of_settings_is_made_from_the_defaults() {
    let mut page = String::from(
        "# Settings\n\nMade from `config/default.toml`, which is compiled in. A line of `batchscribe.toml` in the workspace takes the place of a\n\
         default, a `BATCHSCRIBE_*` variable that of a line, a flag or `--set KEY=VALUE` that of a variable. `batchscribe config show\n\
         --origin` prints every value with its place, `batchscribe config check` looks for mistakes, `batchscribe config schema` is\n\
         for editors. Sizes: `4096`, `\"150 MB\"`, `\"256 MiB\"`. Durations: `\"60s\"`, `\"10m\"`, `\"6h\"`. `\"\"` means unset.\n",
    );
    let head = "\n| setting | default | what it is |\n|---|---|---|\n";
    let cell = |text: &str| text.trim().replace('|', "\\|").replace('<', "\\<");
    writeln!(page, "\n## At the top{}", head.trim_end()).expect("memory");
    let mut section = String::new();
    for line in default_text().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
            write!(page, "\n## {name}\n{head}").expect("memory");
        } else if let Some((setting, words)) = line.split_once(" # ").filter(|_| !line.starts_with('#')) {
            let (key, default) = setting.split_once('=').expect("a setting");
            let _ = writeln!(page, "| `{section}{}` | `{}` | {} |", key.trim(), cell(default), cell(words));
        }
    }
    is_as_made("settings.md", &page.replace("## At the top\n| setting", "## At the top\n\n| setting"));
}

#[test]
fn the_page_of_verbs_is_made_from_the_grammar() {
    let mut page = String::from(
        "# Verbs\n\nMade from the command line's own grammar: `batchscribe help VERB` prints the same. The flags of every verb stand at the end.\n",
    );
    let mut top = Cli::command().term_width(100);
    let global: BTreeSet<String> = flags_of_the_top(&top).into_iter().collect();
    for verb in top.get_subcommands().cloned().collect::<Vec<_>>() {
        let name = verb.get_name().to_owned();
        let mut verb = verb.bin_name(format!("batchscribe {name}")).term_width(100).disable_help_flag(true);
        write!(page, "\n## {name}\n\n```text\n{}\n```\n", verb.render_long_help().to_string().trim_end())
            .expect("memory");
    }
    assert!(global.contains("--workspace"));
    write!(page, "\n## Flags of every verb\n\n```text\n{}\n```\n", top.render_long_help().to_string().trim_end())
        .expect("memory");
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    is_as_made("verbs.md", &(lines.join("\n") + "\n"));
}
