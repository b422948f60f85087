//! How each command of the pages is run: the rules, and the shell that runs them.
//!
//! What a reader types is run as it stands, but for [`SUBSTITUTIONS`]: the test's own ports, and the binary that was
//! built for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Block, Page, ROOT, for_users};
use crate::peers::bridge::Bridge;
use crate::peers::http;
use crate::peers::process::Process;
use crate::peers::until;

/// What a command needs beside the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// `curl`, which a fresh machine may lack.
    Curl,
    /// What tests/peers/install installs.
    Peers,
}

/// What is done with a command.
#[derive(Debug, Clone, Copy)]
pub enum How {
    /// It ends, with success, and prints this.
    Prints(&'static str),
    /// It serves a bridge, whose banner tells this.
    Serves(&'static str),
    /// It is run by a test of its own, of that name.
    By(&'static str),
    /// It is not run: why, and what is run in its place.
    Not(&'static str),
}

/// What is done with the commands of a page that begin so.
#[derive(Debug)]
pub struct Rule {
    /// The page.
    pub page: &'static str,
    /// How its block begins.
    pub begins: &'static str,
    /// What it needs.
    pub need: Need,
    /// What is done with it.
    pub how: How,
}

const fn rule(page: &'static str, begins: &'static str, need: Need, how: How) -> Rule {
    Rule { page, begins, need, how }
}

use How::{By, Not, Prints, Serves};
use Need::{Curl, Nothing, Peers};

/// Every command of the pages, in the order in which they are run.
pub const RULES: &[Rule] = &[
    rule("README.md", "cargo run --release -- wrap --serve", Peers, By("a_wrapped_server_answers_as_the_pages_say")),
    rule("README.md", "cargo run --release", Nothing, Serves("push    off")),
    rule("README.md", "cargo test", Nothing, Not("it is what runs this")),
    rule("README.md", "curl -s http://127.0.0.1:9090/v1/events", Curl, Prints(r#""traceparent":"00-"#)),
    rule(
        "README.md",
        "curl -s http://127.0.0.1:9090/metrics",
        Curl,
        Prints("session_duration_seconds_bucket{component_name=\"my-server\",le=\"3600.0\"} 1\n"),
    ),
    rule("README.md", "mcp-otel-bridge --otlp-endpoint", Nothing, Serves("spans to http://localhost:4317")),
    rule(
        "docs/getting-started.md",
        "cargo run --release -- wrap",
        Peers,
        By("a_wrapped_server_answers_as_the_pages_say"),
    ),
    rule("docs/getting-started.md", "mcp-otel-bridge\n", Nothing, Serves("data    ")),
    rule("docs/getting-started.md", "prometheus --config.file", Peers, By("prometheus_starts_as_the_pages_say")),
    rule(
        "docs/getting-started.md",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=",
        Nothing,
        Serves("spans to http://localhost:4317"),
    ),
    rule("docs/getting-started.md", "docker compose", Peers, By("docker_compose_reads_what_the_pages_start")),
    rule("docs/getting-started.md", "curl -s http://127.0.0.1:9090/v1/events", Curl, Prints(r#""status":"recorded""#)),
    rule("docs/tracing.md", "curl -s 'http://localhost:9091", Peers, By("the_query_for_exemplars_finds_a_trace")),
    rule("docs/deployment.md", "cargo build --release\nsudo", Peers, By("the_service_is_installed_as_the_pages_say")),
    rule("docs/deployment.md", "sudo install -m 644 -D", Peers, By("the_service_is_installed_as_the_pages_say")),
    rule("docs/deployment.md", "mcp-otel-bridge health", Nothing, Prints("")),
    rule("docs/deployment.md", "docker build", Peers, By("the_image_of_the_pages_is_that_of_its_file")),
    rule("docs/deployment.md", "docker compose", Peers, By("docker_compose_reads_what_the_pages_start")),
    rule("docs/deployment.md", "kubectl apply", Peers, By("kustomize_builds_what_the_pages_apply")),
    rule("docs/deployment.md", "kubectl create secret", Peers, By("the_secret_of_the_pages_is_the_one_that_is_read")),
    rule("docs/deployment.md", "helm install", Peers, By("helm_renders_what_the_pages_install")),
    rule("docs/deployment.md", "promtool", Peers, Prints("SUCCESS")),
    rule("docs/security.md", "mkdir -p /etc", Peers, By("the_tokens_of_the_pages_open_what_they_should")),
    rule("docs/durability.md", "sqlite3", Peers, By("a_shell_of_sqlite_does_what_the_pages_say")),
    rule("docs/durability.md", "mcp-otel-bridge forget", Peers, By("a_shell_of_sqlite_does_what_the_pages_say")),
    rule(
        "docs/wrap.md",
        "mcp-otel-bridge wrap [",
        Nothing,
        Not("a synopsis; its flags are held against the program's help"),
    ),
    rule("docs/anomalies.md", "z = ", Nothing, Not("a formula")),
    rule("docs/http-api.md", "curl -s http://127.0.0.1:9090/readyz", Curl, Prints(r#""ready":true"#)),
    rule("docs/http-api.md", "mcp-otel-bridge send", Nothing, Prints("2 accepted")),
];

/// What is put in the place of what a reader would type.
fn substituted(text: &str, bridge: &str) -> String {
    // The binary of the tests, not one that is built anew.
    let text =
        text.replace("cargo run --release -- ", "mcp-otel-bridge ").replace("cargo run --release", "mcp-otel-bridge");
    // A bridge of the test's own.
    text.replace("127.0.0.1:9090", bridge).replace("localhost:9090", bridge)
}

/// The commands of a page.
pub fn commands(page: &Page) -> Vec<Block> {
    let runnable = |block: &Block| block.language == "sh" || block.language == "indented";
    page.blocks().into_iter().filter(runnable).collect()
}

/// The rule of a command.
pub fn rule_of(block: &Block) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.page == block.page && begins(block, rule.begins))
}

fn begins(block: &Block, with: &str) -> bool {
    format!("{}\n", block.text.trim_end()).starts_with(with)
}

/// A place where commands are run, as at the root of the repository after an installation.
pub struct Shell {
    dir: TempDir,
    path: String,
}

impl Shell {
    /// One whose programs are the bridge, those of these folders, and the machine's.
    pub fn new(folders: &[PathBuf]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in std::fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().file_name()) {
            std::os::unix::fs::symlink(Path::new(ROOT).join(&name), dir.path().join(&name)).unwrap();
        }
        let own = Path::new(env!("CARGO_BIN_EXE_mcp-otel-bridge")).parent().unwrap();
        let mut path = vec![own.display().to_string()];
        path.extend(folders.iter().map(|folder| folder.display().to_string()));
        path.extend(std::env::var("PATH"));
        Self { dir, path: path.join(":") }
    }

    /// The home of whoever types.
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// What a command prints, which must succeed.
    pub fn output(&self, text: &str) -> String {
        let output = self.command(text, "").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\nends with {}: {told}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether there is a program of that name.
    pub fn has(&self, program: &str) -> bool {
        self.command(&format!("command -v {program}"), "").output().unwrap().status.success()
    }

    /// The command, to be run by `sh`.
    pub fn command(&self, text: &str, bridge: &str) -> Command {
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if ["OTEL_", "MCP_OTEL_BRIDGE_", "SESSION_BUDDY_"].iter().any(|prefix| known.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.current_dir(self.dir.path()).env("PATH", &self.path).env("HOME", self.dir.path());
        command.env("XDG_STATE_HOME", self.dir.path().join("state")).env("MCP_OTEL_BRIDGE_LISTEN", "127.0.0.1:0");
        // A collector that is not there is waited for at the end, but not for long.
        command.env("MCP_OTEL_BRIDGE_LIMITS_SHUTDOWN", "1s");
        if !bridge.is_empty() {
            command.env("MCP_OTEL_BRIDGE_URL", format!("http://{bridge}"));
        }
        command.arg("-c").arg(substituted(text, bridge)).stdin(std::process::Stdio::null());
        command
    }

    fn prints(&self, block: &Block, bridge: &Bridge, expected: &str) {
        let output = self.command(&block.text, &bridge.address).output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} ends with {}: {told}", block.place(), output.status);
        assert!(told.contains(expected), "{} does not print {expected:?}: {told}", block.place());
    }

    fn serves(&self, block: &Block, expected: &str) {
        // `exec` takes no assignments in front of the program: `env` does.
        let text = format!("exec env {}", block.text.trim());
        let mut process = Process::start(&block.place(), &mut self.command(&text, "127.0.0.1:9090"));
        process.find_line(&format!("{expected:?}"), |line| line.contains(expected).then_some(()));
        let url = process.find_line("where it listens", |line| {
            line.trim().strip_prefix("send").map(|url| url.trim().trim_end_matches("/v1/events").to_owned())
        });
        until("it to be alive", || {
            http::get(&format!("{url}/livez"), "*/*").ok().filter(|answer| answer.status == 200)
        });
        assert!(process.terminate().success(), "{} ended badly: {:?}", block.place(), process.lines());
    }
}

/// Runs the commands of every page that need no more than this, page by page, each page with a bridge of its own.
pub fn run(needs: &[Need], folders: &[PathBuf]) -> usize {
    let mut ran = 0;
    for page in for_users() {
        let commands = commands(&page).into_iter().filter_map(|block| Some((rule_of(&block)?, block)));
        let commands: Vec<_> = commands.filter(|(rule, _)| needs.contains(&rule.need)).collect();
        if commands.is_empty() {
            continue;
        }
        let (shell, bridge) = (Shell::new(folders), Bridge::options().start());
        for (rule, block) in commands {
            match rule.how {
                Prints(expected) => shell.prints(&block, &bridge, expected),
                Serves(expected) => shell.serves(&block, expected),
                By(_) | Not(_) => continue,
            }
            ran += 1;
        }
    }
    ran
}
