//! The files of `deploy/`, each read by the program that it is for, or by that program's own library.
//!
//! What no engine or cluster is there for is not shown: that the images can be pulled, and that Grafana takes what it is
//! provisioned with (its fields are held against a list). The rules of custom resources that are written in CEL are not
//! run either.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/authority.rs"]
mod authority;
#[path = "../support/collector.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod collector;
#[path = "../support/peers/mod.rs"]
mod peers;

mod compose;
mod container;
mod facts;
mod grafana;
mod helm;
mod kustomize;
mod manifests;
mod network;
mod selectors;
mod stack;
mod systemd;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A file of the repository.
fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a program made of that input: its output, or all that it said when it failed.
fn run(command: &mut Command, input: &str) -> Result<String, String> {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = process.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end without having read it.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = process.wait_with_output().unwrap();
    drop(writing.join());
    told(&output)
}

fn told(output: &Output) -> Result<String, String> {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(out) } else { Err(out + &String::from_utf8_lossy(&output.stderr)) }
}
