//! Lines of the log on their way to a collector: through a bounded queue. They come without what must not leave.

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord},
};

use super::{
    FLUSH_WITHIN,
    batch::{Queue, Sink},
};

type Entry = (SdkLogRecord, InstrumentationScope);

/// Takes lines as they are written.
#[derive(Debug)]
pub(super) struct LogQueue(pub(super) Queue<Entry>);

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.flush(FLUSH_WITHIN)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.close(timeout)
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
