//! Refusals at once: the table of the reference, section 4.1, and the limits of section 7.

use super::*;

fn refused(body: &str) -> (u16, String, String) {
    let refusal = new_batch(body.as_bytes(), true).expect_err(body);
    (refusal.status, refusal.code.unwrap_or_default(), refusal.param.unwrap_or_default())
}

#[test]
fn a_create_is_refused_for_each_reason() {
    let pairs: Vec<String> = (0..17).map(|n| format!("\"k{n}\":\"v\"")).collect();
    let rest = r#""input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h""#;
    let table = [
        ("nonsense".to_owned(), "", ""),
        ("[]".to_owned(), "", ""),
        ("{}".to_owned(), "missing_required_parameter", "input_file_id"),
        (r#"{"input_file_id":7}"#.to_owned(), "invalid_type", "input_file_id"),
        (r#"{"input_file_id":"f"}"#.to_owned(), "missing_required_parameter", "endpoint"),
        (r#"{"input_file_id":"f","endpoint":"/v1/invalid/endpoint"}"#.to_owned(), "invalid_value", "endpoint"),
        (
            r#"{"input_file_id":"f","endpoint":"/v1/chat/completions"}"#.to_owned(),
            "missing_required_parameter",
            "completion_window",
        ),
        (rest.replace("24h", "48h"), "invalid_value", "completion_window"),
        (format!("{rest},\"idempotency_key\":\"x\""), "unknown_parameter", "idempotency_key"),
        (format!("{rest},\"metadata\":[]"), "invalid_type", "metadata"),
        (format!("{rest},\"metadata\":{{\"a\":1}}"), "invalid_type", "metadata.a"),
        (format!("{rest},\"metadata\":{{{}}}", pairs.join(",")), "object_above_max_properties", "metadata"),
        (format!("{rest},\"metadata\":{{\"a\":\"{}\"}}", "ü".repeat(513)), "string_above_max_length", "metadata.a"),
        (
            format!("{rest},\"output_expires_after\":{{\"anchor\":\"now\",\"seconds\":3600}}"),
            "invalid_value",
            "output_expires_after.anchor",
        ),
        (
            format!("{rest},\"output_expires_after\":{{\"anchor\":\"created_at\",\"seconds\":60}}"),
            "integer_below_min_value",
            "output_expires_after.seconds",
        ),
    ];
    for (body, code, param) in table {
        let body = if body.starts_with('"') { format!("{{{body}}}") } else { body };
        assert_eq!(refused(&body), (400, code.to_owned(), param.to_owned()), "{body}");
    }
}

#[test]
fn a_create_with_everything_is_read() {
    let body = format!(
        r#"{{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h",
            "metadata":{{"{}":"{}"}},"output_expires_after":{{"anchor":"created_at","seconds":3600}}}}"#,
        "k".repeat(64),
        "ü".repeat(512)
    );
    let batch = new_batch(body.as_bytes(), true).expect("a batch");
    assert_eq!(
        (batch.results_live, batch.metadata.map(|pairs| pairs.len())),
        (Some(Duration::from_secs(3600)), Some(1))
    );
}

#[test]
fn limits_and_orders_of_listings() {
    let query = |limit: &str| ListQuery { limit: Some(limit.to_owned()), ..ListQuery::default() };
    assert_eq!(ListQuery::default().limit(20, 100), Ok(20));
    assert_eq!(query("100").limit(20, 100), Ok(100));
    let code = |limit| query(limit).limit(20, 100).expect_err("refused").code;
    assert_eq!(code("0").as_deref(), Some("integer_below_min_value"));
    assert_eq!(code("-1").as_deref(), Some("integer_below_min_value"));
    assert_eq!(code("101").as_deref(), Some("integer_above_max_value"));
    assert_eq!(code("many").as_deref(), Some("invalid_type"));
    let order = ListQuery { order: Some("up".to_owned()), ..ListQuery::default() };
    assert!(order.newest_first().is_err());
}

#[test]
fn ranges() {
    for (header, range) in [
        ("bytes=0-", Ok(Some((0, 10)))),
        ("bytes=3-", Ok(Some((3, 10)))),
        ("bytes=3-5", Ok(Some((3, 6)))),
        ("bytes=3-99", Ok(Some((3, 10)))),
        ("bytes=-4", Ok(Some((6, 10)))),
        ("bytes=10-", Err(())),
        ("bytes=5-3", Ok(None)),
        ("bytes=0-1,4-5", Ok(None)),
        ("lines=1-", Ok(None)),
    ] {
        assert_eq!(byte_range(header, 10), range, "{header}");
    }
}
