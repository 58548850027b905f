//! Any fault of any stage, sorted into the few kinds that callers tell apart.

use std::io;

use super::mission::{Fault, NotSeen, Refused};
use crate::clean::breaker::{MostlyUnknown, TooManyRejected};
use crate::clean::close::SweepError;
use crate::clean::judge::RunRefused;
use crate::extract::extractor::ReadError;
use crate::extract::fetch::FetchError;
use crate::kit::faults::AnyFault;
use crate::ledger::LedgerError;
use crate::poll::options::NoneKnown;
use crate::provider::failure::{Failure, Kind};
use crate::provider::patience::Unreachable;
use crate::scan::scanner::RootUnreadable;
use crate::upload::send::SendError;

/// Sorts a fault by its type; one of no known type means that `who` died of it. `host` is the provider's, whose result lines name none.
#[must_use]
pub fn sort(who: &'static str, fault: AnyFault, host: &str) -> Fault {
    let fault = match fault.downcast::<SendError>() {
        Ok(error) => return of_send(who, *error),
        Err(other) => other,
    };
    let fault = match fault.downcast::<ReadError>() {
        Ok(error) => return of_read(who, *error),
        Err(other) => other,
    };
    let fault = match fault.downcast::<SweepError>() {
        Ok(error) => {
            return match *error {
                SweepError::Ledger(cause) => Fault::Ledger(cause),
                SweepError::Disk(cause) => Fault::Disk(cause),
            };
        }
        Err(other) => other,
    };
    of_simple(who, fault, host)
}

/// The fault as it is told, if the ledger's keeper ended by `failure`: whoever finds the ledger closed, or has nobody to ask
/// any more, does not know why.
#[must_use]
pub fn rooted(fault: Option<Fault>, failure: Option<LedgerError>) -> Option<Fault> {
    match (fault, failure) {
        (Some(Fault::Died { .. } | Fault::Ledger(LedgerError::Closed)), Some(cause)) => Some(Fault::Ledger(cause)),
        (fault, _) => fault,
    }
}

fn of_simple(who: &'static str, fault: AnyFault, host: &str) -> Fault {
    let fault = match fault.downcast::<LedgerError>() {
        Ok(error) => return Fault::Ledger(*error),
        Err(other) => other,
    };
    let fault = match fault.downcast::<Failure>() {
        Ok(failure) => return of_failure(*failure),
        Err(other) => other,
    };
    let fault = match fault.downcast::<Unreachable>() {
        Ok(error) => return Fault::Unreachable(error.0),
        Err(other) => other,
    };
    let fault = match fault.downcast::<NoneKnown>() {
        Ok(error) => return Fault::NoneKnown { host: error.host, batches: error.batches },
        Err(other) => other,
    };
    let fault = match fault.downcast::<RootUnreadable>() {
        Ok(error) => return Fault::Corpus(error.to_string()),
        Err(other) => other,
    };
    let fault = match fault.downcast::<RunRefused>() {
        Ok(refused) => return of_refused(*refused, host),
        Err(other) => other,
    };
    let fault = match fault.downcast::<TooManyRejected>() {
        Ok(told) => return Fault::TooManyRejected(*told),
        Err(other) => other,
    };
    let fault = match fault.downcast::<MostlyUnknown>() {
        Ok(told) => return Fault::MostlyUnknown(*told),
        Err(other) => other,
    };
    match fault.downcast::<io::Error>() {
        Ok(error) => Fault::Disk(*error),
        Err(other) => Fault::Died { who, why: other.to_string() },
    }
}

fn of_failure(failure: Failure) -> Fault {
    match failure.kind {
        Kind::Refused | Kind::TooLarge | Kind::NotFound => {
            let Failure { code, param, message, .. } = failure;
            Fault::SettingRefused(Refused { code, param, message })
        }
        Kind::Unreached => Fault::Unreachable(failure),
        _ => Fault::Provider(failure),
    }
}

/// A result line that every further line would repeat: told like a refusal of the provider itself.
fn of_refused(refused: RunRefused, host: &str) -> Fault {
    let kind = match refused.status {
        _ if refused.is_about_money() => Kind::Money,
        401 => Kind::Key,
        403 => Kind::Forbidden,
        _ => {
            let RunRefused { code, param, message, .. } = refused;
            return Fault::SettingRefused(Refused { code, param, message });
        }
    };
    Fault::Provider(Failure {
        kind,
        status: Some(refused.status),
        code: refused.code,
        param: refused.param,
        message: refused.message,
        host: host.to_owned(),
        retry_after: None,
    })
}

fn of_send(who: &'static str, error: SendError) -> Fault {
    match error {
        SendError::Ledger(cause) => Fault::Ledger(cause),
        SendError::Provider(failure) => of_failure(failure),
        SendError::Unreachable(Unreachable(failure)) => Fault::Unreachable(failure),
        SendError::NotSeen { host, run, shard } => Fault::NotSeen { host, what: NotSeen::Create { run, shard } },
        SendError::Disk(cause) => Fault::Disk(cause),
        SendError::Body(why) => Fault::Died { who, why },
        SendError::NoMoney(shortage) => Fault::NoMoney(shortage),
        SendError::NoPrice(model) => Fault::NoPrice(model),
        SendError::Stopped => Fault::Died { who, why: "stopped".to_owned() },
    }
}

fn of_read(who: &'static str, error: ReadError) -> Fault {
    match error {
        ReadError::Ledger(cause) => Fault::Ledger(cause),
        ReadError::Disk(cause) | ReadError::Fetch(FetchError::Disk(cause)) => Fault::Disk(cause),
        ReadError::Fetch(FetchError::Provider(failure)) => of_failure(failure),
        ReadError::Fetch(FetchError::Unreachable(Unreachable(failure))) => Fault::Unreachable(failure),
        ReadError::NotSeen { host, batch } => {
            Fault::NotSeen { host, what: NotSeen::Answers { batch: batch.to_string() } }
        }
        other => Fault::Died { who, why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_lost_ledger_is_told_as_that() {
        let full = || Some(LedgerError::Full { path: "ledger".into() });
        let died = || Some(Fault::Died { who: "encoder", why: "the ledger is closed".into() });
        assert!(matches!(rooted(died(), full()), Some(Fault::Ledger(LedgerError::Full { .. }))));
        let closed = Some(Fault::Ledger(LedgerError::Closed));
        assert!(matches!(rooted(closed, full()), Some(Fault::Ledger(LedgerError::Full { .. }))));
        assert!(matches!(rooted(died(), None), Some(Fault::Died { .. })));
        assert!(matches!(rooted(Some(Fault::Corpus(String::new())), full()), Some(Fault::Corpus(_))));
        assert!(rooted(None, full()).is_none());
    }

    #[test]
    fn faults_keep_their_kind() {
        let refused =
            |code: &str, status| RunRefused { code: code.into(), param: String::new(), message: String::new(), status };
        let sorted = |who, fault| sort(who, fault, "api.example.org");
        let money = sorted("cleaner", refused("insufficient_quota", 429).into());
        assert!(matches!(money, Fault::Provider(f) if f.kind == Kind::Money && f.host == "api.example.org"));
        assert!(matches!(sorted("cleaner", refused("unsupported_value", 400).into()), Fault::SettingRefused(_)));
        let full = io::Error::new(io::ErrorKind::StorageFull, "full");
        assert!(matches!(sorted("cleaner", full.into()), Fault::Disk(e) if e.kind() == io::ErrorKind::StorageFull));
        assert!(matches!(sorted("poller", "odd".into()), Fault::Died { who: "poller", .. }));
    }
}
