//! The resource: what the telemetry describes.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

/// The resource of a bridge: its name, version and instance, then `attributes`, of which later ones win.
///
/// `service.instance.id` is given by the caller, who knows what stays the same over restarts.
pub fn resource(instance: &str, attributes: &[(String, String)]) -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
            KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            KeyValue::new("telemetry.sdk.language", "rust"),
        ])
        .with_attributes(attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
        .build()
}

/// A new random `service.instance.id`.
pub fn instance_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
