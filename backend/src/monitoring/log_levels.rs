//! What the log tells, to be changed while the program runs.

use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::{EnvFilter, reload};

/// Libraries speak up only when something is wrong: at finer levels they would write heads of requests into the log.
/// Each name stands for all that begin with it. Directives of the configuration that name one come later, and win.
const QUIET: &str = "h2=warn,hyper=warn,reqwest=warn,rustls=warn,tonic=warn,tower=warn,opentelemetry=warn";

/// The levels in effect: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or directives `target=level` with
/// commas between.
#[derive(Clone)]
pub(crate) struct LogLevels(Arc<Inner>);

struct Inner {
    configured: String,
    current: Mutex<String>,
    apply: Apply,
}

/// Puts levels into effect, or says what they must be.
type Apply = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

impl std::fmt::Debug for LogLevels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("LogLevels").field(&self.current()).finish()
    }
}

impl LogLevels {
    /// Makes the filter of the log, and what changes it. `own` is the level of OpenTelemetry's own parts.
    pub(super) fn new<S: 'static>(configured: &str, own: Option<&str>) -> (Self, reload::Layer<EnvFilter, S>) {
        let quiet = match own {
            Some(level) => format!("{QUIET},opentelemetry={level}"),
            None => QUIET.to_owned(),
        };
        // The configuration's reader has looked at what is configured.
        let (layer, handle) = reload::Layer::new(EnvFilter::new(format!("{quiet},{configured}")));
        let apply = move |levels: &str| {
            let filter = EnvFilter::try_new(format!("{quiet},{levels}"))
                .map_err(|_| "must be a level such as `info`, or `target=level` with commas between".to_owned())?;
            handle.reload(filter).map_err(|error| error.to_string())
        };
        let configured = configured.to_owned();
        let current = Mutex::new(configured.clone());
        (Self(Arc::new(Inner { configured, current, apply: Box::new(apply) })), layer)
    }

    /// What the configuration says.
    pub(crate) fn configured(&self) -> &str {
        &self.0.configured
    }

    /// What is in effect.
    pub(crate) fn current(&self) -> String {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it, until the program ends. An error says what it must be.
    pub(crate) fn set(&self, levels: &str) -> Result<(), String> {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.0.apply)(levels)?;
        levels.clone_into(&mut current);
        Ok(())
    }
}
