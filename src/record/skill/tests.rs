//! What the watch over skills shows, by a clock of the tests' own.

use std::sync::Arc;
use std::time::Instant;

use super::super::{Context, Recorder, Staged};
use crate::config::Config;
use crate::event::{Event, Label, SkillCompletionRate, SkillInvocation, Timestamp};
use crate::expose::exposition::{Format, NameFilter, encode};
use crate::state::State;
use crate::telemetry::{EventTracer, Telemetry, resource};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const NOW: i64 = 1_800_000_000_000;

struct Watched {
    telemetry: Arc<Telemetry>,
    recorder: Recorder,
    state: State,
}

impl Watched {
    fn new() -> Self {
        let config = Config::default();
        let telemetry = Arc::new(
            Telemetry::new(resource("test", &[]), &config.metrics, &[], config.exemplar_filter, None).unwrap(),
        );
        let recorder = Recorder::new(&telemetry, EventTracer::new(config.sampler));
        Self { telemetry, recorder, state: State::open(None, &config).unwrap() }
    }

    fn at(&mut self, now_ms: i64, act: impl FnOnce(&Recorder, &mut Context<'_>)) {
        let mut staged = Staged::default();
        self.state.begin().unwrap();
        let mut context = Context { state: &mut self.state, staged: &mut staged, received: Instant::now(), now_ms };
        act(&self.recorder, &mut context);
        self.state.commit().unwrap();
        staged.apply();
    }

    fn invoke(&mut self, completed: bool, at_ms: i64) {
        let event = Event {
            timestamp: Some(Timestamp::from_unix_nanos(at_ms.cast_unsigned() * 1_000_000).unwrap()),
            ..Event::new(SkillInvocation::new(Label::new("a").unwrap(), completed))
        };
        self.at(at_ms, |recorder, context| drop(recorder.record(context, event).unwrap()));
    }

    fn watch(&mut self, now_ms: i64) {
        self.at(now_ms, |recorder, context| recorder.watch_skills(context).unwrap());
    }

    fn sample(&self, start: &str) -> Option<f64> {
        let mut text = String::new();
        let snapshot = self.telemetry.collect().unwrap();
        encode(&mut text, &snapshot, self.telemetry.resource(), Format::Text004, &NameFilter::default());
        let line = text.lines().find(|line| line.starts_with(start))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

const DROPS: &str = "anomalies_detected_total{anomaly_type=\"drop\",skill_name=\"a\"}";
const RATE: &str = "skill_completion_rate{skill_name=\"a\"}";

#[test]
fn an_anomaly_that_lasts_over_many_runs_counts_once() {
    let mut watched = Watched::new();
    for n in 0..36 * 20 {
        watched.invoke(n % 10 > 0, NOW - 36 * HOUR + n * 3 * MINUTE);
    }
    watched.watch(NOW);
    assert_eq!(watched.sample(DROPS), None);
    for n in 0..60 {
        let now = NOW + n * 3 * MINUTE;
        watched.invoke(false, now);
        watched.watch(now);
    }
    assert_eq!(watched.sample(DROPS), Some(1.0));
}

#[test]
fn rates_are_refreshed_once_a_minute_and_after_a_restart() {
    let mut watched = Watched::new();
    watched.watch(NOW);
    watched.invoke(true, NOW + 1000);
    watched.watch(NOW + 30_000);
    assert_eq!(watched.sample(RATE), None);
    watched.watch(NOW + 60_000);
    assert_eq!(watched.sample(RATE), Some(1.0));

    let rate =
        SkillCompletionRate { skill_name: Label::new("a").unwrap(), rate: crate::event::Rate::new(0.25).unwrap() };
    let time = Timestamp::from_unix_nanos((NOW + 61_000).cast_unsigned() * 1_000_000).unwrap();
    let report = Event { timestamp: Some(time), ..Event::new(rate) };
    watched.at(NOW + 61_000, |recorder, context| drop(recorder.record(context, report).unwrap()));
    watched.watch(NOW + 180_000);
    assert_eq!(watched.sample(RATE), Some(0.25));
    watched.invoke(false, NOW + 181_000);
    watched.at(NOW + 182_000, |recorder, context| recorder.restore(context));
    assert_eq!(watched.sample(RATE), Some(0.5));
}
