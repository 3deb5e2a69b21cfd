//! Results for people and for programs, from one set of values.

use crate::arguments::Format;
use crate::error::CliError;
use crate::table::{Table, printable};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use shared::domain::Timestamp;
use std::io::Write;

const BAR: &str = "{bar:40} {percent:>3} %  {msg}  {elapsed} gone, {eta} to go";

/// Where results go, and in which form.
pub(crate) struct Output<'a, W> {
    format: Format,
    /// When people look at it.
    now: Timestamp,
    out: &'a mut W,
}

impl<'a, W: Write> Output<'a, W> {
    pub(crate) fn new(format: Format, now: Timestamp, out: &'a mut W) -> Self {
        Self { format, now, out }
    }

    /// A document, or whatever `show` makes of it for a person. It is no table.
    pub(crate) fn document<T: Serialize>(
        &mut self,
        document: &T,
        show: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Json => json(document)?,
            // A command without a table is refused as a CSV before it does anything.
            Format::Table | Format::Csv => show(document),
        };
        self.write(&text)
    }

    /// A table of what is in the document, and for people the words around the table.
    pub(crate) fn table<T: Serialize>(
        &mut self,
        document: &T,
        table: impl FnOnce(&T) -> Table,
        around: impl FnOnce(&T, &str) -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Json => json(document)?,
            Format::Csv => table(document).csv(),
            Format::Table => around(document, &table(document).shown(self.now)),
        };
        self.write(&text)
    }

    /// When people look at it.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.out, "{}", text.trim_end())?;
        Ok(self.out.flush()?)
    }
}

fn json(document: &impl Serialize) -> Result<String, CliError> {
    Ok(serde_json::to_string_pretty(document).map_err(std::io::Error::from)?)
}

/// The progress of `length` steps, shown where stderr is a terminal, and nowhere else.
pub(crate) fn progress_bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// Names and values below each other, absent ones left out.
pub(crate) fn fields(fields: &[(&str, Option<String>)]) -> String {
    let given: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let width = given.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> =
        given.iter().map(|(name, value)| format!("{name:width$}  {}", printable(value))).collect();
    lines.join("\n")
}

/// A function's report: its scalars below each other, and what is nested as it is.
pub(crate) fn report(report: &Value) -> String {
    let members = report.as_object().into_iter().flatten();
    let rows: Vec<_> = members
        .map(|(name, value)| {
            (name.as_str(), Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        })
        .collect();
    fields(&rows)
}
