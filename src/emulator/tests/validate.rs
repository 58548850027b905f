//! Refusals by validation: every code of the reference, section 4.2, with its words, parameter and line.

use super::*;

const ENDPOINT: &str = "/v1/chat/completions";

fn verdict(limits: &Limits, lines: &[&str]) -> Verdict {
    let mut checker = Checker::new(limits, ENDPOINT);
    for line in lines {
        checker.line(Some(line.as_bytes()), 3);
        if checker.is_over() {
            break;
        }
    }
    checker.finish(1000)
}

fn line(id: &str, model: &str) -> String {
    format!(r#"{{"custom_id":"{id}","method":"POST","url":"{ENDPOINT}","body":{{"model":"{model}","messages":[]}}}}"#)
}

#[test]
fn the_examples_of_the_reference_are_refused_in_its_words() {
    let lines = [
        line("a", "m").replace(r#""custom_id":"a","#, ""),
        line("b", "m").replace(r#""method":"POST","#, ""),
        line("c", "m").replace(&format!(r#""url":"{ENDPOINT}","#), ""),
        format!(r#"{{"custom_id":"d","method":"POST","url":"{ENDPOINT}"}}"#),
        line("e", "m").replace(ENDPOINT, "/v1/embeddings"),
        line("f", "nonexistent-model-xyz"),
        line("g", "m").replace(r#""model":"m","#, ""),
        line("h", "m").replace(r#","messages":[]"#, ""),
        line("i", "m").replace(r#""messages":[]"#, r#""messages":[],"stream":true"#),
        "{\"custom_id\":".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let limits = Limits { models: vec!["m".to_owned()], ..Limits::default() };
    let verdict = verdict(&limits, &lines);
    let example = include_str!("../../../tests/data/api/batches/failed_validation.json");
    let example: serde_json::Value = serde_json::from_str(example).expect("example");
    assert_eq!(serde_json::to_value(&verdict.errors).expect("json"), example["errors"]["data"]);
    assert_eq!(verdict.total, 0);
}

#[test]
fn one_error_each() {
    let lines = |second: String| [line("img-000007", "m"), second];
    let table: [(String, &str, Option<&str>); 9] = [
        (line("img-000007", "m"), "duplicate_custom_id", Some("custom_id")),
        (line("b", "gpt-4o"), "mismatched_model", Some("body.model")),
        (line("b", "m").replace("POST", "GET"), "invalid_value", Some("method")),
        (line("b", "m").replace("\"b\"", "7"), "invalid_type", Some("custom_id")),
        (line("b", "m").replace("\"b\"", "null"), "missing_required_parameter", Some("custom_id")),
        (line("b", "m").replace("[]", "{}"), "invalid_request", Some("body.messages")),
        (line("b", ""), "invalid_request", Some("body.model")),
        (String::new(), "invalid_json_line", None),
        (format!("\u{feff}{}", line("b", "m")), "invalid_json_line", None),
    ];
    for (second, code, param) in table {
        let lines = lines(second);
        let verdict = verdict(&Limits::default(), &[&lines[0], &lines[1]]);
        let [error] = verdict.errors.as_slice() else { panic!("{:?}", verdict.errors) };
        assert_eq!((error.code.as_str(), error.param.as_deref(), error.line), (code, param, Some(2)), "{}", lines[1]);
    }
}

#[test]
fn the_words_for_a_double_and_for_a_second_model() {
    let (first, second) = (line("img-000007", "m"), line("x", "gpt-4o"));
    let errors = verdict(&Limits::default(), &[&first, &first, &second]).errors;
    let examples = [
        include_str!("../../../tests/data/api/batches/failed_duplicate_custom_id.json"),
        include_str!("../../../tests/data/api/batches/failed_mismatched_model.json"),
    ];
    for (error, example) in errors.iter().zip(examples) {
        let example: serde_json::Value = serde_json::from_str(example).expect("example");
        assert_eq!(example["errors"]["data"][0]["message"], error.message);
    }
    assert_eq!(errors.len(), 2);
}

#[test]
fn errors_of_the_whole_file_stand_alone() {
    let code = |verdict: Verdict| {
        assert_eq!((verdict.errors.len(), verdict.errors[0].line, verdict.total), (1, None, 0));
        verdict.errors[0].code.clone()
    };
    assert_eq!(code(verdict(&Limits::default(), &[])), "empty_file");
    let short = Limits { file_bytes: 999, ..Limits::default() };
    let ids = [line("a", "m"), line("b", "m"), line("c", "m")];
    assert_eq!(code(verdict(&short, &[&ids[0]])), "file_too_large");
    let few = Limits { lines: 2, ..Limits::default() };
    assert_eq!(code(verdict(&few, &[&ids[0], &ids[1], &ids[2]])), "too_many_tasks");
    let good = verdict(&few, &[&ids[0], &ids[1]]);
    assert_eq!((good.total, good.enqueued_tokens, good.model.as_deref()), (2, 6, Some("m")));
}

#[test]
fn escapes_in_an_id_are_read() {
    let text = line(r"rolls|\u00fc\n", "m");
    let question = question(text.as_bytes()).expect("a line");
    assert_eq!(question.custom_id, "rolls|ü\n");
    let plain = line(r"rolls|ü", "m");
    let lines = [line(r"rolls|\u00fc", "m"), plain];
    assert_eq!(verdict(&Limits::default(), &[&lines[0], &lines[1]]).errors[0].code, "duplicate_custom_id");
}
