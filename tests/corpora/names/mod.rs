//! B3: names and trees that were made to mislead whoever walks, writes or prints them.

mod table;
mod told;

use crate::scene::{self, Tally};

/// Cases that the promises demand.
const LEAST: usize = 60;

#[test]
fn hostile_names_and_trees() {
    let mut tally = Tally::default();
    scene::run(&table::cases(), table::MANY - 1, &mut tally);
    told::terminal(&mut tally);
    told::rights(&mut tally);
    told::read_only(&mut tally);
    told::roots(&mut tally);
    told::vanishing(&mut tally);
    tally.close("B3", LEAST);
}
