//! A page of the walk is what its files are one by one.

use proptest::prelude::*;
use rusqlite::types::Value;

use super::super::newcomers::TOGETHER;
use super::{Desk, found, owed};
use crate::domain::image::{Fate, Format, Found, Looks, Needs, Pixels, Reason};
use crate::ledger::records::Enrolled;
use crate::ledger::store::{Frame as _, Store as _};

/// Everything that the ledger keeps of its images, in the order of the feed.
fn rows(desk: &Desk) -> Vec<Vec<Value>> {
    let mut statement = desk.store.connection.prepare("SELECT * FROM image ORDER BY id").expect("sql");
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect();
    statement.query_map([], row).expect("images").collect::<Result<_, _>>().expect("rows")
}

fn enrol(desk: &mut Desk, page: &[Found]) -> Enrolled {
    let corpus = desk.corpus;
    desk.done(|store| store.enrol(corpus, page))
}

fn sum(one: Enrolled, other: Enrolled) -> Enrolled {
    Enrolled {
        owed: one.owed + other.owed,
        unchanged: one.unchanged + other.unchanged,
        changed: one.changed + other.changed,
        failed: one.failed + other.failed,
        skipped: one.skipped + other.skipped,
    }
}

/// A walk goes by name: plain files, and now and then another one.
fn page() -> impl Strategy<Value = Vec<Found>> {
    let looks = |format, needs, pages: u32| {
        let pages = (1..=pages).map(|width| Pixels { width, height: 2 }).collect();
        Fate::Owed(Looks { format, needs, pages })
    };
    let fate = prop_oneof![
        60 => Just(owed()),
        20 => Just(looks(Format::Webp, Needs::Turning, 1)),
        1 => Just(looks(Format::Tiff, Needs::Converting, 2)),
        1 => Just(Fate::Failed(Reason::Damaged)),
    ];
    let file = (fate, prop_oneof![60 => Just(1_i64), 1 => Just(2)], prop_oneof![80 => Just(false), 1 => Just(true)]);
    (0..100_usize, proptest::collection::vec(file, 1..100)).prop_map(|(from, files)| {
        let named = |(at, (fate, mtime_ms, text_present))| {
            let file = found(&format!("{:04}", from + at), mtime_ms, fate);
            Found { text_present, ..file }
        };
        files.into_iter().enumerate().map(named).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_page_is_what_its_files_are_one_by_one(pages in proptest::collection::vec(page(), 1..4)) {
        let (mut together, mut apart) = (Desk::in_memory(), Desk::in_memory());
        for page in pages {
            let told = enrol(&mut together, &page);
            let each = page.chunks(1).map(|one| enrol(&mut apart, one)).fold(Enrolled::default(), sum);
            prop_assert_eq!(told, each);
            prop_assert_eq!(together.store.standing(), apart.store.standing());
            prop_assert_eq!(rows(&together), rows(&apart));
        }
    }
}

#[test]
fn one_known_file_among_new_ones_keeps_its_place_and_theirs() {
    let mut desk = Desk::in_memory();
    let name = |number: usize| format!("{number:04}");
    enrol(&mut desk, &[found(&name(TOGETHER - 1), 1, Fate::Failed(Reason::Damaged))]);
    let page: Vec<_> = (0..2 * TOGETHER).map(|number| found(&name(number), 2, owed())).collect();
    let told = enrol(&mut desk, &page);
    assert_eq!((told.owed as usize, told.changed), (2 * TOGETHER - 1, 1));
    let sql = "SELECT CAST(name AS TEXT) FROM image WHERE state = 'owed' ORDER BY owed_seq";
    let mut statement = desk.store.connection.prepare(sql).expect("sql");
    let fed: Vec<String> =
        statement.query_map([], |row| row.get(0)).expect("feed").collect::<Result<_, _>>().expect("names");
    assert_eq!(fed, (0..2 * TOGETHER).map(name).collect::<Vec<_>>(), "in the order of the walk");
    assert_eq!(desk.store.standing().owed as usize, 2 * TOGETHER);
}
