//! A release binary as Lambda would run it, and what the operating system says of its process.

use crate::runtime_api::RuntimeApi;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// The clock tick of `/proc`, fixed on Linux for user space.
const TICKS_PER_SECOND: u64 = 100;

/// One running function.
pub(crate) struct Function {
    api: RuntimeApi,
    process: Child,
    spawned: Instant,
}

/// The binary that cargo-lambda built.
pub(crate) fn binary(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("lambda").join(name).join("bootstrap")
}

impl Function {
    pub(crate) async fn spawn(name: &str, environment: &[(String, String)]) -> Result<Self, Box<dyn Error>> {
        Self::spawn_at(&binary(name), name, environment).await
    }

    /// A binary that may be of another build.
    pub(crate) async fn spawn_at(
        path: &Path,
        name: &str,
        environment: &[(String, String)],
    ) -> Result<Self, Box<dyn Error>> {
        let api = RuntimeApi::start().await?;
        let mut command = Command::new(path);
        command
            .env_clear()
            .envs(environment.iter().cloned())
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string());
        command
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
        command.stdout(std::process::Stdio::null()).kill_on_drop(true);
        let spawned = Instant::now();
        Ok(Self { api, process: command.spawn()?, spawned })
    }

    /// The time of a first request: from the spawn to its answer.
    pub(crate) async fn first(&mut self, event: &str) -> Result<Duration, Box<dyn Error>> {
        let spawned = self.spawned;
        let answer = self.api.invoke(event).await.ok_or("no answer")?;
        check(&answer.body)?;
        Ok(answer.answered - spawned)
    }

    /// The time of a request to a running function: from the event to its answer.
    pub(crate) async fn warm(&mut self, event: &str) -> Result<Duration, Box<dyn Error>> {
        let answer = self.api.invoke(event).await.ok_or("no answer")?;
        check(&answer.body)?;
        Ok(answer.answered - answer.handed_out)
    }

    /// A run of a job: how long it took, and its report.
    pub(crate) async fn job(&mut self, event: &str) -> Result<(Duration, serde_json::Value), Box<dyn Error>> {
        let answer = self.api.invoke(event).await.ok_or("no answer")?;
        Ok((answer.answered - answer.handed_out, serde_json::from_slice(&answer.body)?))
    }

    /// CPU time so far, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = self.proc("stat")?;
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        // The fields after the command name start with the third of proc(5); utime and stime are the 14th and
        // 15th.
        let ticks = fields
            .get(11)
            .zip(fields.get(12))
            .map(|(user, system)| user + system)
            .ok_or("no CPU time in /proc")?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    /// Peak resident memory, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> Result<u64, Box<dyn Error>> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    fn proc(&self, file: &str) -> Result<String, Box<dyn Error>> {
        let id = self.process.id().ok_or("the function has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }
}

/// A benchmark of errors would be fast and worthless.
fn check(answer: &[u8]) -> Result<(), Box<dyn Error>> {
    let answer: serde_json::Value = serde_json::from_slice(answer)?;
    if answer["statusCode"] == 200 { Ok(()) } else { Err(format!("not a 200: {answer}").into()) }
}
