//! The expected quantiles are what Python's statistics module says of them today. Needs python3.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn python_gives_the_quantiles_that_are_checked_in() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/quantiles.py");
    let output = Command::new("python3").arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.stdout == include_bytes!("data/quantiles.json"),
        "tests/data/quantiles.json is not what {script} says"
    );
}
