//! The protobuf messages and the gRPC service, generated from `proto/`.

mod codec;

pub use codec::{BoundedCodec, BoundedDecoder};

/// Package `mcp_otel_bridge.v1`.
#[allow(missing_docs, unreachable_pub, rustdoc::all, clippy::all, clippy::unwrap_used, clippy::expect_used)]
pub mod v1 {
    tonic::include_proto!("mcp_otel_bridge.v1");

    /// The descriptors of the package's files and of those they import, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("mcp_otel_bridge_v1");
}
