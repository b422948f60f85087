//! Requests, calls and the machine of an MCP hub, as the MCP Hub names them.

use super::{buckets, declare};

declare! { McpHub:
    MCP_HUB_APP_INFO = Gauge("mcp_hub_app_info", "mcp_hub.app_info", "", ["name", "version"])
        "Name and version of the application, always 1";
    MCP_HUB_REQUESTS = Counter("mcp_hub_requests_total", "mcp_hub.requests", "{request}", ["agent", "operation"])
        "Total number of requests started";
    MCP_HUB_REQUESTS_SUCCESS = Counter("mcp_hub_requests_success_total", "mcp_hub.requests.success", "{request}", ["agent", "operation"])
        "Total number of requests that succeeded";
    MCP_HUB_REQUESTS_FAILED = Counter("mcp_hub_requests_failed_total", "mcp_hub.requests.failed", "{request}", ["agent", "operation", "error_type"])
        "Total number of requests that failed";
    MCP_HUB_REQUEST_DURATION = Histogram("mcp_hub_request_duration_seconds", "mcp_hub.request.duration", "s", ["agent", "operation"], buckets::REQUEST)
        "Request duration in seconds";
    MCP_HUB_ACTIVE_OPERATIONS = UpDownCounter("mcp_hub_active_operations", "mcp_hub.active_operations", "{operation}", ["agent"])
        "Number of operations that have started and not ended";
    MCP_HUB_CPU_USAGE = Gauge("mcp_hub_cpu_usage_percent", "mcp_hub.cpu.usage", "%", [])
        "CPU usage in percent";
    MCP_HUB_MEMORY_USAGE = Gauge("mcp_hub_memory_usage_percent", "mcp_hub.memory.usage", "%", [])
        "Memory usage in percent";
    MCP_HUB_MEMORY_AVAILABLE = Gauge("mcp_hub_memory_available_bytes", "mcp_hub.memory.available", "By", [])
        "Available memory in bytes";
    MCP_HUB_DISK_USAGE = Gauge("mcp_hub_disk_usage_percent", "mcp_hub.disk.usage", "%", [])
        "Disk usage in percent";
    MCP_HUB_DISK_FREE = Gauge("mcp_hub_disk_free_bytes", "mcp_hub.disk.free", "By", [])
        "Free disk space in bytes";
    MCP_HUB_UPTIME = Gauge("mcp_hub_uptime_seconds", "mcp_hub.uptime", "s", [])
        "Time since the application started, in seconds";
    MCP_HUB_LLM_API_CALLS = Counter("mcp_hub_llm_api_calls_total", "mcp_hub.llm_api_calls", "{call}", ["provider", "model"])
        "Total number of LLM API calls";
    MCP_HUB_SEARCH_API_CALLS = Counter("mcp_hub_search_api_calls_total", "mcp_hub.search_api_calls", "{call}", [])
        "Total number of search API calls";
    MCP_HUB_CODE_EXECUTIONS = Counter("mcp_hub_code_executions_total", "mcp_hub.code_executions", "{execution}", ["status"])
        "Total number of code executions";
    MCP_HUB_CACHE_HITS = Counter("mcp_hub_cache_hits_total", "mcp_hub.cache.hits", "{hit}", ["cache_type"])
        "Total number of cache hits";
    MCP_HUB_CACHE_MISSES = Counter("mcp_hub_cache_misses_total", "mcp_hub.cache.misses", "{miss}", ["cache_type"])
        "Total number of cache misses";
    MCP_HUB_RETRIES = Counter("mcp_hub_retries_total", "mcp_hub.retries", "{retry}", ["service", "attempt"])
        "Total number of retry attempts";
    MCP_HUB_RETRIES_EXHAUSTED = Counter("mcp_hub_retries_exhausted_total", "mcp_hub.retries_exhausted", "{retry}", ["service"])
        "Total number of times that retries were exhausted";
}
