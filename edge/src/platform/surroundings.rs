//! What admission asks of others: Cloudflare's counter, the keys' objects, siteverify, agents' directories, `WebCrypto`.

use std::cell::RefCell;

use goblin_shared::rate_limit::Standing;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::Env;

use super::{backend::text, console, now, runtime, unix_millis};
use crate::{
    admit::{
        AgentOrigin, DIRECTORY_BYTES, DirectoryCache, KeyDirectory, KeyLimitConfig, KeyMemory, Look, Outside, Trapped,
        TurnstileConfig, Unavailable, directory_url, from_text,
    },
    identify::Identity,
};

thread_local! {
    static TRAPPED: RefCell<Trapped> = RefCell::default();
    static KEYS: RefCell<KeyMemory> = RefCell::default();
    static DIRECTORIES: RefCell<DirectoryCache> = RefCell::default();
}

/// How long an agent's directory may take to come, in milliseconds.
const DIRECTORY_PATIENCE_MS: u32 = 3_000;
/// Far more than siteverify ever answers.
const SITEVERIFY_BYTES: usize = 16 * 1024;

/// The surroundings of one request.
pub(crate) struct Surroundings<'a> {
    pub(super) env: &'a Env,
    pub(super) identity: &'a Identity,
    pub(super) key_limit: &'a KeyLimitConfig,
}

impl Outside for Surroundings<'_> {
    fn unix_millis(&self) -> u64 {
        unix_millis(now())
    }

    fn trap(&self, bucket: &str) {
        TRAPPED.with_borrow_mut(|trapped| trapped.remember(bucket, self.unix_millis() / 1_000));
    }

    fn is_trapped(&self, bucket: &str) -> bool {
        TRAPPED.with_borrow(|trapped| trapped.knows(bucket, self.unix_millis() / 1_000))
    }

    async fn address_allows(&self, bucket: &str) -> Result<bool, Unavailable> {
        Ok(settled(runtime::address_allows(self.env.as_ref(), bucket)).await?.is_truthy())
    }

    async fn agent_key(&self, agent: &AgentOrigin, key_id: &str) -> Result<Option<[u8; 32]>, Unavailable> {
        let name = agent.to_string();
        let seconds = self.unix_millis() / 1_000;
        match DIRECTORIES.with_borrow(|directories| directories.look(&name, key_id, seconds)) {
            Look::Key(key) => return Ok(Some(key)),
            Look::NoSuchKey => return Ok(None),
            Look::Unreachable => return Err(Unavailable(format!("the directory of {name} failed a moment ago"))),
            Look::Fetch => {}
        }
        let fetched = fetch_directory(agent, seconds).await;
        let why = fetched.as_ref().err().map(|why| format!("the directory of {name}: {why}"));
        DIRECTORIES.with_borrow_mut(|directories| directories.store(&name, fetched.ok(), seconds));
        match DIRECTORIES.with_borrow(|directories| directories.look(&name, key_id, seconds)) {
            Look::Key(key) => Ok(Some(key)),
            _ => why.map_or(Ok(None), |why| Err(Unavailable(why))),
        }
    }

    async fn verifies(&self, key: &[u8; 32], message: &str, signature: &[u8]) -> Result<bool, Unavailable> {
        Ok(settled(runtime::verifies(key, message, signature)).await?.is_truthy())
    }

    async fn siteverify(&self, config: &TurnstileConfig, question: String) -> Result<Vec<u8>, Unavailable> {
        let TurnstileConfig { siteverify_url, timeout_ms, .. } = config;
        let answer = ask(siteverify_url, "application/json", Some(question), *timeout_ms, SITEVERIFY_BYTES);
        let Answer { status, body, .. } = answer.await?;
        // Refused tokens come with 200, refused questions with 4xx; both say why.
        if status < 500 { Ok(body) } else { Err(Unavailable(format!("siteverify answered {status}"))) }
    }

    async fn take(&self, key_id: &str) -> Result<Standing, Unavailable> {
        if let Some(refused) = KEYS.with_borrow(|keys| keys.refused(key_id, self.unix_millis() * 1_000)) {
            return Ok(refused);
        }
        let said = settled(runtime::take_of_key(self.env.as_ref(), key_id, self.key_limit.timeout_ms)).await?;
        if said.is_undefined() {
            return Err(Unavailable("the key's object did not answer in time".to_owned()));
        }
        let said = said.as_string().unwrap_or_default();
        let Some(standing) = from_text(&said) else {
            return Err(Unavailable(format!("the key's object did not answer as it should: {said}")));
        };
        KEYS.with_borrow_mut(|keys| keys.note(key_id, &standing, self.unix_millis() * 1_000));
        Ok(standing)
    }

    fn take_alone(&self, key_id: &str) -> Standing {
        let now = self.unix_millis() * 1_000;
        KEYS.with_borrow_mut(|keys| keys.take_alone(key_id, &self.key_limit.policy, now))
    }

    fn log(&self, message: &str) {
        console::error(self.identity, message);
    }
}

struct Answer {
    status: u16,
    content_type: Option<String>,
    cache_control: Option<String>,
    body: Vec<u8>,
}

async fn ask(
    url: &str,
    accept: &str,
    body: Option<String>,
    patience_ms: u32,
    limit: usize,
) -> Result<Answer, Unavailable> {
    let parts: Array = settled(runtime::ask(url, accept, body, patience_ms, limit)).await?.unchecked_into();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "statuses are three digits")]
    let status = parts.get(0).as_f64().unwrap_or_default() as u16;
    Ok(Answer {
        status,
        content_type: parts.get(1).as_string(),
        cache_control: parts.get(2).as_string(),
        body: parts.get(3).unchecked_into::<Uint8Array>().to_vec(),
    })
}

async fn fetch_directory(agent: &AgentOrigin, unix_seconds: u64) -> Result<KeyDirectory, String> {
    let accept = "application/http-message-signatures-directory+json, application/json;q=0.5";
    let url = directory_url(agent);
    let answer = ask(&url, accept, None, DIRECTORY_PATIENCE_MS, DIRECTORY_BYTES);
    let Answer { status, content_type, cache_control, body } = answer.await.map_err(|why| why.0)?;
    if status != 200 {
        return Err(format!("it answered {status}"));
    }
    KeyDirectory::parse(&body, content_type.as_deref(), cache_control.as_deref(), unix_seconds)
        .map_err(|error| error.to_string())
}

async fn settled(promise: js_sys::Promise) -> Result<JsValue, Unavailable> {
    JsFuture::from(promise).await.map_err(|error| Unavailable(text(&error)))
}
