//! The blocks of Rust: each stands here again, where it is compiled and does what the page says.

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::BreakerState;
use mcp_otel_bridge::expose::exposition::Format;

use crate::pages::{Page, for_users};
use crate::peers::until;

type Done = Result<(), Box<dyn std::error::Error>>;

#[test]
fn the_readme_makes_a_session_and_a_call() -> Done {
    let bridge = mcp_otel_bridge::Bridge::builder().build()?;
    let session = bridge.session("my-agent", "AgentShell"); // ends when dropped
    let mut call = session.llm_call("openai", "gpt-4o"); // timed, and a span under the session's
    call.output_tokens(48);

    drop((call, session));
    // What ends by being dropped waits for nobody.
    for line in [
        r#"session_end_total{component_name="my-agent",status="success"} 1"#,
        r#"mcp_hub_llm_api_calls_total{provider="openai",model="gpt-4o"} 1"#,
    ] {
        until(line, || bridge.render(Format::Text004).unwrap().contains(line).then_some(()));
    }
    Ok(())
}

#[tokio::test]
async fn breakers_answer_what_the_page_says() -> Done {
    let bridge = Bridge::builder().build()?;
    for number in 0..8 {
        bridge.circuit_breaker_call("payments", 0.25, number != 0)?;
    }
    bridge.circuit_breaker_state("payments", BreakerState::Closed)?;
    assert_eq!(bridge.breakers().components().await?, ["payments"]);
    assert_eq!(bridge.breakers().failure_rate("payments").await?, Some(12.5));

    let breakers = bridge.breakers();
    breakers.components().await?; // ["payments", ...]
    breakers.failure_rate("payments").await?; // Some(12.5), in percent
    breakers.latency_percentiles("payments", &[50.0, 99.9]).await?;
    breakers.summary("payments").await?;
    breakers.reset("payments").await?; // counts and window; what only rises goes on

    assert_eq!(bridge.breakers().failure_rate("payments").await?, Some(0.0));
    assert!(bridge.render(Format::Text004)?.contains(r#"circuit_breaker_calls_total{component="payments"} 8"#));
    Ok(())
}

#[test]
fn every_block_of_rust_stands_here() {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let here = bare(include_str!("rust.rs"));
    let mut blocks = 0;
    for block in for_users().iter().flat_map(Page::blocks).filter(|block| block.language == "rust") {
        assert!(here.contains(&bare(&block.text)), "{}: a block that tests/docs/rust.rs does not run", block.place());
        blocks += 1;
    }
    assert_eq!(blocks, 2, "a block that is gone from the pages stands here still");
}
