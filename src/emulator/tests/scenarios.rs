//! Faults of a scenario as a client meets them.

use super::*;

#[actix_web::test]
async fn a_created_batch_whose_answer_is_lost_is_found_in_a_later_list() {
    let site = Site::with_scenario(
        "[[door]]\nat = \"create_batch\"\nact = \"act_then_drop\"\nwhen = { times = 1 }\n\
         [[door]]\nat = \"create_batch\"\nact = \"act_then_refuse\"\nstatus = 502\nhtml = true\nwhen = { times = 1 }\n\
         [[batch]]\nhide_from_lists = 2\nwhen = { times = 1 }\n\
         [[batch]]\nfail = { code = \"token_limit_exceeded\", message = \"Enqueued token limit reached\" }\n",
    );
    let (_, file) = site.upload("a.jsonl", input(1)).await;
    let batch = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let create = || site.client.post(format!("{}/batches", site.base)).body(batch.to_string()).send();
    assert!(create().await.is_err(), "the connection is closed without an answer");
    let bad_gateway = create().await.expect("answer");
    assert_eq!(bad_gateway.status(), 502);
    assert!(bad_gateway.text().await.expect("text").starts_with("<html>"));
    let seen = async || site.get("/batches").await.1["data"].as_array().expect("a list").len();
    assert_eq!((seen().await, seen().await, seen().await), (1, 1, 2));
    let (_, list) = site.get("/batches").await;
    let failed = site.until_status(&list["data"][0]["id"], "failed").await;
    assert_eq!(failed["errors"]["data"][0]["code"], "token_limit_exceeded");
    assert_eq!(of_what(&site.bill(), "create").len(), 2);
}

#[actix_web::test]
async fn uploads_and_contents_fail_as_the_scenario_says() {
    let site = Site::with_scenario(
        "[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 429\nretry_after_seconds = 3\nwhen = { times = 1 }\n\
         [[door]]\nat = \"upload_file\"\nact = \"drop\"\nwhen = { times = 1 }\n\
         [[door]]\nat = \"read_file\"\nact = \"refuse\"\nstatus = 404\nwhen = { times = 1 }\n\
         [[door]]\nat = \"read_file\"\nact = \"cut\"\nkeep = 0.5\nwhen = { times = 1 }\n",
    );
    let upload = || {
        let form = Form::new().text("purpose", "batch").part("file", Part::bytes(input(2)).file_name("a.jsonl"));
        site.client.post(format!("{}/files", site.base)).multipart(form).send()
    };
    let busy = upload().await.expect("answer");
    assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().expect("a number")), (429, "3"));
    assert!(upload().await.is_err(), "cut in its middle");
    let file: Value = upload().await.expect("answer").json().await.expect("JSON");
    assert_eq!(site.get("/files").await.1["data"].as_array().expect("a list").len(), 1);
    let url = format!("{}/files/{}/content", site.base, file["id"].as_str().expect("id"));
    let read = || site.client.get(&url).send();
    assert_eq!(read().await.expect("answer").status(), 404);
    let cut = read().await.expect("answer");
    assert_eq!(cut.content_length(), file["bytes"].as_u64());
    assert!(cut.bytes().await.is_err(), "the content ends before its length");
    assert_eq!(
        read().await.expect("answer").bytes().await.expect("whole").len() as u64,
        file["bytes"].as_u64().unwrap_or(0)
    );
}

#[actix_web::test]
async fn lines_end_as_the_scenario_says_and_a_batch_expires_early() {
    let site = Site::with_scenario(
        "[[line]]\ncustom_id_contains = \"page0\"\noutcome = \"missing\"\n\
         [[line]]\ncustom_id_contains = \"page1\"\noutcome = \"twice\"\n\
         [[line]]\ncustom_id_contains = \"page2\"\noutcome = \"server_error\"\n\
         [[batch]]\nexpire_after_lines = 5\n",
    );
    let id = site.begin(input(9)).await;
    let batch = site.until_status(&id, "expired").await;
    let output = lines(&site.text(&batch["output_file_id"]).await);
    let count = |lines: &[Value], page: &str| {
        lines.iter().filter(|line| line["custom_id"].as_str().is_some_and(|id| id.contains(page))).count()
    };
    assert_eq!((count(&output, "page0"), count(&output, "page1")), (0, 2));
    let errors = lines(&site.text(&batch["error_file_id"]).await);
    assert_eq!((count(&errors, "page0"), count(&errors, "page2"), count(&errors, "page8")), (0, 1, 1));
    assert!(of_what(&site.bill(), "line").iter().any(|line| line["custom_id"] == "rolls|page0.png"));
}

#[actix_web::test]
async fn a_batch_shows_what_the_scenario_wants_and_answers_out_of_order() {
    let scenario = "[[batch]]\nshuffle = true\n\
        [[batch.show]]\nstatus = \"completed\"\n\
        members = { error_file_id = \"\", completed_at = \"<null>\", usage = \"<absent>\", request_counts = { total = 7 } }\n\
        [[batch.show]]\nmembers = { extra = [1] }\n";
    let scenario = Scenario::read(scenario).expect("scenario");
    let site = Site::new(|options| {
        options.scenario = scenario;
        options.workers = 1;
    });
    let id = site.begin(input(9)).await;
    let batch = site.until_status(&id, "completed").await;
    assert_eq!((&batch["error_file_id"], &batch["completed_at"]), (&json!(""), &Value::Null));
    assert_eq!((batch.get("usage"), &batch["request_counts"]), (None, &json!({"total": 7})));
    assert_eq!(site.get("/batches").await.1["data"][0], batch);
    let output = lines(&site.text(&batch["output_file_id"]).await);
    let order: Vec<&str> = output.iter().map(|line| line["custom_id"].as_str().expect("id")).collect();
    assert_eq!(order.len(), 9);
    assert!(!order.is_sorted(), "{order:?}");
}

#[actix_web::test]
async fn a_batch_completes_while_it_is_being_cancelled() {
    let site = Site::with_scenario("[[batch]]\nignore_cancel = true\n");
    let id = site.begin(input(3)).await;
    let path = format!("/batches/{}/cancel", id.as_str().expect("id"));
    assert_eq!(site.post(&path, &json!({})).await.1["status"], "cancelling");
    let batch = site.until_status(&id, "completed").await;
    assert_eq!(lines(&site.text(&batch["output_file_id"]).await).len(), 3);
}

#[actix_web::test]
async fn an_idle_connection_is_closed_and_the_next_request_takes_a_new_one() {
    let site = Site::new(|options| options.keep_alive = Duration::from_secs(1));
    let addr = site.server.as_ref().expect("running").addr;
    let mut idle = tokio::net::TcpStream::connect(addr).await.expect("connection");
    let request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut idle, request).await.expect("request");
    let (mut bytes, watch) = (Vec::new(), Stopwatch::start());
    // Ends only when the server closes.
    tokio::io::AsyncReadExt::read_to_end(&mut idle, &mut bytes).await.expect("answer");
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK") && watch.elapsed() < Duration::from_secs(10));
    assert_eq!(site.get("/models").await.0, 200);
}
