//! The scrape: `GET /metrics`, in the format that the client asks for, before it stops waiting.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use http::StatusCode;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VARY,
};

use super::collections::Collections;
use super::exposition::{NameFilter, accepts_gzip, negotiate};
use crate::catalog::metrics::{BRIDGE_SCRAPE_DURATION, BRIDGE_SCRAPES};
use crate::event::Seconds;
use crate::telemetry::{Instrument, Telemetry};

/// Where Session-Buddy's service of this name was found.
pub(crate) const SEED_PATH: &str = "/api/get_prometheus_metrics_service";

const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// The most that is kept back of the scraper's timeout for the way to it.
const OFFSET: Duration = Duration::from_millis(500);
/// What is said where metrics are disabled.
pub(crate) const OFF: &str = "the scrape is turned off: the configuration says `enable_prometheus_metrics: false` \
    (or SESSION_BUDDY_ENABLE_PROMETHEUS_METRICS does); set it to true to turn the scrape on\n";

/// Answers scrapes, and counts them.
#[derive(Debug)]
pub(crate) struct Scraper {
    collections: Arc<Collections>,
    scrapes: Arc<Instrument>,
    duration: Arc<Instrument>,
    enabled: bool,
}

/// The scrape at this path and at the seeds'.
pub(crate) fn router(scraper: &Arc<Scraper>, path: &str) -> Router {
    let mut router = Router::new().route(path, get(answer));
    if path != SEED_PATH {
        router = router.route(SEED_PATH, get(answer));
    }
    router.with_state(Arc::clone(scraper))
}

async fn answer(State(scraper): State<Arc<Scraper>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    scraper.scrape(&parts.headers, parts.uri.query()).await
}

impl Scraper {
    pub(crate) fn new(collections: Arc<Collections>, telemetry: &Telemetry, enabled: bool) -> Self {
        Self {
            collections,
            scrapes: telemetry.instrument(&BRIDGE_SCRAPES),
            duration: telemetry.instrument(&BRIDGE_SCRAPE_DURATION),
            enabled,
        }
    }

    async fn scrape(&self, headers: &HeaderMap, query: Option<&str>) -> Response {
        if !self.enabled {
            return (StatusCode::NOT_FOUND, OFF).into_response();
        }
        let exposition = negotiate(list(headers, &ACCEPT).as_deref());
        let gzip = accepts_gzip(list(headers, &ACCEPT_ENCODING).as_deref());
        let filter = names(query);
        let format = exposition.format;
        let body = self.collections.ask(move |collected| collected.body(format, gzip, &filter));
        let body = match within(timeout(headers), body).await {
            Some(Ok(body)) => body,
            Some(Err(error)) => {
                self.count(format.name(), "error");
                return unavailable(format!("{error}\n"));
            }
            None => {
                self.count(format.name(), "timeout");
                return unavailable("the metrics could not be collected within the scrape's timeout\n".to_owned());
            }
        };
        self.count(format.name(), "success");
        if let Ok(seconds) = Seconds::new(body.took.as_secs_f64()) {
            self.duration.record(&[format.name()], seconds.get(), None);
        }
        let mut response = body.bytes.into_response();
        let headers = response.headers_mut();
        if let Ok(content_type) = HeaderValue::try_from(exposition.content_type()) {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn count(&self, format: &str, outcome: &str) {
        self.scrapes.add(&[format, outcome], 1, None);
    }
}

fn unavailable(line: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], line).into_response()
}

/// All lines of a list header as one list.
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn names(query: Option<&str>) -> NameFilter {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    NameFilter::new(pairs.filter(|(key, _)| key == "name[]").map(|(_, name)| name.into_owned()))
}

/// How long the scraper waits, less what the way to it takes; a header that is no such time says nothing.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(SCRAPE_TIMEOUT)?.to_str().ok()?.trim().parse().ok()?;
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero())?;
    Some(timeout - OFFSET.min(timeout / 10))
}

async fn within<T>(timeout: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, future).await.ok(),
        None => Some(future.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_kept_back_of_the_scrapers_timeout_and_nonsense_is_ignored() {
        for (header, expected) in [
            ("10", Some(9.5)),
            ("1.0", Some(0.9)),
            (" 2 ", Some(1.8)),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, HeaderValue::from_static(header));
            assert_eq!(timeout(&headers), expected.map(Duration::from_secs_f64), "{header:?}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
