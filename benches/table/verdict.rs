//! What a figure means against its target. Plain: figures in, words out.

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The figure has to reach it.
    AtLeast,
    /// The figure may not pass it.
    AtMost,
}

/// What a figure has to be, and where we want to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    /// Which way is better.
    pub(crate) wanted: Wanted,
    /// Safe with the noise of a shared machine.
    pub(crate) must: f64,
    /// Where we want to be.
    pub(crate) goal: f64,
}

/// What a figure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is where we want to be.
    Goal,
    /// It is good enough.
    Must,
    /// It is not.
    Missed,
    /// Nothing was measured, and why.
    NotMeasured(String),
}

impl Target {
    /// At least `must`, rather `goal`.
    pub(crate) const fn at_least(must: f64, goal: f64) -> Self {
        Self { wanted: Wanted::AtLeast, must, goal }
    }

    /// At most `must`, rather `goal`.
    pub(crate) const fn at_most(must: f64, goal: f64) -> Self {
        Self { wanted: Wanted::AtMost, must, goal }
    }

    /// What this median means; no number means nothing good.
    pub(crate) fn judge(&self, median: f64) -> Verdict {
        let meets = |bound: f64| match self.wanted {
            Wanted::AtLeast => median >= bound,
            Wanted::AtMost => median <= bound,
        };
        match (meets(self.goal), meets(self.must)) {
            (true, true) => Verdict::Goal,
            (_, true) => Verdict::Must,
            _ => Verdict::Missed,
        }
    }

    /// `≥ 0.75, goal ≥ 1`.
    pub(crate) fn words(&self) -> String {
        let sign = match self.wanted {
            Wanted::AtLeast => "≥",
            Wanted::AtMost => "≤",
        };
        format!("{sign} {}, goal {sign} {}", self.must, self.goal)
    }
}

impl Verdict {
    /// For people.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Goal => "goal met".to_owned(),
            Self::Must => "must met".to_owned(),
            Self::Missed => "MUST MISSED".to_owned(),
            Self::NotMeasured(why) => format!("not measured: {why}"),
        }
    }
}
