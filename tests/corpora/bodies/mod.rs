//! B1: hostile bodies of an API. Tables of cases, each with its generator and what has to come of it.

#![expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]
#![expect(clippy::print_stdout, reason = "the counts are what these tests are run for")]

pub(crate) mod account;
mod batches;
pub(crate) mod desk;
mod errors;
mod line_cases;
mod lines;
mod lists;
pub(crate) mod report;
pub(crate) mod server;
mod singles;
mod transfer_cases;
mod transfers;

#[test]
fn the_corpus_of_bodies_is_large_enough() {
    let groups = [
        ("lines", lines::size(), 500),
        ("batch objects", batches::size() + singles::size(), 175),
        ("lists", lists::size(), 120),
        ("transfers", transfers::size(), 100),
        ("errors", errors::size(), 70),
    ];
    let counts: Vec<String> = groups.iter().map(|(name, size, _)| format!("{size} {name}")).collect();
    println!("B1: {} cases in all: {}", groups.iter().map(|group| group.1).sum::<usize>(), counts.join(", "));
    for (name, size, at_least) in groups {
        assert!(size >= at_least, "{name}: {size} cases, at least {at_least} belong there");
    }
}
