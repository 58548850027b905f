//! A key that belongs to another project of the same provider: it sees nothing of what was begun, and what it does not see is
//! neither gone nor void. The bills of both projects say whether anything was paid twice.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::{self, Server, ServerOptions};
use batchscribe::pipeline::mission::{Fault, Mission, Mode, NotSeen, Outcome};

use crate::kill::{command, live};
use crate::oracle;
use crate::paid::in_time;
use crate::relay::{hand_on, serve};
use crate::sandbox::{Sandbox, Weather};
use crate::sweep::in_fast_time;

/// Two projects behind one address; which of them answers depends on the key that is in use.
struct Projects {
    sandbox: Sandbox,
    other: Server,
    folder: tempfile::TempDir,
    base: String,
    answers: Arc<Mutex<String>>,
}

impl Projects {
    fn new(images: usize, scenario: &str) -> Self {
        let scenario = toml::from_str(scenario).expect("a scenario");
        let mut sandbox = Sandbox::with(images, Weather { scenario, ..Weather::default() });
        let folder = tempfile::tempdir().expect("temp dir");
        let mut options = ServerOptions::new(folder.path().join("server"), Arc::new(Echo::new()));
        options.bill = Some(folder.path().join("bill.jsonl"));
        let other = emulator::start(options).expect("the emulator starts");
        let answers = Arc::new(Mutex::new(address(&sandbox.base_url())));
        let who = Arc::clone(&answers);
        let front = serve(move |stream, head, rest| {
            let target = who.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // A program that was killed hears no answer.
            drop(hand_on(stream, &head, &rest, &target));
        });
        sandbox.set("api_url", &format!("http://{front}/v1/chat/completions"));
        Self { sandbox, other, folder, base: format!("http://{front}/v1"), answers }
    }

    fn key_of(&self, base_url: &str) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = address(base_url);
    }

    fn other_key(&self) {
        self.key_of(&self.other.base_url());
    }

    fn right_key(&self) {
        self.key_of(&self.sandbox.base_url());
    }

    /// A life that is killed at `point`.
    fn killed_at(&self, point: &str) {
        let mut life = command(&self.sandbox);
        life.env("BATCHSCRIBE_CRASH", point);
        assert!(!live(life, None).expect("it ends").success(), "{point} is reached");
    }

    fn mission(&self, mode: Mode) -> Mission {
        let (mut mission, _) = self.sandbox.mission(mode);
        mission.base_url.clone_from(&self.base);
        mission
    }

    fn run(&self) -> Outcome {
        in_time(self.mission(Mode::Run { once: false }))
    }

    fn other_bill(&self) -> PathBuf {
        self.folder.path().join("bill.jsonl")
    }

    /// Every image is done, and was paid for once in one of the projects.
    fn paid_once(&self, images: usize) {
        let mut billed = oracle::billed(&self.sandbox.bill());
        for (image, times) in oracle::billed(&self.other_bill()) {
            *billed.entry(image).or_default() += times;
        }
        assert!(billed.len() == images && billed.values().all(|times| *times == 1), "paid once each: {billed:?}");
        assert_eq!(oracle::states(&self.sandbox.workspace()).get("done"), Some(&(images as u64)));
    }
}

fn address(base_url: &str) -> String {
    base_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned()
}

fn is_unknown(outcome: &Outcome) {
    assert!(matches!(&outcome.fault, Some(Fault::NotSeen { what: NotSeen::Create { .. }, .. })), "{:?}", outcome.fault);
}

const NEVER_CREATED: &str = "[[door]]\nat = \"create_batch\"\nact = \"drop\"\nwhen = { times = 1 }\n";

/// The input file is not there for the other key either, which is no fence.
#[test]
fn a_batch_in_doubt_is_not_void_for_a_key_that_does_not_see_its_input_file() {
    for fence in ["delete", "wait"] {
        let mut projects = Projects::new(4, "");
        projects.sandbox.set("provider.fence", fence);
        projects.killed_at("create.answered:1");
        projects.other_key();
        for _ in 0..2 {
            let outcome = projects.run();
            is_unknown(&outcome);
            assert_eq!(outcome.standing.packed, 4, "{:?}", outcome.standing);
        }
        assert_eq!(oracle::count(&projects.other_bill(), "create"), 0, "{fence}");
        projects.right_key();
        let outcome = projects.run();
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        projects.paid_once(4);
    }
}

/// What the other key has opened itself in this ledger does not make it the right one.
#[test]
fn batches_of_its_own_prove_nothing_for_a_key() {
    let mut projects = Projects::new(12, "");
    // Long enough for two other batches to be opened before anything is concluded.
    projects.sandbox.set("provider.settle", "2s");
    projects.sandbox.set("run.limit", "4");
    projects.killed_at("create.answered:1");
    projects.sandbox.set("run.limit", "0");
    projects.other_key();
    let mut lives = 0;
    loop {
        let outcome = projects.run();
        is_unknown(&outcome);
        lives += 1;
        if lives > 1 && outcome.standing.packed == 4 {
            break;
        }
        assert!(lives < 9, "the others are read: {:?}", outcome.standing);
    }
    assert_eq!(oracle::billed(&projects.other_bill()).len(), 8, "those that nobody has asked for");
    projects.right_key();
    let outcome = projects.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    projects.paid_once(12);
}

/// A fence that one life has set says nothing about a list that another key is shown.
#[test]
fn a_fence_of_an_earlier_life_makes_nothing_void_for_another_key() {
    for point in ["doubt.fenced:1", "doubt.fence_recorded:1", "doubt.listed_again:1"] {
        let projects = Projects::new(4, NEVER_CREATED);
        projects.killed_at(point);
        projects.other_key();
        is_unknown(&projects.run());
        assert_eq!(oracle::count(&projects.other_bill(), "create"), 0, "{point}");
        // The right key is told by what was left there before the input file was deleted.
        projects.right_key();
        let outcome = projects.run();
        assert!(outcome.fault.is_none(), "{point}: {:?}", outcome.fault);
        projects.paid_once(4);
        assert_eq!(oracle::count(&projects.other_bill(), "create"), 0, "{point}");
    }
}

/// Answers that another key does not see are not given up.
#[test]
fn answers_are_not_gone_for_a_key_that_does_not_see_their_batch() {
    let projects = Projects::new(4, "");
    projects.killed_at("ended.recorded:1");
    projects.other_key();
    let outcome = in_fast_time(projects.mission(Mode::Run { once: false }));
    let what = outcome.fault.as_ref().map(|fault| format!("{fault:?}")).unwrap_or_default();
    assert!(matches!(outcome.fault, Some(Fault::NotSeen { what: NotSeen::Answers { .. }, .. })), "{what}");
    assert_eq!((outcome.standing.packed, outcome.standing.failed), (4, 0), "{:?}", outcome.standing);
    projects.right_key();
    let outcome = projects.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    projects.paid_once(4);
}
