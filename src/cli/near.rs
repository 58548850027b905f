//! The verb that was probably meant by one that does not exist.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::args::Cli;

/// The mistake with the verb that was probably meant, where it is an unknown verb. The parser itself finds words that begin alike;
/// in one that is short, two letters in the wrong order leave too little of that.
pub(super) fn suggested(mut mistake: clap::Error, words: &[OsString]) -> clap::Error {
    if mistake.kind() != ErrorKind::InvalidSubcommand {
        return mistake;
    }
    let typed = match mistake.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => return mistake,
    };
    let before = words.iter().skip(1).take_while(|word| **word != *typed);
    let is_of_a_verb =
        before.filter_map(|word| word.to_str()).any(|word| Cli::command().find_subcommand(word).is_some());
    if let (false, Some(verb)) = (is_of_a_verb, verb(&typed)) {
        mistake.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![verb]));
    }
    mistake
}

/// The verb that differs least from what was typed, if that is little.
pub(super) fn verb(typed: &str) -> Option<String> {
    let distance = |verb: &str| strsim::damerau_levenshtein(verb, &typed.to_lowercase());
    let verbs = Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect::<Vec<_>>();
    let near = verbs.into_iter().min_by_key(|verb| distance(verb))?;
    (distance(&near) <= 1.max(near.len() / 3)).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_verb_and_another_word_finds_none() {
        for (typed, meant) in [
            ("rnu", Some("run")),
            ("Run", Some("run")),
            ("plann", Some("plan")),
            ("stauts", Some("status")),
            ("dowload", Some("download")),
            ("transcribe", None),
            ("x", None),
        ] {
            assert_eq!(verb(typed).as_deref(), meant, "{typed}");
        }
    }
}
