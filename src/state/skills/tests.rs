//! Skills over a store in memory, by a clock of the tests' own.

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A full hour, some time in 2027.
const NOW: i64 = 1_800_000_000_000;

struct Home {
    store: Store,
    skills: Skills,
    config: config::Skills,
}

impl Home {
    fn new(config: config::Skills) -> Self {
        let store = Store::in_memory().unwrap();
        let mut skills = Skills::new(&config);
        skills.load(&store).unwrap();
        Self { store, skills, config }
    }

    fn restart(&mut self) {
        self.skills = Skills::new(&self.config);
        self.skills.load(&self.store).unwrap();
    }

    fn invoke(&mut self, skill_name: &str, completed: bool, at_ms: i64) {
        self.invoke_in("run", skill_name, completed, None, at_ms, at_ms);
    }

    fn invoke_in(&mut self, phase: &str, skill_name: &str, completed: bool, took: Option<f64>, at: i64, now: i64) {
        let invocation = Invocation {
            skill_name,
            workflow_phase: phase,
            workflow_path: None,
            completed,
            duration_seconds: took,
            session_id: None,
            time_ns: at * 1_000_000,
        };
        self.skills.invoked(&self.store, &invocation, now).unwrap();
        self.skills.write(&self.store).unwrap();
    }

    /// Twenty uses in the hour from then on.
    fn hour(&mut self, skill_name: &str, completed: i64, from_ms: i64) {
        for n in 0..20 {
            self.invoke(skill_name, n < completed, from_ms + n * 3 * MINUTE);
        }
    }

    fn days_of_20_an_hour(&mut self, skill_name: &str, days: i64) {
        for hour in 1..=24 * days {
            self.hour(skill_name, 18, NOW - hour * HOUR);
        }
    }

    /// What began in a whole search.
    fn search(&mut self, now_ms: i64) -> Vec<(String, &'static str)> {
        let mut began = Vec::new();
        while let Some(searched) = self.skills.search_next(&self.store, now_ms).unwrap() {
            let Searched { skill_name, began: findings } = searched;
            began.extend(findings.into_iter().map(|finding| (skill_name.to_string(), finding.kind.name())));
        }
        began
    }

    fn rate(&self, skill: &str) -> Option<f64> {
        self.skills.rates().find(|(name, _)| *name == skill).map(|(_, rate)| rate)
    }

    fn count(&self, table: &str) -> i64 {
        self.store.db().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

fn home() -> Home {
    Home::new(config::Skills::default())
}

#[test]
fn the_most_used_skills_come_first_with_their_rates_and_mean_durations() {
    let mut home = home();
    for (skill, completed, took) in
        [("a", true, Some(1.0)), ("b", true, Some(2.0)), ("b", false, None), ("b", true, Some(5.0)), ("c", false, None)]
    {
        home.invoke_in("run", skill, completed, took, NOW, NOW);
    }
    let summary = |name: &str, total, rate, mean| SkillSummary {
        skill_name: name.to_owned(),
        total_invocations: total,
        completion_rate: rate,
        avg_duration_seconds: mean,
    };
    let all = [summary("b", 3, 2.0 / 3.0, Some(3.5)), summary("a", 1, 1.0, Some(1.0)), summary("c", 1, 0.0, None)];
    assert_eq!(home.skills.top(10), all);
    assert_eq!(home.skills.top(1), all[..1]);
    assert_eq!(home.skills.summary("c").as_ref(), Some(&all[2]));
    home.restart();
    assert_eq!(home.skills.top(10), all);
}

#[test]
fn totals_are_those_of_the_invocations_in_the_store() {
    let mut home = home();
    for n in 0..500 {
        let took = (n % 3 == 0).then(|| f64::from(n) / 1024.0);
        let skill = format!("skill-{}", n % 7);
        home.invoke_in(&format!("phase-{}", n % 4), &skill, n % 5 > 0, took, NOW - i64::from(n) * MINUTE, NOW);
    }
    let mut statement = home
        .store
        .db()
        .prepare(
            "SELECT skill_name, count(*), avg(completed), avg(duration_seconds) FROM skill_invocations \
             GROUP BY skill_name ORDER BY 2 DESC, 1",
        )
        .unwrap();
    let counted: Vec<(String, i64, f64, f64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let ours: Vec<(String, i64, f64, f64)> = home
        .skills
        .top(100)
        .into_iter()
        .map(|skill| {
            let mean = skill.avg_duration_seconds.unwrap();
            (skill.skill_name, skill.total_invocations.cast_signed(), skill.completion_rate, mean)
        })
        .collect();
    assert_eq!(ours, counted);
}

#[test]
fn a_batch_that_is_rolled_back_leaves_no_trace() {
    let mut home = home();
    home.invoke("a", true, NOW);
    let before = home.skills.top(10);
    home.store.begin().unwrap();
    home.invoke("a", false, NOW);
    home.invoke("b", true, NOW);
    home.skills.rate_reported("c", 0.5, NOW * 1_000_000, NOW);
    home.store.roll_back();
    home.skills.load(&home.store).unwrap();
    assert_eq!(home.skills.top(10), before);
    assert_eq!((home.count("skill_invocations"), home.rate("c")), (1, None));
    home.invoke("b", true, NOW);
    assert_eq!(home.skills.top(10).len(), 2);
}

#[test]
fn what_is_older_than_the_retention_is_forgotten_whatever_its_events_times() {
    let mut home = home();
    home.invoke("old", true, NOW);
    home.invoke_in("run", "replayed", true, Some(1.0), NOW - 300 * DAY, NOW + 20 * DAY);
    home.invoke_in("run", "old", false, None, NOW + 20 * DAY, NOW + 20 * DAY);
    home.skills.anomaly_reported(&home.store, "old", "drop", None, (NOW * 1_000_000, NOW)).unwrap();

    home.skills.prune(&home.store, NOW + 29 * DAY).unwrap();
    assert_eq!((home.skills.summary("old").unwrap().total_invocations, home.count("anomalies")), (2, 1));
    home.skills.prune(&home.store, NOW + 32 * DAY).unwrap();
    let old = home.skills.summary("old").unwrap();
    assert_eq!((old.total_invocations, old.completion_rate, home.count("anomalies")), (1, 0.0, 0));
    assert_eq!((home.skills.summary("replayed").is_some(), home.count("skill_invocations")), (true, 2));
    home.skills.prune(&home.store, NOW + 60 * DAY).unwrap();
    home.restart();
    assert_eq!(home.skills.top(10), []);
    for table in ["skill_invocations", "skills", "skill_days", "skill_slots"] {
        assert_eq!(home.count(table), 0, "{table}");
    }
}

#[test]
fn the_bound_on_invocations_drops_the_oldest_and_spares_the_totals() {
    let mut home = Home::new(config::Skills { max_invocations: 10, ..config::Skills::default() });
    for n in 0..25 {
        home.invoke("a", true, NOW + n);
        assert_eq!(home.count("skill_invocations"), (n + 1).min(10));
    }
    home.config.max_invocations = 3;
    home.restart();
    home.invoke("a", true, NOW + 25);
    let oldest: i64 =
        home.store.db().query_row("SELECT min(kept_ms) FROM skill_invocations", [], |row| row.get(0)).unwrap();
    assert_eq!((home.count("skill_invocations"), oldest), (3, NOW + 23));
    assert_eq!(home.skills.summary("a").unwrap().total_invocations, 26);
}

#[test]
fn skills_beyond_the_most_are_kept_one_by_one_only() {
    let mut home = Home::new(config::Skills { max_skills: 2, ..config::Skills::default() });
    for skill in ["a", "b", "c", "c"] {
        home.invoke(skill, true, NOW);
    }
    assert_eq!((home.skills.top(10).len(), home.count("skill_invocations")), (2, 4));
}

#[test]
fn a_reported_rate_stands_until_the_skill_is_used_again() {
    let mut home = home();
    assert!(home.skills.rate_reported("a", 0.9, NOW * 1_000_000, NOW));
    assert_eq!(home.rate("a"), Some(0.9));
    home.invoke_in("run", "a", false, None, NOW - MINUTE, NOW + MINUTE);
    assert_eq!(home.rate("a"), Some(0.9), "that use was before the report");
    home.restart();
    assert_eq!(home.rate("a"), Some(0.9));
    home.invoke("a", true, NOW + MINUTE);
    assert_eq!(home.rate("a"), Some(0.5));
    assert!(!home.skills.rate_reported("a", 0.1, (NOW - MINUTE) * 1_000_000, NOW + MINUTE), "an older report");
    assert_eq!(home.rate("a"), Some(0.5));
    home.restart();
    assert_eq!(home.rate("a"), Some(0.5));
}

#[test]
fn a_time_in_the_future_counts_as_now() {
    let mut home = home();
    home.invoke_in("run", "a", true, None, NOW + 1000 * DAY, NOW);
    assert!(home.skills.rate_reported("a", 0.3, (NOW + MINUTE) * 1_000_000, NOW + MINUTE));
    assert_eq!(home.rate("a"), Some(0.3));
}

#[test]
fn steady_use_raises_nothing() {
    let mut home = home();
    home.days_of_20_an_hour("steady", 2);
    for run in 0..24 {
        let now = NOW + run * 5 * MINUTE;
        home.invoke("steady", true, now);
        if run % 10 == 0 {
            home.invoke("steady", false, now);
        }
    }
    assert_eq!(home.search(NOW), []);
}

#[test]
fn a_drop_counts_once_however_long_it_lasts_and_again_after_the_cool_down() {
    let mut home = home();
    home.days_of_20_an_hour("a", 3);
    assert_eq!(home.search(NOW), []);
    home.hour("a", 2, NOW);
    let mut began = Vec::new();
    for run in 1..=24 {
        if run == 6 {
            home.restart();
        }
        began.extend(home.search(NOW + run * 5 * MINUTE));
        if run == 12 {
            home.hour("a", 2, NOW + HOUR);
        }
    }
    assert_eq!(began, [("a".to_owned(), "drop")]);
    let stored = anomalies_since(&home.store, NOW * 1_000_000, 10).unwrap();
    assert_eq!((stored.len(), stored[0].detected, stored[0].anomaly_type.as_str()), (1, true, "drop"));
    assert!(stored[0].deviation_score.unwrap() < -2.0 && stored[0].timestamp < stored[0].last_seen);

    for hour in 2..30 {
        home.hour("a", 18, NOW + hour * HOUR);
    }
    home.hour("a", 0, NOW + 30 * HOUR);
    assert_eq!(home.search(NOW + 31 * HOUR), [("a".to_owned(), "drop")]);
    assert_eq!(anomalies_since(&home.store, NOW * 1_000_000, 10).unwrap().len(), 2);
}

#[test]
fn spikes_and_shifts_of_phases_are_found() {
    let mut home = home();
    home.days_of_20_an_hour("many", 2);
    home.days_of_20_an_hour("other", 2);
    for n in 0..80 {
        home.invoke("many", n % 10 > 0, NOW + n * 30_000);
    }
    for n in 0..20 {
        home.invoke_in("plan", "other", n % 10 > 0, None, NOW + n * MINUTE, NOW + n * MINUTE);
    }
    let mut began = home.search(NOW + HOUR);
    began.sort();
    assert_eq!(began, [("many".to_owned(), "spike"), ("other".to_owned(), "pattern_shift")]);
}

#[test]
fn a_skill_is_judged_once_it_is_known_for_a_whole_baseline() {
    let mut home = home();
    home.days_of_20_an_hour("known", 2);
    for hour in 1..=23 {
        home.hour("new", 18, NOW - hour * HOUR);
    }
    home.hour("known", 0, NOW);
    home.hour("new", 0, NOW);
    assert_eq!(home.search(NOW + HOUR), [("known".to_owned(), "drop")]);
}

#[test]
fn windows_in_which_nothing_at_all_was_used_are_left_out() {
    let mut home = home();
    // Twenty uses an hour, ten hours a day: over the whole day the mean would be 8.
    for day in 0..3 {
        for hour in 1..=10 {
            home.hour("office", 18, NOW - day * DAY - hour * HOUR);
        }
    }
    home.hour("office", 18, NOW + 14 * HOUR);
    assert_eq!(home.search(NOW + 15 * HOUR), []);
}

#[test]
fn a_seventeenth_phase_counts_with_the_rest() {
    let mut home = home();
    for phase in 0..40 {
        home.invoke_in(&format!("phase-{phase}"), "a", true, None, NOW, NOW);
    }
    // Seventeen of the skill and one of all together.
    assert_eq!(home.count("skill_slots"), 18);
}

#[test]
fn slots_that_no_search_reads_are_forgotten() {
    let mut home = home();
    home.days_of_20_an_hour("a", 4);
    home.skills.prune(&home.store, NOW).unwrap();
    let kept = home.count("skill_slots WHERE skill_id = 0");
    assert!((25 * 12..=27 * 12).contains(&kept), "{kept}");
}

/// How long a search takes where every skill is used all the time in three phases, for a person to read.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_a_search_over_a_hundred_skills() {
    let mut home = home();
    home.store.begin().unwrap();
    for skill in 0..100 {
        for slot in 0..300 {
            for phase in 0..3 {
                let at = NOW - slot * 5 * MINUTE;
                home.invoke_in(&format!("phase-{phase}"), &format!("skill-{skill}"), true, Some(1.0), at, at);
            }
        }
    }
    home.store.commit().unwrap();
    let started = std::time::Instant::now();
    home.search(NOW);
    println!("search: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    home.skills.top(10);
    println!("top: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    home.skills.prune(&home.store, NOW + 2 * HOUR).unwrap();
    println!("prune: {:?}", started.elapsed());
}
