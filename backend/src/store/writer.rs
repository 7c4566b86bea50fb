//! Group commit: one task writes everything, and what waits when it is free goes into one transaction.
//!
//! An opening is written at once, with all that waits. Settlements alone wait a moment, so that at one connection that of
//! a request rides in the transaction of the next one's opening. Settlements are kept until the store takes them; there
//! are never more than requests in flight, as no new ones are opened meanwhile.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use goblin_shared::request_id::RequestId;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    monitoring::{self, tracing::Origin},
    ports::{
        Amounts, Cause, LedgerEntry, LedgerOutcome, NotOpened, OpeningId, Settlement, StoreError, TokenCounts, Written,
    },
};

#[cfg(test)]
mod tests;

/// How long settlements wait for an opening.
const LINGER: Duration = Duration::from_millis(5);

/// Most rows of a transaction: more would make the first of them wait.
const ROWS: usize = 256;

/// First and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What became of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is in the ledger now.
    New,
    /// Its id was there already.
    Claimed,
}

/// A ledger that writes several rows at once.
#[async_trait]
pub(crate) trait Batch: Send {
    /// Settlements ride with whatever opening comes: right where a transaction costs more than its rows. Otherwise they come
    /// together for a moment even while openings are written.
    const RIDES: bool = true;

    /// Called once before a transaction with openings, when no more of them wait, for a batch that lets others run then.
    fn gather(&mut self) {}

    /// Writes all or nothing, in one transaction: inserts what is new, then settles what is open (and leaves alone what is
    /// not, or is not there). What became of each opening. After an error everything may be given again.
    async fn write(&mut self, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>, StoreError>;
}

/// A row, and the try that opened it.
type Row = (RequestId, OpeningId);

/// To who waits for an opening.
type Reply = oneshot::Sender<Result<(), NotOpened>>;

struct Open {
    entry: LedgerEntry,
    reply: Reply,
    until: Instant,
}

enum Wish {
    Open(Box<Open>),
    /// It is open, and nobody will settle it.
    Abandon(Row),
}

/// The way to the task that writes. The task ends when all copies are dropped and everything is written.
#[derive(Clone)]
pub(crate) struct Writer {
    wishes: mpsc::UnboundedSender<Wish>,
    /// Apart, so that a task that waits for an opening is not woken by each of them.
    settlements: mpsc::UnboundedSender<Kept>,
    settling: Arc<Settling>,
    timeout: Duration,
}

/// Somebody who waits for an opening. Who leaves in the moment in which it succeeds never hears of it, and the task that
/// writes takes it for heard: then it is given back here.
struct Waiting<'a> {
    replied: oneshot::Receiver<Result<(), NotOpened>>,
    row: Row,
    wishes: &'a mpsc::UnboundedSender<Wish>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // From here on the other side knows that nobody waits. What it said before and was heard is not there any more.
        self.replied.close();
        if let Ok(Ok(())) = self.replied.try_recv() {
            // Fails only when the program ends, and then it is interrupted.
            let _ = self.wishes.send(Wish::Abandon(self.row));
        }
    }
}

/// Settlements that are not written yet.
#[derive(Default)]
struct Settling {
    count: AtomicUsize,
    none_left: Notify,
}

impl Settling {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn remove(&self, count: usize) {
        if count > 0 && self.count.fetch_sub(count, Ordering::AcqRel) == count {
            self.none_left.notify_waiters();
        }
    }
}

impl Writer {
    /// Starts the task, on the current runtime. `timeout` bounds an opening.
    pub(crate) fn start(batch: impl Batch + 'static, timeout: Duration) -> Self {
        let (writer, task) = Self::with(batch, timeout);
        tokio::spawn(task.run());
        writer
    }

    /// Starts it on a thread of its own, for a batch that holds its thread up. An error: there is no thread for it.
    pub(crate) fn start_on_thread(batch: impl Batch + 'static, timeout: Duration) -> io::Result<Self> {
        let (writer, task) = Self::with(batch, timeout);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("ledger".to_owned()).spawn(move || runtime.block_on(task.run()))?;
        Ok(writer)
    }

    fn with<B: Batch + 'static>(batch: B, timeout: Duration) -> (Self, Task<B>) {
        // Not bounded here: openings are by the requests that may be in flight, and each has one settlement.
        let (wishes, received) = mpsc::unbounded_channel();
        let (settlements, settled) = mpsc::unbounded_channel();
        let settling = Arc::new(Settling::default());
        let task = Task {
            batch,
            wishes: received,
            settlements: settled,
            settling: settling.clone(),
            kept: Vec::new(),
            taken: Instant::now(),
            pause: PAUSES.0,
        };
        (Self { wishes, settlements, settling, timeout }, task)
    }

    /// See [`crate::ports::Ledger::open`].
    pub(crate) async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened> {
        let (reply, replied) = oneshot::channel();
        let until = Instant::now() + self.timeout;
        let gone = || NotOpened::Store(StoreError::Unavailable("the task that writes is gone".into()));
        let mut waiting = Waiting { replied, row: (entry.request_id, entry.opening), wishes: &self.wishes };
        self.wishes.send(Wish::Open(Box::new(Open { entry, reply, until }))).map_err(|_| gone())?;
        match timeout_at(until, &mut waiting.replied).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(NotOpened::Store(StoreError::Unavailable(
                format!("nothing was written within {:?}", self.timeout).into(),
            ))),
        }
    }

    /// See [`crate::ports::Ledger::settle`].
    pub(crate) fn settle(&self, settlement: Settlement) -> Written {
        let (written, told) = oneshot::channel();
        self.settling.add();
        if self.settlements.send(Kept { settlement, written: Some(written), origin: Origin::current() }).is_err() {
            self.settling.remove(1);
            tracing::error!("a settlement is lost: the task that writes is gone");
        }
        told
    }

    /// See [`crate::ports::Ledger::flush`].
    pub(crate) async fn flush(&self, bound: Duration) -> usize {
        let all = async {
            loop {
                let notified = self.settling.none_left.notified();
                if self.settling.count.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        // What is left is counted below.
        let _ = timeout(bound, all).await;
        self.settling.count.load(Ordering::Acquire)
    }
}

/// A settlement that waits, and who wants to know; nobody where the task settles by itself.
struct Kept {
    settlement: Settlement,
    written: Option<oneshot::Sender<()>>,
    /// Whose it is.
    origin: Origin,
}

struct Task<B> {
    batch: B,
    wishes: mpsc::UnboundedReceiver<Wish>,
    settlements: mpsc::UnboundedReceiver<Kept>,
    settling: Arc<Settling>,
    kept: Vec<Kept>,
    /// When settlements were taken last.
    taken: Instant,
    /// After the next failure.
    pause: Duration,
}

impl<B: Batch> Task<B> {
    async fn run(mut self) {
        let mut opens = Vec::new();
        loop {
            let open = self.gather(&mut opens).await;
            if opens.is_empty() && self.kept.is_empty() {
                if open {
                    continue;
                }
                return;
            }
            let succeeded = self.write(std::mem::take(&mut opens)).await;
            if succeeded {
                self.pause = PAUSES.0;
            } else if !self.kept.is_empty() {
                self.rest(&mut opens).await;
            }
        }
    }

    /// Waits for something to write, and takes all there is. `false`: nobody can wish for anything any more.
    async fn gather(&mut self, opens: &mut Vec<Open>) -> bool {
        let mut is_open = true;
        if self.kept.is_empty() && opens.is_empty() {
            tokio::select! {
                biased;
                wish = self.wishes.recv() => match wish {
                    Some(wish) => self.take(wish, opens),
                    None => is_open = false,
                },
                Some(settlement) = self.settlements.recv() => self.kept.push(settlement),
            }
        }
        let until = Instant::now() + LINGER;
        let mut is_gathered = false;
        loop {
            if B::RIDES || opens.is_empty() || self.taken.elapsed() >= LINGER {
                self.take_settlements(opens.len());
            }
            match self.wishes.try_recv() {
                Ok(wish) => {
                    self.take(wish, opens);
                    if opens.len() + self.kept.len() >= ROWS {
                        return is_open;
                    }
                }
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
                Err(mpsc::error::TryRecvError::Empty) if !opens.is_empty() => {
                    if std::mem::replace(&mut is_gathered, true) {
                        return is_open;
                    }
                    self.batch.gather();
                }
                Err(mpsc::error::TryRecvError::Empty) => match timeout_at(until, self.wishes.recv()).await {
                    Ok(Some(wish)) => self.take(wish, opens),
                    Ok(None) => is_open = false,
                    Err(_) => {
                        self.take_settlements(0);
                        return is_open;
                    }
                },
            }
        }
    }

    /// Takes as many as have room in a transaction beside so many openings.
    fn take_settlements(&mut self, opens: usize) {
        self.taken = Instant::now();
        while opens + self.kept.len() < ROWS
            && let Ok(settlement) = self.settlements.try_recv()
        {
            self.kept.push(settlement);
        }
    }

    fn take(&mut self, wish: Wish, opens: &mut Vec<Open>) {
        match wish {
            Wish::Open(open) => opens.push(*open),
            Wish::Abandon(row) => self.keep_abandoned(row, LedgerOutcome::Cancelled),
        }
    }

    /// One transaction. Whether it succeeded.
    async fn write(&mut self, mut opens: Vec<Open>) -> bool {
        let now = Instant::now();
        // Nobody waits for these, and nothing of them was written.
        opens.retain(|open| !open.reply.is_closed() && open.until > now);
        let rows = self.kept.len().min(ROWS);
        let settlements: Vec<Settlement> = self.kept[..rows].iter().map(|kept| kept.settlement.clone()).collect();
        let (entries, waiting): (Vec<_>, Vec<_>) = opens.into_iter().map(|open| (open.entry, open.reply)).unzip();
        if entries.is_empty() && settlements.is_empty() {
            return true;
        }
        let written = self.batch.write(&entries, &settlements).await;
        match &written {
            Ok(_) => self.written(rows),
            // One row that cannot be written must not keep all others from it.
            Err(StoreError::Refused(_)) if rows + entries.len() > 1 => {
                return self.write_one_by_one(entries, waiting, rows).await;
            }
            Err(error) => {
                let cause = monitoring::chain(error);
                tracing::error!(cause, opens = entries.len(), settlements = rows, "the ledger cannot be written");
            }
        }
        self.tell(&entries, waiting, &written);
        written.is_ok()
    }

    /// The same, each row in a transaction of its own. A settlement that is refused where others are taken would be refused
    /// for ever: less of it is written then, and in the end it is given up.
    async fn write_one_by_one(&mut self, entries: Vec<LedgerEntry>, waiting: Vec<Reply>, rows: usize) -> bool {
        let (mut taken, mut refused, mut unwritten) = (false, Vec::new(), Vec::new());
        for (entry, reply) in entries.into_iter().zip(waiting) {
            let written = self.batch.write(std::slice::from_ref(&entry), &[]).await;
            taken |= written.is_ok();
            self.tell(std::slice::from_ref(&entry), vec![reply], &written);
        }
        for kept in self.kept.drain(..rows).collect::<Vec<_>>() {
            match self.batch.write(&[], std::slice::from_ref(&kept.settlement)).await {
                Ok(_) => {
                    taken = true;
                    self.done(kept);
                }
                Err(StoreError::Refused(cause)) => refused.push((kept, cause)),
                Err(_) => unwritten.push(kept),
            }
        }
        let all = unwritten.is_empty() && (taken || refused.is_empty());
        for (kept, cause) in refused {
            if taken {
                self.write_less(kept, cause).await;
            } else {
                unwritten.push(kept);
            }
        }
        self.kept.append(&mut unwritten);
        all
    }

    /// Writes of a settlement that is refused what can be written of it: first without its turn, then that the request
    /// ended and what it is charged. Nobody is told that it is written.
    async fn write_less(&mut self, kept: Kept, mut cause: Cause) {
        let Settlement { request_id, opening, outcome, attempts, tokens, cost_nano_usd, charged, ref turn, .. } =
            kept.settlement;
        let without_turn = turn.is_some().then(|| Settlement { turn: None, ..kept.settlement.clone() });
        let bare = nothing_used(request_id, opening, outcome);
        let bare = Settlement { attempts, tokens, cost_nano_usd, charged, ..bare };
        let tell = |message: &'static str, cause: &Cause| {
            let cause = monitoring::chain(&**cause);
            kept.origin.tell("settle", Some(request_id), || tracing::error!(cause, "{message}"));
        };
        for less in without_turn.into_iter().chain([bare]) {
            match self.batch.write(&[], &[less]).await {
                Ok(_) => {
                    tell("a settlement is refused, and written in part", &cause);
                    self.settling.remove(usize::from(kept.written.is_some()));
                    return;
                }
                Err(StoreError::Refused(error)) => cause = error,
                // It may be written in part: nobody is to hear, when it is tried again, that it is written as a whole.
                Err(_) => {
                    let written = kept.written.map(|_| oneshot::channel().0);
                    self.kept.push(Kept { written, ..kept });
                    return;
                }
            }
        }
        tell("a settlement is refused, and lost", &cause);
        self.settling.remove(usize::from(kept.written.is_some()));
    }

    /// Answers those who wait for openings. Of what is written, or may be, and has nobody waiting, the task takes care.
    fn tell(&mut self, entries: &[LedgerEntry], waiting: Vec<Reply>, written: &Result<Vec<Opened>, StoreError>) {
        for (index, (entry, reply)) in entries.iter().zip(waiting).enumerate() {
            let (told, abandoned) = match written {
                Ok(opened) if opened.get(index) == Some(&Opened::New) => (Ok(()), None),
                Ok(_) => (Err(NotOpened::Claimed), None),
                // It may be there all the same.
                Err(error @ StoreError::Unavailable(_)) => {
                    (Err(NotOpened::Store(error.alike())), Some(LedgerOutcome::Failed))
                }
                Err(error) => (Err(NotOpened::Store(error.alike())), None),
            };
            let is_new = told.is_ok();
            let is_heard = reply.send(told).is_ok();
            if let Some(outcome) = abandoned.or((is_new && !is_heard).then_some(LedgerOutcome::Cancelled)) {
                self.keep_abandoned((entry.request_id, entry.opening), outcome);
            }
        }
    }

    /// It is written.
    fn done(&self, kept: Kept) {
        if let Some(written) = kept.written {
            self.settling.remove(1);
            let _ = written.send(());
        }
    }

    /// The first `rows` of what is kept are written.
    fn written(&mut self, rows: usize) {
        for kept in self.kept.drain(..rows).collect::<Vec<_>>() {
            self.done(kept);
        }
    }

    fn keep_abandoned(&mut self, (request_id, opening): Row, outcome: LedgerOutcome) {
        let settlement = nothing_used(request_id, opening, outcome);
        self.kept.push(Kept { settlement, written: None, origin: Origin::current() });
    }

    /// After a failure: new openings end the pause, as their callers do not wait for long.
    async fn rest(&mut self, opens: &mut Vec<Open>) {
        let until = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                wish = self.wishes.recv() => match wish {
                    Some(wish) => {
                        self.take(wish, opens);
                        if !opens.is_empty() {
                            return;
                        }
                    }
                    None => return sleep_until(until).await,
                },
            }
        }
    }
}

/// The settlement of a request that never began.
fn nothing_used(request_id: RequestId, opening: OpeningId, outcome: LedgerOutcome) -> Settlement {
    Settlement {
        request_id,
        opening,
        outcome,
        provider: None,
        model: None,
        attempts: 0,
        tokens: TokenCounts::default(),
        cost_nano_usd: Some(0),
        charged: Amounts::default(),
        duration_us: 0,
        first_content_us: None,
        error_code: None,
        turn: None,
    }
}
