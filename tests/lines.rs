//! The log lines that a test's own thread writes.

use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex, Once};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log lines of this test's thread.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Lines {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

/// Keeps every line alive for the whole process: without a subscriber somewhere, whichever test logs a line
/// first would switch it off for the others.
static EVERY_LINE: Once = Once::new();

impl Lines {
    /// From now on, until the guard is dropped.
    pub fn capture() -> (Self, DefaultGuard) {
        EVERY_LINE.call_once(|| {
            let nowhere = tracing_subscriber::fmt()
                .with_max_level(LevelFilter::INFO)
                .with_writer(std::io::sink)
                .finish();
            tracing::subscriber::set_global_default(nowhere).unwrap();
        });
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(LevelFilter::INFO)
            .with_writer(lines.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    /// Every line.
    pub fn all(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// The lines of one request or run.
    pub fn of(&self, request_id: &str) -> Vec<Value> {
        self.all().into_iter().filter(|line| line["span"]["request_id"] == request_id).collect()
    }
}
