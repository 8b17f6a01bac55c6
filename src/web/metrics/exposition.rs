//! The figures in words that Prometheus reads (OpenMetrics 1.0).

use super::tally::Counted;
use crate::auth::metrics::Metrics;
use crate::tally::Distribution;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// What most expositions fit in without growing.
const USUAL_BYTES: usize = 16 << 10;
const US: f64 = 1e-6;
const MS: f64 = 1e-3;

pub(super) fn text(figures: Metrics, requests: Counted) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures { figures, requests }));
    let mut text = String::with_capacity(USUAL_BYTES);
    encode(&mut text, &registry).expect("a String takes everything");
    text
}

#[derive(Debug)]
struct Figures {
    figures: Metrics,
    requests: Counted,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.process(&self.figures)?;
        page.store(&self.figures)?;
        page.verbs(&self.figures)?;
        page.requests(&self.requests)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

/// Labels and a count.
type Series<'a, const N: usize> = ([(&'static str, &'a str); N], u64);

impl Page<'_> {
    fn process(&mut self, figures: &Metrics) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let mut info = self.0.encode_descriptor("hallpass_build", "The program", None, MetricType::Info)?;
        info.encode_info(&version)?;
        let started = figures.started_at.ms() as f64 * MS;
        self.gauge("process_start_time", "When the process started", Some(Unit::Seconds), started)?;
        let behind = figures.clock_behind_ms as f64 * MS;
        self.gauge(
            "hallpass_clock_behind",
            "How far the machine's clock is behind the latest time seen, where it is therefore not followed",
            Some(Unit::Seconds),
            behind,
        )
    }

    fn store(&mut self, figures: &Metrics) -> fmt::Result {
        let store = &figures.store;
        self.counter("hallpass_store_commits", "Batches that are on disk", store.batches)?;
        self.histogram("hallpass_store_group_batches", "Batches by sync", None, &store.group_sizes, 1.0)?;
        let sync = "Time of a flush and sync, with the note in the witness";
        self.histogram("hallpass_store_sync", sync, Some(Unit::Seconds), &store.sync_us, US)?;
        self.gauge("hallpass_store_queue", "Batches that wait for the writer", None, store.queued)?;
        self.gauge("hallpass_store_sequence", "Number of the latest batch", None, store.sequence)?;
        let records = figures.records.iter().map(|(table, count)| ([("table", *table)], *count));
        self.gauges("hallpass_store_records", "Records by table", records)?;
        self.gauge(
            "hallpass_store_size",
            "What the store takes on disk",
            Some(Unit::Bytes),
            store.size_on_disk,
        )?;
        if store.live_bytes > 0 {
            let live = "What its records take by themselves, when they were last read whole";
            self.gauge("hallpass_store_live", live, Some(Unit::Bytes), store.live_bytes)?;
            let ratio = store.size_on_disk as f64 / store.live_bytes as f64;
            self.gauge("hallpass_store_amplification_ratio", "Size on disk by live bytes", None, ratio)?;
        }
        let open = figures.open_us as f64 * US;
        self.gauge("hallpass_store_open", "How long the store took to open", Some(Unit::Seconds), open)?;
        let verified = "How often every record was read and found as it was written";
        self.counter("hallpass_store_verifications", verified, store.verifications)?;
        let caches = figures.caches.iter().flat_map(|(cache, hits, misses)| {
            [("hit", hits), ("miss", misses)]
                .map(|(result, count)| ([("cache", *cache), ("result", result)], *count))
        });
        self.counters("hallpass_cache_lookups", "Lookups in memory by what came of them", caches)
    }

    fn verbs(&mut self, figures: &Metrics) -> fmt::Result {
        let lag = figures.sweep_lag_ms as f64 * MS;
        let swept = "Since when not everything that was over has been swept";
        self.gauge("hallpass_sweep_lag", swept, Some(Unit::Seconds), lag)?;
        self.gauge("hallpass_hashing_queue", "Passwords that wait for a hash", None, figures.hash_queue)?;
        self.histogram("hallpass_hashing", "Time of a hash", Some(Unit::Seconds), &figures.hash_us, US)?;
        self.gauge("hallpass_live_sessions", "Sessions that have not ended", None, figures.live_sessions)?;
        self.gauge("hallpass_blacklist_entries", "Entries of the blacklist", None, figures.blacklist)?;
        if let Some(age_ms) = figures.backup_age_ms {
            let age = age_ms as f64 * MS;
            self.gauge("hallpass_backup_age", "Since the latest backup was made", Some(Unit::Seconds), age)?;
        }
        let results = figures.backup_results.iter();
        let results = results.map(|(result, holds)| ([("result", *result)], u64::from(*holds)));
        self.gauges("hallpass_backup_result", "How it stands with the latest backup: one is 1", results)?;
        let sign_ins = figures.sign_ins.iter().map(|(result, count)| ([("result", *result)], *count));
        self.counters("hallpass_sign_ins", "Sign-ins by what came of them", sign_ins)?;
        let reuses = "Sessions that ended because a refresh token was used twice";
        self.counter("hallpass_refresh_reuses", reuses, figures.refresh_reuses)
    }

    fn requests(&mut self, requests: &Counted) -> fmt::Result {
        let answers = requests.answers.iter();
        let answers =
            answers.map(|(class, status, count)| ([("class", *class), ("status", *status)], *count));
        self.counters("hallpass_requests", "Requests by class of route and status", answers)?;
        let refusals = requests.refusals.iter().map(|(code, count)| ([("code", *code)], *count));
        self.counters("hallpass_refusals", "Refusals by code", refusals)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = Series<'s, N>>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = Series<'s, N>>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        found: &Distribution,
        scale: f64,
    ) -> fmt::Result {
        let mut buckets: Vec<_> =
            found.buckets.iter().map(|(bound, count)| (*bound as f64 * scale, *count)).collect();
        buckets.push((f64::INFINITY, found.above));
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(found.sum as f64 * scale, found.count(), &buckets, None)
    }
}
