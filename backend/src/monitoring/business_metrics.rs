//! What the figures of the business say: who uses it, what it costs, how providers compare, how conversations go.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Number, Value};

use super::{
    chain,
    metrics::{BusinessState, Metrics, ModelState},
};
use crate::ports::{ActiveUsers, Business, Clock, ConversationFigures, Figures, GroupKey, StoreError, day, usd};

/// How often the ledger is added up, and users are counted anew.
const EVERY: Duration = Duration::from_mins(1);

/// Days of which metrics tell, today included.
const DAYS: u32 = 30;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Analysis {
    /// Active users and stickiness.
    Users,
    /// Cost of requests.
    Cost,
    /// Providers and models side by side.
    Providers,
    /// Conversations.
    Conversations,
    /// Tokens.
    Tokens,
}

impl Analysis {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Users, Self::Cost, Self::Providers, Self::Conversations, Self::Tokens];

    /// As its path ends.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Cost => "cost",
            Self::Providers => "providers",
            Self::Conversations => "conversations",
            Self::Tokens => "tokens",
        }
    }

    /// Of days in UTC, both within, as they are at a moment.
    pub(crate) async fn ask(
        self,
        business: &dyn Business,
        days: (u32, u32),
        now_ms: u64,
    ) -> Result<Findings, StoreError> {
        let (from, to) = days;
        Ok(match self {
            Self::Users => users(&business.users(to).await?, &business.users_by_day(from, to).await?),
            Self::Cost => cost(&models(business.figures(from, to).await?)),
            Self::Providers => providers(&models(business.figures(from, to).await?)),
            Self::Tokens => tokens(&models(business.figures(from, to).await?)),
            Self::Conversations => conversations(&business.conversations(from, to, now_ms).await?),
        })
    }
}

/// What was found: a table, and what holds of it as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Findings {
    /// Of the whole.
    pub(crate) summary: Map<String, Value>,
    /// Names of the columns.
    pub(crate) columns: &'static [&'static str],
    /// As many values each.
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Findings {
    /// For programs. Money is decimal text, exact where it is a sum.
    pub(crate) fn json(&self, analysis: Analysis, days: (u32, u32)) -> Value {
        let named = |row: &Vec<Value>| {
            let members = self.columns.iter().map(|column| (*column).to_owned()).zip(row.iter().cloned());
            Value::Object(members.collect())
        };
        let mut object = Map::new();
        object.insert("object".to_owned(), "analytics".into());
        object.insert("figure".to_owned(), analysis.name().into());
        object.insert("from".to_owned(), day::written(days.0).into());
        object.insert("to".to_owned(), day::written(days.1).into());
        object.extend(self.summary.clone());
        object.insert("data".to_owned(), self.rows.iter().map(named).collect::<Vec<_>>().into());
        Value::Object(object)
    }
}

/// What was asked of one model, by how it ended.
type Models = BTreeMap<(String, String), BTreeMap<String, Figures>>;

/// Requests for which nobody was called are of no model.
fn models(groups: BTreeMap<GroupKey, Figures>) -> Models {
    let mut models = Models::new();
    for (GroupKey { provider, model, outcome }, figures) in groups {
        if !provider.is_empty() {
            models.entry((provider, model)).or_default().insert(outcome, figures);
        }
    }
    models
}

/// All outcomes together.
fn all(outcomes: &BTreeMap<String, Figures>) -> Figures {
    let mut all = Figures::default();
    for figures in outcomes.values() {
        all.merge(figures);
    }
    all
}

fn requests(outcomes: &BTreeMap<String, Figures>, outcome: &str) -> u64 {
    outcomes.get(outcome).map_or(0, |figures| figures.requests)
}

fn users(active: &ActiveUsers, days: &[(u32, u64)]) -> Findings {
    let summary = [
        ("daily", active.day.into()),
        ("weekly", active.week.into()),
        ("monthly", active.month.into()),
        ("stickiness", share(active.day, active.month)),
    ];
    Findings {
        summary: summary.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        columns: &["day", "users"],
        rows: days.iter().map(|(of_day, users)| vec![day::written(*of_day).into(), (*users).into()]).collect(),
    }
}

fn cost(models: &Models) -> Findings {
    let rows = models.iter().map(|((provider, model), outcomes)| {
        let all = all(outcomes);
        let known = all.costs.count();
        let mean = all.cost_nano_usd.checked_div(known).map_or(Value::Null, money);
        let quantile = |share| all.costs.quantile(share).map_or(Value::Null, money);
        vec![
            provider.clone().into(),
            model.clone().into(),
            all.requests.into(),
            money(all.cost_nano_usd),
            mean,
            quantile(0.5),
            quantile(0.95),
            all.cost_unknown.into(),
        ]
    });
    let total = models.values().map(|outcomes| all(outcomes).cost_nano_usd).sum();
    Findings {
        summary: Map::from_iter([("cost_usd".to_owned(), money(total))]),
        columns: &["provider", "model", "requests", "cost_usd", "mean_usd", "p50_usd", "p95_usd", "cost_unknown"],
        rows: rows.collect(),
    }
}

fn providers(models: &Models) -> Findings {
    let (mut requests_of_all, mut cost_of_all) = (0, 0);
    for outcomes in models.values() {
        let all = all(outcomes);
        requests_of_all += all.requests;
        cost_of_all += all.cost_nano_usd;
    }
    let rows = models.iter().map(|((provider, model), outcomes)| {
        let all = all(outcomes);
        let answered = outcomes.get("completed").cloned().unwrap_or_default();
        let (completed, failed) = (answered.requests, requests(outcomes, "failed"));
        let seconds = |micros: Option<u64>| micros.map_or(Value::Null, |micros| number(millionths(micros)));
        vec![
            provider.clone().into(),
            model.clone().into(),
            all.requests.into(),
            share(all.requests, requests_of_all),
            completed.into(),
            failed.into(),
            requests(outcomes, "cancelled").into(),
            share(failed, completed + failed),
            all.attempts.into(),
            seconds(answered.durations.quantile(0.5)),
            seconds(answered.durations.quantile(0.95)),
            seconds(answered.first_contents.quantile(0.5)),
            seconds(answered.first_contents.quantile(0.95)),
            money(all.cost_nano_usd),
            share(all.cost_nano_usd, cost_of_all),
        ]
    });
    Findings {
        summary: Map::from_iter([("requests".to_owned(), requests_of_all.into())]),
        columns: &[
            "provider",
            "model",
            "requests",
            "share",
            "completed",
            "failed",
            "cancelled",
            "error_rate",
            "calls",
            "p50_seconds",
            "p95_seconds",
            "first_content_p50_seconds",
            "first_content_p95_seconds",
            "cost_usd",
            "cost_share",
        ],
        rows: rows.collect(),
    }
}

fn tokens(models: &Models) -> Findings {
    let rows = models.iter().map(|((provider, model), outcomes)| {
        let all = all(outcomes);
        vec![
            provider.clone().into(),
            model.clone().into(),
            all.prompt_tokens.into(),
            all.completion_tokens.into(),
            all.cached_tokens.into(),
            all.reasoning_tokens.into(),
        ]
    });
    let sum = |of: fn(&Figures) -> u64| models.values().map(|outcomes| of(&all(outcomes))).sum::<u64>();
    Findings {
        summary: Map::from_iter([
            ("prompt_tokens".to_owned(), sum(|figures| figures.prompt_tokens).into()),
            ("completion_tokens".to_owned(), sum(|figures| figures.completion_tokens).into()),
        ]),
        columns: &["provider", "model", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"],
        rows: rows.collect(),
    }
}

fn conversations(figures: &ConversationFigures) -> Findings {
    let turns: u64 = figures.turns.iter().map(|(turns, count)| turns * count).sum();
    let summary = [
        ("started", figures.started.into()),
        ("mean_turns", share(turns, figures.started)),
        ("mean_length_seconds", ratio(figures.length_ms, figures.started).map_or(Value::Null, |ms| number(ms / 1e3))),
        ("abandoned", figures.abandoned.into()),
        ("abandonment_rate", share(figures.abandoned, figures.started)),
    ];
    Findings {
        summary: summary.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        columns: &["turns", "conversations"],
        rows: figures.turns.iter().map(|(turns, count)| vec![(*turns).into(), (*count).into()]).collect(),
    }
}

fn money(nano_usd: u64) -> Value {
    usd::written(nano_usd).into()
}

#[expect(clippy::cast_precision_loss, reason = "durations of requests are far below 2^53")]
fn millionths(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Nothing of nothing is no share.
fn share(part: u64, whole: u64) -> Value {
    ratio(part, whole).map_or(Value::Null, number)
}

#[expect(clippy::cast_precision_loss, reason = "what is counted is fewer than 2^53")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn number(number: f64) -> Value {
    // To the millionth, as nobody reads more.
    Number::from_f64((number * 1e6).round() / 1e6).map_or(Value::Null, Value::Number)
}

impl BusinessState {
    fn of(users: &ActiveUsers, conversations: &ConversationFigures, models: &Models) -> Self {
        let of_all = models.values().map(|outcomes| all(outcomes).requests).sum();
        let model = |((provider, model), outcomes): (&(String, String), &BTreeMap<String, Figures>)| {
            let all = all(outcomes);
            let usd = |nano: Option<u64>| nano.and_then(|nano| ratio(nano, 1)).map(|nano| nano / 1e9);
            ModelState {
                provider: provider.clone(),
                model: model.clone(),
                share: ratio(all.requests, of_all).unwrap_or_default(),
                costs: [
                    ("mean", ratio(all.cost_nano_usd, all.costs.count()).map(|nano| nano / 1e9)),
                    ("p50", usd(all.costs.quantile(0.5))),
                    ("p95", usd(all.costs.quantile(0.95))),
                ],
            }
        };
        Self {
            users: [("day", users.day), ("week", users.week), ("month", users.month)]
                .map(|(window, users)| (window, ratio(users, 1).unwrap_or_default())),
            stickiness: ratio(users.day, users.month),
            abandonment: ratio(conversations.abandoned, conversations.started),
            length_seconds: ratio(conversations.length_ms, conversations.started).map(|millis| millis / 1e3),
            models: models.iter().map(model).collect(),
        }
    }
}

/// Adds the ledger up from time to time, and tells how the business stands.
pub(crate) struct BusinessKeeper {
    business: Arc<dyn Business>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<Option<Arc<BusinessState>>>>,
}

impl BusinessKeeper {
    /// Tells `metrics` from now on.
    pub(crate) fn new(business: Arc<dyn Business>, clock: Arc<dyn Clock>, metrics: &Metrics) -> Self {
        let state = Arc::new(Mutex::new(None));
        let told: Arc<Mutex<Option<Arc<BusinessState>>>> = state.clone();
        metrics.observe_business(move || told.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Self { business, clock, state }
    }

    /// Keeps on until `ended`.
    pub(crate) async fn run(self, ended: impl Future<Output = ()>) {
        let rounds = async {
            loop {
                if let Err(error) = self.round().await {
                    tracing::warn!(cause = chain(&error), "the ledger cannot be added up for the business yet");
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = rounds => {}
            () = ended => {}
        }
    }

    async fn round(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_millis();
        self.business.roll_up(now_ms).await?;
        let today = day::of_millis(now_ms);
        let from = today.saturating_sub(DAYS - 1);
        let users = self.business.users(today).await?;
        let conversations = self.business.conversations(from, today, now_ms).await?;
        let models = models(self.business.figures(from, today).await?);
        let state = BusinessState::of(&users, &conversations, &models);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(state));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(requests: u64, cost: u64, micros: &[u64]) -> Figures {
        let mut figures = Figures {
            requests,
            attempts: requests + 1,
            prompt_tokens: 10 * requests,
            completion_tokens: 20 * requests,
            cost_nano_usd: cost * requests,
            ..Figures::default()
        };
        (0..requests).for_each(|_| figures.costs.add(cost));
        for micros in micros {
            figures.durations.add(*micros);
        }
        figures
    }

    fn groups() -> BTreeMap<GroupKey, Figures> {
        let key = |provider: &str, model: &str, outcome: &str| GroupKey {
            provider: provider.to_owned(),
            model: model.to_owned(),
            outcome: outcome.to_owned(),
        };
        BTreeMap::from([
            (key("a", "m", "completed"), figures(3, 8, &[10, 12, 15])),
            (key("a", "m", "failed"), figures(1, 0, &[])),
            (key("b", "n", "completed"), figures(4, 2, &[7; 4])),
            (key("", "", "failed"), figures(9, 1, &[])),
        ])
    }

    #[test]
    fn providers_are_compared_by_share_errors_time_and_cost() {
        let findings = providers(&models(groups()));
        let json = findings.json(Analysis::Providers, (20_000, 20_001));
        assert_eq!(
            (&json["figure"], &json["from"], &json["requests"]),
            (&"providers".into(), &"2024-10-04".into(), &8.into())
        );
        let a = &json["data"][0];
        assert_eq!(
            (&a["requests"], &a["share"], &a["error_rate"], &a["calls"]),
            (&4.into(), &0.5.into(), &0.25.into(), &6.into())
        );
        assert_eq!((&a["p50_seconds"], &a["p95_seconds"]), (&0.000_012.into(), &0.000_015.into()));
        assert_eq!((&a["cost_usd"], &a["cost_share"]), (&"0.000000024".into(), &0.75.into()));
        assert_eq!(json["data"][1]["first_content_p50_seconds"], Value::Null);
    }

    #[test]
    fn costs_have_mean_and_quantiles() {
        let json = cost(&models(groups())).json(Analysis::Cost, (0, 0));
        assert_eq!(json["cost_usd"], "0.000000032");
        let a = &json["data"][0];
        assert_eq!(
            (&a["mean_usd"], &a["p50_usd"], &a["p95_usd"]),
            (&"0.000000006".into(), &"0.000000008".into(), &"0.000000008".into())
        );
    }

    #[test]
    fn users_tokens_and_conversations() {
        let active = ActiveUsers { day: 3, week: 5, month: 12 };
        let json = users(&active, &[(20_000, 3)]).json(Analysis::Users, (20_000, 20_000));
        assert_eq!((&json["daily"], &json["monthly"], &json["stickiness"]), (&3.into(), &12.into(), &0.25.into()));
        assert_eq!(json["data"], json!([{"day": "2024-10-04", "users": 3}]));
        let json = tokens(&models(groups())).json(Analysis::Tokens, (0, 0));
        assert_eq!((&json["prompt_tokens"], &json["data"][1]["completion_tokens"]), (&80.into(), &80.into()));
        let told = ConversationFigures {
            started: 4,
            turns: BTreeMap::from([(1, 2), (3, 2)]),
            length_ms: 40_000,
            abandoned: 1,
        };
        let json = conversations(&told).json(Analysis::Conversations, (0, 0));
        assert_eq!(
            (&json["mean_turns"], &json["mean_length_seconds"], &json["abandonment_rate"]),
            (&2.0.into(), &10.0.into(), &0.25.into())
        );
        let state = BusinessState::of(&active, &told, &models(groups()));
        assert_eq!((state.users[1], state.stickiness), (("week", 5.0), Some(0.25)));
        assert_eq!((state.abandonment, state.length_seconds), (Some(0.25), Some(10.0)));
        let [a, b] = &state.models[..] else { panic!("{state:?}") };
        assert_eq!((a.provider.as_str(), a.share, b.share), ("a", 0.5, 0.5));
        assert_eq!(a.costs, [("mean", Some(6e-9)), ("p50", Some(8e-9)), ("p95", Some(8e-9))]);
        let nothing = BusinessState::of(&ActiveUsers::default(), &ConversationFigures::default(), &Models::new());
        assert_eq!((nothing.stickiness, nothing.length_seconds, nothing.models.len()), (None, None, 0));
        assert_eq!(users(&ActiveUsers::default(), &[]).summary["stickiness"], Value::Null);
    }
}
