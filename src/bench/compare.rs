//! One report against an earlier one: what became faster, what slower, and what is only noise.

use super::figures::{Report, Row, Spread};
use super::stage::Stage;

/// What became of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every round took less than every round before.
    Better,
    /// Every round took more than every round before.
    Worse,
    /// The rounds overlap.
    Same,
}

/// One stage now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What was measured.
    pub stage: Stage,
    /// What it takes now for what it took then: processor time of an item where both know it, else the wall's.
    pub ratio: f64,
    /// Whether processor time was compared.
    pub by_cpu: bool,
    /// What that means.
    pub change: Change,
}

/// Why two reports say nothing about each other, in words; `None` if they do.
#[must_use]
pub fn unlike(now: &Report, then: &Report) -> Option<String> {
    let corpus = |report: &Report| (report.images, report.image_bytes);
    if then.schema != now.schema {
        return Some(format!("it is of version {}, this is {}", then.schema, now.schema));
    }
    if corpus(now) != corpus(then) {
        let (images, bytes) = corpus(then);
        return Some(format!("its corpus had {images} images of {bytes} bytes"));
    }
    if now.sink != then.sink {
        return Some("its uploads went elsewhere".to_owned());
    }
    None
}

/// The stages that both have, in the order of `now`.
#[must_use]
pub fn compare(now: &Report, then: &Report) -> Vec<Compared> {
    let before = |row: &Row| then.stages.iter().find(|old| old.stage == row.stage);
    now.stages.iter().filter_map(|row| compared(row, before(row)?)).collect()
}

fn compared(now: &Row, then: &Row) -> Option<Compared> {
    let (by_cpu, new, old) = match (now.cpu_us_per_item, then.cpu_us_per_item) {
        (Some(new), Some(old)) => (true, new, old),
        _ => (false, seconds_per_item(now.items_per_s)?, seconds_per_item(then.items_per_s)?),
    };
    let ratio = (old.median > 0.0).then(|| new.median / old.median)?;
    let change = match new.is_apart_from(&old) {
        false => Change::Same,
        true if ratio < 1.0 => Change::Better,
        true => Change::Worse,
    };
    Some(Compared { stage: now.stage, ratio, by_cpu, change })
}

fn seconds_per_item(rate: Spread) -> Option<Spread> {
    (rate.least > 0.0).then(|| Spread { median: 1.0 / rate.median, least: 1.0 / rate.most, most: 1.0 / rate.least })
}

#[cfg(test)]
mod tests {
    use super::super::figures::{SCHEMA, Sample};
    use super::super::machine::Machine;
    use super::*;

    fn report(stage: Stage, cpu: Option<f64>, walls: [f64; 2]) -> Report {
        let sample =
            |wall_s| Sample { stage, items: 10, bytes: 0, wall_s, cpu_s: cpu, peak_bytes: None, waits: Vec::new() };
        let stages = Row::of(&walls.map(sample)).into_iter().collect();
        let machine = Machine::default();
        Report { schema: SCHEMA, machine, images: 10, image_bytes: 5, seed: 1, sink: None, stages }
    }

    #[test]
    fn the_processor_speaks_before_the_wall() {
        let (now, then) = (report(Stage::Scan, Some(1.0), [9.0, 9.0]), report(Stage::Scan, Some(2.0), [1.0, 1.0]));
        let told = compare(&now, &then);
        assert_eq!(told, [Compared { stage: Stage::Scan, ratio: 0.5, by_cpu: true, change: Change::Better }]);
    }

    #[test]
    fn rounds_that_overlap_are_the_same_and_others_are_not() {
        let then = report(Stage::Scan, None, [1.0, 2.0]);
        let change = |walls| compare(&report(Stage::Scan, None, walls), &then).first().map(|told| told.change);
        assert_eq!(change([1.5, 4.0]), Some(Change::Same));
        assert_eq!(change([3.0, 4.0]), Some(Change::Worse));
        assert_eq!(change([0.5, 0.9]), Some(Change::Better));
    }

    #[test]
    fn another_corpus_says_nothing() {
        let now = report(Stage::Scan, None, [1.0, 1.0]);
        assert_eq!(unlike(&now, &now), None);
        assert_eq!(compare(&now, &report(Stage::Pack, None, [1.0, 1.0])), []);
        let then = Report { images: 20, ..now.clone() };
        assert_eq!(unlike(&now, &then).as_deref(), Some("its corpus had 20 images of 5 bytes"));
        let then = Report { sink: Some("http://127.0.0.1:1/v1".into()), ..now.clone() };
        assert!(unlike(&now, &then).is_some());
    }
}
