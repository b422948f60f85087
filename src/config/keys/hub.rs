//! The keys of the hub: its requests, the machine that it runs on, and the application that it is.

use crate::config::codec::{BOOL, COUNT, Codec, DURATION, TEXT, Wrong};
use crate::config::key::{Inside, Key, Table, value};
use crate::config::model::{App, Requests, System};
use crate::event::Label;

/// Ten years: longer waits overflow clocks, and mean "never" anyway.
const LONGEST: u64 = 3_650 * 86_400_000;
/// A day between two samples.
const LONG: u64 = 86_400_000;

pub(super) static REQUESTS: Table<Requests> = Table::<Requests>::new(&[
    value!(
        "timeout",
        DURATION.within(1, LONGEST),
        |r| r.timeout,
        "A request that has not ended for so long has failed, with the error type `timeout`."
    ),
    value!(
        "max_active",
        COUNT.within(1, 10_000_000),
        |r| r.max_active,
        "The most requests that may be open at once, and the most ended ones that are remembered."
    ),
]);

pub(super) static SYSTEM: Table<System> = Table::<System>::new(&[
    value!("enabled", BOOL, |s| s.enabled, "Whether CPU, memory, disk and uptime are shown."),
    value!("interval", DURATION.within(1, LONG), |s| s.interval, "From one sample to the next."),
]);

/// Text that can be a label of a metric.
const LABEL: Codec<String> = Codec {
    what: "a label",
    help: "1 to 128 printable characters",
    parse: |text| Label::new(text).map(|label| label.as_str().to_owned()).map_err(|_| Wrong::Type),
    ..TEXT
};

/// A key of the application that may be absent.
macro_rules! label {
    ($name:literal, $field:ident, $doc:literal) => {
        Key {
            name: $name,
            doc: $doc,
            read: |app, node, reader| {
                if let Some(label) = reader.value(node, &LABEL) {
                    app.$field = Some(label);
                }
            },
            show: |app| app.$field.as_ref().map(LABEL.show),
            inside: Inside::Value(|| LABEL.describe()),
        }
    };
}

pub(super) static APP: Table<App> = Table::<App>::new(&[
    label!("name", name, "The application's name; the resource's `service.name` by default."),
    label!("version", version, "The application's version; the resource's `service.version` by default."),
]);
