//! Lines of the log on their way to a collector: through a bounded queue. They come without what must not leave.

use std::time::Duration;

use opentelemetry::{
    InstrumentationScope,
    logs::{Logger, LoggerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLoggerProvider},
};

use super::{
    FLUSH_WITHIN,
    batch::{Queue, Sink},
};

type Entry = (SdkLogRecord, InstrumentationScope);

/// Takes lines as they are written.
#[derive(Debug)]
pub(super) struct LogQueue {
    queue: Queue<Entry>,
    /// What is left in the place of a line that was taken: no other processor sees it.
    empty: SdkLogRecord,
}

impl LogQueue {
    pub(super) fn new(queue: Queue<Entry>) -> Self {
        let empty = SdkLoggerProvider::builder().build().logger("").create_log_record();
        Self { queue, empty }
    }
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.queue.push((std::mem::replace(record, self.empty.clone()), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.flush(FLUSH_WITHIN)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.close(timeout)
    }
}

/// Sends them.
pub(super) struct LogSink<E>(pub(super) E);

impl<E: LogExporter + 'static> Sink<Entry> for LogSink<E> {
    fn send(&mut self, batch: Vec<Entry>) -> OTelSdkResult {
        let batch: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        futures_executor::block_on(self.0.export(LogBatch::new(&batch)))
    }

    fn close(&mut self) {
        // What cannot be closed is closed with the process.
        let _ = self.0.shutdown_with_timeout(FLUSH_WITHIN);
    }
}
