//! Whether a browser's page may ask: browsers let any page connect anywhere, and tell where the page is from.

use http::Uri;
use http::header::{HOST, HeaderMap, ORIGIN};
use http::uri::Authority;

/// Whether the request comes from no page, from one of this very host, or from one of the `listed` origins.
pub(crate) fn is_allowed(uri: &Uri, headers: &HeaderMap, listed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(given) = origins.next() else { return true };
    let Some(origin) = given.to_str().ok().and_then(Origin::parse) else { return false };
    if origins.next().is_some() {
        return false;
    }
    // HTTP/2 has the host in the request's URI.
    let host = headers.get(HOST).map_or_else(|| uri.authority().map(Authority::as_str), |host| host.to_str().ok());
    host.is_some_and(|host| origin.is_at(host)) || listed.iter().any(|one| Origin::parse(one).as_ref() == Some(&origin))
}

/// Where a page is from.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = host_and_port(authority, default_port(&scheme))?;
        Some(Self { scheme, host, port })
    }

    /// Whether that `Host` is the page's own. Where it names no port, a proxy may have had another scheme than the
    /// listener: the page's own scheme tells the port.
    fn is_at(&self, host: &str) -> bool {
        host_and_port(host, default_port(&self.scheme))
            .is_some_and(|(host, port)| host == self.host && port == self.port)
    }
}

fn host_and_port(authority: &str, default: u16) -> Option<(String, u16)> {
    let parsed: Authority = authority.parse().ok()?;
    if authority.contains('@') {
        return None;
    }
    let port = match parsed.port() {
        Some(port) => port.as_str().parse().ok()?,
        None => default,
    };
    Some((parsed.host().to_ascii_lowercase(), port))
}

/// 0 for schemes that have none: it is no port of a host.
fn default_port(scheme: &str) -> u16 {
    match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers.insert(HOST, host.parse().unwrap());
        is_allowed(&Uri::from_static("/live"), &headers, &["https://Grafana.example".to_owned()])
    }

    #[test]
    fn the_same_host_is_allowed_with_the_same_port() {
        for (origin, host) in [
            ("http://localhost:9090", "localhost:9090"),
            ("HTTP://LocalHost:9090", "localhost:9090"),
            ("http://bridge", "bridge:80"),
            ("https://bridge", "bridge"),
            ("http://[::1]:9090", "[::1]:9090"),
            ("https://grafana.example", "bridge"),
            ("https://grafana.example:443", "bridge"),
        ] {
            assert!(allowed(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn other_hosts_and_what_cannot_be_told_are_not() {
        for (origin, host) in [
            ("http://evil.example", "localhost:9090"),
            ("http://localhost:3000", "localhost:9090"),
            ("http://localhost", "localhost:9090"),
            ("http://localhost:9090.evil.example", "localhost:9090"),
            ("http://localhost:9090@evil.example", "localhost:9090"),
            ("http://grafana.example", "bridge"),
            ("https://grafana.example.evil", "bridge"),
            ("null", "null"),
            ("", "localhost"),
        ] {
            assert!(!allowed(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn no_origin_is_no_page_and_two_are_none() {
        let uri = Uri::from_static("/live");
        let mut headers = HeaderMap::new();
        assert!(is_allowed(&uri, &headers, &[]));
        headers.insert(HOST, "a".parse().unwrap());
        headers.append(ORIGIN, "http://a".parse().unwrap());
        assert!(is_allowed(&uri, &headers, &[]));
        headers.append(ORIGIN, "http://b".parse().unwrap());
        assert!(!is_allowed(&uri, &headers, &[]));
    }

    #[test]
    fn the_host_of_http_2_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, "https://bridge:9090".parse().unwrap());
        assert!(is_allowed(&Uri::from_static("https://bridge:9090/mcp"), &headers, &[]));
        assert!(!is_allowed(&Uri::from_static("https://other:9090/mcp"), &headers, &[]));
        assert!(!is_allowed(&Uri::from_static("/mcp"), &headers, &[]));
    }
}
