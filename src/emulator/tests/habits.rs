//! Habits of other servers as a client meets them.

use super::*;

fn id_of(value: &Value) -> &str {
    value.as_str().expect("an id")
}

async fn cancel(site: &Site, id: &Value) -> (StatusCode, Value) {
    site.post(&format!("/batches/{}/cancel", id_of(id)), &json!({})).await
}

#[actix_web::test]
async fn objects_look_as_the_habits_say() {
    let site = Site::with_scenario(
        "[habits]\nupload_status = 201\nuuid_ids = true\ntimes = 'iso'\nupper_case = true\nfirst_status = 'scheduling'\n\
         one_status_a_look = true\ncounts = 'null'\nnames_both_files = true\n\
         file = { status = '<absent>', filename = '' }\nbatch = { completion_window = '1d', progress = 3 }\n",
    );
    let (status, file) = site.upload("a.jsonl", input(2)).await;
    assert_eq!((status.as_u16(), file.get("status"), &file["filename"]), (201, None, &json!("")));
    let dashes: Vec<_> = id_of(&file["id"]).match_indices('-').map(|(place, _)| place).collect();
    assert_eq!(dashes, [8, 13, 18, 23]);
    assert!(file["created_at"].as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z')), "{file}");
    let created = site.create(&file["id"]).await.1;
    assert_eq!((&created["status"], &created["request_counts"]), (&json!("SCHEDULING"), &Value::Null));
    assert_eq!((&created["completion_window"], &created["progress"]), (&json!("1d"), &json!(3)));
    let path = format!("/batches/{}", id_of(&created["id"]));
    // Long done, and yet each look shows one status.
    while !site.folder.path().join("bill.jsonl").is_file() || of_what(&site.bill(), "line").len() < 2 {
        io_pause(Duration::from_millis(5)).await;
    }
    io_pause(Duration::from_millis(100)).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(site.get(&path).await.1["status"].clone());
    }
    assert_eq!(seen, [json!("IN_PROGRESS"), json!("FINALIZING"), json!("COMPLETED")]);
    let done = site.get(&path).await.1;
    assert_eq!(site.text(&done["error_file_id"]).await, "", "named and empty");
    assert_eq!(site.get(&format!("/files/{}", id_of(&done["error_file_id"]))).await.1["bytes"], 0);
}

#[actix_web::test]
async fn results_look_as_the_habits_say() {
    let site = Site::with_scenario(
        "[habits]\nbody_as_text = true\nsparse_lines = true\nextra_members = true\nno_last_newline = true\nchunked = true\n\
         times = 'never'\ncounts = 'lagging'\n[[line]]\ncustom_id_contains = 'page1'\noutcome = 'invalid_image'\n\
         [[line]]\ncustom_id_contains = 'page2'\noutcome = 'unknown_id'\n\
         [[line]]\ncustom_id_contains = 'page3'\noutcome = 'error_first'\n\
         [[line]]\ncustom_id_contains = 'page4'\noutcome = 'missing'\n\
         [[line]]\ncustom_id_contains = 'page5'\noutcome = 'odd_error'\n",
    );
    let id = site.begin(input(6)).await;
    let batch = site.until_status(&id, "completed").await;
    assert_eq!((&batch["completed_at"], batch["created_at"].is_i64()), (&Value::Null, true));
    assert_eq!(batch["request_counts"]["completed"], 2);
    let url = format!("{}/files/{}/content", site.base, id_of(&batch["output_file_id"]));
    let answer = site.client.get(url).header("range", "bytes=5-").send().await.expect("answer");
    assert_eq!((answer.status().as_u16(), answer.headers().get("content-length")), (200, None));
    let text = answer.text().await.expect("text");
    assert!(!text.ends_with('\n'));
    let output = lines(&text);
    let of = |page: &str| output.iter().filter(|line| id_of(&line["custom_id"]).contains(page)).collect::<Vec<_>>();
    let (first, doubled) = (of("page0")[0], of("page3"));
    assert!(first["response"]["body"].as_str().is_some_and(|body| body.starts_with('{')), "{first}");
    assert_eq!((first.get("error"), &first["object"]), (None, &json!("batch.request.output")));
    assert_eq!((of("somebody-else").len(), of("page4").len(), doubled.len()), (1, 0, 2));
    assert_eq!(doubled[0]["response"]["status_code"], 500);
    let errors = lines(&site.text(&batch["error_file_id"]).await);
    let odd = errors.iter().find(|line| id_of(&line["custom_id"]).contains("page5")).expect("an error");
    assert_eq!((odd.get("response"), &odd["error"]["code"]), (None, &Value::Null));
    assert!(errors.iter().any(|line| line["response"]["body"] == "You uploaded an unsupported image."), "{errors:?}");
    let bill = site.bill();
    let withheld: Vec<_> = of_what(&bill, "line").into_iter().filter(|line| line["withheld"] == true).collect();
    assert_eq!((withheld.len(), &withheld[0]["custom_id"]), (1, &json!("rolls|page4.png")));
}

#[actix_web::test]
async fn errors_are_worded_as_the_habits_say() {
    let told = async |habits: &str| {
        let site = Site::with_scenario(&format!("[habits]\n{habits}\n"));
        let answer = site.client.get(format!("{}/batches/none", site.base)).send().await.expect("answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let words = "No batch found with id 'none'.";
    assert_eq!(told("errors = 'text'").await, (404, words.to_owned()));
    assert_eq!(told("errors = 'detail'").await, (404, format!("{{\"detail\":\"{words}\"}}")));
    assert_eq!(told("errors = 'message'").await, (404, format!("{{\"message\":\"{words}\"}}")));
    assert_eq!(told("errors = 'empty'").await, (404, String::new()));
    assert_eq!(told("errors = 'html'\nbatch_errors_are_500 = true").await.0, 500);
}

#[actix_web::test]
async fn a_connection_ends_after_an_error_without_a_word() {
    let site = Site::with_scenario("[habits]\ncloses_after_errors = true\n");
    let addr = site.server.as_ref().expect("running").addr;
    let mut caller = tokio::net::TcpStream::connect(addr).await.expect("connection");
    let request = b"GET /v1/batches/none HTTP/1.1\r\nhost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut caller, request).await.expect("request");
    let mut bytes = Vec::new();
    // Ends only when the server closes.
    tokio::io::AsyncReadExt::read_to_end(&mut caller, &mut bytes).await.expect("answer");
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(text.starts_with("http/1.1 404") && text.contains("no batch found") && !text.contains("close"), "{text}");
}

#[actix_web::test]
async fn lists_are_as_the_habits_say() {
    let site = Site::with_scenario("[habits]\nlists_repeat = true\nno_file_list = true\nforeign_batches = 3\n");
    site.begin(input(1)).await;
    let own = site.begin(input(1)).await;
    let first = site.get("/batches?limit=5").await.1;
    let again = site.get(&format!("/batches?limit=5&after={}", id_of(&first["last_id"]))).await.1;
    assert_eq!((&first["has_more"], &first["data"][3]["id"]), (&json!(true), &own), "three of others are newer");
    assert_eq!(first["data"][0]["metadata"]["run"], "nightly");
    assert_eq!(first["last_id"], again["last_id"]);
    assert_eq!(site.get("/files").await.0, 405);
}

#[actix_web::test]
async fn a_batch_is_cancelled_as_the_habits_say() {
    let slow = "[[batch]]\ncancel_after_lines = 3\n[habits]\nearly_results = true\n";
    for (habit, kept) in [("once", true), ("drops", false)] {
        let scenario = Scenario::read(&format!("{slow}cancel = '{habit}'\n")).expect("scenario");
        let site = Site::new(|options| {
            options.scenario = scenario;
            options.workers = 1;
        });
        let id = site.begin(input(5)).await;
        let batch = site.until_status(&id, "cancelled").await;
        assert_eq!(lines(&site.text(&batch["output_file_id"]).await).is_empty(), !kept, "{habit}");
        let again = cancel(&site, &id).await.0.as_u16();
        assert_eq!(again, if kept { 409 } else { 200 }, "{habit}");
        assert_eq!(of_what(&site.bill(), "line").len(), 3, "what ran is billed");
    }
}

#[actix_web::test]
async fn results_grow_under_the_eyes_and_a_deleted_input_ends_the_batch() {
    let scenario = Scenario::read("[habits]\nearly_results = true\ndelete_cancels = true\n").expect("scenario");
    let site = Site::new(|options| {
        options.scenario = scenario;
        options.pace.line_delay = Duration::from_millis(20);
    });
    let id = site.begin(input(40)).await;
    let running = site.until(&id, |batch| batch["request_counts"]["completed"].as_u64() >= Some(2)).await;
    assert_eq!(running["status"], "in_progress");
    let partial = lines(&site.text(&running["output_file_id"]).await).len();
    assert!((2..40).contains(&partial), "{partial}");
    let input = format!("{}/files/{}", site.base, id_of(&running["input_file_id"]));
    assert_eq!(site.client.delete(input).send().await.expect("answer").status(), 200);
    let batch = site.until_status(&id, "cancelled").await;
    let output = lines(&site.text(&batch["output_file_id"]).await).len();
    assert_eq!(output, of_what(&site.bill(), "line").len());
    assert_eq!(output + lines(&site.text(&batch["error_file_id"]).await).len(), 40);
}

#[actix_web::test]
async fn a_full_queue_stays_full_for_its_time() {
    let clock = Clock::manual(1_000_000);
    let scenario = "[habits]\nenqueued_tokens = 2\nqueue_stays_full_seconds = 3600\ntakes_anything = true\n";
    let scenario = Scenario::read(scenario).expect("scenario");
    let site = Site::new(|options| {
        options.scenario = scenario;
        options.clock = clock.clone();
    });
    let first = site.begin(input(1)).await;
    let refused = site.until_status(&first, "failed").await;
    assert_eq!(refused["errors"]["data"][0]["code"], "token_limit_exceeded");
    // A line that counts for nothing would fit, but not yet. Doubled ids are no fault here.
    let blank = || {
        let line = "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\",\
                    \"messages\":[]}}\n";
        line.repeat(2).into_bytes()
    };
    let second = site.begin(blank()).await;
    assert_eq!(site.until_status(&second, "failed").await["errors"]["data"][0]["code"], "token_limit_exceeded");
    clock.advance(Duration::from_secs(3600));
    let third = site.begin(blank()).await;
    assert_eq!(site.until_status(&third, "completed").await["request_counts"]["total"], 2);
    assert_eq!(of_what(&site.bill(), "line").len(), 2, "each of the doubled ones is billed");
}

#[actix_web::test]
async fn a_batch_is_forgotten_and_results_outlive_their_time() {
    let site = Site::with_scenario(
        "[[batch]]\ngone_after_looks = 2\nwhen = { times = 1 }\n[[batch]]\nresults_gone = true\n\
         show = [{ looks = 1, members = { status = 'pre_schedule' } }]\n",
    );
    let gone = site.begin(input(1)).await;
    let path = format!("/batches/{}", id_of(&gone));
    assert_eq!((site.get(&path).await.0.as_u16(), site.get(&path).await.0.as_u16()), (200, 404));
    assert_eq!(site.get("/batches").await.1["data"], json!([]));
    let (_, file) = site.upload("b.jsonl", input(1)).await;
    let created = site.create(&file["id"]).await.1;
    assert_eq!(created["status"], "pre_schedule");
    let batch = site.until_status(&created["id"], "completed").await;
    let results = format!("/files/{}", id_of(&batch["output_file_id"]));
    assert_eq!(
        (site.get(&results).await.0, site.get(&format!("{results}/content")).await.0),
        (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND)
    );
}
