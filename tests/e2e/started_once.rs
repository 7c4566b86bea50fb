//! What several tests share, started when the first of them asks for it.

use tokio::sync::OnceCell;

/// Something that takes long to start. Its failure is kept too, so that not every test tries again what takes long to
/// fail.
pub(crate) struct StartedOnce<T>(OnceCell<Result<T, String>>);

impl<T> StartedOnce<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    /// Starts it if nobody has yet; panics when that fails or has failed.
    pub(crate) async fn get<F>(&self, start: impl FnOnce() -> F) -> &T
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let started = self.0.get_or_init(|| async { start().await.map_err(|error| format!("{error:#}")) }).await;
        started.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What was started.
    pub(crate) fn started(&self) -> Option<&T> {
        self.0.get()?.as_ref().ok()
    }
}
