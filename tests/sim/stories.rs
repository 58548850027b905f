//! What the simulation once found, as plans of their own that no change of the dice makes forget.

use std::time::Duration;

use batchscribe::emulator::Pace;
use batchscribe::settings::Canary;

use crate::plan::{Late, Life, Plan};
use crate::scene::Scene;

fn calm() -> Plan {
    Plan {
        seed: 64,
        images_per_batch: 67,
        enqueued_tokens: None,
        limit_is_known: false,
        pace: Pace::default(),
        late: Late { percent: 0, by: 0 },
        lives: Vec::new(),
        quiet_after: 30 * 3_600_000,
        scenario: String::new(),
        gone: false,
        canary: Canary::Off,
        endpoint: "/v1/chat/completions",
        max_cost: None,
    }
}

/// A stray of an earlier try is in the list when a later try is looked for: the ledger knows it, and it is not adopted
/// again. The run ended with "UNIQUE constraint failed".
#[test]
fn a_stray_of_an_earlier_try_is_not_what_a_later_one_has_opened() {
    let scenario = "seed = 64
        [[door]]
        at = 'create_batch'
        act = 'act_then_refuse'
        status = 429
        when = { skip = 5, times = 10, chance = 0.6 }
        [[batch]]
        fail = { code = 'token_limit_exceeded', message = 'Enqueued token limit reached for the model.' }
        when = { skip = 1, times = 12, chance = 0.6 }
        [[batch]]
        shuffle = true
        when = { skip = 2, times = 12, chance = 0.6 }
        [[batch]]
        cancel_after_lines = 11
        when = { skip = 3, times = 2, chance = 0.3 }
        [[line]]
        custom_id_contains = 'page00'
        outcome = 'rate_limited'
        when = { skip = 0, times = 2, chance = 0.6 }
        [[line]]
        custom_id_contains = 'page01'
        outcome = 'missing'
        when = { skip = 3, times = 11, chance = 0.1 }";
    let plan = Plan {
        pace: Pace {
            validating: Duration::from_millis(2_754_941),
            finalizing: Duration::from_millis(69_614),
            cancelling: Duration::from_millis(8_725),
            ..Pace::default()
        },
        late: Late { percent: 60, by: 13_803 },
        scenario: scenario.to_owned(),
        ..calm()
    };
    // What is bought twice here is the provider's doing: it says that it has not created what it has.
    let told = Scene::new().play(&plan);
    assert!(!matches!(&told, Err((why, _)) if !why.contains("paid twice")), "{:?}", told.err().map(|(why, _)| why));
}

/// One pass whose queue was full waited for a batch to end, which nobody was looking at.
#[test]
fn one_pass_waits_for_no_room() {
    let once = Life { once: true, ..Life::default() };
    let plan = Plan { enqueued_tokens: Some(22_000), limit_is_known: true, lives: vec![once; 3], ..calm() };
    Scene::new().play(&plan).map_err(|(why, _)| why).expect("comes to its end");
}

/// The batch that went ahead needed its money a second time, which those that waited for its answers had promised to themselves.
#[test]
fn who_waits_for_the_first_batch_keeps_no_money_from_it() {
    let plan = Plan {
        seed: 1124,
        images_per_batch: 40,
        enqueued_tokens: Some(23_344),
        scenario: "seed = 1124\n[[door]]\nat = 'create_batch'\nact = 'drop'\nwhen = { times = 1 }".to_owned(),
        canary: Canary::Batch,
        max_cost: Some(16_736),
        ..calm()
    };
    let tale = Scene::new().play(&plan).map_err(|(why, _)| why).expect("a run that ends");
    assert!(tale.found.done > 0, "{:?}", tale.found);
}
