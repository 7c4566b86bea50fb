//! Openings and settlements of the ledger, on one connection that two sides share.
//!
//! The task that writes has a thread of its own, puts all that waits into one transaction, waits for locks, and empties
//! the write-ahead log. A request waits for its opening, and two changes of thread take longer than the row: who finds
//! the connection free writes his opening himself, which is a few writes to the system's cache and waits for nobody. As
//! soon as the disk makes it wait all the same, all openings are the task's for a while; and so they are where they are
//! many, as those that share a transaction cost less each.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::{Connection, Result, params};

use super::{
    database::Database,
    failure::write_error,
    settle::{DailySums, append, settle},
    values::{amount, integer, sum},
};
use crate::{
    monitoring::Statement,
    ports::{LedgerEntry, Settlement, StoreError},
    store::writer::{Batch, Opened},
};

/// For many requests at once, so that it is in the trace of none.
const WRITE: Statement = Statement::new("INSERT", "ledger");

const OPEN: &str = "INSERT INTO ledger (request_id, opening, started_ms, api, stream, tenant, user_name, key_id, \
     model_asked, trace_id, conversation_id, reserved_requests, reserved_tokens, reserved_nano_usd) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

/// Writes the log into the file as far as that holds nobody up; the log then begins anew. Waits for the disk.
const EMPTY_LOG: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Settles every open row as interrupted, charged with what was reserved.
const INTERRUPT: &str = concat!(
    "BEGIN IMMEDIATE; \
     INSERT INTO usage_daily AS u (day, key_id, tenant, user_name, provider, model, outcome, requests, prompt_tokens, \
     completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, cost_nano_usd, cost_unknown, \
     charged_requests, charged_tokens, charged_nano_usd) \
     SELECT started_ms / 86400000, COALESCE(key_id, ''), tenant, user_name, '', '', 'interrupted', COUNT(*), \
     0, 0, 0, 0, 0, 0, 0, COUNT(*), SUM(reserved_requests), ",
    sum!("reserved_tokens"),
    ", ",
    sum!("reserved_nano_usd"),
    " FROM ledger WHERE outcome IS NULL GROUP BY 1, 2, 3, 4 \
     ON CONFLICT (day, key_id, tenant, user_name, provider, model, outcome) DO UPDATE SET \
     requests = u.requests + excluded.requests, cost_unknown = u.cost_unknown + excluded.cost_unknown, \
     charged_requests = u.charged_requests + excluded.charged_requests, \
     charged_tokens = MIN(u.charged_tokens + excluded.charged_tokens, 4611686018427387904), \
     charged_nano_usd = MIN(u.charged_nano_usd + excluded.charged_nano_usd, 4611686018427387904); \
     UPDATE ledger SET outcome = 'interrupted', attempts = 0, prompt_tokens = 0, completion_tokens = 0, \
     cached_tokens = 0, cache_write_tokens = 0, reasoning_tokens = 0, tokens_estimated = 0, \
     charged_requests = reserved_requests, charged_tokens = reserved_tokens, charged_nano_usd = reserved_nano_usd \
     WHERE outcome IS NULL; COMMIT"
);

/// After so many transactions the log is emptied, which waits for the disk twice: it has some 25 megabytes then.
const TRANSACTIONS: u32 = 4_000;

/// Openings that follow each other more quickly, on the average, are many.
const FEW: Duration = Duration::from_micros(200);

/// A pause between two openings counts as no more, so that a few after a rest show how things are.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// An opening that took longer was held up by the disk.
const SLOW: Duration = Duration::from_millis(5);

/// How long nobody writes himself after that.
const PATIENT: Duration = Duration::from_secs(1);

/// Writes on a connection that it keeps. Copies share it.
#[derive(Clone)]
pub(super) struct SqliteBatch {
    shared: Arc<Mutex<Shared>>,
    pace: Arc<Mutex<Pace>>,
}

struct Shared {
    database: Arc<Database>,
    connection: Option<Connection>,
    /// Since the log was emptied.
    transactions: u32,
    /// Until then only the task writes.
    patient_until: Option<Instant>,
}

impl SqliteBatch {
    pub(super) fn new(database: Arc<Database>) -> Self {
        let shared = Shared { database, connection: None, transactions: 0, patient_until: None };
        Self { shared: Arc::new(Mutex::new(shared)), pace: Arc::default() }
    }

    /// Interrupts all that is open: to be called before anything is opened, when nobody else serves the file. How many
    /// rows there were. Holds its thread up.
    pub(super) fn interrupt_all(&self) -> Result<u64, StoreError> {
        let interrupted = self.shared().on_connection(|connection| {
            let open = "SELECT COUNT(*) FROM ledger WHERE outcome IS NULL";
            let open: i64 = connection.query_row(open, [], |row| row.get(0))?;
            if open > 0 {
                connection.execute_batch(INTERRUPT)?;
            }
            Ok(open.unsigned_abs())
        });
        interrupted.map_err(write_error)
    }

    /// Writes an opening at once if that holds nobody up. `None`: it is not written, and is the task's.
    pub(super) fn open_at_once(&self, entry: &LedgerEntry) -> Option<Opened> {
        let begun = Instant::now();
        if self.pace.lock().unwrap_or_else(PoisonError::into_inner).opening(begun) < FEW {
            return None;
        }
        let mut shared = match self.shared.try_lock() {
            Ok(shared) => shared,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if shared.patient_until.is_some_and(|until| begun < until) {
            return None;
        }
        let connection = shared.connection.as_ref()?;
        let opened = connection.busy_timeout(Duration::ZERO).and_then(|()| open(connection, entry));
        // What fails here is told of the task, which tries again.
        shared.database.watch().shared(WRITE, None, begun.elapsed());
        shared.transactions += 1;
        if begun.elapsed() > SLOW {
            shared.patient_until = Some(begun + PATIENT);
        }
        // Whatever went wrong, a statement that fails leaves nothing. The task will find out whether it lasts.
        opened.ok()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A connection that a panic left in mid-transaction is not kept.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How quickly openings follow each other.
struct Pace {
    last: Option<Instant>,
    /// The average pause, in which the last ones weigh most.
    average: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { last: None, average: LONGEST_PAUSE }
    }
}

impl Pace {
    /// Another one, now; the average pause with it.
    fn opening(&mut self, now: Instant) -> Duration {
        if let Some(last) = self.last.replace(now) {
            self.average = (7 * self.average + now.saturating_duration_since(last).min(LONGEST_PAUSE)) / 8;
        }
        self.average
    }
}

impl Shared {
    /// Does `work`, of which nothing is left undone but what an error leaves of a transaction.
    fn on_connection<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.writing_connection()?,
        };
        connection.busy_timeout(self.database.timeout())?;
        let done = work(&connection);
        // Some errors end the transaction by themselves; with others it is still there. A connection on which it cannot be
        // ended is closed, which ends it too.
        if connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok() {
            self.connection = Some(connection);
        }
        done
    }
}

#[async_trait]
impl Batch for SqliteBatch {
    const RIDES: bool = false;

    /// Whoever is about to open another goes first.
    fn gather(&mut self) {
        std::thread::yield_now();
    }

    async fn write(&mut self, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>, StoreError> {
        let mut shared = self.shared();
        let begun = Instant::now();
        let written = shared.on_connection(|connection| write(connection, opens, settlements)).map_err(write_error);
        shared.database.watch().shared(WRITE, written.as_ref().err(), begun.elapsed());
        shared.transactions += 1;
        if shared.transactions >= TRANSACTIONS {
            shared.transactions = 0;
            // What readers or a busy disk keep from being done is done the next time.
            let emptied = shared.on_connection(|connection| connection.query_row(EMPTY_LOG, [], |_| Ok(())));
            if let Err(error) = emptied {
                tracing::debug!(error = &error as &dyn std::error::Error, "the write-ahead log is not emptied yet");
            }
        }
        written
    }
}

fn write(connection: &Connection, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>> {
    // One statement is a transaction of its own.
    if let ([entry], []) = (opens, settlements) {
        return Ok(vec![open(connection, entry)?]);
    }
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let opened = opens.iter().map(|entry| open(connection, entry)).collect::<Result<_>>()?;
    let mut sums = DailySums::default();
    for settlement in settlements {
        if settle(connection, settlement, &mut sums)?
            && let Some(turn) = &settlement.turn
        {
            append(connection, settlement.request_id, turn)?;
        }
    }
    sums.write(connection)?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(opened)
}

fn open(connection: &Connection, entry: &LedgerEntry) -> Result<Opened> {
    let inserted = connection.prepare_cached(OPEN)?.execute(params![
        entry.request_id.as_bytes(),
        entry.opening.0,
        integer(entry.started_ms),
        entry.api.path(),
        entry.stream,
        entry.owner.tenant,
        entry.owner.user,
        entry.key_id,
        entry.model_asked,
        entry.trace_id,
        entry.conversation_id,
        amount(entry.reserved.requests),
        amount(entry.reserved.tokens),
        amount(entry.reserved.nano_usd),
    ])?;
    Ok(if inserted == 1 { Opened::New } else { Opened::Claimed })
}
