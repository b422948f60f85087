//! Circuit breakers, as the collector in `ipfs_datasets_py` names them.

use super::{buckets, declare};

declare! { CircuitBreaker:
    CIRCUIT_BREAKER_CALLS = Counter("circuit_breaker_calls_total", "circuit_breaker.calls", "{call}", ["component"])
        "Total number of calls through the circuit breaker, rejected ones included";
    CIRCUIT_BREAKER_CALLS_SUCCESS = UpDownCounter("circuit_breaker_calls_success", "circuit_breaker.calls_success", "{call}", ["component"])
        "Number of calls through the circuit breaker that succeeded";
    CIRCUIT_BREAKER_CALLS_FAILED = UpDownCounter("circuit_breaker_calls_failed", "circuit_breaker.calls_failed", "{call}", ["component"])
        "Number of calls through the circuit breaker that failed or were rejected";
    CIRCUIT_BREAKER_FAILURE_RATE = Gauge("circuit_breaker_failure_rate", "circuit_breaker.failure_rate", "", ["component"])
        "Share of calls through the circuit breaker that failed, in percent";
    CIRCUIT_BREAKER_LATENCY = Gauge("circuit_breaker_latency_seconds", "circuit_breaker.latency", "s", ["component", "quantile"])
        "Quantile of the latency of the last calls through the circuit breaker, in seconds";
    CIRCUIT_BREAKER_LATENCY_SECONDS_AVG = Gauge("circuit_breaker_latency_seconds_avg", "circuit_breaker_latency_seconds_avg", "", ["component"])
        "Mean latency of the last calls through the circuit breaker, in seconds";
    CIRCUIT_BREAKER_STATE = Gauge("circuit_breaker_state", "circuit_breaker.state", "", ["component", "state"])
        "1 for the state that the circuit breaker is in, else 0";
    CIRCUIT_BREAKER_CALL_DURATION = Histogram("circuit_breaker_call_duration_seconds", "circuit_breaker.call.duration", "s", ["component"], buckets::CALL)
        "Latency of calls through the circuit breaker, in seconds";
    CIRCUIT_BREAKER_RECOVERY = Histogram("circuit_breaker_recovery_seconds", "circuit_breaker.recovery", "s", ["component"], buckets::SESSION)
        "Time from the opening of the circuit breaker until it closed again, in seconds";
}
