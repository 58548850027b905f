//! Hostile batch objects: what is read of them is how their batch ended, which files it has, and which lines were refused.

use batchscribe::domain::layout::safe_component;
use batchscribe::poll::status;
use batchscribe::provider::wire::Batch;
use serde_json::{Value, json};

use super::report::Report;

/// What follows from an object, in words: `unreadable`, `running`, or the end with output file, error file, named lines.
fn read(object: &Value) -> String {
    let Some(batch) = Batch::from_json(object.clone()) else { return "unreadable".to_owned() };
    let Some(ending) = status::read(&batch) else { return "running".to_owned() };
    let file = |file: Option<&batchscribe::domain::ids::FileId>| file.map_or("-", |file| file.as_str()).to_owned();
    let files = format!("{} {} {}", ending.end.word(), file(ending.output.as_ref()), file(ending.errors.as_ref()));
    if ending.named.is_empty() { files } else { format!("{files} lines {:?}", ending.named) }
}

/// A batch that has ended, with some members replaced; a replacement of `"-"` takes the member away.
fn ended(status: &str, members: &Value) -> Value {
    let mut batch = json!({"id": "batch_1", "object": "batch", "input_file_id": "file-in", "status": status,
        "output_file_id": "file-out", "error_file_id": "file-err", "created_at": 1_800_000_000, "metadata": {},
        "request_counts": {"total": 3, "completed": 3, "failed": 0}});
    let object = batch.as_object_mut().expect("an object");
    for (key, value) in members.as_object().expect("members") {
        if value == "-" {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    batch
}

type Row = (String, Value, String);

fn row(name: &str, object: Value, expected: &str) -> Row {
    (name.to_owned(), object, expected.to_owned())
}

/// Every documented object.
fn documented() -> Vec<Row> {
    macro_rules! example {
        ($name:literal, $expected:literal) => {{
            let text = include_str!(concat!("../../data/api/", $name, ".json"));
            row($name, serde_json::from_str(text).expect("an example"), $expected)
        }};
    }
    vec![
        example!("batches/validating", "running"),
        example!("batches/in_progress", "running"),
        example!("batches/finalizing", "running"),
        example!("batches/cancelling", "running"),
        example!("azure/created", "running"),
        example!("batches/completed_clean", "completed file-Kc2vN7rJpXw5eTqB3mHdLz -"),
        example!("batches/completed_clean_empty_string", "completed file-Kc2vN7rJpXw5eTqB3mHdLz -"),
        example!("batches/completed_all_failed", "completed - file-Zs3bY9qLhTn5wVxA7dMjRe"),
        example!("batches/completed_mixed", "completed file-Kc2vN7rJpXw5eTqB3mHdLz file-Wd8sG4yUaRt6nPfE1kCvMq"),
        example!(
            "batches/completed_counts_disagree",
            "completed file-Kc2vN7rJpXw5eTqB3mHdLz file-Wd8sG4yUaRt6nPfE1kCvMq"
        ),
        example!("batches/expired", "expired file-Kc2vN7rJpXw5eTqB3mHdLz file-Wd8sG4yUaRt6nPfE1kCvMq"),
        example!("batches/cancelled", "cancelled file-Kc2vN7rJpXw5eTqB3mHdLz file-Wd8sG4yUaRt6nPfE1kCvMq"),
        example!("batches/failed_validation", "refused - -"),
        example!("batches/failed_duplicate_custom_id", "refused - - lines [9]"),
        example!("batches/failed_mismatched_model", "refused - -"),
        example!("batches/failed_file_too_large", "refused - -"),
        example!("batches/failed_file_not_found", "turned_away - -"),
        example!("batches/failed_token_limit", "turned_away - -"),
        example!(
            "azure/failed_empty_file",
            "refused file-ef12af98-dbbc-4d27-8309-2df57feed572 file-3b0f9beb-11ce-4796-bc31-d54e675f28fb"
        ),
        example!("azure/token_limit", "unreadable"),
        example!("batches/list_empty", "unreadable"),
    ]
}

fn statuses() -> Vec<Row> {
    let of = |name: &str, status: Value, expected: &str| row(name, ended("", &json!({"status": status})), expected);
    vec![
        of("status missing", json!("-"), "running"),
        of("status null", json!(null), "running"),
        of("status 7", json!(7), "running"),
        of("status empty", json!(""), "running"),
        of("status a list", json!(["completed"]), "running"),
        of("status unknown", json!("pre_schedule"), "running"),
        of("status upper case", json!("COMPLETED"), "completed file-out file-err"),
        of("status of one l", json!("Canceled"), "cancelled file-out file-err"),
        of("status with blanks", json!(" expired\n"), "expired file-out file-err"),
        of("status cut", json!("complete"), "running"),
        of("status with NUL", json!("completed\0"), "running"),
        row("only an id", json!({"id": "b"}), "running"),
        row("no id", ended("completed", &json!({"id": "-"})), "unreadable"),
        row("id null", ended("completed", &json!({"id": null})), "unreadable"),
        row("id a number", ended("completed", &json!({"id": 7})), "unreadable"),
        row("id blank", ended("completed", &json!({"id": " "})), "unreadable"),
        row("an array", json!([]), "unreadable"),
        row("null", json!(null), "unreadable"),
        row("a string", json!("batch_1"), "unreadable"),
        row("an error", json!({"error": {"message": "no"}}), "unreadable"),
    ]
}

/// Each terminal status with odd file ids.
fn files() -> Vec<Row> {
    let files = [
        ("both null", json!({"output_file_id": null, "error_file_id": null}), "- -"),
        ("both empty", json!({"output_file_id": "", "error_file_id": ""}), "- -"),
        ("both absent", json!({"output_file_id": "-", "error_file_id": "-"}), "- -"),
        ("no texts", json!({"output_file_id": 7, "error_file_id": ["x"]}), "- -"),
        ("equal", json!({"output_file_id": "file-x", "error_file_id": "file-x"}), "file-x -"),
        ("the input", json!({"output_file_id": "file-in", "error_file_id": "file-in"}), "- -"),
        ("only errors", json!({"output_file_id": null}), "- file-err"),
        ("odd signs", json!({"output_file_id": "a/../b?c", "error_file_id": "../.."}), "a/../b?c ../.."),
    ];
    let of = |end: &str| {
        let rows = files.iter().map(move |(name, members, expected)| {
            (format!("{end}: files {name}"), ended(end, members), format!("{end} {expected}"))
        });
        rows.collect::<Vec<Row>>()
    };
    let mut rows: Vec<Row> = ["completed", "expired", "cancelled"].iter().flat_map(|end| of(end)).collect();
    rows.push(row("failed, and files all the same", ended("failed", &json!({})), "refused file-out file-err"));
    rows
}

fn members() -> Vec<Row> {
    let pairs: serde_json::Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!(n))).collect();
    let fine = [
        ("metadata null", json!({"metadata": null})),
        ("metadata a list", json!({"metadata": [1, {"run": "x"}]})),
        ("metadata of 17 pairs", json!({"metadata": pairs})),
        ("metadata nested", json!({"metadata": {"run": {"a": [null]}}})),
        ("counts null", json!({"request_counts": null})),
        ("counts negative", json!({"request_counts": {"total": -1, "completed": -5, "failed": -9}})),
        ("counts text", json!({"request_counts": {"total": "many", "completed": "3", "failed": ""}})),
        ("counts too large", json!({"request_counts": {"total": u64::MAX, "completed": 1e300, "failed": 7.5}})),
        ("counts a list", json!({"request_counts": [3, 3, 0]})),
        ("times ISO", json!({"created_at": "2027-01-15T08:00:00Z", "expires_at": "2027-01-16T08:00:00+01:00"})),
        ("times in milliseconds", json!({"created_at": 1_800_000_000_000_u64})),
        ("times 0", json!({"created_at": 0, "expires_at": 0})),
        ("times negative", json!({"created_at": i64::MIN, "expires_at": -1})),
        ("times beyond all", json!({"created_at": u64::MAX, "expires_at": i64::MAX})),
        ("times of the year 9999", json!({"created_at": 253_402_300_799_i64, "expires_at": "9999-12-30T23:59:59Z"})),
        ("times no times", json!({"created_at": "soon", "expires_at": {}})),
        ("usage negative", json!({"usage": {"input_tokens": -1, "output_tokens": -1}})),
        ("usage 2^63", json!({"usage": {"input_tokens": 1_u64 << 63, "output_tokens": u64::MAX}})),
        ("usage text", json!({"usage": "many"})),
        ("model a list", json!({"model": ["x"]})),
        ("another input file", json!({"input_file_id": "file-other"})),
        ("no input file", json!({"input_file_id": "-"})),
        ("errors of a batch that ran", json!({"errors": {"data": [{"code": "x", "line": null}]}})),
        ("members nobody knows", json!({"web_search": [[[]]], "object": "response.batch"})),
    ];
    fine.into_iter()
        .map(|(name, members)| row(name, ended("completed", &members), "completed file-out file-err"))
        .collect()
}

fn refusals() -> Vec<Row> {
    let of = |name: &str, errors: Value, expected: &str| {
        let files = json!({"errors": errors, "output_file_id": null, "error_file_id": null});
        row(name, ended("failed", &files), expected)
    };
    let line =
        |line: Value| json!({"object": "list", "data": [{"code": "invalid_json_line", "message": "no", "line": line}]});
    let many: Vec<Value> = (1..=10_000).map(|n| json!({"code": "invalid_json_line", "line": n})).collect();
    let first: Vec<u32> = (1..=1_000).collect();
    vec![
        of("errors missing", json!("-"), "refused - -"),
        of("errors null", json!(null), "refused - -"),
        of("errors an empty list", json!([]), "refused - -"),
        of("errors an empty object", json!({}), "refused - -"),
        of("errors a text", json!("no"), "refused - -"),
        of("errors of null", json!({"data": [null, null]}), "refused - -"),
        of("errors with null members", json!({"data": [{"code": null, "message": null, "line": null}]}), "refused - -"),
        of("errors of texts", json!(["no"]), "refused - -"),
        of("errors of lists", json!([[], [7]]), "refused - -"),
        of("10,000 errors", json!({"data": many}), &format!("refused - - lines {first:?}")),
        of("line 1", line(json!(1)), "refused - - lines [1]"),
        of("line 0", line(json!(0)), "refused - -"),
        of("line -1", line(json!(-1)), "refused - -"),
        of("line beyond the end", line(json!(4_000_000)), "refused - - lines [4000000]"),
        of("line 2^40", line(json!(1_u64 << 40)), "refused - -"),
        of("line a text", line(json!("2")), "refused - - lines [2]"),
        of("line a fraction", line(json!(2.0)), "refused - - lines [2]"),
        of("a full queue, in words", json!([{"message": "Enqueued token limit reached for x."}]), "turned_away - -"),
        of(
            "a full queue among others",
            json!([{"code": "invalid_json_line", "line": 1},
            {"code": "token_limit_exceeded"}]),
            "turned_away - -",
        ),
        of("a message of 1 MB", json!([{"message": "x".repeat(1_000_000)}]), "refused - -"),
    ]
}

/// Times of creation, and what is believed of them in seconds.
fn times() -> Vec<(&'static str, Value, i64)> {
    vec![
        ("seconds", json!(1_800_000_000), 1_800_000_000),
        ("milliseconds", json!(1_800_000_000_123_u64), 1_800_000_000),
        ("a fraction", json!(1_800_000_000.75), 1_800_000_000),
        ("text", json!(" 1800000000 "), 1_800_000_000),
        ("ISO", json!("2027-01-15T08:00:00Z"), 1_800_000_000),
        ("0", json!(0), 0),
        ("negative", json!(-1), 0),
        ("the smallest", json!(i64::MIN), 0),
        ("the largest", json!(i64::MAX), 0),
        ("larger", json!(u64::MAX), 0),
        ("1e300", json!(1e300), 0),
        ("year 9999", json!("9999-12-30T00:00:00Z"), 253_402_128_000),
        ("before Christ", json!("-009999-01-01T00:00:00Z"), 0),
        ("a word", json!("soon"), 0),
        ("null", json!(null), 0),
    ]
}

/// Ids of a provider, and the name that they get in our folders.
fn names() -> Vec<(String, String)> {
    let long = |end: &str| format!("{}{end}", "x".repeat(300));
    [
        "batch_1",
        "../../etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "a_b",
        "a\\b",
        "a\0b",
        "a\nb",
        "C:x",
        "x",
        "x.errors",
        "é",
        "CON ",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([long("1"), long("2"), "é".repeat(300)])
    .map(|id| (safe_component(&id), id))
    .collect()
}

fn objects() -> Vec<Row> {
    [documented(), statuses(), files(), members(), refusals()].concat()
}

/// How many there are.
pub(crate) fn size() -> usize {
    objects().len() + times().len() + names().len()
}

#[test]
fn hostile_batch_objects() {
    let mut report = Report::new("B1 batch objects");
    for (name, object, expected) in objects() {
        report.case(&name, &read(&object), &expected);
    }
    report.close(90);
}

#[test]
fn hostile_times() {
    let mut report = Report::new("B1 times");
    for (name, time, expected) in times() {
        let batch = Batch::from_json(ended("completed", &json!({"created_at": time}))).expect("a batch");
        report.case(name, &batch.created_at, &expected);
    }
    report.close(15);
}

#[test]
fn hostile_ids_of_batches() {
    let mut report = Report::new("B1 batch ids");
    let names = names();
    for (name, id) in &names {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=');
        let is_safe = !name.is_empty() && name.len() <= 200 && name.chars().all(plain);
        report.case(&format!("{id:?} becomes {name:?}"), &is_safe, &true);
        let alone = names.iter().filter(|(other, _)| other == name).count() == 1;
        report.holds(&format!("{id:?}: {name:?} is another batch's name, too"), alone);
    }
    report.close(18);
}
