//! How the process fares, by the names Prometheus has for it. Looked up in `/proc` at a scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::Gauges;
use crate::actors::meters::{Meters, Part};

/// Looks after the process.
pub(super) struct Process(Meters);

impl Process {
    pub(super) const fn new(meters: Meters) -> Self {
        Self(meters)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
    }
}

/// How the process fares.
#[derive(Debug)]
struct Vitals {
    resident: u64,
    virtual_size: u64,
    threads: u64,
    cpu_s: f64,
    started_s: f64,
    open_fds: u64,
    max_fds: Option<u64>,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if !cfg!(target_os = "linux") {
            return Ok(());
        }
        match vitals() {
            Some(vitals) => show(encoder, &vitals),
            None => {
                self.0.staff.left_out(Part::Process);
                Ok(())
            }
        }
    }
}

fn show(encoder: DescriptorEncoder<'_>, vitals: &Vitals) -> Result<(), fmt::Error> {
    let mut gauges = Gauges(encoder);
    let (bytes, seconds) = (Some(&Unit::Bytes), Some(&Unit::Seconds));
    let whole = [
        (
            "process_resident_memory",
            "Memory in use",
            bytes,
            vitals.resident,
        ),
        (
            "process_virtual_memory",
            "Addresses in use",
            bytes,
            vitals.virtual_size,
        ),
        ("process_threads", "Threads", None, vitals.threads),
        (
            "process_open_fds",
            "Open file descriptors",
            None,
            vitals.open_fds,
        ),
    ];
    for (name, help, unit, value) in whole {
        gauges.only(name, help, unit, &value)?;
    }
    if let Some(max_fds) = vitals.max_fds {
        let help = "Most file descriptors that may be open";
        gauges.only("process_max_fds", help, None, &max_fds)?;
    }
    let help = "When the process started, since the Unix epoch";
    gauges.only("process_start_time", help, seconds, &vitals.started_s)?;
    let help = "Time on processors, the system's for it included.";
    let mut cpu = gauges
        .0
        .encode_descriptor("process_cpu", help, seconds, MetricType::Counter)?;
    cpu.encode_counter::<NoLabelSet, f64, u64>(&vitals.cpu_s, None)
}

/// What `/proc` says; nothing if it cannot be read.
fn vitals() -> Option<Vitals> {
    let stat = Stat::read(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    let booted_s = booted(&std::fs::read_to_string("/proc/stat").ok()?)?;
    // The folder that is read is open itself.
    let open_fds = std::fs::read_dir("/proc/self/fd")
        .ok()?
        .count()
        .checked_sub(1)?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Vitals {
        resident: stat.resident_pages * page,
        virtual_size: stat.virtual_size,
        threads: stat.threads,
        cpu_s: seconds(stat.cpu_ticks),
        started_s: booted_s + seconds(stat.start_ticks),
        open_fds: u64::try_from(open_fds).ok()?,
        max_fds: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "as many ticks pass in a million years"
)]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// What is of interest in `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_size: u64,
    resident_pages: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold spaces and parentheses.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Numbered as in proc(5), whose third field is the first after the name.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_size: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine was started, in seconds since the Unix epoch.
fn booted(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194304 9 0 0 0 12 3 0 0 20 0 5 0 400 8192 6 9";
        let stat = Stat {
            cpu_ticks: 15,
            threads: 5,
            start_ticks: 400,
            virtual_size: 8192,
            resident_pages: 6,
        };
        assert_eq!(Stat::read(text), Some(stat));
        assert_eq!(Stat::read("7 (a) S 1"), None);
    }

    #[test]
    fn the_process_is_what_it_is() {
        let vitals = vitals().unwrap();
        assert!(vitals.resident > 100_000 && vitals.virtual_size >= vitals.resident);
        assert!(vitals.threads >= 1 && vitals.open_fds >= 3, "{vitals:?}");
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!((now - 86_400.0..=now + 2.0).contains(&vitals.started_s));
    }
}
