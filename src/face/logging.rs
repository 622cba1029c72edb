//! Logs go to standard error: for people on a terminal, one JSON object a line otherwise. What
//! comes from outside is escaped and cut, so that no title or address can forge a line or flood
//! the log. Only the program installs a subscriber; the library never does.

mod lines;

use std::ffi::OsString;

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use self::lines::{HumanFields, JsonFields, JsonLine};
use super::log_writer::{Flush, LogWriter, dropped};
use crate::config::{Log, LogFormat};

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    filter: String,
    json: bool,
    colours: bool,
}

impl Settings {
    /// For a command that runs once and ends. Where nobody watches (cron mails whatever is
    /// printed) only warnings are logged, and with `quiet` only errors, unless the operator chose
    /// a level.
    #[must_use]
    pub fn one_shot(log: &Log, level_is_chosen: bool, quiet: bool, is_terminal: bool) -> Self {
        let filter = if level_is_chosen {
            &log.level
        } else if quiet {
            "error"
        } else if is_terminal {
            &log.level
        } else {
            "warn"
        };
        let json = match log.format {
            LogFormat::Auto => !is_terminal,
            LogFormat::Human => false,
            LogFormat::Json => true,
        };
        Self {
            filter: filter.to_owned(),
            json,
            colours: is_terminal && !json,
        }
    }

    /// For a daemon: all of the configured level, wherever it goes.
    #[must_use]
    pub fn daemon(log: &Log, is_terminal: bool) -> Self {
        Self::one_shot(log, true, false, is_terminal)
    }

    /// The same without colours, unless they may be used.
    #[must_use]
    pub fn with_colours(mut self, allowed: bool) -> Self {
        self.colours &= allowed;
        self
    }
}

/// Installs the process's subscriber, writing to standard error. Where one is installed already,
/// by a host or a test, that one stays.
///
/// # Errors
/// When the filter is none; the configuration's own check lets no such filter through.
pub fn install(settings: &Settings) -> Result<Level, ParseError> {
    let (subscriber, level) = subscriber(settings, std::io::stderr)?;
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(level)
}

/// The same for a program that must go on whatever becomes of the log: lines are written by a
/// thread of their own, and dropped and counted where they find no room. With the feature `otlp` spans
/// go to the collector that the environment names.
///
/// # Errors
/// When there is no thread to be had, the filter is none, or the collector's address is.
pub fn install_apart(
    settings: &Settings,
    environment: &[(OsString, OsString)],
) -> anyhow::Result<(Level, Outgoing)> {
    let json = settings.json;
    let (writer, lines) = LogWriter::to(std::io::stderr(), move |count| dropped(count, json))?;
    let (subscriber, level) = subscriber(settings, writer)?;
    #[cfg(feature = "otlp")]
    let (subscriber, spans) = {
        let (layer, spans) = super::otlp::from_environment(environment)?.unzip();
        (subscriber.with(layer), spans)
    };
    #[cfg(not(feature = "otlp"))]
    let _ = environment;
    let _ = tracing::subscriber::set_global_default(subscriber);
    let outgoing = Outgoing {
        #[cfg(feature = "otlp")]
        _spans: spans,
        _lines: lines,
    };
    Ok((level, outgoing))
}

/// Has the last spans and lines go out when it goes, for as long as that may take.
#[must_use = "the last lines are lost without it"]
pub struct Outgoing {
    #[cfg(feature = "otlp")]
    _spans: Option<super::otlp::FlushSpans>,
    _lines: Flush,
}

/// Changes what is logged while the program runs.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// From now on logs as this filter says.
    ///
    /// # Errors
    /// When the filter is none.
    pub fn set(&self, filter: &str) -> Result<(), ParseError> {
        let filter = EnvFilter::try_new(filter)?;
        // Without a subscriber of ours there is nothing to change.
        let _ = self.0.reload(filter);
        Ok(())
    }
}

/// A subscriber that writes as `settings` say, and what changes its level.
///
/// # Errors
/// When the filter is none.
pub fn subscriber<W>(
    settings: &Settings,
    writer: W,
) -> Result<
    (
        impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync + use<W>,
        Level,
    ),
    ParseError,
>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if settings.json {
        layer.event_format(JsonLine).fmt_fields(JsonFields).boxed()
    } else {
        layer
            .with_ansi(settings.colours)
            .with_target(false)
            .fmt_fields(HumanFields)
            .boxed()
    };
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&settings.filter)?);
    let subscriber = Registry::default().with(layer.with_filter(filter));
    Ok((subscriber, Level(handle)))
}

#[cfg(test)]
mod tests {
    use super::lines::LONGEST_FIELD;
    use super::*;
    use serde_json::Value;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(level: &str, format: LogFormat) -> Log {
        Log {
            level: level.to_owned(),
            format,
        }
    }

    fn logged(settings: &Settings, work: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let (subscriber, _) = subscriber(settings, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn settings(level: &str, format: LogFormat) -> Settings {
        Settings::one_shot(&log(level, format), true, false, false)
    }

    #[test]
    fn where_nobody_watches_only_warnings_are_logged_unless_a_level_was_chosen() {
        let filter = |chosen, quiet, terminal| {
            let log = log("info", LogFormat::Auto);
            Settings::one_shot(&log, chosen, quiet, terminal).filter
        };
        assert_eq!(filter(false, false, true), "info");
        assert_eq!(filter(false, false, false), "warn");
        assert_eq!(filter(true, false, false), "info");
        assert_eq!(filter(false, true, true), "error");
        assert_eq!(filter(true, true, false), "info");
    }

    #[test]
    fn lines_are_for_people_on_a_terminal_and_json_otherwise() {
        let json = |format, terminal| {
            Settings::one_shot(&log("info", format), false, false, terminal).json
        };
        assert!(json(LogFormat::Auto, false));
        assert!(!json(LogFormat::Auto, true));
        assert!(!json(LogFormat::Human, false));
        assert!(json(LogFormat::Json, true));
    }

    #[test]
    fn a_json_line_holds_the_event_and_its_spans() {
        let text = logged(&settings("info", LogFormat::Json), || {
            let span =
                tracing::info_span!("job", id = 7, kind = "score", tries = tracing::field::Empty);
            let _entered = span.enter();
            span.record("tries", 2);
            tracing::info!(done = 3, late = true, title = %"x", "finished");
            tracing::debug!("not shown");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "info");
        assert_eq!(line["message"], "finished");
        assert_eq!(
            line["fields"],
            serde_json::json!({"done": 3, "late": true, "title": "x"})
        );
        assert_eq!(
            line["spans"],
            serde_json::json!([{"span": "job", "id": 7, "kind": "score", "tries": 2}])
        );
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        assert_eq!(line["target"], module_path!());
    }

    #[test]
    fn a_line_of_a_traced_job_has_its_trace() {
        for (format, has) in [
            (LogFormat::Human, "job{id=7 trace_id=4bf9}: slow"),
            (LogFormat::Json, "\"trace_id\":\"4bf9\""),
        ] {
            let text = logged(&settings("info", format), || {
                let (trace_id, parent) = (Some("4bf9"), Some("00-4bf9"));
                let (trace_id, traceparent) = (
                    trace_id.map(tracing::field::display),
                    parent.map(tracing::field::display),
                );
                let span = tracing::info_span!("job", id = 7, trace_id, traceparent);
                let _entered = span.enter();
                tracing::warn!("slow");
            });
            assert!(
                text.contains(has) && !text.contains("traceparent"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_comes_from_outside_cannot_forge_or_flood_a_line() {
        let evil = format!("\u{1b}[2J\nINFO forged\u{9b}{}", "x".repeat(5000));
        for format in [LogFormat::Json, LogFormat::Human] {
            let text = logged(&settings("info", format), || {
                let span = tracing::info_span!("job", id = %evil);
                let _entered = span.enter();
                tracing::warn!(address = %evil, quoted = evil.as_str(), shown = ?evil, "{evil}");
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.ends_with('\n'));
            assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
            let longest = text.split(|c| c != 'x').map(str::len).max().unwrap();
            assert!((400..=LONGEST_FIELD).contains(&longest), "{longest}");
        }
    }

    #[test]
    fn a_human_line_names_its_fields_and_spans() {
        let text = logged(&settings("info", LogFormat::Human), || {
            let span = tracing::info_span!("job", id = 7);
            let _entered = span.enter();
            tracing::warn!(title = "a b", seconds = 1.5, "slow");
        });
        assert!(
            text.contains("WARN job{id=7}: slow title=\"a b\" seconds=1.5\n"),
            "{text}"
        );
    }
}
