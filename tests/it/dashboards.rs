//! Grafana's dashboards, written from one source; every name in them is shown or recorded, and every alert they lead to has a page.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Source {
    dashboard: Vec<Dashboard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dashboard {
    uid: String,
    title: String,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    kind: Kind,
    unit: String,
    legend: String,
    expr: String,
    alert: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Series,
    Bars,
    Stat,
    Table,
}

impl Kind {
    fn grafana(self) -> &'static str {
        match self {
            Self::Series => "timeseries",
            Self::Bars => "bargauge",
            Self::Stat => "stat",
            Self::Table => "table",
        }
    }
}

fn panel(number: usize, panel: &Panel) -> Value {
    let datasource = json!({ "type": "prometheus", "uid": "${datasource}" });
    let instant = !matches!(panel.kind, Kind::Series);
    let links: Vec<Value> = panel
        .alert
        .iter()
        .map(|alert| {
            let page = format!("docs/runbook.md#{}", alert.to_lowercase());
            json!({ "title": format!("{alert}: what to do"), "url": page })
        })
        .collect();
    json!({
        "id": number + 1,
        "title": panel.title,
        "type": panel.kind.grafana(),
        "datasource": datasource,
        "gridPos": { "h": 8, "w": 12, "x": number % 2 * 12, "y": number / 2 * 8 },
        "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
        "links": links,
        "targets": [{
            "refId": "A",
            "datasource": datasource,
            "expr": panel.expr,
            "legendFormat": panel.legend,
            "instant": instant,
            "range": !instant,
        }],
    })
}

fn grafana(dashboard: &Dashboard) -> Value {
    let mut variables = vec![json!({ "name": "datasource", "type": "datasource", "query": "prometheus" })];
    if dashboard.panels.iter().any(|panel| panel.expr.contains("$programme")) {
        variables.push(json!({
            "name": "programme",
            "type": "query",
            "datasource": { "type": "prometheus", "uid": "${datasource}" },
            "query": { "query": "label_values(sarf_orders, programme)", "refId": "programme" },
            "refresh": 2,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
            "current": { "text": "All", "value": "$__all" },
        }));
    }
    json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["sarf"],
        "schemaVersion": 39,
        "version": 1,
        "editable": false,
        "refresh": "30s",
        "time": { "from": "now-24h", "to": "now" },
        "templating": { "list": variables },
        "links": [{ "type": "dashboards", "tags": ["sarf"], "title": "sarf", "asDropdown": true }],
        "panels": dashboard.panels.iter().enumerate().map(|(n, p)| panel(n, p)).collect::<Vec<_>>(),
    })
}

#[test]
fn dashboards_are_written_from_their_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("config/grafana");
    let text = fs::read_to_string(folder.join("dashboards.toml")).expect("the source");
    let source: Source = toml::from_str(&text).expect("the source is sound");
    let runbook = fs::read_to_string(root.join("docs/runbook.md")).expect("the runbook");
    assert_eq!(source.dashboard.len(), 5);
    for dashboard in &source.dashboard {
        for panel in &dashboard.panels {
            super::monitoring::known(&panel.expr);
            let page = panel.alert.as_ref().map(|alert| format!("\n## {alert}\n"));
            assert!(page.is_none_or(|page| runbook.contains(&page)), "{}", panel.title);
        }
        let written = format!("{}\n", serde_json::to_string_pretty(&grafana(dashboard)).expect("JSON"));
        let path = folder.join(format!("{}.json", dashboard.uid));
        if std::env::var_os("SARF_TEST_RENEW_DASHBOARDS").is_some() {
            fs::write(&path, &written).expect("written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == written, "{} is written anew by SARF_TEST_RENEW_DASHBOARDS=1", path.display());
    }
}
