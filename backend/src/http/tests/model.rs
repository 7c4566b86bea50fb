//! The product against a model: random requests, faults of the provider, clients that leave, restarts in the midst of
//! answers and moves of the clock. What is told at once is compared at each step; everything that is kept, every so often
//! and after each restart.
//!
//! A run prints its seed; `GOBLIN_MODEL_SEED` repeats it, `GOBLIN_MODEL_STEPS` makes it longer or shorter.

mod asking;
mod book;
mod chance;
mod chats;
mod check;
mod product;
mod talks;
mod tariff;

use http::Method;
use serde_json::json;

use self::{
    book::{Book, Holder},
    chance::Chance,
    chats::Held,
    product::{Product, limit_set},
    talks::Talk,
};
use super::*;
use crate::{
    chat::LimitPolicy,
    identity::NewKey,
    ports::{Level, Owner, Scope, Scopes},
};

/// Steps of a run when nothing else is said.
const STEPS: u64 = 2_400;
/// How often everything is compared.
const CHECK_EVERY: u64 = 50;
/// Streams that are open at once.
const HELD: usize = 4;
const DAY: u64 = 86_400;

/// Limits of [`crate::ports::Quota::ALL`], in its order; of nobody.
const NONE: [Option<u64>; 4] = [None; 4];
/// Of the users `ann` and `carl`, and of the tenant `acme`.
const ANN: [Option<u64>; 4] = [None, Some(700), Some(3_000_000), None];
const CARL: [Option<u64>; 4] = [Some(4), None, Some(2_500_000), Some(9_000_000)];
const ACME: [Option<u64>; 4] = [Some(7), Some(900), None, Some(20_000_000)];

/// Tenant, user, limits of the key, of the user, of the tenant. Two keys are of one user, two users of one tenant.
type Person = (&'static str, &'static str, [Option<u64>; 4], [Option<u64>; 4], [Option<u64>; 4]);
const PEOPLE: [Person; 5] = [
    ("acme", "ann", [Some(4), Some(300), None, None], ANN, ACME),
    ("acme", "ann", NONE, ANN, ACME),
    ("acme", "bob", [None, None, Some(1_500_000), Some(8_000_000)], NONE, ACME),
    ("", "carl", NONE, CARL, NONE),
    ("beta", "dora", [Some(6), None, None, None], NONE, NONE),
];

fn policy() -> LimitPolicy {
    LimitPolicy {
        users: [("acme/ann", ANN), ("carl", CARL)].map(|(name, limits)| (name.to_owned(), limit_set(limits))).into(),
        tenants: [("acme".to_owned(), limit_set(ACME))].into(),
        ..LimitPolicy::default()
    }
}

/// The model, and what it takes to compare the product with it.
struct World {
    chance: Chance,
    folder: tempfile::TempDir,
    clock: Arc<ByHand>,
    administrator: String,
    holders: Vec<Holder>,
    book: Book,
    talks: Vec<Talk>,
    held: Vec<Held>,
    /// How often what happened.
    happened: BTreeMap<String, u64>,
    steps: u64,
}

#[test]
fn the_product_does_what_the_model_says() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let mut fresh = [0; 8];
    getrandom::fill(&mut fresh).unwrap();
    let seed = number("GOBLIN_MODEL_SEED").unwrap_or(u64::from_le_bytes(fresh));
    let steps = number("GOBLIN_MODEL_STEPS").unwrap_or(STEPS);
    println!("GOBLIN_MODEL_SEED={seed} GOBLIN_MODEL_STEPS={steps}");
    let mut world = World::new(seed);
    while world.steps < steps {
        // Each life has a runtime of its own, which takes every task with it as the death of the program does.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(world.live(steps));
        drop(runtime);
        world.held.clear();
        world.book.interrupt();
    }
    // The last death too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { world.check_all(&world.start().await).await });
    println!("{:?}", world.happened);
    if steps >= STEPS {
        for what in [
            "completed",
            "failed",
            "cancelled",
            "interrupted",
            "rate_limit_exceeded",
            "budget_exceeded",
            "price_unknown",
            "invalid_api_key",
            "conversation_not_found",
            "turns left out",
            "calls of unknown cost",
        ] {
            assert!(world.happened.contains_key(what), "the run never came to: {what}");
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ByHand(NOW.into())),
            administrator: String::new(),
            holders: Vec::new(),
            book: Book::default(),
            talks: Vec::new(),
            held: Vec::new(),
            happened: BTreeMap::new(),
            steps: 0,
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.unix_millis()
    }

    fn tell(&mut self, what: &str) {
        *self.happened.entry(what.to_owned()).or_default() += 1;
    }

    async fn start(&self) -> Product {
        Product::start(&self.folder, &self.clock, policy()).await
    }

    /// From a start of the product to its death, or to the end of the run.
    async fn live(&mut self, steps: u64) {
        let product = self.start().await;
        if self.holders.is_empty() {
            let wish = NewKey { scopes: Scopes::NONE.with(Scope::Admin), ..NewKey::default() };
            self.administrator = product.office.create(wish).await.unwrap().key.expose().to_owned();
            for person in PEOPLE {
                let holder = issue(&product, person).await;
                self.holders.push(holder);
            }
        }
        self.check_all(&product).await;
        while self.steps < steps {
            self.steps += 1;
            if self.held.len() >= HELD {
                self.go_on().await;
            }
            match self.chance.below(1_000) {
                0..480 => self.send_chat(&product).await,
                480..730 => self.go_on().await,
                730..840 => self.converse(&product).await,
                840..950 => self.move_clock(&product).await,
                950..988 => self.change_key(&product).await,
                _ => {
                    // What is settled is written; what is open is not going to be.
                    product.flush().await;
                    (0..self.held.len()).for_each(|_| self.tell("interrupted"));
                    self.tell("restarts");
                    product.die();
                    return;
                }
            }
            if self.steps.is_multiple_of(CHECK_EVERY) {
                self.check_all(&product).await;
            }
        }
        product.flush().await;
        product.die();
    }

    async fn move_clock(&mut self, product: &Product) {
        // What windows begin with must be settled: until it is, they would begin too high.
        product.flush().await;
        let now = self.clock.unix_seconds();
        let to = match self.chance.below(20) {
            0..12 => now + self.chance.below(10),
            12..15 => now + 60 + self.chance.below(300),
            // To the last second of a day, which is that of a month now and then.
            15 => now / DAY * DAY + DAY - 1,
            16 => now + 1,
            17 => now + 3_600 * self.chance.below(5),
            18 => now + DAY * self.chance.below(3),
            _ => now + DAY * self.chance.below(12),
        };
        self.clock.0.store(to, Ordering::Relaxed);
    }

    /// One of somebody's secrets, and whether it counts now.
    fn credential(&mut self, holder: usize) -> (String, bool) {
        let Holder { secrets, revoked, .. } = &self.holders[holder];
        let last = secrets.len() - 1;
        let place = if self.chance.percent(85) { last } else { self.chance.place(secrets.len()) };
        let (secret, until) = &secrets[place];
        (secret.clone(), !revoked && until.is_none_or(|until| self.now_ms() < until))
    }

    /// Rotates or revokes a key; who has none that counts any more gets another.
    async fn change_key(&mut self, product: &Product) {
        let revoked = self.holders.iter().position(|holder| holder.revoked).filter(|_| self.chance.percent(80));
        let place = revoked.unwrap_or_else(|| self.chance.place(self.holders.len()));
        if self.holders[place].revoked {
            self.holders[place] = issue(product, PEOPLE[place]).await;
            return;
        }
        let path = format!("/admin/keys/{}", self.holders[place].key_id);
        let revoke = self.chance.percent(30);
        let overlap = self.chance.one(&[0, 30, 600]);
        let request = if revoke {
            Request::delete(path).body(Body::empty()).unwrap()
        } else {
            let body = json!({ "overlap_seconds": overlap }).to_string();
            let request = Request::post(format!("{path}/rotate")).header("content-type", "application/json");
            request.body(Body::from(body)).unwrap()
        };
        let request = access::with_key(request, &self.administrator);
        let response = product.operations.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let told: Value = serde_json::from_str(&body(response).await).unwrap();
        let until = self.now_ms() + overlap * 1_000;
        let holder = &mut self.holders[place];
        if revoke {
            holder.revoked = true;
        } else {
            // Of those before the last one none counts any more.
            let last = holder.secrets.len() - 1;
            holder.secrets[..last].iter_mut().for_each(|(_, until)| *until = Some(0));
            holder.secrets[last].1 = Some(until);
            holder.secrets.push((told["key"].as_str().unwrap().to_owned(), None));
        }
        self.tell(if revoke { "revocations" } else { "rotations" });
    }

    /// Asks with somebody's current key. Status, and what is told, if anything is.
    async fn ask(&self, product: &Product, holder: usize, method: Method, path: &str, text: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let secret = &self.holders[holder].secrets.last().unwrap().0;
        let request = access::with_key(request.body(Body::from(text.to_owned())).unwrap(), secret);
        let response = product.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&body(response).await).unwrap_or_default())
    }

    /// Makes, renames, reads or deletes a conversation, one's own or not; or the old ones expire.
    async fn converse(&mut self, product: &Product) {
        let holder = self.chance.place(self.holders.len());
        let (owner, now) = (self.holders[holder].owner.clone(), self.now_ms());
        if self.holders[holder].revoked {
            let told = self.ask(product, holder, Method::GET, "/v1/conversations", "").await;
            assert_eq!((told.0, &told.1["error"]["code"]), (401, &json!("invalid_api_key")));
            return;
        }
        let what = self.chance.below(100);
        if what < 40 || self.talks.is_empty() {
            let title = self.chance.percent(50).then(|| "T".to_owned() + &self.chance.text(9) + "t");
            let instructions = self.chance.percent(40).then(|| "I".to_owned() + &self.chance.text(60) + "i");
            let body = json!({ "title": title, "instructions": instructions }).to_string();
            let (status, told) = self.ask(product, holder, Method::POST, "/v1/conversations", &body).await;
            assert_eq!(status, 201, "{told}");
            let id = told["id"].as_str().unwrap().to_owned();
            let talk = Talk { id, owner, title, instructions, created_ms: now, updated_ms: now, turns: Vec::new() };
            assert_eq!(told, talk.view());
            self.talks.push(talk);
            return;
        }
        if what < 43 {
            let before = now.saturating_sub(10 * DAY * 1_000);
            let expired = product.stores.conversations.expire(before, 1_000).await.unwrap();
            let count = self.talks.len();
            self.talks.retain(|talk| talk.updated_ms >= before);
            assert_eq!(expired as usize, count - self.talks.len(), "conversations that expired");
            return;
        }
        let place = self.chance.place(self.talks.len());
        let path = format!("/v1/conversations/{}", self.talks[place].id);
        let is_own = self.talks[place].owner == owner;
        let title = self.chance.percent(70).then(|| "N".to_owned() + &self.chance.text(9) + "n");
        let (method, body, status) = match what {
            43..65 => (Method::PATCH, json!({ "title": title }).to_string(), 200),
            65..80 => (Method::GET, String::new(), 200),
            _ => (Method::DELETE, String::new(), 204),
        };
        let told = self.ask(product, holder, method.clone(), &path, &body).await;
        if !is_own {
            assert_eq!((told.0, &told.1["error"]["code"]), (404, &json!("conversation_not_found")));
            return;
        }
        assert_eq!(told.0, status, "{method} {}", told.1);
        if method == Method::DELETE {
            self.talks.remove(place);
            return;
        }
        if method == Method::PATCH {
            (self.talks[place].title, self.talks[place].updated_ms) = (title, now);
        }
        assert_eq!(told.1, self.talks[place].view());
    }
}

/// A key for one of the people.
async fn issue(product: &Product, (tenant, user, key, of_user, of_tenant): Person) -> Holder {
    let issued = product.office.create(NewKey {
        user: Some(user.to_owned()),
        tenant: (!tenant.is_empty()).then(|| tenant.to_owned()),
        scopes: Scopes::DEFAULT,
        limits: limit_set(key),
        ..NewKey::default()
    });
    let issued = issued.await.unwrap();
    Holder {
        owner: Owner { tenant: tenant.to_owned(), user: user.to_owned() },
        limits: [(Level::Key, key), (Level::User, of_user), (Level::Tenant, of_tenant)],
        key_id: issued.record.id,
        secrets: vec![(issued.key.expose().to_owned(), None)],
        revoked: false,
    }
}
