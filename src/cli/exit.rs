//! Exit codes: one enum, one meaning a number, for ever.

use crate::settings::Problem;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done; one-shot verbs and a first signal: the step ended well, batches may be open.
    Done = 0,
    /// An unexpected error.
    Unexpected = 1,
    /// Usage or settings are wrong, or a question was asked without a terminal.
    Usage = 2,
    /// Finished, some images failed; `audit`: the balance does not close.
    SomeFailed = 3,
    /// `status --exit-code`: work in flight or owed.
    InFlight = 4,
    /// Network or provider down for `give_up_after`.
    Unreachable = 5,
    /// The key was rejected, is missing, may not do this, or belongs to another account.
    Key = 6,
    /// The provider wants money.
    Money = 7,
    /// `max_cost` reached.
    MoneyLimit = 8,
    /// Nearly everything fails for one reason.
    NearlyAllFail = 9,
    /// `max_duration` reached.
    MaxDuration = 10,
    /// Another batchscribe works here.
    Locked = 11,
    /// A part of the program died; state is safe.
    Died = 70,
    /// Reserved for workers that give leases back.
    GaveBack = 75,
    /// A second Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Every code, for tests and pages.
    pub const ALL: [Self; 15] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::SomeFailed,
        Self::InFlight,
        Self::Unreachable,
        Self::Key,
        Self::Money,
        Self::MoneyLimit,
        Self::NearlyAllFail,
        Self::MaxDuration,
        Self::Locked,
        Self::Died,
        Self::GaveBack,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// How a mistake with this code ends the program.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        match code {
            "E301" | "E302" | "E303" | "E410" => Self::Key,
            "E305" => Self::Money,
            "E306" => Self::MoneyLimit,
            "E310" => Self::Unreachable,
            "E316" | "E318" => Self::NearlyAllFail,
            "E401" => Self::Locked,
            "E407" => Self::SomeFailed,
            "E411" => Self::Died,
            "E304" | "E307" | "E308" | "E402" | "E403" => Self::Usage,
            _ if code.starts_with("E1") => Self::Usage,
            _ if code.starts_with("E2") || code.starts_with("E5") => Self::SomeFailed,
            _ => Self::Unexpected,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a verb ended without its result.
#[derive(Debug)]
pub enum Fail {
    /// Mistakes to be shown, and how to end.
    Told(Vec<Problem>, Exit),
    /// The reader of stdout went away: nobody is left to tell, and nothing is wrong.
    ClosedPipe,
}

impl Fail {
    /// A mistake in the command line that has no code of its own.
    #[must_use]
    pub fn usage(problem: Problem) -> Self {
        Self::Told(vec![problem], Exit::Usage)
    }
}

impl From<Problem> for Fail {
    fn from(problem: Problem) -> Self {
        let exit = Exit::of_code(problem.code);
        Self::Told(vec![problem], exit)
    }
}

impl From<Vec<Problem>> for Fail {
    fn from(problems: Vec<Problem>) -> Self {
        let exit = problems.first().map_or(Exit::Unexpected, |first| Exit::of_code(first.code));
        Self::Told(problems, exit)
    }
}

impl From<std::io::Error> for Fail {
    fn from(cause: std::io::Error) -> Self {
        match cause.kind() {
            std::io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => cannot_write_there(&cause).into(),
        }
    }
}

/// The mistake of a file that a run cannot write; a full disk has a code of its own.
#[must_use]
pub fn cannot_write(cause: &std::io::Error) -> Problem {
    unwritten(
        cause,
        "its folder has to be there and writable; for read-only images, text.out_dir places texts elsewhere",
    )
}

/// The same of a file whose place was named in this very call: no setting moves it.
#[must_use]
pub fn cannot_write_there(cause: &std::io::Error) -> Problem {
    unwritten(cause, "its folder has to be there and writable; or name another place")
}

fn unwritten(cause: &std::io::Error, hint: &str) -> Problem {
    let words = path_first(&cause.to_string());
    let full = matches!(cause.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    if full {
        let hint = "make room, then the same command again; nothing new was begun";
        return Problem::new("E409", format!("disk full: {words}")).hint(hint);
    }
    if cause.kind() == std::io::ErrorKind::FileTooLarge {
        let hint = "raise the limit of this shell (ulimit -f) or of the quota, then the same command again";
        return Problem::new("E405", format!("cannot write {words}")).hint(hint);
    }
    Problem::new("E405", format!("cannot write {words}")).hint(hint)
}

/// `path: cause` of words such as "failed to open file `path`: cause".
fn path_first(words: &str) -> String {
    let parts = words.strip_prefix("failed to ").and_then(|rest| rest.split_once('`')?.1.rsplit_once("`: "));
    parts.map_or_else(|| words.to_owned(), |(path, cause)| format!("{path}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_comes_first() {
        assert_eq!(path_first("failed to open file `/a/b.txt`: No space left"), "/a/b.txt: No space left");
        assert_eq!(path_first("/a/b.txt: No space left"), "/a/b.txt: No space left");
    }

    #[test]
    fn numbers_are_unique_and_those_of_the_contract() {
        let numbers: Vec<u8> = Exit::ALL.into_iter().map(Exit::number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 70, 75, 130]);
    }

    #[test]
    fn codes_end_the_program_as_the_contract_says() {
        for (code, exit) in [
            ("E101", 2),
            ("E109", 2),
            ("E301", 6),
            ("E303", 6),
            ("E304", 2),
            ("E305", 7),
            ("E306", 8),
            ("E308", 2),
            ("E310", 5),
            ("E316", 9),
            ("E318", 9),
            ("E401", 11),
            ("E402", 2),
            ("E405", 1),
            ("E407", 3),
            ("E410", 6),
            ("E503", 3),
        ] {
            assert_eq!(Exit::of_code(code).number(), exit, "{code}");
        }
    }
}
