//! The state machine alone: a table of moves on a clock that is a number.

use super::*;

const DAY: Millis = 86_400_000;

fn service() -> Service {
    let second = Duration::from_secs(1);
    let mut service = Service::new(Rules {
        window: Duration::from_secs(86_400),
        validating: second,
        finalizing: second,
        cancelling: second,
        files_live: Duration::from_secs(30 * 86_400),
        enqueued_tokens: Some(1000),
        habits: Habits::default(),
    });
    service.apply(Event::Began { seed: "test".to_owned() });
    service
}

/// Decides, does, and lets the time take its course.
fn step(service: &mut Service, now: Millis, request: Request) -> Decided {
    let events = service.decide(now, request)?;
    events.iter().for_each(|event| service.apply(event.clone()));
    settle(service, now);
    Ok(events)
}

fn settle(service: &mut Service, now: Millis) {
    loop {
        let due = service.due(now);
        if due.is_empty() {
            return;
        }
        due.into_iter().for_each(|event| service.apply(event));
    }
}

fn add(service: &mut Service, now: Millis) -> String {
    let request = Request::AddFile { filename: "a.jsonl".to_owned(), bytes: 10, lives: None };
    match &step(service, now, request).expect("file")[0] {
        Event::FileAdded { file } => file.id.clone(),
        other => panic!("{other:?}"),
    }
}

fn open(service: &mut Service, now: Millis, file: &str) -> Result<String, Refusal> {
    let batch = NewBatch {
        input_file_id: file.to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        metadata: None,
        results_live: None,
    };
    match &step(service, now, Request::OpenBatch(batch))?[0] {
        Event::BatchOpened { batch } => Ok(batch.id.clone()),
        other => panic!("{other:?}"),
    }
}

fn read(service: &mut Service, now: Millis, id: &str, total: u32, tokens: u64) {
    let verdict = Verdict { total, model: Some("m".to_owned()), enqueued_tokens: tokens, errors: Vec::new() };
    step(service, now, Request::Read { id: id.to_owned(), verdict }).expect("read");
}

fn answer(service: &mut Service, now: Millis, id: &str, line: u32, failed: bool) {
    let tokens = Tokens { prompt: 5, output: 2, ..Tokens::default() };
    let id = id.to_owned();
    step(service, now, Request::Answered { id, line, failed, end: 100, tokens }).expect("answer");
}

fn status(service: &Service, id: &str) -> &'static str {
    service.batch(id).expect("batch").status.word()
}

#[test]
fn a_batch_lives_from_validating_to_completed() {
    let mut service = service();
    let file = add(&mut service, 0);
    let id = open(&mut service, 0, &file).expect("open");
    read(&mut service, 500, &id, 2, 10);
    assert_eq!(status(&service, &id), "validating");
    settle(&mut service, 1000);
    assert_eq!(status(&service, &id), "in_progress");
    answer(&mut service, 2000, &id, 1, false);
    answer(&mut service, 2000, &id, 1, false);
    answer(&mut service, 2000, &id, 0, true);
    assert_eq!(status(&service, &id), "finalizing");
    settle(&mut service, 2999);
    assert_eq!(status(&service, &id), "finalizing");
    settle(&mut service, 3000);
    let batch = service.batch(&id).expect("batch");
    assert_eq!((batch.status, batch.completed, batch.failed), (Status::Completed, 1, 1));
    assert_eq!((batch.tokens.prompt, batch.times.completed), (10, Some(3000)));
    for file in [&batch.asked.output_file_id, &batch.asked.error_file_id] {
        assert_eq!(service.file(file).map(|file| (file.bytes, file.purpose)), Some((100, Purpose::BatchOutput)));
    }
    let refusal = service.decide(4000, Request::CancelBatch { id }).expect_err("ended");
    assert_eq!(refusal, Refusal::cannot_cancel("completed"));
}

#[test]
fn the_window_ends_and_what_never_ran_is_told() {
    let mut service = service();
    let file = add(&mut service, 0);
    let id = open(&mut service, 0, &file).expect("open");
    read(&mut service, 1000, &id, 3, 10);
    answer(&mut service, 2000, &id, 0, false);
    settle(&mut service, DAY);
    assert_eq!(status(&service, &id), "finalizing");
    settle(&mut service, DAY + 5000);
    assert_eq!(status(&service, &id), "finalizing", "the error lines are not written yet");
    step(&mut service, DAY + 5000, Request::RestWritten { id: id.clone(), lines: 2, end: 70 }).expect("rest");
    let batch = service.batch(&id).expect("batch");
    assert_eq!((batch.status, batch.completed, batch.failed), (Status::Expired, 1, 2));
}

#[test]
fn a_cancelled_batch_keeps_what_ran_and_may_be_cancelled_again() {
    let mut service = service();
    let file = add(&mut service, 0);
    let id = open(&mut service, 0, &file).expect("open");
    read(&mut service, 1000, &id, 2, 10);
    answer(&mut service, 2000, &id, 0, false);
    let cancel = Request::CancelBatch { id: id.clone() };
    step(&mut service, 3000, cancel.clone()).expect("cancel");
    assert_eq!(status(&service, &id), "cancelling");
    answer(&mut service, 3100, &id, 1, false);
    step(&mut service, 3200, Request::RestWritten { id: id.clone(), lines: 0, end: 0 }).expect("rest");
    assert_eq!(status(&service, &id), "cancelling");
    settle(&mut service, 4000);
    let batch = service.batch(&id).expect("batch");
    assert_eq!((batch.status, batch.completed, batch.error_bytes), (Status::Cancelled, 2, 0));
    assert_eq!(step(&mut service, 5000, cancel), Ok(Vec::new()));
}

#[test]
fn the_queue_of_tokens_is_limited_until_a_batch_ends() {
    let mut service = service();
    let file = add(&mut service, 0);
    let first = open(&mut service, 0, &file).expect("open");
    read(&mut service, 1000, &first, 1, 800);
    let second = open(&mut service, 1000, &file).expect("open");
    read(&mut service, 2000, &second, 1, 300);
    let errors = &service.batch(&second).expect("batch").verdict.as_ref().expect("read").errors;
    assert_eq!((status(&service, &second), errors[0].code.as_str()), ("failed", "token_limit_exceeded"));
    assert!(errors[0].message.contains("Limit: 1,000 enqueued tokens"), "{}", errors[0].message);
    answer(&mut service, 3000, &first, 0, false);
    settle(&mut service, 4000);
    let third = open(&mut service, 4000, &file).expect("open");
    read(&mut service, 5000, &third, 1, 300);
    assert_eq!(status(&service, &third), "in_progress");
}

#[test]
fn a_file_is_unknown_once_deleted_or_expired_and_result_files_are_no_input() {
    let mut service = service();
    let file = add(&mut service, 0);
    let running = open(&mut service, 0, &file).expect("open");
    step(&mut service, 1, Request::RemoveFile { id: file.clone() }).expect("delete");
    assert_eq!(open(&mut service, 2, &file), Err(Refusal::cannot_find_file(&file)));
    assert!(service.needs_bytes(&file), "a running batch still reads it");
    read(&mut service, 1000, &running, 1, 10);
    answer(&mut service, 2000, &running, 0, false);
    settle(&mut service, 3000);
    assert!(!service.needs_bytes(&file));
    let output = service.batch(&running).expect("batch").asked.output_file_id.clone();
    let refusal = open(&mut service, 4000, &output).expect_err("wrong purpose");
    assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("input_file_id")));
    settle(&mut service, 31 * DAY);
    assert!(service.file(&output).is_none());
    for unknown in [Request::RemoveFile { id: file }, Request::CancelBatch { id: "batch_x".to_owned() }] {
        assert_eq!(service.decide(0, unknown).map_err(|refusal| refusal.status), Err(404));
    }
}

#[test]
fn listings_are_newest_first_and_go_on_after_a_cursor() {
    let mut service = service();
    let files: Vec<String> = (0..5).map(|now| add(&mut service, now)).collect();
    let ids: Vec<String> = (0..5).map(|now| open(&mut service, now, &files[0]).expect("open")).collect();
    let list = |after: Option<&str>, limit, hidden: &str| {
        let page = service.batches(after, limit, |id| id == hidden).expect("page");
        (page.records.iter().map(|batch| batch.asked.id.clone()).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(list(None, 2, ""), (vec![ids[4].clone(), ids[3].clone()], true));
    assert_eq!(list(Some(&ids[3]), 3, ""), (vec![ids[2].clone(), ids[1].clone(), ids[0].clone()], false));
    assert_eq!(list(None, 2, &ids[4]), (vec![ids[3].clone(), ids[2].clone()], true));
    assert_eq!(service.batches(Some("batch_x"), 2, |_| false).map(drop).map_err(|refusal| refusal.status), Err(404));
    let names = |newest, after: Option<&str>| {
        let page = service.files(Some("batch"), after, 2, newest).expect("page");
        (page.records.iter().map(|file| file.id.clone()).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(names(true, Some(&files[2])), (vec![files[1].clone(), files[0].clone()], false));
    assert_eq!(names(false, None), (vec![files[0].clone(), files[1].clone()], true));
    assert!(service.files(Some("other"), None, 2, true).expect("page").records.is_empty());
}

#[test]
fn a_replayed_journal_gives_the_same_service() {
    let (mut lived, mut replayed) = (service(), service());
    let mut journal = Vec::new();
    let mut go = |now, request| {
        let events = lived.decide(now, request).expect("decided");
        for event in events {
            lived.apply(event.clone());
            journal.push(serde_json::to_string(&event).expect("json"));
        }
        for event in lived.due(now) {
            lived.apply(event.clone());
            journal.push(serde_json::to_string(&event).expect("json"));
        }
        lived.given
    };
    go(0, Request::AddFile { filename: "a.jsonl".to_owned(), bytes: 10, lives: None });
    let file = Event::FileAdded {
        file: serde_json::from_value(serde_json::json!({
            "id": "file-x", "bytes": 1, "filename": "x", "purpose": "batch_output", "created_at": 0, "expires_at": 9,
        }))
        .expect("file"),
    };
    journal.push(serde_json::to_string(&file).expect("json"));
    lived.apply(file);
    for line in &journal {
        replayed.apply(serde_json::from_str(line).expect("event"));
    }
    assert_eq!((replayed.given, replayed.files.len()), (lived.given, lived.files.len()));
    assert_eq!(replayed.id("file-", 0), lived.id("file-", 0), "the next id is the same");
}

#[test]
fn a_compacted_journal_gives_the_same_service() {
    let mut lived = service();
    let file = add(&mut lived, 0);
    let (done, open_still) = (open(&mut lived, 0, &file).expect("open"), open(&mut lived, 1, &file).expect("open"));
    for id in [&done, &open_still] {
        read(&mut lived, 1001, id, 2, 10);
        answer(&mut lived, 1500, id, 1, false);
    }
    answer(&mut lived, 1600, &done, 0, false);
    settle(&mut lived, 2600);
    let gone = add(&mut lived, 2700);
    step(&mut lived, 2800, Request::RemoveFile { id: gone }).expect("delete");
    let mut kept = Service::new(lived.rules.clone());
    for event in lived.snapshot() {
        let line = serde_json::to_string(&event).expect("json");
        kept.apply(serde_json::from_str(&line).expect("event"));
    }
    assert_eq!((&kept.files, &kept.file_ends, kept.given), (&lived.files, &lived.file_ends, lived.given));
    assert_eq!((&kept.batches, &kept.open), (&lived.batches, &lived.open));
    assert_eq!(status(&kept, &done), "completed");
    answer(&mut kept, 3000, &open_still, 0, false);
    assert_eq!(status(&kept, &open_still), "finalizing");
}
