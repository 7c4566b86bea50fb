//! wrangler.toml as one environment sees it. Settings are taken over from the top level; variables and bindings are not.

use toml::{Table, Value};

/// One environment, or the top level.
pub(crate) struct Deployment {
    top: Table,
    environment: Option<String>,
}

/// A counter of Cloudflare's.
pub(crate) struct RateLimit {
    /// Workers of one account that name the same share its counts.
    pub(crate) namespace: String,
    /// Requests and seconds.
    pub(crate) rate: Option<(u64, u64)>,
}

impl Deployment {
    /// Reads the file; a fault when it is none or has no such environment.
    pub(crate) fn read(text: &str, environment: Option<&str>) -> Result<Self, String> {
        let top: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            // Without the line itself, which may hold a secret.
            format!("wrangler.toml, line {}: {}", before.lines().count().max(1), error.message())
        })?;
        let environments = top.get("env").and_then(Value::as_table);
        if let Some(name) = environment
            && !environments.is_some_and(|all| all.get(name).is_some_and(Value::is_table))
        {
            let known: Vec<_> = environments.into_iter().flat_map(Table::keys).map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!("wrangler.toml has no [env.{name}]; its environments: {known}"));
        }
        Ok(Self { top, environment: environment.map(str::to_owned) })
    }

    /// The environment's name; `None` for the top level.
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// Where a key of this environment stands, such as `env.staging.vars`.
    pub(crate) fn path(&self, key: &str) -> String {
        self.environment.as_ref().map_or_else(|| key.to_owned(), |name| format!("env.{name}.{key}"))
    }

    /// The same in brackets.
    pub(crate) fn section(&self, key: &str) -> String {
        format!("[{}]", self.path(key))
    }

    /// The Worker's name.
    pub(crate) fn name(&self) -> Option<String> {
        let own = self.own().get("name").and_then(Value::as_str);
        let top = self.top.get("name").and_then(Value::as_str);
        let derived = || Some(format!("{}-{}", top?, self.environment.as_ref()?));
        own.map(str::to_owned).or_else(derived)
    }

    /// Whether a setting is there, own or taken over.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.inherited(key).is_some()
    }

    /// The variables as text, as the edge reads them: numbers and truth values count as theirs. What is neither is a
    /// fault.
    pub(crate) fn variables(&self, faults: &mut Vec<String>) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (name, value) in self.own().get("vars").and_then(Value::as_table).into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                #[expect(clippy::cast_precision_loss, reason = "so does JavaScript, which is what the edge is given")]
                Value::Integer(number) => (*number as f64).to_string(),
                Value::Float(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
                Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                    faults
                        .push(format!("{name} in {} must be a text, a number or a truth value", self.section("vars")));
                    continue;
                }
            };
            variables.push((name.clone(), text));
        }
        variables
    }

    /// Flags of the runtime.
    pub(crate) fn compatibility_flags(&self) -> Vec<&str> {
        texts(self.inherited("compatibility_flags"))
    }

    /// The class of a bound Durable Object.
    pub(crate) fn durable_object(&self, binding: &str) -> Option<&str> {
        let bindings = self.own().get("durable_objects")?.get("bindings");
        let found = tables(bindings).find(|table| table.get("name").and_then(Value::as_str) == Some(binding))?;
        Some(found.get("class_name").and_then(Value::as_str).unwrap_or_default())
    }

    /// The classes that migrations have made with tables for storage, whatever was later made of them.
    pub(crate) fn sqlite_classes(&self) -> Vec<&str> {
        let migrations = tables(self.inherited("migrations"));
        let mut classes = Vec::new();
        for migration in migrations {
            classes.extend(texts(migration.get("new_sqlite_classes")));
            let renamed = tables(migration.get("renamed_classes"));
            classes.extend(renamed.filter_map(|table| table.get("to").and_then(Value::as_str)));
        }
        classes
    }

    /// A counter by its binding.
    pub(crate) fn rate_limit(&self, binding: &str) -> Option<RateLimit> {
        let found = tables(self.own().get("ratelimits"))
            .find(|table| table.get("name").and_then(Value::as_str) == Some(binding))?;
        let number = |key: &str| found.get("simple")?.get(key)?.as_integer().and_then(|number| number.try_into().ok());
        let rate = number("limit").zip(number("period"));
        let namespace = found.get("namespace_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(RateLimit { namespace, rate })
    }

    /// Where else this namespace of counters is named.
    pub(crate) fn others_with_namespace(&self, namespace: &str) -> Vec<String> {
        let names_it = |table: &Table| {
            tables(table.get("ratelimits"))
                .any(|limit| limit.get("namespace_id").and_then(Value::as_str) == Some(namespace))
        };
        let mut others = Vec::new();
        if self.environment.is_some() && names_it(&self.top) {
            others.push("the top level".to_owned());
        }
        for (name, table) in self.top.get("env").and_then(Value::as_table).into_iter().flatten() {
            if Some(name) != self.environment.as_ref() && table.as_table().is_some_and(names_it) {
                others.push(format!("[env.{name}]"));
            }
        }
        others
    }

    fn own(&self) -> &Table {
        let own = self.environment.as_ref().and_then(|name| self.top.get("env")?.get(name)?.as_table());
        own.unwrap_or(&self.top)
    }

    fn inherited(&self, key: &str) -> Option<&Value> {
        self.own().get(key).or_else(|| self.top.get(key))
    }
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Table> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
