//! The client against a small server on a real socket.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::super::mock::{Act, Mock, answer, options};
use super::*;
use crate::kit::clock::Stopwatch;

fn client(mock: &Mock) -> OpenAi {
    OpenAi::new(&options(&mock.url)).expect("client")
}

/// A body that announces `length` and then yields `chunks`.
fn body(length: u64, chunks: Vec<Vec<u8>>) -> UploadBody {
    let (sender, lane) = mpsc::channel(chunks.len().max(1));
    for chunk in chunks {
        sender.try_send(Bytes::from(chunk)).expect("room");
    }
    UploadBody { length, lane }
}

fn new_batch() -> NewBatch {
    NewBatch {
        input_file_id: FileId("file-1".into()),
        endpoint: "/v1/chat/completions".into(),
        completion_window: "24h".into(),
        metadata: BTreeMap::from([("run".into(), "r1".into())]),
        output_expires_after: None,
    }
}

async fn kind_of_create(act: Act) -> (Kind, usize) {
    let mock = Mock::start(vec![act, Act::Cut, Act::Cut]);
    let failure = client(&mock).create_batch(&new_batch()).await.expect_err("failure");
    (failure.kind, mock.requests().len())
}

#[tokio::test]
async fn an_upload_is_a_well_formed_form_of_exact_length() {
    let mock =
        Mock::start(vec![Act::Answer(answer("200 OK", include_str!("../../tests/data/api/files/created.json")))]);
    let chunks = vec![b"{\"a\":1}\n".to_vec(), vec![b'x'; 700_000], b"\n".to_vec()];
    let content = chunks.concat();
    let length = content.len() as u64;
    let file = client(&mock).upload_file("pages-r-s-1.jsonl", body(length, chunks)).await.expect("file");
    assert_eq!((file.id.as_str(), file.bytes, file.ready), ("file-52voFe6FU6MWyAwa1Uj39R", Some(170), true));

    let request = mock.requests().remove(0);
    assert_eq!(request.line(), "POST /v1/files HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Bearer sk-test-key"));
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
    let kind = request.header("content-type").expect("content type");
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("boundary");
    let expected = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"pages-r-s-1.jsonl\"\r\nContent-Type: application/octet-stream\r\n\r\n").into_bytes(),
        content,
        format!("\r\n--{boundary}--\r\n").into_bytes(),
    ]
    .concat();
    assert!(request.body == expected, "the form is not what it should be");
}

#[tokio::test]
async fn a_body_of_the_wrong_length_is_no_file() {
    for (announced, chunks) in
        [(10, vec![b"123".to_vec()]), (2, vec![b"123".to_vec()]), (3, vec![b"123".to_vec(), b"4".to_vec()])]
    {
        let mock = Mock::start(vec![Act::Answer(answer("200 OK", r#"{"id":"file-1"}"#))]);
        let failure = client(&mock).upload_file("a.jsonl", body(announced, chunks)).await.expect_err("failure");
        assert_eq!(failure.kind, Kind::Body);
    }
}

#[tokio::test]
async fn a_refusal_before_the_end_of_an_upload_is_reported() {
    let mock = Mock::start(vec![Act::Early(answer("413 Content Too Large", "<html>"))]);
    let (sender, lane) = mpsc::channel(1);
    let upload = client(&mock);
    let (outcome, ()) =
        tokio::join!(upload.upload_file("a.jsonl", UploadBody { length: 50_000_000, lane }), async move {
            while sender.send(Bytes::from(vec![0; 100_000])).await.is_ok() {}
        });
    assert_eq!(outcome.expect_err("refused").kind, Kind::TooLarge);
}

#[tokio::test]
async fn a_refusal_by_reset_is_that_refusal_or_a_doubt() {
    // A reset may overtake the answer on its way; then nobody can know it, and the upload is tried again.
    let mock = Mock::start(vec![Act::Abrupt(answer("413 Content Too Large", "<html>"))]);
    let (sender, lane) = mpsc::channel(1);
    let upload = client(&mock);
    let (outcome, ()) =
        tokio::join!(upload.upload_file("a.jsonl", UploadBody { length: 50_000_000, lane }), async move {
            while sender.send(Bytes::from(vec![0; 300_000])).await.is_ok() {}
        });
    assert!(matches!(outcome.expect_err("refused").kind, Kind::TooLarge | Kind::Doubt));
}

#[tokio::test]
async fn an_upload_that_stands_still_ends() {
    let mock = Mock::start(vec![Act::Deaf, Act::Hang("")]);
    let upload = client(&mock);
    let watch = Stopwatch::start();
    let chunks = vec![vec![0; 8_000_000]; 4];
    let deaf = upload.upload_file("a.jsonl", body(32_000_000, chunks)).await.expect_err("stalled");
    let unanswered = upload.upload_file("a.jsonl", body(3, vec![vec![0; 3]])).await.expect_err("stalled");
    assert_eq!((deaf.kind, unanswered.kind), (Kind::Doubt, Kind::Doubt));
    assert!(watch.elapsed() < Duration::from_secs(4), "{:?}", watch.elapsed());
}

#[tokio::test]
async fn a_create_is_sent_once_whatever_happens() {
    let example = include_str!("../../tests/data/api/http-errors/400_cannot_find_file.json");
    for (act, expected) in [
        (Act::Cut, Kind::Doubt),
        (Act::Answer(answer("500 Oops", "")), Kind::Doubt),
        (Act::Answer(answer("200 OK", "<html>")), Kind::Doubt),
        (Act::Answer(answer("200 OK", "{}")), Kind::Doubt),
        (Act::Answer(answer("200 OK", r#"{"id":"b","input_file_id":"file-2"}"#)), Kind::Doubt),
        (Act::Answer(answer("307 Elsewhere\r\nlocation: /v1/other", "")), Kind::Doubt),
        (Act::Answer(answer("413 Too Large", "<html>")), Kind::Doubt),
        (Act::Answer(answer("400 Bad", example)), Kind::NoSuchFile),
        (Act::Answer(answer("429 Slow\r\nretry-after: 7", "")), Kind::Busy),
    ] {
        assert_eq!(kind_of_create(act).await, (expected, 1));
    }
}

#[tokio::test]
async fn a_create_sends_what_it_should() {
    let mock = Mock::start(vec![Act::Answer(answer(
        "200 OK",
        r#"{"id":"batch_1","input_file_id":"file-1","status":"Validating"}"#,
    ))]);
    let batch = client(&mock).create_batch(&new_batch()).await.expect("batch");
    assert_eq!((batch.id.as_str(), batch.status.as_str()), ("batch_1", "validating"));
    let request = mock.requests().remove(0);
    assert_eq!(request.line(), "POST /v1/batches HTTP/1.1");
    let sent: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        sent,
        json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"run": "r1"}})
    );
}

#[tokio::test]
async fn without_a_connection_nothing_happened() {
    // Bound and dropped: nobody listens there.
    let mock = Mock::start(vec![]);
    std::thread::yield_now();
    tokio::time::timeout(Duration::from_secs(5), async {
        let mut failure = client(&mock).create_batch(&new_batch()).await.expect_err("failure");
        while failure.kind != Kind::Unreached {
            failure = client(&mock).create_batch(&new_batch()).await.expect_err("failure");
        }
        assert!(failure.surely_not_created());
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_carry_the_key() {
    let other = Mock::start(vec![Act::Answer(answer("200 OK", "line\n"))]);
    let to_other = answer(&format!("302 Found\r\nlocation: {}/blob", other.url), "");
    let to_itself = answer("307 Again\r\nlocation: /v1/again", "");
    let mock = Mock::start(vec![Act::Answer(to_itself), Act::Answer(to_other)]);
    let mut download = client(&mock).read_file(&FileId("file-1".into()), 0).await.expect("download");
    assert_eq!(download.bytes.next().await.expect("chunk").expect("bytes"), "line\n");
    assert!(download.bytes.next().await.is_none());
    let keys: Vec<bool> = mock.requests().iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(keys, [true, true]);
    let strange = other.requests().remove(0);
    assert_eq!((strange.line(), strange.header("authorization")), ("GET /v1/blob HTTP/1.1", None));
}

const REDIRECTS: [&str; 5] = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"];

#[tokio::test]
async fn whatever_the_redirect_a_download_follows_it_without_the_key() {
    for status in REDIRECTS {
        let other = Mock::start(vec![Act::Answer(answer("200 OK", "line\n"))]);
        let mock = Mock::start(vec![Act::Answer(answer(&format!("{status}\r\nlocation: {}/blob", other.url), ""))]);
        let mut download = client(&mock).read_file(&FileId("file-1".into()), 0).await.expect(status);
        assert_eq!(download.bytes.next().await.expect("chunk").expect("bytes"), "line\n");
        assert_eq!(other.requests().remove(0).header("authorization"), None, "{status}");
    }
}

#[tokio::test]
async fn nothing_but_a_download_follows_a_redirect() {
    let elsewhere = Mock::start(vec![Act::Cut]);
    for status in REDIRECTS {
        let away = || Act::Answer(answer(&format!("{status}\r\nlocation: {}/there", elsewhere.url), ""));
        let mock = Mock::start((0..8).map(|_| away()).collect());
        let (client, file, batch) = (client(&mock), FileId("f".into()), BatchId("b".into()));
        let kinds = [
            client.create_batch(&new_batch()).await.map(drop),
            client.upload_file("a.jsonl", body(3, vec![b"123".to_vec()])).await.map(drop),
            client.file(&file).await.map(drop),
            client.find_files("a.jsonl").await.map(drop),
            client.delete_file(&file).await.map(drop),
            client.batch(&batch).await.map(drop),
            client.list_batches(None).await.map(drop),
            client.cancel_batch(&batch).await.map(drop),
        ]
        .map(|outcome| outcome.map_err(|failure| failure.kind));
        assert_eq!(kinds, [Err(Kind::Doubt); 8], "{status}");
        assert_eq!(mock.requests().len(), 8, "each was sent once");
    }
    assert!(elsewhere.requests().is_empty(), "the other host heard nothing");
}

#[tokio::test]
async fn answers_without_end_are_given_up() {
    for act in [
        Act::Endless("HTTP/1.1 200 OK\r\n\r\n"),
        Act::Endless("HTTP/1.1 500 Oops\r\n\r\n"),
        Act::Endless("HTTP/1.1 200 OK\r\n"),
        Act::Endless("HTTP/1.1 200 "),
        Act::Endless(""),
    ] {
        let mock = Mock::start(vec![act]);
        let failure = client(&mock).batch(&BatchId("b".into())).await.expect_err("no end");
        assert_eq!(failure.kind, Kind::Doubt);
        assert!(failure.message.len() < 1000, "{}", failure.message);
    }
}

#[tokio::test]
async fn a_download_that_drips_stands_still() {
    let mock = Mock::start(vec![Act::Drip("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")]);
    let download = client(&mock).read_file(&FileId("f".into()), 0).await.expect("download");
    let chunks: Vec<_> = download.bytes.collect().await;
    let (last, came) = chunks.split_last().expect("chunks");
    assert_eq!(last.as_ref().map_err(|failure| failure.kind), Err(Kind::Doubt));
    assert!(!came.is_empty() && came.iter().all(Result::is_ok), "{came:?}");
}

#[tokio::test]
async fn a_result_file_that_is_a_link_is_fetched_without_the_key() {
    let other = Mock::start(vec![Act::Answer(answer("200 OK", "line\n"))]);
    let mock = Mock::start(vec![]);
    let link = FileId(format!("{}/result.jsonl?sign=1", other.url));
    let mut download = client(&mock).read_file(&link, 0).await.expect("download");
    assert_eq!(download.bytes.next().await.expect("chunk").expect("bytes"), "line\n");
    let seen = other.requests().remove(0);
    assert_eq!((seen.line(), seen.header("authorization")), ("GET /v1/result.jsonl?sign=1 HTTP/1.1", None));
    let abroad = FileId("http://example.com/result.jsonl".into());
    assert_eq!(client(&mock).read_file(&abroad, 0).await.map(drop).map_err(|failure| failure.kind), Err(Kind::Doubt));
}

#[tokio::test]
async fn redirects_that_ring_or_leave_encryption_are_refused() {
    let ring = || Act::Answer(answer("302 Found\r\nlocation: /v1/ring", ""));
    let mock = Mock::start((0..6).map(|_| ring()).collect());
    let failure = client(&mock).read_file(&FileId("f".into()), 0).await.expect_err("ring");
    assert_eq!(failure.kind, Kind::Doubt);
    let mock = Mock::start(vec![Act::Answer(answer("302 Found\r\nlocation: http://example.com/x", ""))]);
    assert!(client(&mock).read_file(&FileId("f".into()), 0).await.is_err());
}

#[tokio::test]
async fn ranges_are_believed_only_with_the_right_offset() {
    let ranged = |range: &str| Act::Answer(answer(&format!("206 Partial\r\ncontent-range: bytes {range}"), "cd"));
    let whole = || Act::Answer(answer("200 OK", "abcd"));
    let no_range = || Act::Answer(answer("416 Range Not Satisfiable", ""));
    for (acts, offset, length) in [
        (vec![ranged("2-3/4")], 2, 2),
        (vec![ranged("1-3/4"), whole()], 0, 4),
        (vec![whole()], 0, 4),
        (vec![no_range(), whole()], 0, 4),
    ] {
        let mock = Mock::start(acts);
        let download = client(&mock).read_file(&FileId("f".into()), 2).await.expect("download");
        assert_eq!((download.offset, download.length), (offset, Some(length)));
        assert_eq!(mock.requests()[0].header("range"), Some("bytes=2-"));
    }
}

#[tokio::test]
async fn a_cut_or_silent_download_says_so() {
    for act in [
        Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".into()),
        Act::Hang("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"),
    ] {
        let mock = Mock::start(vec![act]);
        let download = client(&mock).read_file(&FileId("f".into()), 0).await.expect("download");
        let chunks: Vec<_> = download.bytes.collect().await;
        assert_eq!(chunks[0].as_ref().map(Bytes::len).ok(), Some(3));
        assert_eq!(chunks[1].as_ref().map_err(|failure| failure.kind), Err(Kind::Doubt));
        assert_eq!(chunks.len(), 2);
    }
    let missing = include_str!("../../tests/data/api/http-errors/404_no_file.json");
    let mock = Mock::start(vec![Act::Answer(answer("404 Not Found", missing))]);
    let failure = client(&mock).read_file(&FileId("f".into()), 0).await.expect_err("missing");
    assert_eq!(failure.kind, Kind::NotFound);
}

#[tokio::test]
async fn files_are_found_by_exact_name_and_a_ring_of_pages_ends() {
    let page =
        json!({"data": [{"id": "f1", "filename": "a.jsonl"}, {"id": "f2", "filename": "aa.jsonl"}], "has_more": true})
            .to_string();
    let mock = Mock::start(vec![Act::Answer(answer("200 OK", &page)), Act::Answer(answer("200 OK", &page))]);
    let found = client(&mock).find_files("a.jsonl").await.expect("found");
    assert_eq!(found.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["f1"]);
    let lines: Vec<String> = mock.requests().iter().map(|seen| seen.line().to_owned()).collect();
    let first = "GET /v1/files?purpose=batch&limit=1000&order=desc HTTP/1.1";
    assert_eq!(lines, [first, "GET /v1/files?purpose=batch&limit=1000&order=desc&after=f2 HTTP/1.1"]);
    let mock = Mock::start(vec![Act::Answer(answer("405 No", ""))]);
    assert_eq!(client(&mock).find_files("a.jsonl").await.expect("none"), []);
}

#[tokio::test]
async fn deletions_and_cancellations_are_definite_or_failures() {
    for (act, told) in [
        (answer("200 OK", r#"{"id":"f","deleted":true}"#), Some(Deletion::Done)),
        (answer("404 Not Found", r#"{"error":{"message":"No such File object"}}"#), Some(Deletion::NotThere)),
        (answer("410 Gone", ""), Some(Deletion::NotThere)),
        ("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(), Some(Deletion::Done)),
        (answer("404 Not Found", "<html>"), None),
        (answer("200 OK", "{}"), None),
        (answer("405 No", ""), None),
    ] {
        let mock = Mock::start(vec![Act::Answer(act.clone())]);
        assert_eq!(client(&mock).delete_file(&FileId("f".into())).await.ok(), told, "{act}");
    }
    for (act, good) in
        [(answer("200 OK", r#"{"id":"b"}"#), true), (answer("409 No", ""), true), (answer("404 No", ""), false)]
    {
        let mock = Mock::start(vec![Act::Answer(act.clone())]);
        assert_eq!(client(&mock).cancel_batch(&BatchId("b".into())).await.is_ok(), good, "{act}");
    }
}

#[tokio::test]
async fn answers_of_any_length_stay_bounded() {
    let long = format!(r#"{{"id":"f","x":"{}"}}"#, "x".repeat(ANSWER_MAX));
    let mock = Mock::start(vec![Act::Answer(answer("200 OK", &long)), Act::Answer(answer("400 Bad", &long))]);
    let client = client(&mock);
    for _ in 0..2 {
        let failure = client.file(&FileId("f".into())).await.expect_err("too long");
        assert_eq!(failure.kind, Kind::Doubt);
        assert!(failure.message.len() < 1000);
    }
}

#[tokio::test]
async fn a_page_of_batches_passes_its_cursor() {
    let page = include_str!("../../tests/data/api/batches/list_page.json");
    let mock =
        Mock::start(vec![Act::Answer(answer("200 OK", page)), Act::Answer(answer("200 OK", r#"{"data":[{}]}"#))]);
    let client = client(&mock);
    let read = client.list_batches(Some(&BatchId("batch_0".into()))).await.expect("page");
    assert_eq!(read.batches.len(), 2);
    assert_eq!(client.list_batches(None).await.map_err(|failure| failure.kind), Err(Kind::Doubt));
    assert_eq!(mock.requests()[0].line(), "GET /v1/batches?limit=100&after=batch_0 HTTP/1.1");
}
