//! What the admin pages ask the object for.

use super::object::Core;
use crate::platform::time;
use serde_json::{Value, json};

/// How the models stand: `{models: [{model, state, reason, until, missing_groups}]}`, times in unix milliseconds.
pub fn models(core: &Core) -> Value {
    let now = time::now_ms();
    let mut models = core.pool.borrow().model_standing(now);
    core.watch.tell(now, &mut models);
    json!({"models": models})
}
