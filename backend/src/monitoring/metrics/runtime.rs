//! How busy the asynchronous runtime is.

use goblin_shared::vocabulary;
use tokio::runtime::Handle;

use super::Metrics;

impl Metrics {
    /// Figures of this runtime from now on.
    pub(crate) fn observe_runtime(&self, runtime: &Handle) {
        let count = |count: usize| {
            #[expect(clippy::cast_precision_loss, reason = "tasks are fewer than 2^53")]
            let count = count as f64;
            count
        };
        let handle = runtime.clone();
        self.observe(&vocabulary::RUNTIME_TASKS, move |gauge| {
            gauge.observe(count(handle.metrics().num_alive_tasks()), &[]);
        });
        let handle = runtime.clone();
        self.observe(&vocabulary::RUNTIME_QUEUE, move |gauge| {
            gauge.observe(count(handle.metrics().global_queue_depth()), &[]);
        });
        let (handle, metric) = (runtime.clone(), &vocabulary::RUNTIME_BUSY);
        let builder = self.0.meter.f64_observable_counter(metric.name).with_unit(metric.unit);
        let builder = builder.with_description(metric.description).with_callback(move |counter| {
            let metrics = handle.metrics();
            let busy: std::time::Duration =
                (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum();
            counter.observe(busy.as_secs_f64(), &[]);
        });
        // Lives as long as its meter.
        let _ = builder.build();
    }
}
