//! What follows a mission that ended badly: another try, after how long, and what goes on meanwhile.

use std::time::Duration;

use crate::kit::backoff::Backoff;
use crate::kit::clock::{Millis, millis};
use crate::ledger::LedgerError;
use crate::pipeline::mission::Fault;

/// Pauses between tries: a minute, growing to an hour.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(3600) };
/// A mission that lasted so long was no failed try.
const LASTED: Duration = Duration::from_secs(1800);

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It is tried again after a pause.
    Later(Meanwhile),
    /// It is tried again when a person asks for it (SIGHUP, or another start): to try is to pay.
    WhenAsked(Meanwhile),
    /// Nothing that this process can do would help.
    Never,
}

/// What goes on until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// What was paid for is still collected.
    Collect,
    /// Nothing.
    Rest,
}

/// What follows this fault.
pub(super) fn after(fault: &Fault) -> Again {
    use Meanwhile::{Collect, Rest};
    match fault {
        Fault::Provider(failure) if failure.wants_money() => Again::Later(Collect),
        Fault::NoMoney(_) | Fault::NoPrice(_) | Fault::SettingRefused(_) => Again::Later(Collect),
        // Each try would pay for another fifty answers of the same kind.
        Fault::TooManyRejected(_) | Fault::MostlyUnknown(_) => Again::WhenAsked(Collect),
        Fault::Provider(_)
        | Fault::Unreachable(_)
        | Fault::NoneKnown { .. }
        | Fault::NotSeen { .. }
        | Fault::Disk(_) => Again::Later(Rest),
        // Texts are written beside the images: what is not there cannot be written to.
        Fault::Corpus(_) => Again::Later(Rest),
        Fault::Ledger(LedgerError::Full { .. } | LedgerError::Io { .. }) => Again::Later(Rest),
        Fault::Ledger(_) | Fault::OtherCorpus(_) | Fault::OtherAccount(_) | Fault::Died { .. } => Again::Never,
    }
}

/// How many tries have failed in a row, and so how long the next pause is.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// The pause after a try that took so long (milliseconds), spread with `unit` in `0.0..1.0`.
    pub(super) fn pause(&mut self, took: Millis, unit: f64) -> Duration {
        self.0 = if took >= millis(LASTED) { 1 } else { self.0.saturating_add(1) };
        PAUSES.pause(self.0, unit)
    }

    /// Somebody has seen to it.
    pub(super) fn forget(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::breaker::TooManyRejected;
    use crate::domain::image::Reason;
    use crate::domain::money::{Money, Shortage};
    use crate::provider::failure::{Failure, Kind};

    #[test]
    fn what_was_paid_for_is_collected_and_nothing_is_paid_for_blindly() {
        use Meanwhile::{Collect, Rest};
        let provider = |kind| Fault::Provider(Failure::new(kind, "host", "no"));
        let [spent, reserved, limit, need] = [Money::ZERO; 4];
        let rejected = TooManyRejected { reason: Reason::Refused, rejected: 21, answers: 100 };
        let newer = LedgerError::Newer { path: "l".to_owned(), version: 9 };
        for (fault, expected) in [
            (provider(Kind::Money), Again::Later(Collect)),
            (provider(Kind::Key), Again::Later(Rest)),
            (Fault::NoMoney(Shortage { spent, reserved, limit, need }), Again::Later(Collect)),
            (Fault::TooManyRejected(rejected), Again::WhenAsked(Collect)),
            (Fault::Unreachable(Failure::new(Kind::Unreached, "host", "no")), Again::Later(Rest)),
            (Fault::Corpus("gone".to_owned()), Again::Later(Rest)),
            (Fault::Ledger(newer), Again::Never),
            (Fault::Died { who: "poller", why: "x".to_owned() }, Again::Never),
        ] {
            assert_eq!(after(&fault), expected, "{fault:?}");
        }
    }

    #[test]
    fn pauses_grow_until_a_try_lasts() {
        let mut tries = Tries::default();
        let minutes: Vec<u64> = (0..8).map(|_| tries.pause(5_000, 0.5).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(tries.pause(millis(LASTED), 0.5).as_secs(), 60);
        tries.forget();
        assert_eq!(tries.pause(0, 0.5).as_secs(), 60);
    }
}
