//! The real servers, and what each is asked: its tools, resources and prompts, errors, a call that is given up, a large
//! result. What a step is stands in `tests/peers/mcp-python/client.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peers::installed;
use crate::stage::of_the_peers;

/// A server, with a folder that is made anew for each session.
pub struct Server {
    /// How it is started.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub variables: BTreeMap<String, String>,
    /// What is asked of it.
    pub steps: Vec<Value>,
    /// What of its answers comes from a clock: what stands before it, and what behind.
    clock: &'static [(&'static str, &'static str)],
    /// Whether it speaks the protocol of 2026-07-28, too.
    speaks_both: bool,
    dir: TempDir,
}

impl Server {
    fn new(command: &[&str], clock: &'static [(&'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("seed")).unwrap();
        let command = command.iter().map(|part| (*part).to_owned()).collect();
        let home = dir.path().display().to_string();
        Self {
            command,
            variables: [("HOME".to_owned(), home)].into(),
            steps: Vec::new(),
            clock,
            speaks_both: false,
            dir,
        }
    }

    /// With these steps instead.
    pub fn steps(self, steps: Vec<Value>) -> Self {
        Self { steps, ..self }
    }

    /// With a variable of its environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn seed(&self) -> PathBuf {
        self.dir.path().join("seed")
    }

    /// What makes its folder anew.
    pub fn before(&self) -> Vec<String> {
        let script = r#"rm -rf "$1" && cp -a "$2" "$1""#;
        let paths = [self.folder(), self.seed()].map(|path| path.display().to_string());
        ["sh", "-c", script, "sh"].map(str::to_owned).into_iter().chain(paths).collect()
    }

    /// The names of the barriers.
    pub fn barriers(&self) -> Vec<String> {
        fn of(steps: &[Value]) -> Vec<String> {
            let name = |step: &Value| step.get("barrier").and_then(Value::as_str).map(str::to_owned);
            let inside = |step: &Value| step.get("listen").and_then(Value::as_array).map(|steps| of(steps));
            steps.iter().flat_map(|step| name(step).into_iter().chain(inside(step).into_iter().flatten())).collect()
        }
        of(&self.steps)
    }

    /// The steps, or others instead, without what the newer protocol no longer knows.
    pub fn steps_for(&self, mode: &str, others: Option<&Vec<Value>>) -> Vec<Value> {
        let is_new = mode != "legacy" && self.speaks_both;
        let steps = others.unwrap_or(&self.steps).iter();
        steps.filter(|step| !(is_new && step["request"] == "ping")).cloned().collect()
    }

    /// A transcript without what comes from a clock.
    pub fn without_clock(&self, transcript: &str) -> String {
        self.clock.iter().fold(transcript.to_owned(), |text, (before, behind)| blank(&text, before, behind))
    }
}

/// A text with nothing between each `before` and the `behind` that comes next.
fn blank(text: &str, before: &str, behind: &str) -> String {
    let mut parts = text.split(before);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(behind).unwrap_or_else(|| panic!("no {behind} behind {before} in {part}"));
        out.push_str(before);
        out.push_str(&part[end..]);
    }
    out
}

/// A call of a tool.
pub fn call(tool: &str, arguments: Value) -> Value {
    json!({"request": "tools/call", "name": tool, "arguments": arguments})
}

/// A request without parameters.
pub fn ask(method: &str) -> Value {
    json!({"request": method})
}

/// An object with the fields of another, too.
pub fn with(mut one: Value, other: Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}

/// So much text, with characters that JSON escapes and characters of several bytes.
pub fn large(bytes: usize) -> String {
    "a line with \"quotes\", \\, \t and ümläuts, 漢字 and 🦀\n".repeat(bytes / 60)
}

/// Bytes of a large answer: many times what a pipe holds, and not more than the observer of an unoptimised `wrap`, which
/// reads some 20 MB a second, has time for at the end of a session on a busy machine. More goes by in [`crate::faults`].
const LARGE: usize = 1 << 19;

/// npm `@modelcontextprotocol/server-everything`: all that the protocol of 2025-11-25 has.
///
/// Its dynamic resources tell the time of day. What it notifies of a call that was given up is left out by the clients.
pub fn everything() -> Server {
    let read = |uri: &str| json!({"request": "resources/read", "uri": uri});
    let long = |seconds: f64| call("trigger-long-running-operation", json!({"duration": seconds, "steps": 4}));
    let prompt = |name: &str, arguments: Value| json!({"request": "prompts/get", "name": name, "arguments": arguments});
    let echo = |message: &str| call("echo", json!({"message": message}));
    node_server("server-everything", &[], &[("created at ", "\"")]).steps(vec![
        // It asks for the roots a moment after the handshake, and then tells that it has them.
        json!({"await": "roots/list"}),
        json!({"await": "notifications/message"}),
        ask("tools/list"),
        echo("hello"),
        call("echo", json!({"message": 1})),
        call("no-such-tool", json!({})),
        call("get-sum", json!({"a": 2, "b": 40})),
        call("get-env", json!({})),
        call("get-structured-content", json!({"location": "Chicago"})),
        call("get-annotated-message", json!({"messageType": "error", "includeImage": true})),
        call("get-tiny-image", json!({})),
        call("get-resource-links", json!({"count": 3})),
        call("get-resource-reference", json!({"resourceType": "Text", "resourceId": 7})),
        call("trigger-sampling-request", json!({"prompt": "say something", "maxTokens": 10})),
        call("trigger-elicitation-request", json!({})),
        call("get-roots-list", json!({})),
        json!({"barrier": "middle"}),
        ask("prompts/list"),
        prompt("simple-prompt", json!({})),
        prompt("args-prompt", json!({"city": "Ulm", "state": "BW"})),
        prompt("resource-prompt", json!({"resourceType": "Text", "resourceId": "2"})),
        prompt("no-such-prompt", json!({})),
        json!({"request": "completion/complete", "prompt": "completable-prompt",
               "argument": {"name": "department", "value": "S"}}),
        ask("resources/list"),
        ask("resources/templates/list"),
        read("demo://resource/static/document/architecture.md"),
        read("demo://resource/dynamic/text/3"),
        read("demo://resource/no-such-thing"),
        json!({"request": "resources/subscribe", "uri": "demo://resource/dynamic/text/1"}),
        json!({"request": "resources/unsubscribe", "uri": "demo://resource/dynamic/text/1"}),
        json!({"request": "logging/setLevel", "level": "error"}),
        ask("ping"),
        // Without its end: the client for Node.js loses the last progress where the result comes in the same read.
        with(long(0.8), json!({"progress": true, "cancel": "progress"})),
        json!({"together": [long(0.2), echo("one"), echo("two"), call("get-sum", json!({"a": 1, "b": 1})), ask("ping")]}),
        echo(&large(LARGE)),
        echo("the end"),
    ])
}

/// npm `@modelcontextprotocol/server-filesystem`: tools that read and write files. It tells a file's times.
pub fn filesystem() -> Server {
    let mut server = node_server("server-filesystem", &[], &[("created: ", "\\n"), ("accessed: ", "\\n")]);
    let seed = server.seed();
    fs::create_dir(seed.join("sub")).unwrap();
    fs::write(seed.join("hello.txt"), "hello\nworld\n").unwrap();
    fs::write(seed.join("sub/pixel.png"), [137, 80, 78, 71, 0, 255]).unwrap();
    fs::write(seed.join("large.txt"), large(LARGE)).unwrap();
    assert!(Command::new("mkfifo").arg(seed.join("pipe")).status().unwrap().success());
    let folder = server.folder();
    let path = |name: &str| folder.join(name).display().to_string();
    server.command.push(folder.display().to_string());
    let read = |name: &str| call("read_text_file", json!({"path": path(name)}));
    let steps = vec![
        json!({"await": "roots/list"}),
        ask("tools/list"),
        call("list_allowed_directories", json!({})),
        read("hello.txt"),
        call("read_text_file", json!({"path": path("hello.txt"), "head": 1})),
        call("read_multiple_files", json!({"paths": [path("hello.txt"), path("none.txt")]})),
        call("read_media_file", json!({"path": path("sub/pixel.png")})),
        call("write_file", json!({"path": path("sub/new.txt"), "content": large(1000)})),
        call("edit_file", json!({"path": path("hello.txt"), "edits": [{"oldText": "world", "newText": "peers"}]})),
        call("move_file", json!({"source": path("sub/new.txt"), "destination": path("moved.txt")})),
        json!({"barrier": "middle"}),
        call("list_directory", json!({"path": path("")})),
        call("directory_tree", json!({"path": path("")})),
        call("search_files", json!({"path": path(""), "pattern": "**/*.txt"})),
        call("get_file_info", json!({"path": path("large.txt")})),
        read("none.txt"),
        call("read_text_file", json!({"path": "/etc/hostname"})),
        call("read_text_file", json!({"path": 1})),
        call("no_such_tool", json!({})),
        ask("prompts/list"),
        // Nobody writes to the pipe, so the call lasts until it is given up.
        with(read("pipe"), json!({"cancel": {"fifo": path("pipe")}})),
        read("large.txt"),
        ask("ping"),
    ];
    server.steps(steps)
}

/// PyPI `mcp-server-git`: a repository whose commits have the same ids every time.
pub fn git() -> Server {
    const DATE: &str = "1770000000 +0000";
    let mut server = python_server("mcp-server-git", &[], &[]);
    for (role, name) in [("AUTHOR", "A Peer"), ("COMMITTER", "A Peer")] {
        server = server.variable(&format!("GIT_{role}_NAME"), name);
        server = server.variable(&format!("GIT_{role}_EMAIL"), "peer@example.org");
        server = server.variable(&format!("GIT_{role}_DATE"), DATE);
    }
    let seed = server.seed();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(&seed).args(arguments).envs(&server.variables).env("GIT_CONFIG_NOSYSTEM", "1");
        assert!(command.output().unwrap().status.success(), "git {arguments:?}");
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    fs::write(seed.join("large.txt"), large(LARGE)).unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=a large file"]);
    fs::write(seed.join("hello.txt"), "hello\n").unwrap();
    fs::write(seed.join("slow.txt"), "slow\n").unwrap();
    // The commit of slow.txt lasts until it is given up.
    let hook = seed.join(".git/hooks/pre-commit");
    fs::write(
        &hook,
        "#!/bin/sh\n\
         git diff --cached --name-only | grep -q slow || exit 0\n\
         touch at-it\n\
         for _ in $(seq 1000); do [ -e at-it.seen ] && exit 0; sleep 0.01; done\n\
         exit 1\n",
    )
    .unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&hook).status().unwrap().success());

    let folder = server.folder();
    server.command.extend(["--repository".to_owned(), folder.display().to_string()]);
    let git = |tool: &str, more: Value| call(tool, with(json!({"repo_path": folder}), more));
    let at_it = folder.join("at-it");
    let steps = vec![
        ask("tools/list"),
        git("git_status", json!({})),
        git("git_log", json!({})),
        git("git_add", json!({"files": ["hello.txt"]})),
        git("git_diff_staged", json!({})),
        git("git_commit", json!({"message": "hello"})),
        git("git_show", json!({"revision": "HEAD"})),
        json!({"barrier": "middle"}),
        git("git_create_branch", json!({"branch_name": "other"})),
        git("git_checkout", json!({"branch_name": "other"})),
        git("git_branch", json!({"branch_type": "local"})),
        git("git_checkout", json!({"branch_name": "no-such-branch"})),
        git("git_log", json!({"max_count": "many"})),
        call("git_status", json!({"repo_path": "/"})),
        call("no_such_tool", json!({})),
        ask("prompts/list"),
        ask("resources/list"),
        json!({"request": "prompts/get", "name": "no-such-prompt"}),
        git("git_show", json!({"revision": "HEAD~1"})),
        ask("ping"),
        git("git_add", json!({"files": ["slow.txt"]})),
        with(git("git_commit", json!({"message": "slow"})), json!({"cancel": {"file": at_it}})),
        ask("tools/list"),
    ];
    server.steps(steps)
}

/// PyPI `mcp-server-time`, which tells the time and the day. Nothing that it does lasts long enough to be given up.
pub fn time() -> Server {
    let convert = |from: &str| {
        call("convert_time", json!({"source_timezone": from, "time": "12:30", "target_timezone": "Asia/Tokyo"}))
    };
    python_server("mcp-server-time", &["--local-timezone", "UTC"], TIMES).steps(vec![
        ask("tools/list"),
        call("get_current_time", json!({"timezone": "UTC"})),
        convert("UTC"),
        convert("Nowhere/Land"),
        json!({"barrier": "middle"}),
        call("convert_time", json!({})),
        call("no_such_tool", json!({})),
        ask("prompts/list"),
        ask("resources/list"),
        json!({"request": "prompts/get", "name": "no-such-prompt"}),
        json!({"together": [convert("UTC"), convert("Europe/Berlin"), call("get_current_time", json!({"timezone": "UTC"}))]}),
        convert(&large(LARGE / 2)),
        ask("ping"),
    ])
}

/// A time, and a day, in text and in the structure beside it.
const TIMES: &[(&str, &str)] = &[
    ("\\\"datetime\\\": \\\"", "\\\""),
    ("\\\"datetime\\\":\\\"", "\\\""),
    ("\\\"day_of_week\\\": \\\"", "\\\""),
    ("\\\"day_of_week\\\":\\\"", "\\\""),
    ("\"datetime\": \"", "\""),
    ("\"datetime\":\"", "\""),
    ("\"day_of_week\": \"", "\""),
    ("\"day_of_week\":\"", "\""),
];

/// A server of `tests/peers/servers`, whose tools are faults.
pub fn faulty() -> Server {
    let python = installed("mcp-python/bin/python");
    let script = of_the_peers("servers/faulty.py");
    Server::new(&[&text(&python), "-IS", &text(&script)], &[])
}

/// The server of `tests/peers` that asks its client in its results and can be listened to.
pub fn modern() -> Server {
    let python = installed("mcp-python/bin/python");
    let script = of_the_peers("servers/modern.py");
    Server::new(&[&text(&python), "-I", &text(&script)], &[]).steps(vec![
        ask("tools/list"),
        call("greet", json!({})),
        json!({"listen": [{"barrier": "listening"}, call("change", json!({}))]}),
        call("greet", json!({})),
    ])
}

fn node_server(package: &str, arguments: &[&str], clock: &'static [(&'static str, &'static str)]) -> Server {
    let script = installed(&format!("mcp-node/node_modules/@modelcontextprotocol/{package}/dist/index.js"));
    let node = installed("bin/node");
    Server::new(&[&[text(&node).as_str(), &text(&script)], arguments].concat(), clock)
}

fn python_server(program: &str, arguments: &[&str], clock: &'static [(&'static str, &'static str)]) -> Server {
    let program = installed(&format!("mcp-python/bin/{program}"));
    Server { speaks_both: true, ..Server::new(&[&[text(&program).as_str()], arguments].concat(), clock) }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
