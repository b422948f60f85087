//! Times of peers that took turns, and their table.

use std::time::{Duration, Instant};

/// One peer's times, a repetition each.
pub struct Times {
    pub name: String,
    pub times: Vec<Duration>,
}

/// Lets every subject do the work once a repetition, in turns, so that what disturbs the machine disturbs all alike.
///
/// Before each repetition a subject does `prepare`, unmeasured; the first repetition is not counted.
pub fn alternate<S>(
    subjects: &mut [S],
    repetitions: usize,
    name: impl Fn(&S) -> String,
    mut prepare: impl FnMut(&mut S),
    mut work: impl FnMut(&mut S) -> Duration,
) -> Vec<Times> {
    let mut all: Vec<Times> =
        subjects.iter().map(|subject| Times { name: name(subject), times: Vec::with_capacity(repetitions) }).collect();
    for repetition in 0..=repetitions {
        for (subject, times) in subjects.iter_mut().zip(&mut all) {
            prepare(subject);
            let time = work(subject);
            if repetition > 0 {
                times.times.push(time);
            }
        }
    }
    all
}

/// How long `work` takes; what it gives is dropped after the time is taken.
pub fn time<R>(work: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
    let result = work();
    let elapsed = start.elapsed();
    drop(std::hint::black_box(result));
    elapsed
}

/// Prints the head of the table.
pub fn head(first: &str) {
    println!(
        "| {first} | peer | ns, median | ns, least | bridge ÷ peer, median | middle half | of the least times |\n|---|---|---:|---:|---:|---:|---:|"
    );
}

/// Prints a row a peer; the first of `all` is the bridge, to which the others are compared repetition by repetition.
pub fn rows(first: &str, all: &[Times], operations: usize) {
    let nanoseconds = |time: Duration| time.as_nanos() as f64 / operations as f64;
    let bridge = &all[0];
    let best = nanoseconds(*bridge.times.iter().min().unwrap());
    for peer in all {
        let median = nanoseconds(middle(peer.times.clone()));
        let least = nanoseconds(*peer.times.iter().min().unwrap());
        let mut ratios: Vec<f64> = bridge
            .times
            .iter()
            .zip(&peer.times)
            .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        let quartile = |at: usize| ratios[(ratios.len() - 1) * at / 4];
        if std::ptr::eq(peer, bridge) {
            println!("| {first} | {} | {median:.1} | {least:.1} | | | |", peer.name);
        } else {
            println!(
                "| {first} | {} | {median:.1} | {least:.1} | {:.2} | {:.2} to {:.2} | {:.2} |",
                peer.name,
                quartile(2),
                quartile(1),
                quartile(3),
                best / least
            );
        }
    }
}

fn middle<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}
