//! Everything that a seed decides.

use std::fmt;
use std::time::Duration;

use batchscribe::emulator::Pace;
use batchscribe::kit::clock::Millis;
use batchscribe::kit::random::split_mix;
use batchscribe::settings::Canary;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// Creates that arrive late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    /// Of a hundred creates.
    pub(crate) percent: u64,
    /// Milliseconds until they arrive.
    pub(crate) by: Millis,
}

/// One process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// It is killed instead of its effect of this number; 0 = it is not killed.
    pub(crate) kill_at: u64,
    /// Its clock is put by so much before the effect of this number.
    pub(crate) step: (u64, Millis),
    /// How long nobody starts the next one.
    pub(crate) pause: Millis,
    /// It only does one pass, as a job of cron.
    pub(crate) once: bool,
}

/// The plan of a simulation.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) images_per_batch: u64,
    pub(crate) enqueued_tokens: Option<u64>,
    /// The program was told the limit in its settings.
    pub(crate) limit_is_known: bool,
    pub(crate) pace: Pace,
    pub(crate) late: Late,
    /// Processes that do not simply run to their end; the one after them does.
    pub(crate) lives: Vec<Life>,
    /// When the faults stop.
    pub(crate) quiet_after: Millis,
    /// What the provider does, as a scenario.
    pub(crate) scenario: String,
    /// Results may vanish at the provider.
    pub(crate) gone: bool,
    /// How the settings are tried out.
    pub(crate) canary: Canary,
    /// Path of the lines.
    pub(crate) endpoint: &'static str,
    /// What may be spent at first, in millionths of a USD; a person doubles it each time it is reached.
    pub(crate) max_cost: Option<u64>,
}

/// Choices, one after the other.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        split_mix(&mut self.0) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("few")]
    }

    fn span(&mut self, most: Millis) -> Millis {
        // Short ones as often as long ones.
        let most = most >> self.below(8);
        Millis::try_from(self.below(u64::try_from(most).expect("positive").max(1))).expect("small")
    }
}

impl Plan {
    /// The plan that follows from `seed`.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f));
        let dice = &mut dice;
        let lives = (0..dice.below(6)).map(|_| life(dice)).collect();
        let pace = Pace {
            validating: duration(dice.span(2 * HOUR)),
            finalizing: duration(dice.span(HOUR)),
            cancelling: duration(dice.span(10 * MINUTE)),
            ..Pace::default()
        };
        let late = Late {
            percent: if dice.one_in(3) { dice.of(&[10, 30, 60]) } else { 0 },
            by: 10 * SECOND + dice.span(30 * MINUTE),
        };
        let mut gone = false;
        let mut plan = Self {
            seed,
            images_per_batch: dice.of(&[17, 20, 25, 40, 50, 67, 100, 200, 400]),
            enqueued_tokens: dice.one_in(3).then(|| 20_000 + dice.below(60_000)),
            limit_is_known: dice.one_in(2),
            pace,
            late,
            lives,
            quiet_after: DAY + dice.span(3 * DAY),
            scenario: scenario(seed, dice, &mut gone),
            gone,
            canary: dice.of(&[Canary::Sync, Canary::Batch, Canary::Off]),
            endpoint: dice.of(&["/v1/chat/completions", "/v1/chat/completions", "/v1/responses"]),
            max_cost: None,
        };
        if dice.one_in(3) {
            plan.scenario.push_str(&question(dice));
        }
        plan.max_cost = dice.one_in(3).then(|| 5_000 + dice.below(20_000));
        plan
    }
}

fn life(dice: &mut Dice) -> Life {
    let most = 400 >> dice.below(5);
    let kill_at = if dice.one_in(8) { 0 } else { 1 + dice.below(most) };
    let step = if dice.one_in(4) { (1 + dice.below(100), dice.of(&[-DAY, DAY, -HOUR, HOUR])) } else { (0, 0) };
    Life { kill_at, step, pause: dice.span(2 * DAY), once: dice.one_in(3) }
}

fn duration(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).expect("positive"))
}

fn scenario(seed: u64, dice: &mut Dice, gone: &mut bool) -> String {
    let mut text = format!("seed = {seed}\n");
    for _ in 0..dice.below(5) {
        text.push_str(&door(dice));
    }
    for _ in 0..dice.below(4) {
        text.push_str(&batch(dice, gone));
    }
    for _ in 0..dice.below(4) {
        text.push_str(&line(dice));
    }
    text.push_str("[habits]\n");
    for _ in 0..dice.below(3) {
        let habit = dice.of(&HABITS);
        if !text.contains(habit.split(' ').next().unwrap_or_default()) {
            text.push_str(habit);
            text.push('\n');
        }
    }
    text
}

/// Ways of other servers that the client has to bear.
const HABITS: [&str; 12] = [
    "uuid_ids = true",
    "upper_case = true",
    "times = 'iso'",
    "counts = 'lagging'",
    "names_both_files = true",
    "body_as_text = true",
    "sparse_lines = true",
    "extra_members = true",
    "no_last_newline = true",
    "one_status_a_look = true",
    "foreign_batches = 3",
    "queue_stays_full_seconds = 10800",
];

fn when(dice: &mut Dice) -> String {
    let (skip, times, chance) = (dice.below(6), 1 + dice.below(12), dice.of(&["0.1", "0.3", "0.6", "1.0"]));
    format!("when = {{ skip = {skip}, times = {times}, chance = {chance} }}\n")
}

fn door(dice: &mut Dice) -> String {
    let at = dice.of(&[
        "create_batch",
        "create_batch",
        "create_batch",
        "upload_file",
        "upload_file",
        "list_batches",
        "get_batch",
        "get_file",
        "read_file",
        "delete_file",
        "list_files",
        "cancel_batch",
    ]);
    let act = match at {
        "read_file" => dice.of(&["refuse", "drop", "cut", "delay"]),
        _ => dice.of(&["refuse", "refuse", "act_then_refuse", "drop", "act_then_drop", "delay"]),
    };
    let error = match (at, dice.below(7)) {
        // Nobody who has created a batch says that he surely has not.
        ("create_batch", _) if act == "act_then_refuse" => {
            dice.of(&["status = 500\n", "status = 502\n", "status = 503\n"])
        }
        ("create_batch", 0) => {
            "status = 400\nparam = 'file_id'\nmessage = 'Cannot find file file-1, or project proj_1 does not have access to it.'\n"
        }
        ("create_batch" | "upload_file", 1) => "status = 429\ncode = 'insufficient_quota'\n",
        ("read_file", 0 | 1) => "status = 404\n",
        (_, 2) => "status = 429\nretry_after_seconds = 40\n",
        (_, 3) => "status = 429\n",
        (_, 4) => "status = 502\n",
        (_, 5) => "status = 503\n",
        _ => "status = 500\n",
    };
    // A result file that is not there for longer than `settle` is given up, as it should be.
    let some_minutes = "when = { times = 3 }\n".to_owned();
    let delay = dice.of(&[100, 5_000, 90_000, 600_000]);
    let when = when(dice);
    let when = if error.contains("404") { some_minutes } else { when };
    format!("[[door]]\nat = '{at}'\nact = '{act}'\n{error}keep = 0.5\ndelay_ms = {delay}\n{when}")
}

/// What becomes of the canary's question.
fn question(dice: &mut Dice) -> String {
    let act = dice.of(&["refuse", "act_then_refuse", "drop", "act_then_drop"]);
    let status = dice.of(&[
        "status = 404\nmessage = 'Invalid URL (POST /v1/chat/completions)'",
        "status = 404\ncode = 'model_not_found'",
        "status = 405",
        "status = 429",
        "status = 500",
        "status = 400\ncode = 'image_too_small'",
        "status = 400\ncode = 'unsupported_value'\nparam = 'temperature'",
    ]);
    format!("[[door]]\nat = 'chat'\nact = '{act}'\n{status}\n{}", when(dice))
}

fn batch(dice: &mut Dice, gone: &mut bool) -> String {
    let what = match dice.below(12) {
        // The first look of a doubt misses it; after `settle` a list is believed.
        0 | 1 => "hide_from_lists = 1\n".to_owned(),
        2 | 3 => format!("expire_after_lines = {}\n", dice.below(20)),
        4 | 5 => format!("cancel_after_lines = {}\n", 1 + dice.below(20)),
        6 => "fail = {code = 'invalid_request', message = 'Cannot find file file-1, or organization org-1 does not have access to it.'}\n".to_owned(),
        7 => "fail = {code = 'token_limit_exceeded', message = 'Enqueued token limit reached for the model in organization org-1. Please try again once some in_progress batches have been completed.'}\n".to_owned(),
        8 => "fail = {code = 'invalid_json_line', lines = [3]}\n".to_owned(),
        9 => "shuffle = true\n".to_owned(),
        10 if dice.one_in(3) => {
            *gone = true;
            "results_gone = true\n".to_owned()
        }
        _ => "show = [{members = {error_file_id = '', request_counts = '<null>'}}]\nshuffle = true\n".to_owned(),
    };
    format!("[[batch]]\n{what}{}", when(dice))
}

fn line(dice: &mut Dice) -> String {
    let outcome = dice.of(&[
        "refusal",
        "length_cut",
        "length_empty",
        "empty",
        "content_filter",
        "filtered_text",
        "fenced",
        "server_error",
        "rate_limited",
        "insufficient_quota",
        "invalid_image",
        "too_long",
        "download_timeout",
        "status_zero",
        "request_timeout",
        "odd_error",
        "missing",
        "twice",
        "error_first",
        "unknown_id",
        "broken_line",
    ]);
    let page = dice.of(&["page", "page00", "page01", "page007", "page1"]);
    format!("[[line]]\ncustom_id_contains = '{page}'\noutcome = '{outcome}'\n{}", when(dice))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            images_per_batch,
            enqueued_tokens,
            limit_is_known,
            pace,
            late,
            lives,
            quiet_after,
            scenario,
            gone,
            canary,
            endpoint,
            max_cost,
        } = self;
        writeln!(
            f,
            "  seed {seed}: {images_per_batch} images a batch, limit {enqueued_tokens:?} (known: {limit_is_known}), {late:?}, gone: {gone}"
        )?;
        writeln!(f, "  canary {canary:?}, {endpoint}, money {max_cost:?}")?;
        writeln!(f, "  {pace:?}, quiet after {} h", quiet_after / HOUR)?;
        lives.iter().try_for_each(|life| writeln!(f, "  {life:?}"))?;
        scenario.lines().try_for_each(|line| writeln!(f, "  | {line}"))
    }
}
