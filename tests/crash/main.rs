//! The bridge is killed at random moments, under load, or told to stop, and started again: nothing that was acknowledged is lost, nothing
//! is counted twice, and nobody who looks sees a number fall.
//!
//! `CRASH_KILLS=200` is the long mode, and `CRASH_KILLS=0` shows that the account alone is right; `CRASH_SEED` repeats the chances of an earlier run, which each run prints. A
//! killed process leaves to the kernel what it has written: what a power failure would leave is not shown here.

#![allow(clippy::unwrap_used)]

#[path = "../support/collector.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod collector;
#[path = "../support/load/mod.rs"]
mod load;
mod pushes;
mod spans;

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use collector::Collector;
use load::bridge::Bridge;
use load::client::{Common, Sent, under_load};
use load::dice::Dice;
use load::watch::{Shown, Watch, differences};
use pushes::Pushes;

const KILLS: usize = 20;
/// From so many kills on, it is the long mode.
const LONG: usize = 200;
/// The rate that the clients must reach in the long mode, outages included, and the one that they aim at.
const RATE: u64 = 2000;
const AIM: u64 = 2600;
/// From one scrape to the next.
const SCRAPE: Duration = Duration::from_millis(50);
/// How long the load goes on after the last kill.
const LAST: Duration = Duration::from_secs(2);
/// How long it may take, at the end, until all has arrived everywhere.
const SETTLED: Duration = Duration::from_secs(30);
/// No more lines of one kind are shown.
const SHOWN: usize = 12;

/// What a scrape asks for: each format in turn.
const FORMATS: [&str; 2] = ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"];

/// The least kills of a run with settings of its own, and of how many of the others it has one.
const FEW: usize = 6;
const SHARE: usize = 5;

#[test]
fn kills_at_random_moments_lose_nothing_and_count_nothing_twice() {
    let sent = crash(kills(), &[], Pushes::of_totals());
    // Where other work keeps the machine busy, a short run proves the same at a lower rate.
    assert!(sent.rate >= RATE || kills() < LONG, "only {} events a second", sent.rate);
}

#[test]
fn kills_lose_nothing_where_no_commit_waits_for_the_disk_and_changes_are_pushed() {
    for (durability, pushes) in [("normal", Pushes::of_changes()), ("off", Pushes::of_totals())] {
        crash((kills() / SHARE).max(FEW), &[("MCP_OTEL_BRIDGE_DURABILITY", durability), pushes.temporality()], pushes);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn kills() -> usize {
    number("CRASH_KILLS").map_or(KILLS, |kills| kills as usize)
}

/// Kills a bridge with these settings so many times, under load, and checks what everybody saw.
fn crash(kills: usize, settings: &[(&str, &str)], mut pushes: Pushes) -> Sent {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number("CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    println!("{kills} kills with {settings:?} and CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut collector = Collector::start();
    let mut bridge = Bridge::pushing_to(&collector.endpoint(), dice.next());
    settings.iter().for_each(|(name, value)| bridge.set(name, value));
    bridge.start();

    let common = Common::new(bridge.address);
    let scrapes = Mutex::new(Watch::new("scrape"));
    let started = Instant::now();
    // How often something ended that may have had a request under way.
    let mut cuts = 0;
    let sent = std::thread::scope(|scope| {
        let scraper = scope.spawn(|| scrape(&common, &scrapes));
        let sent = under_load(&common, dice.next(), AIM, || {
            let (away, back) = (kills / 3, kills / 3 + kills.div_ceil(5));
            for kill in 0..kills {
                end_somewhen(&mut bridge, &mut dice);
                cuts += 1;
                pushes.take(&collector);
                if kill == away {
                    collector.kill();
                    cuts += 1;
                }
                if kill == back {
                    collector.come_back();
                }
                // The next kill may come before it is ready.
                if dice.once_in(2) { bridge.launch() } else { bridge.start() }
            }
            if kills > 0 {
                bridge.kill();
                cuts += 1;
                bridge.start();
            }
            std::thread::sleep(LAST);
        });
        let expected = sent.ledger.samples();
        let stopped = Instant::now();
        while stopped.elapsed() < SETTLED {
            pushes.take(&collector);
            let shown = scrapes.lock().unwrap().last().clone();
            let all_spans = pushes.spans.count() >= sent.ledger.spans.len();
            let agrees = |shown: &Shown| differences(shown, &expected).is_empty();
            if all_spans && agrees(&shown) && agrees(pushes.shown()) {
                break;
            }
            std::thread::sleep(SCRAPE);
        }
        common.abort.store(true, Ordering::SeqCst);
        scraper.join().unwrap();
        sent
    });
    println!(
        "{} events answered, {} a second, {} batches sent again; {} scrapes, {} pushes; {} spans, {} of them twice; \
         {:.1} MiB of memory at most since the last start; {:.1} s",
        common.answered.load(Ordering::SeqCst),
        sent.rate,
        common.retries.load(Ordering::SeqCst),
        scrapes.lock().unwrap().looks,
        pushes.looks(),
        pushes.spans.count(),
        pushes.spans.repeated(),
        bridge.memory("VmHWM"),
        started.elapsed().as_secs_f64(),
    );
    let scrapes = scrapes.into_inner().unwrap();
    let expected = sent.ledger.samples();
    let faults = [
        ("on /metrics, while it went on", scrapes.faults.clone()),
        ("in what was pushed, while it went on", pushes.faults(cuts)),
        ("on /metrics, in the end", differences(scrapes.last(), &expected)),
        ("in the last push", differences(pushes.shown(), &expected)),
        ("in the spans", pushes.spans.faults(&sent.ledger.spans, &sent.told, cuts)),
    ];
    for (what, faults) in faults.iter().filter(|(_, faults)| !faults.is_empty()) {
        println!("{} faults {what}:", faults.len());
        faults.iter().take(SHOWN).for_each(|fault| println!("    {fault}"));
    }
    assert!(faults.iter().all(|(_, faults)| faults.is_empty()), "see above; {settings:?}, CRASH_SEED={seed}");
    sent
}

/// Kills it after a while, sometimes in the middle of its start or right after; or asks it to stop, under full load.
fn end_somewhen(bridge: &mut Bridge, dice: &mut Dice) {
    let asks = dice.once_in(6);
    let alive = match dice.below(4) {
        0 if !asks => Duration::from_millis(dice.below(120)),
        _ => Duration::from_millis(150 + dice.below(1700)),
    };
    std::thread::sleep(alive.saturating_sub(bridge.starts.last().unwrap().elapsed()));
    if asks {
        bridge.await_ready();
        bridge.stop();
    } else {
        bridge.kill();
    }
}

/// Scrapes until the end. Each scrape must show at least what was acknowledged before it.
fn scrape(common: &Common, watch: &Mutex<Watch>) {
    let url = format!("http://{}/metrics", common.address);
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
    for format in FORMATS.iter().cycle() {
        if common.abort.load(Ordering::SeqCst) {
            return;
        }
        let acknowledged = common.searches_acknowledged.load(Ordering::SeqCst) as f64;
        let answer = agent.get(&url).header("accept", *format).call();
        if let Ok(text) = answer.and_then(|mut answer| answer.body_mut().read_to_string()) {
            let sent = common.searches_sent.load(Ordering::SeqCst) as f64;
            let shown = Shown::of_text(&text);
            let mut watch = watch.lock().unwrap();
            let searches = shown.rising.get("mcp_hub_search_api_calls_total").copied().unwrap_or_default();
            if searches < acknowledged || searches > sent {
                watch.fault(&format!("{searches} searches, {acknowledged} acknowledged and {sent} sent"));
            }
            shown.unbalanced().iter().for_each(|fault| watch.fault(fault));
            watch.look(shown);
        }
        std::thread::sleep(SCRAPE);
    }
}
