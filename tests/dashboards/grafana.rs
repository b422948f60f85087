//! Dashboards as they are declared.

/// A dashboard.
pub struct Dashboard {
    /// The name of its file, and its id in links.
    pub uid: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// The variable that chooses components, where it has one.
    pub component: Option<Choice>,
    /// Its rows, from the top.
    pub rows: &'static [Row],
    /// Moments that are marked in every panel.
    pub marks: &'static [Mark],
}

/// A variable whose values a query gives. Links hand it on to the dashboards that have one of the same name.
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// The query.
    pub query: &'static str,
}

/// Panels under a heading.
pub struct Row {
    /// The heading.
    pub title: &'static str,
    /// The panels, from the left.
    pub panels: &'static [Panel],
}

/// Expressions, each with the legend of its series. `@job`, `@component` and `@breaker` are the selectors of the
/// variables, `@rate` is the window of a rate.
pub type Queries = &'static [(&'static str, &'static str)];

/// A panel.
pub struct Panel {
    /// How it shows.
    pub look: Look,
    /// Its title.
    pub title: &'static str,
    /// What it tells, and what is good.
    pub what: &'static str,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// What it asks.
    pub queries: Queries,
    /// Where it is yellow and red.
    pub limits: Limits,
}

/// Where a panel is yellow and red.
#[derive(Clone, Copy, PartialEq)]
pub enum Limits {
    /// Nowhere.
    None,
    /// From these values on.
    AtMost(f64, f64),
    /// Below these values.
    AtLeast(f64, f64),
}

/// How a panel shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// One number.
    Stat,
    /// Lines over time, with exemplars.
    Lines,
    /// Areas over time, one on the other.
    Areas,
    /// A table of the last values.
    Table,
}

/// Moments that are marked.
pub struct Mark {
    /// What they are.
    pub name: &'static str,
    /// The expression, which has a value then.
    pub query: &'static str,
    /// What is written beside.
    pub text: &'static str,
}

/// A number that is shown alone.
pub const fn stat(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Stat, title, what, unit, queries, limits: Limits::None }
}

/// Lines over time.
pub const fn lines(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Lines, title, what, unit, queries, limits: Limits::None }
}

/// Areas over time, one on the other.
pub const fn areas(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Areas, title, what, unit, queries, limits: Limits::None }
}

/// A table of the last values.
pub const fn table(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Table, title, what, unit, queries, limits: Limits::None }
}

impl Panel {
    /// Yellow from `yellow` on, red from `red` on.
    pub const fn limits(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Limits::AtMost(yellow, red);
        self
    }

    /// Yellow below `yellow`, red below `red`.
    pub const fn at_least(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Limits::AtLeast(yellow, red);
        self
    }

    /// The query that asks for exemplars: the last one of buckets. All of a panel would get the same ones; counters have
    /// exemplars too, whose value is 1 whatever the panel shows; and gauges have none.
    pub fn exemplary(&self) -> Option<usize> {
        let bucket = |(query, _): &(&str, &str)| query.contains("_bucket{") && !query.contains("bridge_scrape_");
        (self.look == Look::Lines).then(|| self.queries.iter().rposition(bucket)).flatten()
    }
}
