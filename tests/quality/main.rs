//! Is a text that exists one that may be cited? The judge against answers that a person has labelled, and cleaning and guard
//! against pages that a person has transcribed. `cargo test --locked --test quality -- --nocapture` prints the tables.

mod labelled;
mod score;
mod truth;

use batchscribe::settings::texts::BUILT_IN_PROMPT;

use self::labelled::Labelled;
use self::score::{Score, table};

/// Answers that the set holds at least.
const LEAST: usize = 200;

/// Every verdict and every flag, on the half that rules may be tuned on and on the half that they may not.
#[test]
#[expect(clippy::print_stdout, reason = "the table is what the test is run for")]
fn verdicts_and_flags_are_those_of_a_person() {
    let answers = labelled::read();
    assert!(answers.len() >= LEAST, "{} answers", answers.len());
    let ladder = labelled::ladder();
    let (mut all, mut halves) = (Score::default(), [Score::default(), Score::default()]);
    let mut wrong = Vec::new();
    for (n, answer) in answers.iter().enumerate() {
        let judged = labelled::judge(answer, BUILT_IN_PROMPT, &ladder);
        all.count(&answer.expected, &judged.told);
        halves[n % 2].count(&answer.expected, &judged.told);
        if answer.expected != judged.told {
            let Labelled { id, class, expected, why, .. } = answer;
            wrong.push(format!("{id} ({class}; {why}): {:?}, not {expected:?}", judged.told));
        }
        if let Some(text) = &answer.text {
            assert_eq!(judged.text.as_ref(), Some(text), "{}", answer.id);
        }
        let becomes_text = judged.told.verdict == "accept" || judged.told.verdict == "deep_clean";
        assert_eq!(judged.text.as_ref().is_some_and(|text| !text.is_empty()), becomes_text, "{}", answer.id);
    }
    println!("{}", table(answers.len(), &all, &halves));
    assert!(
        wrong.is_empty(),
        "{} of {} answers are judged otherwise:\n{}",
        wrong.len(),
        answers.len(),
        wrong.join("\n")
    );
}

/// Where rules are loosened, this tells what that costs before a person does.
#[test]
fn every_class_of_the_set_has_answers_of_more_than_one_kind() {
    let answers = labelled::read();
    let of = |class: &str| answers.iter().filter(|answer| answer.class == class).count();
    for (class, least) in [
        ("good page", 40),
        ("page that repeats itself", 20),
        ("loop", 20),
        ("refusal in words", 20),
        ("page that begins like a refusal", 10),
        ("chatter at an edge", 15),
        ("words of the machine inside", 15),
        ("broken JSON", 15),
        ("schema mismatch", 6),
        ("text for a blank page", 6),
    ] {
        assert!(of(class) >= least, "{class}: {}", of(class));
    }
    let languages = |class: &str| -> std::collections::BTreeSet<&str> {
        answers.iter().filter(|answer| answer.class == class).map(|answer| answer.language.as_str()).collect()
    };
    assert!(languages("good page").len() >= 5 && languages("refusal in words").len() >= 6);
}
