//! The commands of the pages.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::pages::commands::{How, Need, RULES, Shell, commands, rule_of, run};
use crate::pages::{Page, ROOT, for_users};

#[test]
fn every_command_is_run_or_excused_by_name() {
    let mut used = BTreeSet::new();
    for block in for_users().iter().flat_map(commands) {
        let rule = rule_of(&block).unwrap_or_else(|| {
            panic!("{}: a command without a rule in tests/support/pages/commands.rs:\n{}", block.place(), block.text)
        });
        used.insert(format!("{} {}", rule.page, rule.begins));
    }
    for rule in RULES {
        assert!(used.contains(&format!("{} {}", rule.page, rule.begins)), "no command has the rule {rule:?}");
        if let How::By(test) = rule.how {
            let files = std::fs::read_dir(format!("{ROOT}/tests/peer_docs")).unwrap();
            let files = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
            let there = files.into_iter().any(|file| file.contains(&format!("fn {test}()")));
            assert!(there, "there is no test {test}");
        }
    }
}

#[test]
fn commands_that_need_only_the_bridge_do_what_the_pages_say() {
    // Where curl is missing, tests/peer_docs says so.
    let needs = if Shell::new(&[]).has("curl") { [Need::Nothing, Need::Curl].as_slice() } else { &[Need::Nothing] };
    let ran = run(needs, &[]);
    assert!(ran >= 5, "only {ran} were run");
}

/// What the program says of a command's usage.
fn help(arguments: &[&str]) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_mcp-otel-bridge");
    let output = Command::new(program).args(arguments).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Checks that the program has the command and the flags of these arguments.
fn is_there(arguments: &[&str], place: &str) {
    // What stands behind `--` is another program's.
    let own = arguments.iter().take_while(|word| **word != "--").map(|word| word.trim_matches(['[', ']']));
    let own: Vec<&str> = own.collect();
    let command: Vec<&str> = own.iter().take(1).filter(|first| !first.starts_with('-')).copied().collect();
    let help = help(&command).unwrap_or_else(|| panic!("{place}: there is no command {command:?}"));
    for flag in own.iter().filter(|word| word.starts_with("--")) {
        let flag = flag.split('=').next().unwrap();
        assert!(help.contains(flag), "{place}: {command:?} has no {flag}");
    }
}

#[test]
fn every_command_and_flag_that_is_named_is_there() {
    let mut named = 0;
    for page in for_users() {
        let spans = page.code_spans().into_iter();
        let indented = page.blocks().into_iter().filter(|block| block.language == "indented");
        for (line, text) in spans.chain(indented.map(|block| (block.line, block.text))) {
            let Some(rest) = text.strip_prefix("mcp-otel-bridge ") else { continue };
            is_there(&rest.split_whitespace().collect::<Vec<_>>(), &format!("{}:{line}", page.path));
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn every_configuration_of_a_client_starts_a_command_that_is_there() {
    let mut servers = 0;
    for block in for_users().iter().flat_map(Page::blocks).filter(|block| block.language == "json") {
        let value: Value = serde_json::from_str(&block.text).unwrap();
        for server in value["mcpServers"].as_object().into_iter().flat_map(|servers| servers.values()) {
            if server["command"] == "mcp-otel-bridge" {
                let words = server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
                is_there(&words.collect::<Vec<_>>(), &block.place());
                servers += 1;
            }
        }
    }
    assert!(servers > 3, "{servers}");
}
