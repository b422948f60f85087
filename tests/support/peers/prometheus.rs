//! A Prometheus, which scrapes a bridge or takes OTLP.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::{Labels, http, installed, until};

/// From one scrape to the next.
const INTERVAL: &str = "250ms";

/// A running Prometheus.
pub struct Prometheus {
    process: Process,
    address: String,
    _dir: TempDir,
}

/// A series of an answer, with its samples: seconds since 1970, and a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The labels, the name among them where there is one.
    pub labels: Labels,
    /// The samples; an instant query gives one.
    pub samples: Vec<(f64, f64)>,
}

/// An exemplar.
#[derive(Debug, Clone)]
pub struct Exemplar {
    /// The labels of its series.
    pub series: Labels,
    /// Its own labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Prometheus {
    /// A Prometheus that scrapes `/metrics` at this address.
    pub fn scraping(address: &str) -> Self {
        Self::launch(&format!(
            "global: {{scrape_interval: {INTERVAL}, scrape_timeout: {INTERVAL}}}\n\
             scrape_configs:\n\
             - {{job_name: bridge, static_configs: [{{targets: [\"{address}\"]}}]}}\n"
        ))
    }

    /// A Prometheus that takes OTLP, and keeps every attribute of the resource in `target_info`.
    pub fn taking_otlp() -> Self {
        Self::launch(
            "storage: {tsdb: {out_of_order_time_window: 30m}}\n\
             otlp: {keep_identifying_resource_attributes: true}\n",
        )
    }

    /// A Prometheus that scrapes these jobs, each once in `interval`.
    pub fn with_jobs(interval: &str, jobs: &[String]) -> Self {
        let jobs: String = jobs.iter().map(|job| format!("- {job}\n")).collect();
        let global = format!("global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}");
        Self::launch(&format!("{global}\nscrape_configs:\n{jobs}"))
    }

    fn launch(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        Self::run(&file, dir)
    }

    /// A Prometheus on a configuration file that others use, in the folder where it lies.
    pub fn configured(file: &std::path::Path) -> Self {
        Self::run(file, tempfile::tempdir().unwrap())
    }

    /// Keeps its data in `dir`.
    fn run(file: &std::path::Path, dir: TempDir) -> Self {
        let mut command = Command::new(installed("bin/prometheus"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        command.args([
            "--web.listen-address=127.0.0.1:0",
            "--enable-feature=exemplar-storage",
            "--web.enable-otlp-receiver",
            "--scrape.discovery-reload-interval=100ms",
        ]);
        let mut process = Process::start("Prometheus", &mut command);
        let address = process.find_line("where it listens", |line| {
            let rest = line.contains("msg=\"Listening on\"").then(|| line.split_once("address="))??.1;
            rest.split_whitespace().next().map(str::to_owned)
        });
        let prometheus = Self { process, address, _dir: dir };
        until("Prometheus to be ready", || {
            http::get(&prometheus.url("/-/ready"), "*/*").ok().filter(|answer| answer.status == 200)
        });
        prometheus
    }

    /// What it logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// A page of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a query gives now.
    pub fn query(&self, expression: &str) -> Vec<Series> {
        self.ask("query", &[("query", expression)])
    }

    /// What a query gives at that time, in seconds since 1970.
    pub fn query_at(&self, expression: &str, time: f64) -> Vec<Series> {
        self.ask("query", &[("query", expression), ("time", &format!("{time:.3}"))])
    }

    /// The one value that a query gives now.
    pub fn value(&self, expression: &str) -> Option<f64> {
        let series = self.query(expression);
        assert!(series.len() < 2, "{expression} gives {series:?}");
        Some(series.first()?.samples.first()?.1)
    }

    /// The exemplars of the series that an expression names.
    pub fn exemplars(&self, expression: &str) -> Vec<Exemplar> {
        let answer = self.data("query_exemplars", &[("query", expression), ("start", "0"), ("end", "9999999999")]);
        let mut exemplars = Vec::new();
        for group in answer.as_array().unwrap() {
            for one in group["exemplars"].as_array().unwrap() {
                exemplars.push(Exemplar {
                    series: labels(&group["seriesLabels"]),
                    labels: labels(&one["labels"]),
                    value: one["value"].as_str().unwrap().parse().unwrap(),
                });
            }
        }
        exemplars
    }

    /// What Prometheus remarks on a query: its warnings and infos.
    pub fn remarks_on(&self, expression: &str) -> Vec<String> {
        let answer = http::post_form(&self.url("/api/v1/query"), &[("query", expression)]).unwrap().json();
        let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
        let remarks = [list("warnings"), list("infos")].concat();
        remarks.iter().map(|remark| remark.as_str().unwrap().to_owned()).collect()
    }

    /// The values of a label of the series that a selector names.
    pub fn label_values(&self, label: &str, selector: &str) -> std::collections::BTreeSet<String> {
        let answer = http::post_form(&self.url("/api/v1/series"), &[("match[]", selector)]).unwrap().json();
        let series = answer["data"].as_array().unwrap().iter();
        series.filter_map(|series| Some(series.get(label)?.as_str()?.to_owned())).collect()
    }

    /// What a page of its interface gives.
    pub fn page(&self, page: &str) -> Value {
        http::get(&self.url(&format!("/api/v1/{page}")), "application/json").unwrap().json()["data"].take()
    }

    fn ask(&self, page: &str, fields: &[(&str, &str)]) -> Vec<Series> {
        let data = self.data(page, fields);
        data["result"].as_array().unwrap().iter().map(series).collect()
    }

    fn data(&self, page: &str, fields: &[(&str, &str)]) -> Value {
        let answer = http::post_form(&self.url(&format!("/api/v1/{page}")), fields).unwrap();
        assert_eq!(answer.status, 200, "{fields:?}: {}", answer.body);
        answer.json()["data"].take()
    }
}

fn series(value: &Value) -> Series {
    let sample = |pair: &Value| (pair[0].as_f64().unwrap(), pair[1].as_str().unwrap().parse().unwrap());
    let samples = match value.get("values") {
        Some(values) => values.as_array().unwrap().iter().map(sample).collect(),
        None => vec![sample(&value["value"])],
    };
    Series { labels: labels(&value["metric"]), samples }
}

fn labels(value: &Value) -> Labels {
    let labels = value.as_object().unwrap();
    labels.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}
