//! The paths of the listener.

use crate::pages::Page;
use crate::peers::bridge::Bridge;
use crate::peers::http;

#[test]
fn every_path_that_the_bridge_tells_of_is_in_the_page_and_no_other() {
    let bridge = Bridge::options().start();
    let told = http::get(&bridge.url("/"), "*/*").unwrap().body;
    let path = |line: &str| {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        path.starts_with('/').then(|| format!("{method} {path}"))
    };
    let mut told: Vec<String> = told.lines().filter_map(path).collect();
    told.push("GET /".to_owned());
    let page = Page::read("docs/http-api.md");
    let rows = page.prose().filter_map(|(_, line)| line.strip_prefix("| `")?.split('`').next());
    let mut listed: Vec<String> = rows.map(str::to_owned).collect();
    told.sort();
    listed.sort();
    assert_eq!(listed, told);
}
