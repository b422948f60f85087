//! The program in the file system of the image's last stage, with nothing else: as its user, without a shell.
//!
//! The image's program is static; this one brings its libraries along. Needs root, for chroot.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::peers::until;
use crate::{at, run};

/// What the Dockerfile's last stage says: its variables, its user, and its commands.
struct Stage {
    variables: Vec<(String, String)>,
    user: String,
    program: Vec<String>,
    serve: Vec<String>,
    health: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
}

fn last_stage() -> Stage {
    let text = std::fs::read_to_string(at("deploy/docker/Dockerfile")).unwrap();
    let (_, text) = text.split_once("\nFROM scratch\n").unwrap();
    let text = text.replace("\\\n", " ");
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let variables = line("ENV ").split_whitespace().map(|pair| pair.split_once('=').unwrap());
    Stage {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        user: line("USER ").to_owned(),
        program: words(line("ENTRYPOINT ")),
        serve: words(line("CMD ")),
        health: words(line("HEALTHCHECK ")),
    }
}

/// Puts the program into an empty folder, with what it is linked to.
fn fill(root: &Path, program: &str) {
    let binary = Path::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    let put = |from: &Path, to: &str| {
        let to = root.join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    put(binary, program);
    for word in run(Command::new("ldd").arg(binary), "").unwrap().split_whitespace() {
        if word.starts_with('/') {
            put(Path::new(word), word);
        }
    }
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_serves_and_is_healthy_where_there_is_nothing_but_the_program() {
    let stage = last_stage();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    // Where the user may go, and write nothing.
    std::fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fill(root, &stage.program[0]);
    let variable = |name: &str| stage.variables.iter().find(|one| one.0 == name).unwrap().1.clone();
    let data = root.join(variable("MCP_OTEL_BRIDGE_DATA_DIR").trim_start_matches('/'));
    std::fs::create_dir_all(&data).unwrap();
    run(Command::new("chown").arg(&stage.user).arg(&data), "").expect("needs root");

    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let inside = |command: &[String]| {
        let mut inside = Command::new("chroot");
        inside.arg(format!("--userspec={}", stage.user)).arg(root).args(command).env_clear();
        inside.env("PATH", std::env::var_os("PATH").unwrap()).envs(stage.variables.iter().cloned());
        // Not the image's: a test listens on loopback alone.
        inside.env("MCP_OTEL_BRIDGE_LISTEN", &listen);
        inside
    };
    assert!(run(&mut inside(&stage.health), "").unwrap_err().contains("no bridge answers at"));
    let mut serve = inside(&[stage.program.clone(), stage.serve.clone()].concat());
    let mut serving = Serving(serve.stdout(Stdio::null()).spawn().unwrap());
    let ready = until("its health", || {
        assert_eq!(serving.0.try_wait().unwrap(), None, "it ended");
        run(&mut inside(&stage.health), "").ok()
    });
    assert!(ready.contains("\"ready\":true"), "{ready}");
    let event = r#"{"event_type":"session_quality","component_name":"a","quality_score":80}"#;
    let sent = ureq::post(format!("http://{listen}/v1/events")).header("content-type", "application/json").send(event);
    assert_eq!(sent.unwrap().status(), 200);
    assert!(std::fs::read_dir(&data).unwrap().count() > 0, "it keeps its data where the volume is");
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.0.id())).unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert_eq!(uid.split_whitespace().next(), stage.user.split(':').next());
}
