//! The program that takes expressions out of documents passes over nothing: what it does not know, it names. Needs
//! python3.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// What it says of a document with this text, which is one that it does not know.
fn refused(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let document = dir.path().join("000_document.txt");
    std::fs::write(&document, text).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/extract_expressions.py");
    let output = Command::new("python3").arg(script).arg(&document).output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_neither_an_expression_nor_listed_is_an_error_that_names_the_place() {
    for (text, named) in [
        ("# Title\n## A block\n```mystery\nsomething else\n```\n", "mystery"),
        ("# Title\n## Prose\nCompute rate(session_start_total[5m]) by hand.\n", "Prose"),
        (
            "# Title\n## An alert\n```yaml\ngroups:\n- name: a\n  rules:\n  - alert: Nothing\n    for: 1m\n```\n",
            "Nothing",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains("000_document.txt") && error.contains(named), "{text}\n{error}");
    }
}
