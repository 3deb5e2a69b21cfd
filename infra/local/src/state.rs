//! A kept state's first start, which relative instants of a dataset are counted from.
//!
//! Were they counted from every start anew, each start would record other entries than the one before.

use shared::domain::Timestamp;
use std::fs;
use std::io;
use std::path::Path;

/// Beside the tables in the state's directory.
const FILE: &str = "first-start";

/// When the state in this directory was begun: `now` if it is new, or if nothing is kept.
pub fn first_start(state: Option<&Path>, now: Timestamp) -> io::Result<Timestamp> {
    let Some(directory) = state else { return Ok(now) };
    let file = directory.join(FILE);
    match fs::read_to_string(&file) {
        Ok(text) => {
            let unreadable = |error| io::Error::other(format!("{}: {error}", file.display()));
            Timestamp::parse(text.trim()).map_err(unreadable)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            fs::write(&file, now.to_stored_text())?;
            Ok(now)
        }
        Err(error) => Err(error),
    }
}
