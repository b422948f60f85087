//! What happens next: a type of event, and small numbers that its values are made of.

use proptest::prelude::*;

/// Types of events, the ends of what may be open more often than others.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    SessionStart,
    SessionEnd,
    Heartbeat,
    Quality,
    Emission,
    Skill,
    CompletionRate,
    Anomaly,
    ActiveSessions,
    BreakerCall,
    BreakerState,
    Request,
    RequestStart,
    RequestEnd,
    LlmCall,
    SearchCall,
    Execution,
    Cache,
    Retry,
    Operation,
    /// The event before, under the same id.
    Again,
}

/// One event to come.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its type.
    pub kind: Kind,
    /// Which of few names.
    pub name: usize,
    /// Which of few others.
    pub other: usize,
    /// A small number.
    pub number: usize,
    /// Whether it fails, or is absent, or so.
    pub flag: bool,
}

/// Any step.
pub fn step() -> impl Strategy<Value = Step> {
    use Kind::*;
    const KINDS: &[Kind] = &[
        SessionStart,
        SessionStart,
        SessionEnd,
        SessionEnd,
        Heartbeat,
        Quality,
        Emission,
        Skill,
        Skill,
        CompletionRate,
        Anomaly,
        ActiveSessions,
        BreakerCall,
        BreakerCall,
        BreakerState,
        BreakerState,
        Request,
        RequestStart,
        RequestStart,
        RequestEnd,
        RequestEnd,
        LlmCall,
        SearchCall,
        Execution,
        Cache,
        Retry,
        Operation,
        Again,
    ];
    let any = (prop::sample::select(KINDS), 0..3usize, 0..3usize, 0..12usize, any::<bool>());
    any.prop_map(|(kind, name, other, number, flag)| Step { kind, name, other, number, flag })
}
