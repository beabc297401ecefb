//! `GET /api/stats/series`: numbers over time.

use super::call::Call;
use super::problem::Outcome;
use super::{coordinator, time_text};
use crate::platform::json::Reply;
use crate::store::usage::{self, Point};
use rondo_core::pool::books::Dim;
use rondo_core::pool::detail::Histogram;
use rondo_core::pool::series::SeriesQuery;
use serde_json::{Value, json};

/// Series side by side, when none is named.
const BUSIEST: u64 = 20;

/// One query.
pub async fn series(call: &Call) -> Outcome {
    let asked = call.query();
    let query =
        SeriesQuery::parse(asked.iter().map(|(name, value)| (name.as_str(), value.as_str())), call.now)?;
    coordinator::flush(&call.env).await;
    let points = usage::series(&call.db, &query, BUSIEST).await?;
    let mut series: Vec<Value> = points
        .chunk_by(|one, next| one.id == next.id)
        .filter_map(|of| {
            let Point { id, name, .. } = of.first()?;
            let id = query.by.map(|_| id);
            Some(json!({"id": id, "name": name, "points": of.iter().map(point).collect::<Vec<_>>()}))
        })
        .collect();
    if query.by.is_none() && series.is_empty() {
        series.push(json!({"id": null, "name": null, "points": []}));
    }
    Ok(Reply::new(200).json(&json!({
        "from": time_text(Some(query.from)),
        "to": time_text(Some(query.to)),
        "step": query.step.name(),
        "by": query.by.map(Dim::name),
        "series": series,
    })))
}

fn point(point: &Point) -> Value {
    let detail = point.detail();
    let times = |times: Option<&Histogram>| {
        let times = times.filter(|times| !times.is_empty())?;
        Some(json!({"p50": times.percentile(50), "p95": times.percentile(95)}))
    };
    json!({
        "at": time_text(Some(point.at)),
        "requests": point.totals.requests,
        "errors": point.totals.errors,
        "cut": point.totals.cut,
        "errors_by": detail.as_ref().map(|detail| detail.errors),
        "prompt_tokens": point.totals.prompt_tokens,
        "completion_tokens": point.totals.completion_tokens,
        "cached_tokens": point.totals.cached_tokens,
        "latency_ms": times(detail.as_ref().map(|detail| &detail.latency)),
        "first_event_ms": times(detail.as_ref().map(|detail| &detail.first_event)),
    })
}
