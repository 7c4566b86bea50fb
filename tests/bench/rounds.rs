//! Medians with their spread.

/// The values of all rounds.
#[derive(Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// `median (least–greatest)`.
    pub(crate) fn show(&self, decimals: usize) -> String {
        let (least, greatest) = (self.0[0], self.0[self.0.len() - 1]);
        format!("{:.decimals$} ({least:.decimals$}–{greatest:.decimals$})", self.median())
    }
}
