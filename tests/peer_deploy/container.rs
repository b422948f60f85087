//! The program as the image has it, static, in the file system of the image's last stage, with nothing else: as its user,
//! without a shell.
//!
//! No engine runs here: the program is built for the target that the Dockerfile builds for, and what else the stage holds
//! is laid out by what the Dockerfile says. It is not optimized, as the image's is. Needs root, for chroot.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tonic::transport::{Identity, ServerTlsConfig};

use crate::authority::Authority;
use crate::collector::Collector;
use crate::peers::{installed, until};
use crate::{at, run};

/// What the Dockerfile's last stage says: its variables, its user, and its commands.
struct Stage {
    variables: Vec<(String, String)>,
    user: String,
    program: Vec<String>,
    serve: Vec<String>,
    health: Vec<String>,
    /// The lines that are written into files, and the files.
    written: Vec<(String, String)>,
}

/// Where the image keeps the authorities that everybody trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

fn words(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
}

fn last_stage() -> Stage {
    let text = std::fs::read_to_string(at("deploy/docker/Dockerfile")).unwrap();
    assert!(text.contains(&format!("cp {AUTHORITIES} /root-fs{}", parent(AUTHORITIES))));
    let written = text.split("echo '").skip(1).map(|rest| {
        let (line, rest) = rest.split_once("' > /root-fs").unwrap();
        (line.to_owned(), rest.split_whitespace().next().unwrap().to_owned())
    });
    let written = written.collect();
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
        written,
    }
}

fn parent(path: &str) -> &str {
    &path[..=path.rfind('/').unwrap()]
}

/// The program, built statically: cargo builds what has changed since the last time.
fn static_program() -> PathBuf {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let headers = installed("musl/include");
    let own = run(Command::new("gcc").arg("-print-file-name=include"), "").unwrap();
    let flags = format!("-nostdinc -isystem {} -isystem {}", headers.display(), own.trim());
    let name = |variable: &str| format!("{variable}_{}", target.replace('-', "_"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(at("")).args(["build", "--quiet", "--locked", "--bin", "mcp-otel-bridge", "--target", &target]);
    // Variables that the tests run under are not the image's.
    cargo.env(name("CC"), "gcc").env(name("CFLAGS"), flags).env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    run(&mut cargo, "").unwrap();
    let program = at("target").join(&target).join("debug/mcp-otel-bridge");
    let linked = run(Command::new("ldd").arg(&program), "");
    assert!(linked.is_ok_and(|told| told.contains("statically linked")), "it needs libraries that the image has not");
    program
}

/// The root of a container.
struct Root {
    stage: Stage,
    dir: tempfile::TempDir,
    data: PathBuf,
    listen: String,
}

impl Root {
    /// One whose authorities are these, as PEM.
    fn filled(authorities: &str) -> Self {
        let (stage, dir) = (last_stage(), tempfile::tempdir().unwrap());
        // Where the user may go, and write nothing.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let within = |path: &str| {
            let path = dir.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        std::fs::copy(static_program(), within(&stage.program[0])).unwrap();
        std::fs::write(within(AUTHORITIES), authorities).unwrap();
        for (line, file) in &stage.written {
            std::fs::write(within(file), format!("{line}\n")).unwrap();
        }
        let data = stage.variables.iter().find(|one| one.0 == "MCP_OTEL_BRIDGE_DATA_DIR").unwrap();
        let data = within(&data.1);
        std::fs::create_dir_all(&data).unwrap();
        run(Command::new("chown").arg(&stage.user).arg(&data), "").expect("needs root");
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { stage, dir, data, listen }
    }

    /// A command in it, as an engine would run it.
    fn inside(&self, command: &[String]) -> Command {
        let mut inside = Command::new("chroot");
        inside.arg(format!("--userspec={}", self.stage.user)).arg(self.dir.path()).args(command).env_clear();
        inside.env("PATH", std::env::var_os("PATH").unwrap()).envs(self.stage.variables.iter().cloned());
        // Not the image's: a test listens on loopback alone.
        inside.env("MCP_OTEL_BRIDGE_LISTEN", &self.listen);
        inside
    }

    /// The bridge in it, once it is healthy; and what it then says of its health.
    fn serve(&self, variables: &[(&str, &str)]) -> (Serving, String) {
        let mut serve = self.inside(&[self.stage.program.clone(), self.stage.serve.clone()].concat());
        let mut serving = Serving(serve.envs(variables.iter().copied()).stdout(Stdio::null()).spawn().unwrap());
        let ready = until("its health", || {
            assert_eq!(serving.0.try_wait().unwrap(), None, "it ended");
            run(&mut self.inside(&self.stage.health), "").ok()
        });
        (serving, ready)
    }

    /// Sends it an event.
    fn send(&self, event: &str) {
        let url = format!("http://{}/v1/events", self.listen);
        let sent = ureq::post(url).header("content-type", "application/json").send(event);
        assert_eq!(sent.unwrap().status(), 200);
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
    let root = Root::filled("");
    assert!(run(&mut root.inside(&root.stage.health), "").unwrap_err().contains("no bridge answers at"));
    let (serving, ready) = root.serve(&[]);
    assert!(ready.contains("\"ready\":true"), "{ready}");
    root.send(r#"{"event_type":"session_quality","component_name":"a","quality_score":80}"#);
    assert!(std::fs::read_dir(&root.data).unwrap().count() > 0, "it keeps its data where the volume is");
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.0.id())).unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert_eq!(uid.split_whitespace().next(), root.stage.user.split(':').next());
    // The volume is its user's, by the name that the image gives it.
    let (line, _) = root.stage.written.iter().find(|(_, file)| file == "/etc/passwd").unwrap();
    assert_eq!(line.split(':').nth(2), root.stage.user.split(':').next());
    assert_eq!(Path::new("/").join(root.data.strip_prefix(root.dir.path()).unwrap()).to_str(), line.split(':').nth(5));
}

#[test]
fn it_trusts_the_authorities_that_the_image_holds() {
    let authority = Authority::new();
    let issued = authority.issue("collector");
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(issued.cert, issued.key));
    let collector = Collector::start_with(Some(tls));
    let root = Root::filled(&authority.pem());
    let endpoint = collector.endpoint();
    assert!(endpoint.starts_with("https://"), "{endpoint}");
    let (_serving, _) = root.serve(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str())]);
    root.send(r#"{"event_type":"llm_call","provider":"openai","model":"gpt-5","duration_seconds":1.5}"#);
    until("the span", || collector.seen(|seen| seen.all_spans().len() == 1).then_some(()));
}
