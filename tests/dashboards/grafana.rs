//! Dashboards as they are declared, and Grafana's classic JSON made of them, which its versions 10 to 13 import.

use serde_json::{Value, json};

/// A dashboard.
pub struct Dashboard {
    /// The name of its file, and its id in links.
    pub uid: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// The query of the variable `component`, where it has one.
    pub component: Option<&'static str>,
    /// Its rows, from the top.
    pub rows: &'static [Row],
    /// Moments that are marked in every panel.
    pub marks: &'static [Mark],
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
    /// From which values on it is yellow, and red.
    pub limits: Option<(f64, f64)>,
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
    Panel { look: Look::Stat, title, what, unit, queries, limits: None }
}

/// Lines over time.
pub const fn lines(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Lines, title, what, unit, queries, limits: None }
}

/// Areas over time, one on the other.
pub const fn areas(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Areas, title, what, unit, queries, limits: None }
}

/// A table of the last values.
pub const fn table(title: &'static str, what: &'static str, unit: &'static str, queries: Queries) -> Panel {
    Panel { look: Look::Table, title, what, unit, queries, limits: None }
}

/// The width of the grid.
const WIDTH: u64 = 24;

impl Panel {
    /// Yellow from `yellow` on, red from `red` on.
    pub const fn limits(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Some((yellow, red));
        self
    }

    fn size(&self) -> (u64, u64) {
        match self.look {
            Look::Stat => (4, 4),
            Look::Lines | Look::Areas => (8, 8),
            Look::Table => (8, 6),
        }
    }

    fn json(&self, id: u64, at: (u64, u64)) -> Value {
        let (width, height) = self.size();
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        let instant = matches!(self.look, Look::Stat | Look::Table);
        let target = |(index, (query, legend)): (usize, &(&str, &str))| {
            json!({
                "refId": char::from(b'A' + u8::try_from(index).unwrap_or(25)).to_string(),
                "datasource": source,
                "expr": expression(query),
                "legendFormat": legend,
                "editorMode": "code",
                "instant": instant,
                "range": !instant,
                "exemplar": !instant,
                "format": if self.look == Look::Table { "table" } else { "time_series" },
            })
        };
        let mut steps = vec![json!({"color": "green", "value": null})];
        if let Some((yellow, red)) = self.limits {
            steps.push(json!({"color": "yellow", "value": yellow}));
            steps.push(json!({"color": "red", "value": red}));
        }
        json!({
            "id": id,
            "type": match self.look {
                Look::Stat => "stat",
                Look::Lines | Look::Areas => "timeseries",
                Look::Table => "table",
            },
            "title": self.title,
            "description": self.what,
            "datasource": source,
            "gridPos": {"x": at.0, "y": at.1, "w": width, "h": height},
            "targets": self.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": if self.unit == "short" || self.limits.is_none() { json!(0) } else { Value::Null },
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "custom": self.custom(),
                },
                "overrides": [],
            },
            "options": self.options(),
        })
    }

    fn custom(&self) -> Value {
        match self.look {
            Look::Stat | Look::Table => json!({}),
            Look::Lines | Look::Areas => json!({
                "drawStyle": "line",
                "fillOpacity": if self.look == Look::Areas { 30 } else { 8 },
                "lineWidth": 1,
                "showPoints": "never",
                "spanNulls": false,
                "stacking": {"mode": if self.look == Look::Areas { "normal" } else { "none" }},
                "thresholdsStyle": {"mode": if self.limits.is_some() { "dashed" } else { "off" }},
            }),
        }
    }

    fn options(&self) -> Value {
        match self.look {
            Look::Stat => json!({
                "colorMode": if self.limits.is_some() { "background" } else { "value" },
                "graphMode": "none",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            Look::Lines | Look::Areas => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Look::Table => json!({"showHeader": true}),
        }
    }
}

/// The expression as Grafana gets it.
pub fn expression(query: &str) -> String {
    query
        .replace("@component", "job=~\"$job\", component_name=~\"$component\"")
        .replace("@breaker", "job=~\"$job\", component=~\"$component\"")
        .replace("@job", "job=~\"$job\"")
        .replace("@rate", "$__rate_interval")
}

impl Dashboard {
    /// The file that Grafana imports.
    pub fn json(&self, all: &[&Dashboard]) -> Value {
        let mut panels = Vec::new();
        let (mut id, mut y) = (0, 0);
        for row in self.rows {
            id += 1;
            panels.push(json!({
                "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            }));
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in row.panels {
                let (width, tall) = panel.size();
                if x + width > WIDTH {
                    (x, y, height) = (0, y + height, 0);
                }
                id += 1;
                panels.push(panel.json(id, (x, y)));
                (x, height) = (x + width, height.max(tall));
            }
            y += height;
        }
        let link = |other: &&&Dashboard| other.uid != self.uid;
        let links: Vec<Value> = all
            .iter()
            .filter(link)
            .map(|other| {
                json!({
                    "title": other.title, "type": "link", "url": format!("/d/{}", other.uid), "keepTime": true,
                    "includeVars": false, "icon": "dashboard", "targetBlank": false, "asDropdown": false, "tags": [],
                })
            })
            .collect();
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.what,
            "tags": ["mcp-otel-bridge"],
            "schemaVersion": 38,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": links,
            "templating": {"list": self.variables()},
            "annotations": {"list": self.marks.iter().map(Mark::json).collect::<Vec<_>>()},
            "panels": panels,
        })
    }

    fn variables(&self) -> Vec<Value> {
        let mut variables = vec![
            json!({
                "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0,
                "refresh": 1, "regex": "", "multi": false, "includeAll": false,
            }),
            choice("job", "Job", "label_values(bridge_build_info, job)"),
        ];
        variables.extend(self.component.map(|query| choice("component", "Component", &expression(query))));
        variables
    }
}

fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "hide": 0, "refresh": 2, "regex": "", "sort": 1,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "definition": query,
        "query": {"query": query, "refId": name, "qryType": 1},
        "multi": true, "includeAll": true, "allValue": ".+",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

impl Mark {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "enable": true, "hide": false, "iconColor": "red",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": expression(self.query), "titleFormat": self.name, "textFormat": self.text, "step": "30s",
        })
    }
}
