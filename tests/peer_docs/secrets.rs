//! The tokens that the pages make.

use std::os::unix::fs::PermissionsExt as _;

use crate::pages::Page;
use crate::pages::commands::Shell;
use crate::peers::bridge::Bridge;
use crate::{at, found};

const FOLDER: &str = "/etc/mcp-otel-bridge";

#[test]
fn the_tokens_of_the_pages_open_what_they_should() {
    let shell = Shell::new(&[]);
    assert!(shell.has("openssl"), "there is no openssl on this machine");
    let folder = shell.home().join("etc");
    let here = |text: &str| text.replace(FOLDER, folder.to_str().unwrap());
    for block in found("mkdir -p /etc/mcp-otel-bridge") {
        shell.output(&here(&block.text));
    }
    let token = |name: &str| {
        let file = folder.join(name);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    };
    let (scrape, ingest) = (token("scrape"), token("ingest"));
    assert!(scrape.len() == 64 && scrape != ingest);

    let blocks = Page::read("docs/security.md").blocks();
    let config = blocks.iter().find(|block| block.language == "yaml" && block.text.contains("scrape: {token_file"));
    let bridge = Bridge::options().config(&here(&config.unwrap().text)).start();
    let status = |path: &str, token: &str| {
        let event = r#"{"event_type":"session_quality","component_name":"a","quality_score":80}"#;
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let bearer = format!("Bearer {token}");
        let asked = match path {
            "/metrics" => agent.get(bridge.url(path)).header("authorization", bearer).call(),
            _ => agent
                .post(bridge.url(path))
                .header("authorization", bearer)
                .content_type("application/json")
                .send(event),
        };
        asked.unwrap().status().as_u16()
    };
    for (path, right, wrong) in [("/metrics", &scrape, &ingest), ("/v1/events", &ingest, &scrape)] {
        assert_eq!((status(path, right), status(path, wrong), status(path, "guessed")), (200, 403, 401), "{path}");
    }
}

#[test]
fn the_secret_of_the_pages_is_the_one_that_is_read() {
    let component = std::fs::read_to_string(at("deploy/kubernetes/components/tokens/workload.yaml")).unwrap();
    for block in found("kubectl create secret generic") {
        let words: Vec<&str> = block.text.split_whitespace().collect();
        assert!(component.contains(&format!("secretName: {}\n", words[4])), "{}", words[4]);
        let keys = words.iter().filter_map(|word| word.strip_prefix("--from-literal=")?.split('=').next());
        let keys: Vec<&str> = keys.collect();
        assert_eq!(keys, ["scrape", "ingest"]);
        for key in keys {
            assert!(component.contains(&format!("value: {FOLDER}/tokens/{key}\n")), "{key}");
        }
    }
}
