//! Rules of the objectives: error ratios by window, burn rates, what is left of the budget, and who is told.

use goblin_shared::{
    objectives::{BURN_ALERTS, CHAT_WITHIN, PERIOD_DAYS, Slo, WINDOWS},
    vocabulary::{AUTH_ATTEMPTS, CHAT_RESPONSE_DURATION, HTTP_SERVER_REQUEST_DURATION, LLM_REQUESTS},
};

use super::{Alert, Group, Rule};

/// Up to this window events are counted from the raw series; longer ones are averages of what is recorded, which weighs each
/// moment by its traffic as well and costs little.
const RAW_MINUTES: u32 = 360;

/// What is recorded.
pub(super) fn recorded() -> Vec<Group> {
    let mut events = Vec::new();
    let mut ratios = Vec::new();
    let mut state = Vec::new();
    for slo in Slo::ALL {
        let labels = vec![("slo", slo.id().to_owned())];
        let rule = |name: &str, expression: String| Rule {
            name: name.to_owned(),
            expression,
            labels: labels.clone(),
            alert: None,
        };
        events.push(rule("slo:sli_errors:rate5m", errors(slo, "5m")));
        events.push(rule("slo:sli_events:rate5m", valid(slo, "5m")));
        for window in WINDOWS {
            let ratio = if window.minutes <= RAW_MINUTES {
                format!("{}\n/\n({} > 0)", errors(slo, window.name), valid(slo, window.name))
            } else {
                let average =
                    |of: &str| format!("avg_over_time(slo:sli_{of}:rate5m{{slo=\"{}\"}}[{}])", slo.id(), window.name);
                format!("{}\n/\n({} > 0)", average("errors"), average("events"))
            };
            ratios.push(rule(&format!("slo:sli_error:ratio_rate{}", window.name), ratio));
        }
        state.push(rule("slo:objective:ratio", format!("vector({})", slo.objective())));
        state.push(rule("slo:error_budget:ratio", format!("vector(1 - {})", slo.objective())));
        let of = |series: &str| format!("{series}{{slo=\"{}\"}}", slo.id());
        let budget = format!("on (slo) group_left\n{}", of("slo:error_budget:ratio"));
        state.push(rule("slo:time_period:days", format!("vector({PERIOD_DAYS})")));
        state.push(rule("slo:current_burn_rate:ratio", format!("{}\n/ {budget}", of("slo:sli_error:ratio_rate5m"))));
        state.push(rule("slo:period_burn_rate:ratio", format!("{}\n/ {budget}", of("slo:sli_error:ratio_rate30d"))));
        state
            .push(rule("slo:period_error_budget_remaining:ratio", format!("1 - {}", of("slo:period_burn_rate:ratio"))));
    }
    vec![
        Group { name: "slo-events", rules: events },
        Group { name: "slo-error-ratios", rules: ratios },
        Group { name: "slo-state", rules: state },
    ]
}

/// Who is told when a budget burns too fast, or will not last.
pub(super) fn alerts() -> Group {
    let mut rules = Vec::new();
    for slo in Slo::ALL {
        for severity in ["page", "ticket"] {
            let budget = format!("{:.6}", 1.0 - slo.objective());
            let budget = budget.trim_end_matches('0');
            let burns = |window: usize, factor: f64| {
                let series = format!("slo:sli_error:ratio_rate{}", WINDOWS[window].name);
                format!("{series}{{slo=\"{}\"}} > {factor} * {budget}", slo.id())
            };
            let pairs = BURN_ALERTS.iter().filter(|alert| alert.severity == severity);
            let pairs = pairs.map(|alert| {
                format!("(\n  {}\n  and\n  {}\n)", burns(alert.long, alert.factor), burns(alert.short, alert.factor))
            });
            rules.push(Rule {
                name: burn_alert(slo, severity),
                expression: pairs.collect::<Vec<_>>().join("\nor\n"),
                labels: vec![
                    ("severity", severity.to_owned()),
                    ("slo", slo.id().to_owned()),
                    ("follows_from", follows_from(slo).to_owned()),
                ],
                alert: Some(Alert {
                    hold: "0s",
                    summary: summary(slo),
                    description: format!(
                        "{}: {{{{ $value | humanizePercentage }}}} of the events of the last hours were bad; {}% is promised \
                         over {PERIOD_DAYS} days. {}",
                        slo.title(),
                        (slo.objective() * 1000.0).round() / 10.0,
                        if severity == "page" { "At this rate the budget is gone within days." } else { "At this rate the budget does not last." }
                    ),
                    dashboard: "goblin-overview",
                }),
            });
        }
    }
    for slo in Slo::ALL {
        let left = format!("slo:period_error_budget_remaining:ratio{{slo=\"{}\"}}", slo.id());
        rules.push(Rule {
            name: "ErrorBudgetForecast".to_owned(),
            expression: format!("{left} > 0\nand\npredict_linear({left}[1d], 3 * 86400) < 0"),
            labels: vec![
                ("severity", "ticket".to_owned()),
                ("slo", slo.id().to_owned()),
                ("follows_from", follows_from(slo).to_owned()),
            ],
            alert: Some(Alert {
                hold: "1h",
                summary: "An error budget will be used up within three days",
                description: format!("{}: {{{{ $value | humanizePercentage }}}} of the budget is left.", slo.title()),
                dashboard: "goblin-overview",
            }),
        });
    }
    Group { name: "objectives", rules }
}

fn burn_alert(slo: Slo, severity: &str) -> String {
    let of = match slo {
        Slo::ChatLatency => "ChatLatency",
        Slo::Auth => "Auth",
        Slo::Llm => "LlmAvailability",
        Slo::Api => "ApiAvailability",
    };
    let how = if severity == "page" { "Fast" } else { "Slowly" };
    format!("{of}BudgetBurns{how}")
}

fn summary(slo: Slo) -> &'static str {
    match slo {
        Slo::ChatLatency => "Chat answers come too late",
        Slo::Auth => "It often cannot be said who asks",
        Slo::Llm => "Requests find no provider that answers",
        Slo::Api => "Requests meet faults of ours",
    }
}

/// Whose failure explains it.
fn follows_from(slo: Slo) -> &'static str {
    match slo {
        Slo::ChatLatency | Slo::Auth | Slo::Llm => "backend collector",
        Slo::Api => "edge collector",
    }
}

/// The series, the labels of bad events among them (as the backend judges them, `backend/src/monitoring/metrics.rs`), and
/// those of the valid.
fn selectors(slo: Slo) -> (String, String) {
    match slo {
        Slo::Auth => {
            let series = AUTH_ATTEMPTS.prometheus_name();
            (format!("{series}{{outcome=\"error\"}}"), series)
        }
        Slo::Llm => {
            let series = LLM_REQUESTS.prometheus_name();
            (
                format!("{series}{{outcome=~\"failed|unavailable\"}}"),
                format!("{series}{{outcome=~\"answered|failed|unavailable\"}}"),
            )
        }
        Slo::Api => {
            // As the edge sees it, where clients come in; what was not let in was not promised anything.
            let series = format!("{}_count", HTTP_SERVER_REQUEST_DURATION.prometheus_name());
            let of = |statuses: &str| {
                format!("{series}{{job=\"goblin-edge\",http_route=~\"/v1/.*\",http_response_status_code{statuses}}}")
            };
            (of("=~\"5..\""), of("!~\"|401|402|403|429|499\""))
        }
        Slo::ChatLatency => {
            let series = CHAT_RESPONSE_DURATION.prometheus_name();
            let within = CHAT_WITHIN.as_secs_f64();
            (
                format!("{series}_bucket{{outcome=\"completed\",le=\"{within:?}\"}}"),
                format!("{series}_count{{outcome=\"completed\"}}"),
            )
        }
    }
}

fn rate(selector: &str, window: &str) -> String {
    format!("sum by (environment) (rate({selector}[{window}]))")
}

fn valid(slo: Slo, window: &str) -> String {
    rate(&selectors(slo).1, window)
}

/// A series that is not there yet counts as nothing.
fn errors(slo: Slo, window: &str) -> String {
    let (selector, _) = selectors(slo);
    let (found, valid) = (rate(&selector, window), valid(slo, window));
    let or_none = format!("({found} or 0 * {valid})");
    match slo {
        // Its buckets count the good ones.
        Slo::ChatLatency => format!("({valid} - {or_none})"),
        Slo::Auth | Slo::Llm | Slo::Api => or_none,
    }
}
