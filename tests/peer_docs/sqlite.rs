//! The commands with which a person looks into the database, and forgets what is in it.

use serde_json::json;

use crate::found;
use crate::pages::commands::Shell;
use crate::peers::bridge::Bridge;

const DATABASE: &str = "~/.local/state/mcp-otel-bridge/bridge.db";

#[test]
fn a_shell_of_sqlite_does_what_the_pages_say() {
    let shell = Shell::new(&[]);
    assert!(shell.has("sqlite3"), "there is no sqlite3 on this machine");
    let data = shell.home().join(".local/state/mcp-otel-bridge");
    std::fs::create_dir_all(&data).unwrap();
    let start = || Bridge::options().data_dir(&data).start();
    let mut bridge = start();
    let scores = ["good", "bad-client-1", "bad-client-2"]
        .map(|name| json!({"event_type": "session_quality", "component_name": name, "quality_score": 80}));
    bridge.send(&scores);
    let components = |bridge: &Bridge| {
        let samples = bridge.samples().into_keys().filter(|series| series.starts_with("session_quality_score{"));
        samples.map(|series| series.split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(components(&bridge), ["bad-client-1", "bad-client-2", "good"]);
    let commands = found("sqlite3 ");
    let (whole, damaged): (Vec<_>, Vec<_>) =
        commands.iter().map(|block| &block.text).partition(|text| text.contains(DATABASE));
    let is = |part: &'static str| move |text: &&&String| text.contains(part);

    // While it runs.
    let look = whole.iter().find(is("SELECT")).unwrap();
    let told = shell.output(look);
    assert!(told.lines().any(|line| line == "session.quality_score|3"), "{told}");
    let backup = shell.home().join("backup/bridge.db");
    std::fs::create_dir(backup.parent().unwrap()).unwrap();
    let keep = whole.iter().find(is(".backup")).unwrap();
    shell.output(&keep.replace("/backup/bridge.db", backup.to_str().unwrap()));
    // While it does not.
    bridge.stop();
    for block in found("mcp-otel-bridge forget ") {
        // Where the bridge of a person without that variable has its data.
        let told = shell.output(&format!("unset XDG_STATE_HOME\n{}", block.text));
        assert!(told.contains("session_quality_score"), "{told}");
    }
    let mut bridge = start();
    assert_eq!(components(&bridge), ["good"]);
    bridge.stop();
    std::fs::copy(&backup, data.join("bridge.db")).unwrap();
    assert_eq!(components(&start()), ["bad-client-1", "bad-client-2", "good"]);
    assert_eq!(whole.len(), 2);

    // What was set aside, looked at and recovered.
    std::fs::copy(&backup, shell.home().join("bridge.db.damaged-20260206T123456Z")).unwrap();
    let [check, recover, again] = &damaged[..] else { panic!("{damaged:?}") };
    assert_eq!(shell.output(check).trim(), "ok");
    let recovered = shell.command(recover, "").output().unwrap();
    if has_recover(&shell) {
        assert!(shell.output(again).starts_with("ok\n"));
        let count = |file: &str| shell.output(&format!("sqlite3 {file} 'SELECT count(*) FROM series'"));
        assert_eq!(count("recovered.db"), count(backup.to_str().unwrap()));
    } else {
        let told = String::from_utf8(recovered.stderr).unwrap();
        assert!(told.contains("SQL logic error"), "the page tells of another message: {told}");
    }
}

/// Whether this shell was built with what `.recover` needs.
fn has_recover(shell: &Shell) -> bool {
    shell.command("sqlite3 :memory: 'SELECT 1 FROM sqlite_dbpage'", "").output().unwrap().status.success()
}
