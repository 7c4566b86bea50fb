//! Compares everything that is kept with the model.

use http::Method;
use serde_json::Value;
use sqlx::{ConnectOptions as _, Row as _, sqlite::SqliteConnectOptions};

use super::{
    World,
    book::{Row, Settled},
    product::{self, Product},
};
use crate::ports::{Amounts, Owner, Quota, Subject, UsageBy, UsageQuery};

/// The ledger as it stands in the file.
async fn rows(folder: &tempfile::TempDir) -> Vec<Row> {
    let options = SqliteConnectOptions::new().filename(product::file(folder)).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let sql = "SELECT *, lower(hex(request_id)) AS id FROM ledger";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    let row = |row: &sqlx::sqlite::SqliteRow| {
        let number = |name: &str| row.get::<i64, _>(name).cast_unsigned();
        let text = |name: &str| row.get::<Option<String>, _>(name);
        let amounts = |kind: &str| Amounts {
            requests: number(&format!("{kind}_requests")),
            tokens: number(&format!("{kind}_tokens")),
            nano_usd: number(&format!("{kind}_nano_usd")),
        };
        let settled = text("outcome").map(|outcome| Settled {
            outcome,
            target: text("provider").zip(text("model")).map(|(provider, model)| format!("{provider}/{model}")),
            attempts: number("attempts"),
            prompt: number("prompt_tokens"),
            completion: number("completion_tokens"),
            cached: number("cached_tokens"),
            estimated: number("tokens_estimated") == 1,
            cost: row.get::<Option<i64>, _>("cost_nano_usd").map(i64::cast_unsigned),
            charged: amounts("charged"),
            error_code: text("error_code"),
        });
        Row {
            request_id: row.get("id"),
            started_ms: number("started_ms"),
            stream: number("stream") == 1,
            owner: Owner { tenant: row.get("tenant"), user: row.get("user_name") },
            key_id: row.get("key_id"),
            model_asked: row.get("model_asked"),
            conversation_id: text("conversation_id"),
            reserved: amounts("reserved"),
            settled,
        }
    };
    rows.iter().map(row).collect()
}

impl World {
    /// Everything: the ledger row by row, sums of use, what limits would begin with, and all conversations.
    pub(super) async fn check_all(&self, product: &Product) {
        product.flush().await;
        let (mut kept, mut expected) = (rows(&self.folder).await, self.book.0.clone());
        kept.sort_by(|one, other| one.request_id.cmp(&other.request_id));
        expected.sort_by(|one, other| one.request_id.cmp(&other.request_id));
        assert_eq!(kept.len(), expected.len(), "as many rows as requests that were taken");
        for (kept, expected) in kept.iter().zip(&expected) {
            assert_eq!(kept, expected, "a row of the ledger");
        }
        for by in [UsageBy::Key, UsageBy::User, UsageBy::Tenant, UsageBy::Model, UsageBy::Day] {
            let query = UsageQuery { from_day: 0, to_day: 99_999, by, key_id: None, user: None, tenant: None };
            assert_eq!(product.stores.ledger.usage(&query).await.unwrap(), self.book.usage(by), "use by {by:?}");
        }
        for holder in &self.holders {
            let subjects = [
                Subject::Key(holder.key_id.clone()),
                Subject::User(holder.owner.clone()),
                Subject::Tenant(holder.owner.tenant.clone()),
            ];
            for (subject, quota) in subjects.iter().flat_map(|subject| Quota::ALL.map(|quota| (subject, quota))) {
                let charged = product.stores.ledger.charged(subject, quota, self.now_ms()).await.unwrap();
                let expected = self.book.charged(holder, subject.level(), quota, self.now_ms());
                assert_eq!(charged, expected, "{quota:?} of {subject:?}");
            }
        }
        self.check_conversations(product).await;
    }

    async fn check_conversations(&self, product: &Product) {
        for (place, holder) in self.holders.iter().enumerate().filter(|(_, holder)| !holder.revoked) {
            let mut expected: Vec<_> = self.talks.iter().filter(|talk| talk.owner == holder.owner).collect();
            expected.sort_by(|one, other| (other.updated_ms, &other.id).cmp(&(one.updated_ms, &one.id)));
            let views: Vec<Value> = expected.iter().map(|talk| talk.view()).collect();
            assert_eq!(self.pages(product, place, "/v1/conversations").await, views, "of {:?}", holder.owner);
            for talk in expected {
                let path = format!("/v1/conversations/{}/turns", talk.id);
                assert_eq!(self.pages(product, place, &path).await, talk.turn_views(), "{path}");
            }
        }
    }

    /// A list, page by page.
    async fn pages(&self, product: &Product, holder: usize, path: &str) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("{path}?limit=3{after}");
            let (status, page) = self.ask(product, holder, Method::GET, &path, "").await;
            assert_eq!(status, 200, "{page}");
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }
}
