//! A program that observes itself, without a daemon: guards time a session and what happens in it, and the metrics are
//! printed at the end.
//!
//!     cargo run --example sessions

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::SessionStatus;
use mcp_otel_bridge::expose::exposition::Format;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bridge = Bridge::builder().resource_attribute("service.name", "weather-agent").build()?;

    let session = bridge.session("weather-agent", "AgentShell");
    {
        let mut emit = bridge.time_event("weather-agent", "tool_list_changed");
        if std::env::args().any(|argument| argument == "--fail") {
            emit.fail("ConnectionError");
        }
    }
    let mut call = session.llm_call("openai", "gpt-4o");
    call.first_token();
    call.input_tokens(120);
    call.output_tokens(48);
    call.finish();
    session.finish(SessionStatus::Success);

    // Guards do not wait for their events; a call that does wait comes after them.
    bridge.session_quality("weather-agent", 92.5)?;
    print!("{}", bridge.render(Format::OpenMetrics100)?);
    Ok(())
}
