//! What the backends say of their providers: taken from their answers, and asked for where there are none.

use std::cell::RefCell;

use goblin_shared::request_id::RequestId;
use wasm_bindgen_futures::JsFuture;

use super::{Incoming, backend::text, console, entropy, now, runtime, unix_millis};
use crate::{
    config::EdgeConfig,
    forward::{BackendHead, health_head},
    freshness::Freshness,
    health::{HealthBook, Said},
    identify::Identity,
};

thread_local! {
    static BOOK: RefCell<HealthBook> = RefCell::default();
}

/// Looks into the book.
pub(crate) fn with_health<T>(look: impl FnOnce(&HealthBook) -> T) -> T {
    BOOK.with_borrow(look)
}

/// Takes down what an origin says.
pub(crate) fn note_health(config: &EdgeConfig, identity: &Identity, origin: usize, said: &Said) {
    let now = now();
    let noted =
        BOOK.with_borrow_mut(|book| book.note(origin, said, &config.signing_key, now, unix_millis(now) / 1_000));
    if let Err(why) = noted {
        console::error(identity, &why);
    }
}

impl Incoming {
    /// Asks an origin for its state after this answer, if what is known is not fresh. Nobody waits for it.
    pub(crate) fn refresh_health(&self, config: &EdgeConfig, identity: &Identity, origin: usize) {
        if !BOOK.with_borrow_mut(|book| book.is_to_ask(origin, config.health, now())) {
            return;
        }
        let (config, identity) = (config.clone(), identity.clone());
        self.afterwards(async move {
            let Some(asked) = config.origins.all().get(origin) else { return };
            let mut random = [0; 10];
            random.copy_from_slice(&entropy()[..10]);
            let millis = unix_millis(now());
            let head = health_head(&config, asked, RequestId::new(millis, &random), millis / 1_000);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a constant of five digits")]
            let patience = Freshness::PATIENCE_MS as u32;
            match JsFuture::from(runtime::probe(&head.url, &head.set_lines(), patience)).await {
                Ok(lines) => {
                    let head = BackendHead::from_lines(&lines.as_string().unwrap_or_default());
                    if head.status != 204 {
                        let (authority, status) = (asked.authority(), head.status);
                        console::error(&identity, &format!("{authority} does not tell its state: status {status}"));
                    }
                    note_health(&config, &identity, origin, &head.health);
                }
                // Requests will find out for themselves, and say so louder.
                Err(error) => {
                    let why = text(&error);
                    console::error(&identity, &format!("{} does not tell its state: {why}", asked.authority()));
                }
            }
        });
    }
}
