//! The rows: the behaviours of the `batch-api` reference §10 by their numbers, the deviations of its §11.3 one by one, and
//! all deviations together.

use super::Row;

/// Every row.
pub(super) fn all() -> Vec<Row> {
    let mut rows = behaviours();
    rows.extend(faults_of_requests());
    let deviations = deviations();
    let together = deviations.iter().fold(Row::new("11.3 all of these together", ""), Row::and);
    let together = together.failing(&[("provider_error", 10)]).slow().haste(100);
    rows.extend(deviations.into_iter().map(pricked));
    rows.extend(contradictions().into_iter().map(pricked));
    rows.push(together);
    rows
}

fn behaviours() -> Vec<Row> {
    vec![
        Row::new("1 strict about everything", ""),
        Row::new("2 every status takes its minutes", "").slow(),
        Row::new(
            "3 lines out of order, two files",
            "[[batch]]\nshuffle = true\n[[line]]\ncustom_id_contains = 'page000'\noutcome = 'invalid_image'",
        )
        .failing(&[("image_refused", 10)]),
        Row::new("4 only an error file", "[[line]]\ncustom_id_contains = 'page00'\noutcome = 'invalid_image'")
            .failing(&[("image_refused", 100)]),
        Row::new("4 no error file: ''", "[[batch]]\nshow = [{members = {error_file_id = ''}}]"),
        Row::new("4 no error file: absent", "[[batch]]\nshow = [{members = {error_file_id = '<absent>'}}]"),
        Row::new(
            "5 counts disagree",
            "[[batch]]\nshow = [{members = {request_counts = {total = 7, completed = 0, failed = 9}}}]",
        ),
        Row::new(
            "5 status 0, missing, broken, error first, unknown id",
            "[[line]]\ncustom_id_contains = 'page000'\noutcome = 'status_zero'\nwhen = {times = 10}\n\
             [[line]]\ncustom_id_contains = 'page001'\noutcome = 'missing'\nwhen = {times = 10}\n\
             [[line]]\ncustom_id_contains = 'page002'\noutcome = 'broken_line'\nwhen = {times = 10}\n\
             [[line]]\ncustom_id_contains = 'page003'\noutcome = 'error_first'\n\
             [[line]]\ncustom_id_contains = 'page004'\noutcome = 'unknown_id'\n\
             [[line]]\ncustom_id_contains = 'page005'\noutcome = 'twice'",
        ),
        Row::new("6 expired with partial results", "[[batch]]\nexpire_after_lines = 7\nwhen = {times = 5}"),
        Row::new("6 cancelled with partial results", "[[batch]]\ncancel_after_lines = 7\nwhen = {times = 5}").slow(),
        Row::new(
            "6 completes while it is being cancelled",
            "[[batch]]\nshow = [{status = 'in_progress', members = {status = 'cancelling'}},\n\
             {status = 'finalizing', members = {status = 'cancelling'}}]",
        )
        .slow(),
        Row::new("7 one faulty line refuses the file", &refused_lines()).failing(&[("provider_error", 3)]),
        Row::new("7 a line is blamed for a setting", &refused_settings()).stopping(3),
        Row::new("7 the whole file is refused", &refused_files()).stopping(4),
        Row::new("7 enqueued limit", "[habits]\nenqueued_tokens = 20000").slow(),
        Row::new(
            "7 enqueued limit stays for hours",
            "[habits]\nenqueued_tokens = 20000\nqueue_stays_full_seconds = 10800",
        )
        .slow()
        .haste(2000),
        Row::new(
            "8 file not visible: refused at once",
            "[[door]]\nat = 'create_batch'\nact = 'refuse'\nstatus = 400\nparam = 'file_id'\n\
             message = 'Cannot find file file-1, or project proj_1 does not have access to it.'\nwhen = {times = 5}",
        ),
        Row::new(
            "8 file not visible: created and failed",
            "[[batch]]\nfail = {code = 'invalid_request', message = 'Cannot find file file-1, or organization org-1 \
             does not have access to it.'}\nwhen = {times = 5}",
        ),
    ]
}

/// One batch refused for each code of §4.2 that names a line and means it.
fn refused_lines() -> String {
    refused_at_line_3(&["invalid_json_line", "missing_required_parameter", "duplicate_custom_id"])
}

/// One batch refused for each code of §4.2 that names a line and means what all lines have in common.
fn refused_settings() -> String {
    refused_at_line_3(&["invalid_url", "streaming_unsupported", "mismatched_model"])
}

fn refused_at_line_3(codes: &[&str]) -> String {
    let rule = |code| format!("[[batch]]\nfail = {{code = '{code}', lines = [3]}}\nwhen = {{times = 1}}\n");
    codes.iter().map(rule).collect()
}

/// One batch refused for each code of §4.2 that means the whole file.
fn refused_files() -> String {
    let codes = ["model_not_found", "invalid_request", "empty_file", "file_too_large"];
    let rule = |code| format!("[[batch]]\nfail = {{code = '{code}', message = 'No.'}}\nwhen = {{times = 1}}\n");
    codes.map(rule).concat()
}

fn faults_of_requests() -> Vec<Row> {
    let create = |act: &str| format!("[[door]]\nat = 'create_batch'\nact = '{act}'\nwhen = {{skip = 1, times = 4}}\n");
    vec![
        Row::new("9 created, connection dropped", &create("act_then_drop")),
        Row::new("9 created, answered 500", &create("act_then_refuse")),
        Row::new(
            "9 created, dropped, missing from a list",
            &format!("{}[[batch]]\nhide_from_lists = 1\nwhen = {{skip = 1, times = 4}}", create("act_then_drop")),
        ),
        Row::new("9 not created, connection dropped", &create("drop")),
        Row::new(
            "10 uploaded, connection dropped; reset in mid-upload",
            "[[door]]\nat = 'upload_file'\nact = 'act_then_drop'\nwhen = {times = 3}\n\
             [[door]]\nat = 'upload_file'\nact = 'drop'\nwhen = {times = 3}",
        ),
        Row::new(
            "10 upload answered 413",
            "[[door]]\nat = 'upload_file'\nact = 'refuse'\nstatus = 413\nform = 'html'\nwhen = {skip = 2, times = 1}",
        ),
        Row::new("11 429, 500, 502, 503 everywhere", &bad_weather()),
        Row::new(
            "11 quota exhausted",
            "[[door]]\nat = 'create_batch'\nact = 'refuse'\nstatus = 429\ncode = 'insufficient_quota'\n\
             when = {skip = 3, times = 1}",
        )
        .stopping(1),
        Row::new(
            "12 content 404 at first, cut short, slow",
            "[[door]]\nat = 'read_file'\nact = 'refuse'\nstatus = 404\nwhen = {times = 4}\n\
             [[door]]\nat = 'read_file'\nact = 'cut'\nkeep = 0.5\nwhen = {times = 4}\n\
             [[door]]\nat = 'read_file'\nact = 'delay'\ndelay_ms = 200\nwhen = {times = 2}",
        ),
        Row::new(
            "13 a batch that is 404 later",
            "[[batch]]\nshow = [{members = {status = 'in_progress', output_file_id = '<null>'}}]\n\
             gone_after_looks = 2\nwhen = {times = 1}",
        )
        .failing(&[("results_gone", 20)])
        .gone(),
        Row::new("13 results past their expiry", "[[batch]]\nresults_gone = true\nwhen = {times = 2}")
            .failing(&[("results_gone", 40)])
            .gone(),
        Row::new(
            "14 unknown status and members, capitals, ISO times",
            "[habits]\nupper_case = true\ntimes = 'iso'\nbatch = {progress = 12.5, errors = []}\n\
             [[batch]]\nshow = [{status = 'in_progress', members = {status = 'pre_schedule'}}]",
        ),
        Row::new("15 lines of all outcomes", &outcomes()).failing(&[
            ("content_filter", 20),
            ("image_refused", 10),
            ("provider_error", 10),
            ("reasoning_ate_budget", 10),
            ("refused", 10),
            ("truncated", 10),
        ]),
        Row::new(
            "15 lines that stop the run",
            "[[line]]\noutcome = 'insufficient_quota'\nwhen = {skip = 30, times = 1}\n\
             [[line]]\noutcome = 'unauthorized'\nwhen = {skip = 240, times = 1}",
        )
        .stopping(1),
        Row::new(
            "17 lists of several pages, foreign batches in between",
            &format!("[habits]\nforeign_batches = 40\n{}", create("act_then_drop")),
        ),
    ]
}

/// Every door answers with every error now and then.
fn bad_weather() -> String {
    let doors = ["upload_file", "create_batch", "list_batches", "get_batch", "get_file", "read_file", "delete_file"];
    let errors = [
        "status = 429\nretry_after_seconds = 7",
        "status = 429",
        "status = 500",
        "status = 502\nform = 'html'",
        "status = 503\nform = 'empty'",
    ];
    let rule = |(door, error)| format!("[[door]]\nat = '{door}'\nact = 'refuse'\n{error}\nwhen = {{times = 2}}\n");
    doors.into_iter().flat_map(|door| errors.map(|error| rule((door, error)))).collect()
}

/// Ten images for each outcome; those that pass strike twenty times at most.
fn outcomes() -> String {
    let rule = |(n, (outcome, times)): (usize, &(&str, u32))| {
        format!("[[line]]\ncustom_id_contains = 'page{n:03}'\noutcome = '{outcome}'\nwhen = {{times = {times}}}\n")
    };
    let ends = [
        ("refusal", 100),
        ("length_cut", 100),
        ("length_empty", 100),
        ("empty", 100),
        ("content_filter", 100),
        ("filtered_text", 100),
        ("invalid_image", 100),
        ("too_long", 100),
        ("fenced", 100),
        ("server_error", 15),
        ("rate_limited", 15),
        ("status_zero", 15),
        ("request_timeout", 15),
        ("download_timeout", 15),
        ("odd_error", 15),
    ];
    ends.iter().enumerate().map(rule).collect()
}

fn deviations() -> Vec<Row> {
    let habit = |name: &str, habits: &str| Row::new(&format!("11.3 {name}"), &format!("[habits]\n{habits}"));
    let faulty = "[[line]]\ncustom_id_contains = 'page000'\noutcome = 'too_long'";
    vec![
        habit("upload answered 201", "upload_status = 201"),
        habit("files above 15 kB are refused (413)", "file_bytes = 15000"),
        habit("file without status, mangled name", "file = {status = '<absent>', filename = 'file.jsonl'}"),
        habit("ids are bare UUIDs", "uuid_ids = true"),
        habit("window echoed as 1d", "batch = {completion_window = '1d'}"),
        habit("unknown first status", "first_status = 'scheduling'").slow(),
        habit("one status a look", "one_status_a_look = true"),
        habit("counts null", "counts = 'null'"),
        habit("times never set", "times = 'never'"),
        habit("result ids from the creation on", "early_results = true").slow(),
        habit("error file always named, empty", "names_both_files = true"),
        habit("body is text", "body_as_text = true").and(&Row::new("", faulty)).failing(&[("provider_error", 10)]),
        habit("null members left out", "sparse_lines = true")
            .and(&Row::new("", faulty))
            .failing(&[("provider_error", 10)]),
        habit("members that nobody asked for", "extra_members = true\nbatch = {extra = [1, {a = 2}]}"),
        habit("no newline at the end", "no_last_newline = true"),
        habit("contents without a length", "chunked = true"),
        habit("errors as detail", "errors = 'detail'"),
        habit("every 4xx of a batch call is a 500", "batch_errors_are_500 = true"),
        habit("closed without notice after an error", "closes_after_errors = true"),
        habit("lists repeat for ever", "lists_repeat = true")
            .and(&Row::new("", "[[door]]\nat = 'create_batch'\nact = 'act_then_refuse'\nwhen = {times = 2}")),
        habit("no list of files", "no_file_list = true"),
        habit("idle connections closed before the next look", "keep_alive_ms = 200").slow().haste(100),
        habit("deleting the input cancels", "delete_cancels = true")
            .and(&Row::new(
                "",
                "[[door]]\nat = 'create_batch'\nact = 'act_then_drop'\nwhen = {times = 3}\n\
             [[batch]]\nhide_from_lists = 1\nwhen = {times = 3}",
            ))
            .slow(),
        habit("takes doubled ids and unknown parameters", "takes_anything = true"),
    ]
}

/// Deviations that exclude one of those above.
fn contradictions() -> Vec<Row> {
    let habit = |name: &str, habits: &str| Row::new(&format!("11.3 {name}"), &format!("[habits]\n{habits}"));
    vec![
        habit("two batches of one create, the second is cancelled", "cancel = 'once'")
            .and(&Row::new(
                "",
                "[[door]]\nat = 'create_batch'\nact = 'act_twice_then_drop'\nwhen = {skip = 2, times = 1}",
            ))
            // Long enough for the second one to be found and cancelled before it runs.
            .validated_in(600)
            .haste(100),
        habit("files above 9 kB are refused (400)", "file_bytes = 9000\noversize_status = 400"),
        habit("counts lag", "counts = 'lagging'"),
        habit("times in ISO 8601", "times = 'iso'"),
        habit("errors as plain text", "errors = 'text'"),
        habit("errors as pages", "errors = 'html'"),
        habit("errors as a message", "errors = 'message'"),
        habit("errors without a body", "errors = 'empty'"),
        Row::new(
            "11.3 errors with JSON in their words",
            "[habits]\n[[line]]\noutcome = 'odd_error'\nwhen = {times = 20}",
        ),
        Row::new(
            "11.3 a batch in progress until the server is mended",
            "[habits]\n[[batch]]\nshow = [{looks = 40, members = {status = 'in_progress'}}]\nwhen = {times = 2}",
        ),
    ]
}

/// A row about the wording of errors with a few refusals of every kind, so that there is something to word.
fn pricked(row: Row) -> Row {
    let habits = row.scenario["habits"].as_table().expect("habits");
    if !["errors", "batch_errors_are_500", "closes_after_errors"].iter().any(|habit| habits.contains_key(*habit)) {
        return row;
    }
    let rule = |(door, status): (&str, u16)| {
        format!(
            "[[door]]\nat = '{door}'\nact = 'refuse'\nstatus = {status}\nmessage = 'Not now.'\nwhen = {{skip = 1, times = 1}}\n"
        )
    };
    let doors = [
        ("create_batch", 429),
        ("create_batch", 409),
        ("create_batch", 500),
        ("list_batches", 500),
        ("get_batch", 503),
        ("read_file", 404),
        ("upload_file", 503),
    ];
    row.and(&Row::new("", &doors.map(rule).concat()))
}
