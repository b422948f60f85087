//! Compiles the protobuf definitions, without a protoc on the machine, and notes which compiler builds the bridge.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const FILES: [&str; 2] = ["mcp_otel_bridge/v1/events.proto", "mcp_otel_bridge/v1/event_service.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    // gRPC reflection serves the descriptors as they are.
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("mcp_otel_bridge_v1.bin"), compiler.encode_file_descriptor_set())?;
    println!("cargo::rustc-env=BUILT_WITH_RUSTC={}", rustc_version().unwrap_or_else(|| "unknown".to_owned()));
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .codec_path("crate::proto::BoundedCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The compiler's version, such as `1.95.0`.
fn rustc_version() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    line.split_whitespace().nth(1).map(str::to_owned)
}
