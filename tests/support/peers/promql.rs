//! What PromQL's functions give, worked out from samples and plans: an account of its own to hold Prometheus against.

/// `rate()` of a counter over the `window` seconds that end at `end`, extrapolated as Prometheus documents it.
///
/// All samples are within the window.
pub fn rate(samples: &[(f64, f64)], end: f64, window: f64) -> f64 {
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let rise = last.1 - first.1;
    let spanned = last.0 - first.0;
    let between = spanned / (samples.len() - 1) as f64;
    // Towards an end of the window that is far from the samples, half an interval is assumed.
    let assumed = |gap: f64| if gap >= between * 1.1 { between / 2.0 } else { gap };
    let mut before = assumed(first.0 - (end - window));
    if rise > 0.0 {
        // A counter was not below zero.
        before = before.min(spanned * first.1 / rise);
    }
    rise * (spanned + before + assumed(end - last.0)) / spanned / window
}

/// `histogram_quantile()` of values, counted into buckets with these upper bounds and an infinite one.
pub fn histogram_quantile(quantile: f64, bounds: &[f64], values: &[f64]) -> f64 {
    let rank = quantile * values.len() as f64;
    let at_most = |bound: f64| values.iter().filter(|value| **value <= bound).count() as f64;
    let Some(bucket) = bounds.iter().position(|bound| at_most(*bound) >= rank) else {
        return bounds[bounds.len() - 1];
    };
    let (lower, below) = if bucket == 0 { (0.0, 0.0) } else { (bounds[bucket - 1], at_most(bounds[bucket - 1])) };
    let inside = at_most(bounds[bucket]) - below;
    lower + (bounds[bucket] - lower) * ((rank - below) / inside)
}

/// `histogram_quantile()` of buckets: their upper bounds, an infinite one last, and the rates of what is within each.
pub fn quantile_of_rates(quantile: f64, buckets: &[(f64, f64)]) -> f64 {
    let all = buckets[buckets.len() - 1].1;
    if all == 0.0 {
        return f64::NAN;
    }
    let rank = quantile * all;
    let at = buckets.iter().position(|(_, rate)| *rate >= rank).unwrap();
    let (lower, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    let (upper, within) = buckets[at];
    if upper == f64::INFINITY { lower } else { lower + (upper - lower) * ((rank - below) / (within - below)) }
}
