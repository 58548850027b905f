//! When somebody is told of the end of a run, and of what.

use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;
use crate::ledger::records::Standing;
use crate::ops::notify::{self, Event, Message};
use crate::settings::{Notify, Problem, Settings};

use super::exit::{Exit, Fail};
use super::out::Out;

/// What an end is to those who wait for it; nothing where a person ended it, who knows.
fn event_of(exit: Exit) -> Option<Event> {
    match exit {
        Exit::Done | Exit::SomeFailed | Exit::MaxDuration => Some(Event::Ended),
        Exit::Key | Exit::Money | Exit::MoneyLimit | Exit::NearlyAllFail | Exit::Unreachable | Exit::Died => {
            Some(Event::NeedsYou)
        }
        Exit::Unexpected | Exit::Usage | Exit::InFlight | Exit::Locked | Exit::GaveBack | Exit::Interrupted => None,
    }
}

/// Tells how a run ended, and waits until it is told.
pub(super) fn of_end(out: &Out, settings: &Settings, ended: &Result<Exit, Fail>, standing: &Standing) {
    let (exit, problem) = match ended {
        Ok(exit) => (*exit, None),
        Err(Fail::Told(problems, exit)) => (*exit, problems.first()),
        Err(Fail::ClosedPipe) => (Exit::Done, None),
    };
    let Some(event) = event_of(exit).filter(|_| settings.notify.is_wanted()) else { return };
    for mistake in notify::tell(&settings.notify, &message(settings, event, exit, problem, standing)) {
        out.warn(&mistake);
    }
}

/// Tells of something while the work goes on.
pub(super) fn aside(settings: &Settings, event: Event, exit: Exit, problem: Option<&Problem>, standing: &Standing) {
    if !settings.notify.is_wanted() {
        return;
    }
    let (notify, message): (Notify, _) = (settings.notify.clone(), message(settings, event, exit, problem, standing));
    let told = thread::spawn("notify", ExitGuard::unheard("notify"), move |guard| {
        for mistake in notify::tell(&notify, &message) {
            tracing::warn!(mistake, "somebody could not be told");
        }
        guard.drained();
    });
    if let Err(cause) = told {
        tracing::warn!(%cause, "nobody could be told");
    }
}

fn message(settings: &Settings, event: Event, exit: Exit, problem: Option<&Problem>, standing: &Standing) -> Message {
    Message::new(event, exit.number(), settings.workspace.display().to_string(), problem, standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_to_act_is_called_and_who_ended_it_is_not() {
        let of =
            |event| Exit::ALL.into_iter().filter(|exit| event_of(*exit) == event).map(Exit::number).collect::<Vec<_>>();
        assert_eq!(of(Some(Event::NeedsYou)), [5, 6, 7, 8, 9, 70]);
        assert_eq!(of(Some(Event::Ended)), [0, 3, 10]);
        assert_eq!(of(None), [1, 2, 4, 11, 75, 130]);
    }
}
