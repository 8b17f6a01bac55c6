//! Medians, and a Markdown table that explains itself.

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which so many of a hundred lie. The values are sorted.
pub fn percentile(sorted: &[u64], percent: f64) -> f64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.max(1) - 1).map_or(f64::NAN, |value| *value as f64)
}

/// What a ratio should be.
#[derive(Clone, Copy)]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    fn verdict(self, ratio: f64) -> String {
        let (word, bound, met) = match self {
            Self::AtLeast(bound) => ("at least", bound, ratio >= bound),
            Self::AtMost(bound) => ("at most", bound, ratio <= bound),
        };
        format!("{word} {bound}: {}", if met { "met" } else { "**missed**" })
    }
}

/// A table that is printed row by row.
pub struct Table;

impl Table {
    /// Begins a table with these columns.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        println!("\n## {title}\n");
        Self::headed(columns)
    }

    /// As [`Table::new`], below the table before.
    pub fn headed(columns: &[&str]) -> Self {
        let table = Self;
        table.row(columns);
        table.row(&vec!["---"; columns.len()]);
        table
    }

    pub fn row<S: AsRef<str>>(&self, cells: &[S]) {
        let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
        println!("| {} |", cells.join(" | "));
    }
}

/// A ratio with its aim.
pub fn judged(ratio: f64, aim: Aim) -> [String; 2] {
    [format!("{ratio:.2}"), aim.verdict(ratio)]
}
