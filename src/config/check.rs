//! From a draft to a [`Config`]: what one value alone cannot tell.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::uri::Uri;

use super::codec::quote;
use super::draft::{DEFAULT_ENDPOINT, Draft, Exporter, Pair, Tls};
use super::environment::Environment;
use super::model::{Auth, Config, KeyPair, ListenerTls, Otlp, PushMetrics, PushSpans, Right, Sampler};
use super::reader::Reader;
use super::secrets;
use super::tree::{Place, Sourced};
use crate::catalog::Group;

/// The configuration that the draft makes; what is wrong with it goes to the reader.
pub(super) fn finish(mut draft: Draft, env: &Environment, reader: &mut Reader) -> Config {
    let mut config = draft.config.clone();
    config.metrics.groups =
        Group::ALL.into_iter().zip(draft.groups).filter(|(_, on)| *on).map(|(group, _)| group).collect();
    config.grpc_listen = draft.grpc_listen.as_ref().map(|grpc| grpc.value);
    config.live.listen = draft.live_listen.as_ref().map(|live| live.value);
    config.tls = tls(&draft.tls, reader);
    config.auth = secrets::read(&draft.auth, env, reader);
    listeners(&draft, &config, reader);
    anomalies(&config, reader);
    if draft.disabled {
        draft.metrics.exporter.on = false;
        draft.spans.exporter.on = false;
        config.sampler = Sampler { parent_based: false, ratio: 0.0 };
        reader.warn("OpenTelemetry is disabled: nothing is pushed and no span is made; the scrape goes on");
    }
    config.push_metrics = draft.metrics.exporter.on.then(|| PushMetrics {
        otlp: otlp(&draft.metrics.exporter, &config, reader),
        interval: draft.metrics.interval,
        timeout: draft.metrics.timeout,
        temporality: draft.metrics.exporter.temporality,
    });
    config.push_spans = draft.spans.exporter.on.then(|| push_spans(&draft, &config, reader));
    config
}

fn push_spans(draft: &Draft, config: &Config, reader: &mut Reader) -> PushSpans {
    let otlp = otlp(&draft.spans.exporter, config, reader);
    let most = draft.spans.max_queue_size;
    let mut batch = PushSpans::new(Otlp::new(DEFAULT_ENDPOINT)).max_export_batch_size;
    if let Some(size) = &draft.spans.max_export_batch_size {
        batch = size.value;
        // A small queue beside the default batch is no contradiction: the batch follows.
        if batch > most && size.place == Place::default() {
            batch = most;
        } else if batch > most {
            let problem = format!("{batch} is more than the queue holds");
            reader.fault_at(size.place.clone(), problem, format!("1 to {most}, the max_queue_size"));
        }
    }
    PushSpans {
        otlp,
        schedule_delay: draft.spans.schedule_delay,
        export_timeout: draft.spans.export_timeout,
        max_queue_size: most,
        max_export_batch_size: batch,
    }
}

fn tls(tls: &Tls, reader: &mut Reader) -> Option<ListenerTls> {
    let identity = pair(&tls.pair, reader);
    let client_ca_file = tls.client_ca_file.as_ref().map(|file| readable(file, reader));
    if let Some(file) = tls.client_ca_file.as_ref().filter(|_| tls.pair.is_unset()) {
        let help = "`tls.cert_file` and `tls.key_file` beside it";
        reader.fault_at(file.place.clone(), "without TLS no client can show a certificate", help);
    }
    Some(ListenerTls { identity: identity?, client_ca_file })
}

/// A certificate with its key; both files must be there.
fn pair(pair: &Pair, reader: &mut Reader) -> Option<KeyPair> {
    let cert_file = pair.cert_file.as_ref().map(|file| readable(file, reader));
    let key_file = pair.key_file.as_ref().map(|file| readable(file, reader));
    match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(KeyPair { cert_file, key_file }),
        (None, None) => None,
        (cert_file, _) => {
            let (set, missing) = if cert_file.is_some() { ("certificate", "key") } else { ("key", "certificate") };
            let place = pair.cert_file.as_ref().or(pair.key_file.as_ref()).map(|file| file.place.clone());
            let problem = format!("the {set} has no {missing}");
            reader.fault_at(place.unwrap_or_default(), problem, "both `cert_file` and `key_file`, or neither");
            None
        }
    }
}

fn readable(file: &Sourced<PathBuf>, reader: &mut Reader) -> PathBuf {
    let wrong = match File::open(&file.value).and_then(|open| open.metadata()) {
        Ok(data) if data.is_dir() => Some("is a directory".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("cannot be read: {error}")),
    };
    if let Some(wrong) = wrong {
        let problem = format!("{} {wrong}", quote(&file.value.to_string_lossy()));
        reader.fault_at(file.place.clone(), problem, "a PEM file that the bridge may read");
    }
    file.value.clone()
}

fn listeners(draft: &Draft, config: &Config, reader: &mut Reader) {
    if let Some(grpc) = &draft.grpc_listen
        && grpc.value == config.listen
        && grpc.value.port() != 0
    {
        let help = "another port, or no `grpc.listen`: `listen` serves gRPC too";
        reader.fault_at(grpc.place.clone(), format!("{} is the address of `listen`", grpc.value), help);
    }
    if let Some(live) = &draft.live_listen {
        let other = [("listen", Some(config.listen)), ("grpc.listen", config.grpc_listen)];
        let same = |(_, addr): &(_, Option<SocketAddr>)| *addr == Some(live.value) && live.value.port() != 0;
        if let Some((name, _)) = other.into_iter().find(same) {
            let help = "another port, or no `live.listen`: `listen` serves /live too";
            reader.fault_at(live.place.clone(), format!("{} is the address of `{name}`", live.value), help);
        }
        if !config.live.enabled {
            reader.warn("live.listen has no effect: live.enabled is false");
        }
    }
    if !config.auth.is_open() {
        rights(&config.auth, reader);
        return;
    }
    for address in addresses(config) {
        if !address.ip().to_canonical().is_loopback() {
            reader.warn(format!(
                "{address} can be reached from other machines and no token is set: whoever reaches it can report and \
                 read; set auth.token_file or {}",
                super::environment::TOKEN_VARIABLE
            ));
        }
    }
}

/// Warns of what nobody may do: once anything is set, nothing is open by itself.
fn rights(auth: &Auth, reader: &mut Reader) {
    for (right, nobody) in [(Right::Scrape, "nobody may read"), (Right::Ingest, "nobody may report")] {
        if !auth.is_given(right) {
            let name = right.name();
            reader.warn(format!("{nobody}: no token has the right `{name}`; set auth.{name}.token_file"));
        }
    }
}

/// Where the bridge listens.
fn addresses(config: &Config) -> impl Iterator<Item = SocketAddr> + use<> {
    let live = config.live.listen.filter(|_| config.live.enabled);
    [Some(config.listen), config.grpc_listen, live].into_iter().flatten()
}

/// Refuses a baseline that can never be long enough to judge by.
fn anomalies(config: &Config, reader: &mut Reader) {
    let anomalies = &config.skills.anomalies;
    let windows = anomalies.baseline.as_millis() / anomalies.window.as_millis().max(1);
    if anomalies.enabled && windows < anomalies.min_windows as u128 {
        let place = Place { text: "skills.anomalies.baseline".to_owned(), rank: (3, 0) };
        let problem = format!("holds {windows} windows, and `min_windows` asks for {}", anomalies.min_windows);
        reader.fault_at(place, problem, "a longer baseline, a shorter `window`, or fewer windows");
    }
}

fn otlp(exporter: &Exporter, config: &Config, reader: &mut Reader) -> Otlp {
    let default = Sourced::nowhere(DEFAULT_ENDPOINT.to_owned());
    let endpoint = exporter.endpoint.as_ref().unwrap_or(&default);
    check_endpoint(endpoint, config, reader);
    let ca_file = exporter.ca_file.as_ref().map(|file| readable(file, reader));
    let client = pair(&exporter.client, reader);
    let https = endpoint.value.starts_with("https://");
    if !https && (ca_file.is_some() || client.is_some()) {
        reader.warn(format!("{}: certificates have no effect without https://", endpoint.value));
    }
    if let Some(insecure) = &exporter.insecure
        && insecure.value == https
    {
        reader.warn(format!("{}: has no effect: the scheme of {} decides", insecure.place.text, endpoint.value));
    }
    Otlp {
        endpoint: endpoint.value.clone(),
        headers: exporter.headers.clone(),
        gzip: exporter.gzip,
        timeout: exporter.timeout,
        ca_file,
        client,
    }
}

/// Refuses the bridge itself as its own collector, and warns of ports that are seldom meant.
fn check_endpoint(endpoint: &Sourced<String>, config: &Config, reader: &mut Reader) {
    let Ok(uri) = endpoint.value.parse::<Uri>() else { return };
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    if uri.port().is_none() {
        reader.warn(format!("{}: has no port, so {port} is used; OTLP over gRPC is mostly on 4317", endpoint.value));
    } else if port == 4318 {
        reader.warn(format!("{}: 4318 is mostly OTLP over HTTP; gRPC is on 4317", endpoint.value));
    }
    let own = addresses(config).find(|own| is_own(host, port, *own));
    if let Some(own) = own {
        // The default endpoint stands nowhere, but its fault needs a place.
        let place = match endpoint.place.text.as_str() {
            "" => Place { text: "OTLP endpoint (default)".to_owned(), rank: (3, 0) },
            _ => endpoint.place.clone(),
        };
        let problem = format!("{} is the bridge itself, which listens on {own}", quote(&endpoint.value));
        reader.fault_at(place, problem, "the endpoint of a collector");
    }
}

/// Whether `host` and `port` lead to the listener on this machine.
fn is_own(host: &str, port: u16, own: SocketAddr) -> bool {
    if port != own.port() {
        return false;
    }
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let ip = ip.map(|ip| ip.to_canonical());
    let here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    let own = own.ip().to_canonical();
    match ip {
        Some(ip) => ip == own || (here(ip) && here(own)),
        None => host.trim_end_matches('.').eq_ignore_ascii_case("localhost") && here(own),
    }
}
