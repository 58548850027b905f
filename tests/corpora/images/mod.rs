//! B2: images that were made to break a reader, files that only claim to be images, and files that change under the reader.

mod changing;
mod made;
mod manifest;
mod table;

use crate::scene::{self, Tally};

/// Cases that the promises demand.
const LEAST: usize = 120;
/// Address space that the program gets.
const CAP_MIB: u64 = 512;
/// Memory that it may really hold.
const MOST_MIB: u64 = 128;

#[test]
fn hostile_images() {
    let mut tally = Tally::default();
    scene::run(&table::cases(), 0, &mut tally);
    changing::planned(&mut tally);
    changing::while_read(&mut tally);
    tally.close("B2", LEAST);
}

/// Bombs, and pictures of many megabytes that lost their end, under a cap of address space, code and stacks included.
#[test]
fn bombs_explode_nowhere() {
    let sandbox = scene::sandbox();
    let bombs: Vec<scene::Case> = table::cases().into_iter().filter(|case| case.group == "bombs").collect();
    scene::lay_out(&sandbox, &bombs);
    let endless = [&made::jpeg(4_000)[..], &made::noise(4_001, 20_000_000)].concat();
    for n in 0..4 {
        std::fs::write(sandbox.corpus().join(format!("{n}.jpg")), &endless[..endless.len() - n]).expect("a file");
    }
    // The allocator reserves address space for each thread that it never uses; here only what is used shall count.
    let limits = format!("export MALLOC_ARENA_MAX=1; ulimit -v {};", CAP_MIB << 10);
    let (ended, most) = scene::binary(&sandbox, &limits, None, &["run"]);
    println!("B2: {} bombs, at most {most} MiB held under a cap of {CAP_MIB} MiB", bombs.len());
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(most > 0 && most < MOST_MIB, "{most} MiB");
    let ends = scene::ends(&sandbox.workspace());
    let done = ends.values().filter(|(state, _)| state == "done").count();
    assert_eq!(done, bombs.iter().filter(|case| case.end == scene::End::Done).count() + 4, "{ends:?}");
}
