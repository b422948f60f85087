//! Which snapshots of the metrics a later one replaces.
//!
//! A cumulative snapshot tells all that an earlier one told, but for when it came to be. So the longer an outage lasts,
//! the fewer are kept: the last of each minute of the recent hour, then the last of each hour.

/// Milliseconds in a minute.
const MINUTE: i64 = 60_000;
/// Milliseconds in an hour, and how long each minute's snapshot is kept.
const HOUR: i64 = 60 * MINUTE;

/// A snapshot that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) id: i64,
    /// When it was filed, in milliseconds since 1970.
    pub(super) at_ms: i64,
}

/// The snapshots of `rows`, oldest first, whose place a later one takes. The newest is never among them.
pub(super) fn superseded(now_ms: i64, rows: &[Snapshot]) -> impl Iterator<Item = Snapshot> {
    rows.windows(2).filter_map(move |pair| {
        let [earlier, later] = pair else { return None };
        let grain = if now_ms.saturating_sub(earlier.at_ms) > HOUR { HOUR } else { MINUTE };
        (earlier.at_ms.div_euclid(grain) == later.at_ms.div_euclid(grain)).then_some(*earlier)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of snapshots at these times, in milliseconds.
    fn left(now_ms: i64, times: &[i64]) -> Vec<i64> {
        let rows: Vec<Snapshot> = (1..).zip(times).map(|(id, &at_ms)| Snapshot { id, at_ms }).collect();
        let gone: Vec<Snapshot> = superseded(now_ms, &rows).collect();
        rows.iter().filter(|row| !gone.contains(row)).map(|row| row.at_ms).collect()
    }

    #[test]
    fn the_last_of_each_recent_minute_and_of_each_earlier_hour_is_left() {
        let start = 1_000 * HOUR;
        // Every 20 s for three hours, thinned once at the end.
        let times: Vec<i64> = (0..).map(|n| start + n * 20_000).take_while(|&at| at <= start + 3 * HOUR).collect();
        let now = start + 3 * HOUR;
        let left = left(now, &times);
        let (old, recent): (Vec<i64>, Vec<i64>) = left.iter().partition(|&&at| now - at > HOUR);
        assert_eq!(old, [start + HOUR - 20_000, start + 2 * HOUR - 20_000]);
        let minutes: Vec<i64> = recent.iter().map(|at| at / MINUTE).collect();
        assert_eq!(minutes, (now / MINUTE - 60..=now / MINUTE).collect::<Vec<_>>());
        assert_eq!(left.last(), times.last(), "the newest stays");
    }

    #[test]
    fn a_clock_that_is_set_back_costs_no_snapshot_of_another_minute() {
        assert_eq!(left(0, &[10 * HOUR, 10 * HOUR + 1, 5, 6]), [10 * HOUR + 1, 6]);
        assert_eq!(left(0, &[]), [0; 0]);
        assert_eq!(left(0, &[7]), [7]);
    }
}
