//! LLM calls, by OpenTelemetry's GenAI semantic conventions v1.41.

use super::{buckets, declare};

declare! { GenAi:
    GEN_AI_CLIENT_OPERATION_DURATION = Histogram("gen_ai_client_operation_duration_seconds", "gen_ai.client.operation.duration", "s", ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"], buckets::GEN_AI)
        "Duration of GenAI client operations, in seconds";
    GEN_AI_CLIENT_TOKEN_USAGE = Histogram("gen_ai_client_token_usage", "gen_ai.client.token.usage", "{token}", ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"], buckets::TOKENS)
        "Number of input and output tokens of GenAI client operations";
    GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK = Histogram("gen_ai_client_operation_time_to_first_chunk_seconds", "gen_ai.client.operation.time_to_first_chunk", "s", ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"], buckets::GEN_AI)
        "Time until the first chunk of a GenAI client operation's answer, in seconds";
}
