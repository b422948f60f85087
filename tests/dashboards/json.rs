//! Grafana's classic JSON, which its versions 10 to 13 import, made of the dashboards as they are declared.

use serde_json::{Value, json};

use crate::grafana::{Dashboard, Limits, Look, Mark, Panel};

/// The width of the grid.
const WIDTH: u64 = 24;

impl Panel {
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
                "exemplar": self.exemplary() == Some(index),
                "format": if self.look == Look::Table { "table" } else { "time_series" },
            })
        };
        let steps = match self.limits {
            Limits::None => vec![("green", None)],
            Limits::AtMost(yellow, red) => vec![("green", None), ("yellow", Some(yellow)), ("red", Some(red))],
            Limits::AtLeast(yellow, red) => vec![("red", None), ("yellow", Some(red)), ("green", Some(yellow))],
        };
        let steps: Vec<Value> =
            steps.into_iter().map(|(color, value)| json!({"color": color, "value": value})).collect();
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
                    "min": if self.unit == "short" || !self.limited() { json!(0) } else { Value::Null },
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "custom": self.custom(),
                },
                "overrides": [],
            },
            "options": self.options(),
        })
    }

    fn limited(&self) -> bool {
        self.limits != Limits::None
    }

    fn custom(&self) -> Value {
        match self.look {
            Look::Stat => json!({}),
            Look::Table => json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false}),
            Look::Lines | Look::Areas => json!({
                "drawStyle": "line",
                "fillOpacity": if self.look == Look::Areas { 30 } else { 8 },
                "lineWidth": 1,
                "showPoints": "never",
                "spanNulls": false,
                "stacking": {"mode": if self.look == Look::Areas { "normal" } else { "none" }},
                "thresholdsStyle": {"mode": if self.limited() { "dashed" } else { "off" }},
            }),
        }
    }

    fn options(&self) -> Value {
        match self.look {
            Look::Stat => json!({
                "colorMode": if self.limited() { "background" } else { "value" },
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "percentChangeColorMode": "standard",
                "showPercentChange": false,
                "textMode": "auto",
                "wideLayout": true,
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            Look::Lines | Look::Areas => json!({
                "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Look::Table => json!({"cellHeight": "sm", "frameIndex": 0, "showHeader": true}),
        }
    }
}

/// The expression as Grafana gets it.
pub fn expression(query: &str) -> String {
    query
        .replace("@component", "job=~\"$job\", component_name=~\"$component\"")
        .replace("@breaker", "job=~\"$job\", component=~\"$breaker\"")
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
                    "includeVars": true, "icon": "dashboard", "tooltip": other.what, "targetBlank": false, "asDropdown": false, "tags": [],
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
            // All of them are those that have bridges, and no other job that happens to have metrics of the same names.
            choice("job", "Job", "label_values(bridge_build_info, job)"),
        ];
        variables.extend(self.component.as_ref().map(|component| {
            // All of them: also one that the query does not know, because it reports something else.
            let mut variable = choice(component.name, "Component", &expression(component.query));
            variable["allValue"] = json!(".+");
            variable
        }));
        variables
    }
}

fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "hide": 0, "refresh": 2, "regex": "", "sort": 1,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "definition": query,
        "query": {"query": query, "refId": name, "qryType": 1},
        "multi": true, "includeAll": true,
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
