//! Makes Rust of the gRPC face, `proto/`, without a `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const PROTO: &str = "dunlin/v1/dunlin.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/{PROTO}");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("dunlin.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
