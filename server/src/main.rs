//! The binary `millrace`: flags, logging, then `millrace::run`.

use std::process::ExitCode;

use clap::Parser;
use millrace::{Config, RawConfig, StartError};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("MILLRACE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace: {error}");
            // Not by returning: a worker that hangs would keep the process.
            std::process::exit(i32::from(error.exit_code))
        }
    }
}

fn start() -> Result<(), StartError> {
    let config = Config::try_from(RawConfig::parse())?;
    millrace::watch_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tokio").build();
    let runtime =
        runtime.map_err(|error| StartError::system(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(millrace::run(config))
}
