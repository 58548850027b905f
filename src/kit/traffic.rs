//! What was asked of a service, what it answered, and how long that took: counts for whoever watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Stopwatch;
use super::histogram::Histogram;

/// From a small answer nearby to an upload of 200 MB over a slow line, in milliseconds.
const BOUNDS: [u64; 8] = [100, 300, 1_000, 3_000, 10_000, 30_000, 120_000, 600_000];

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// An answer with this HTTP status.
    Status(u16),
    /// No connection came about.
    Unreached,
    /// The request went out, and no answer came: cut, out of time, or given up by us.
    Lost,
}

impl Code {
    /// The status, or a word.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Unreached => "unreached".to_owned(),
            Self::Lost => "lost".to_owned(),
        }
    }
}

/// The sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests by what they asked for and what came of it.
    pub requests: BTreeMap<(&'static str, Code), u64>,
    /// Time until the head of the answer, by what was asked for.
    pub times: BTreeMap<&'static str, Histogram>,
    /// Bytes of result files that came.
    pub received: u64,
}

impl Sums {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.requests {
            *self.requests.entry(*key).or_default() += count;
        }
        for (op, times) in &other.times {
            self.times.entry(op).or_insert_with(|| Histogram::new(&BOUNDS)).add(times);
        }
        self.received += other.received;
    }
}

/// Counts requests; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Mutex<Sums>>);

impl Traffic {
    /// A request for `op` begins: one of a few fixed words.
    pub fn begin(&self, op: &'static str) -> Exchange {
        Exchange { traffic: self.clone(), op, watch: Stopwatch::start(), code: Code::Lost }
    }

    /// Counts bytes of a result file.
    pub fn received(&self, bytes: u64) {
        self.change(|sums| sums.received += bytes);
    }

    /// The sums so far.
    #[must_use]
    pub fn sums(&self) -> Sums {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Sums)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A request under way; it is counted when it is dropped, as lost if nobody said otherwise.
#[derive(Debug)]
#[must_use = "a request that is dropped at once counts as lost"]
pub struct Exchange {
    traffic: Traffic,
    op: &'static str,
    watch: Stopwatch,
    code: Code,
}

impl Exchange {
    /// Ends with this.
    pub fn ends(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let ms = self.watch.micros() / 1000;
        self.traffic.change(|sums| {
            *sums.requests.entry((self.op, self.code)).or_default() += 1;
            sums.times.entry(self.op).or_insert_with(|| Histogram::new(&BOUNDS)).note(ms);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_once_whatever_becomes_of_it() {
        let traffic = Traffic::default();
        traffic.begin("upload").ends(Code::Status(200));
        traffic.begin("upload").ends(Code::Unreached);
        drop(traffic.clone().begin("upload"));
        traffic.begin("batch").ends(Code::Status(503));
        traffic.received(7);
        let sums = traffic.sums();
        let told = |(op, code): &(&'static str, Code), count: &u64| format!("{op} {} {count}", code.word());
        let told: Vec<String> = sums.requests.iter().map(|(key, count)| told(key, count)).collect();
        assert_eq!(told, ["batch 503 1", "upload 200 1", "upload unreached 1", "upload lost 1"]);
        assert_eq!(sums.times["upload"].count(), 3);
        let mut twice = sums.clone();
        twice.add(&sums);
        assert_eq!((twice.requests[&("batch", Code::Status(503))], twice.times["upload"].count()), (2, 6));
        assert_eq!(twice.received, 14);
    }
}
