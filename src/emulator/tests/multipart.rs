//! The form reader at every cut of its input.

use super::*;

const FORM: &[u8] = b"preamble\r\n--xYz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xYz \r\n\
content-disposition: form-data; filename=\"a \\\"b\\\".jsonl\"; name=\"file\"\r\nContent-Type: application/jsonl\r\n\r\n\
{\"a\":1}\r\n--xY\r\n--\r\n--xYz\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--xYz--\r\nafter";

/// Name, file name and bytes of each part.
type Parts = Vec<(String, Option<String>, Vec<u8>)>;

/// All parts of a form that comes in pieces of `size` bytes.
fn parts(form: &[u8], size: usize) -> Result<(Parts, bool), Malformed> {
    let mut reader = Multipart::new("multipart/form-data; charset=utf-8; boundary=\"xYz\"")?;
    let (mut parts, mut ended) = (Vec::new(), false);
    for chunk in form.chunks(size) {
        reader.push(chunk);
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Part { name, filename } => parts.push((name, filename, Vec::new())),
                Piece::Data(data) => parts.last_mut().expect("a part").2.extend_from_slice(&data),
                Piece::End => ended = true,
            }
        }
    }
    Ok((parts, ended))
}

#[test]
fn a_form_is_the_same_however_it_is_cut() {
    let text = |part: &str| part.to_owned();
    let expected = vec![
        (text("purpose"), None, b"batch".to_vec()),
        (text("file"), Some(text("a \"b\".jsonl")), b"{\"a\":1}\r\n--xY\r\n--".to_vec()),
        (text("empty"), None, Vec::new()),
    ];
    for size in 1..=FORM.len() {
        assert_eq!(parts(FORM, size), Ok((expected.clone(), true)), "pieces of {size}");
    }
    for cut in 0..FORM.len() - 9 {
        assert!(!parts(&FORM[..cut], 7).is_ok_and(|(_, ended)| ended), "cut at {cut}");
    }
}

#[test]
fn what_is_no_form_is_refused() {
    assert!(Multipart::new("application/json").is_err());
    assert!(Multipart::new("multipart/form-data").is_err());
    assert!(parts(b"--xYzoops\r\n", 4).is_err());
    assert!(parts(b"--xYz\r\nContent-Type: text/plain\r\n\r\nx\r\n--xYz--", 4).is_err());
    assert!(parts(&[b"--xYz\r\n".as_slice(), &[b'a'; 20_000]].concat(), 512).is_err());
}

#[test]
fn names_beyond_ascii() {
    let head =
        "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"; filename*=UTF-8''r%C3%B6ll.jsonl\r\n\r\n";
    let filename = Some("röll.jsonl".to_owned());
    assert_eq!(part(head), Ok(Piece::Part { name: "file".to_owned(), filename }));
}

#[test]
fn a_long_body_waits_in_no_buffer() {
    let mut reader = Multipart::new("multipart/form-data; boundary=b").expect("form");
    reader.push(b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n");
    assert!(matches!(reader.next(), Ok(Some(Piece::Part { .. }))));
    for _ in 0..100 {
        reader.push(&[b'x'; 65_536]);
        while let Ok(Some(_)) = reader.next() {}
        assert!(reader.waiting.len() < 8);
    }
}
