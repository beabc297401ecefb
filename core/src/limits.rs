//! Every number that bounds Rondo, each with its source: what the platform refuses (`workers`,
//! `durable_object`, `d1`, `kv`), what Rondo promises (`promised`), and what it allows itself (`request`,
//! `timeout`, `grant`, `coordinator`, `flush`, `settings`, `auth`, `input`). Local workerd enforces almost none
//! of the platform's limits, so the tests count against these.
//!
//! Units are in the names: `_MS` milliseconds, `_BYTES` bytes, `_CHARS` Unicode scalar values; a plain name is
//! a count. A number without a link is Rondo's own decision (`docs/architecture.md`).

/// Workers, both plans. Source unless said otherwise:
/// <https://developers.cloudflare.com/workers/platform/limits/>.
pub mod workers {
    /// Subrequests (fetch, D1, KV and Durable Object calls) one invocation may make on the free plan.
    pub const FREE_SUBREQUESTS: usize = 50;
    /// The same on the paid plan, where it is the default and configurable. It was 1,000 until early 2026.
    pub const PAID_SUBREQUESTS: usize = 10_000;
    /// What Rondo counts on when paid: the older figure, so that an account still on it works too.
    pub const PAID_SUBREQUESTS_RELIED_ON: usize = 1_000;
    /// CPU time of one request on the free plan.
    pub const FREE_CPU_MS: u64 = 10;
    /// Requests a day on the free plan; they start again at midnight UTC.
    pub const FREE_REQUESTS_PER_DAY: usize = 100_000;
    /// Memory of one isolate, JavaScript heap and wasm together, shared by all its requests.
    pub const ISOLATE_MEMORY_BYTES: usize = 128 * MB;
    /// Connections of one invocation that may wait for response headers at the same time; further ones queue.
    pub const CONNECTIONS_AWAITING_HEADERS: usize = 6;
    /// How long `wait_until` work may go on after the response ended or the client left.
    /// Source: <https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil>.
    pub const WAIT_UNTIL_MS: u64 = 30_000;
    /// Longest URL a Worker is given.
    pub const URL_BYTES: usize = 16 * KB;
    /// All request headers together; the response's have the same bound.
    pub const HEADERS_BYTES: usize = 128 * KB;
    /// Longest value of one secret or variable. More keys than fit go to `CEREBRAS_API_KEYS_2` and `_3`.
    pub const SECRET_BYTES: usize = 5 * KB;
    /// Startup time of the script's global scope.
    pub const STARTUP_MS: u64 = 1_000;
    /// Files of static assets on the free plan.
    pub const FREE_ASSET_FILES: usize = 20_000;
    /// Most PBKDF2 iterations WebCrypto computes in production. Local workerd does not refuse more.
    /// Source: <https://github.com/cloudflare/workerd/issues/1346>.
    pub const PBKDF2_MAX_ITERATIONS: u32 = 100_000;

    const KB: usize = 1_000;
    const MB: usize = 1_000_000;
}

/// SQLite-backed Durable Objects. Source unless said otherwise:
/// <https://developers.cloudflare.com/durable-objects/platform/limits/>.
pub mod durable_object {
    /// One SQLite row, string or BLOB.
    pub const ROW_BYTES: usize = 2_000_000;
    /// Bound parameters of one statement.
    pub const BOUND_PARAMS: usize = 100;
    /// Text of one SQL statement.
    pub const STATEMENT_BYTES: usize = 100_000;
    /// CPU of one call into the object, by default.
    pub const CPU_MS: u64 = 30_000;
    /// Requests a second one object can be expected to take (a soft limit of simple work). Leases keep us far below.
    pub const REQUESTS_PER_SECOND: usize = 1_000;
    /// Calls a day on the free plan.
    /// Source: <https://developers.cloudflare.com/durable-objects/platform/pricing/>.
    pub const FREE_REQUESTS_PER_DAY: usize = 100_000;
    /// Rows written a day on the free plan; setting an alarm is one.
    /// Source: <https://developers.cloudflare.com/durable-objects/platform/pricing/>.
    pub const FREE_ROWS_WRITTEN_PER_DAY: usize = 100_000;
    /// `block_concurrency_while` resets the object after this long.
    /// Source: <https://developers.cloudflare.com/durable-objects/api/state/#blockconcurrencywhile>.
    pub const BLOCK_CONCURRENCY_MS: u64 = 30_000;
}

/// D1. Source unless said otherwise: <https://developers.cloudflare.com/d1/platform/limits/>.
pub mod d1 {
    /// Queries of one invocation on the free plan; each statement of a batch is one.
    pub const FREE_QUERIES: usize = 50;
    /// Queries of one invocation on the paid plan.
    pub const PAID_QUERIES: usize = 1_000;
    /// Bound parameters of one statement. Bulk work binds one JSON text and unfolds it with `json_each`.
    pub const BOUND_PARAMS: usize = 100;
    /// One row, string or BLOB, bound parameters included.
    pub const ROW_BYTES: usize = 2_000_000;
    /// Text of one SQL statement.
    pub const STATEMENT_BYTES: usize = 100_000;
    /// Columns of one table.
    pub const COLUMNS: usize = 100;
    /// Arguments of one SQL function (`json_object(…)` takes two a field).
    pub const FUNCTION_ARGS: usize = 32;
    /// Pattern of one LIKE or GLOB. A longer search text is compared with `instr`.
    pub const LIKE_PATTERN_BYTES: usize = 50;
    /// One query's running time.
    pub const QUERY_MS: u64 = 30_000;
    /// Rows written a day on the free plan.
    /// Source: <https://developers.cloudflare.com/d1/platform/pricing/>.
    pub const FREE_ROWS_WRITTEN_PER_DAY: usize = 100_000;
    /// Rows read a day on the free plan.
    /// Source: <https://developers.cloudflare.com/d1/platform/pricing/>.
    pub const FREE_ROWS_READ_PER_DAY: usize = 5_000_000;
    /// Longest JSON text Rondo binds for `json_each`; half of `ROW_BYTES`, so that what SQL adds still fits.
    pub const JSON_PARAM_BYTES: usize = 1_000_000;
}

/// Workers KV. Source unless said otherwise: <https://developers.cloudflare.com/kv/platform/limits/>.
pub mod kv {
    /// One value.
    pub const VALUE_BYTES: usize = 25 * 1024 * 1024;
    /// One key.
    pub const KEY_BYTES: usize = 512;
    /// Least time between two writes of the same key; faster ones answer 429.
    pub const SAME_KEY_WRITE_MS: u64 = 1_000;
    /// Writes a day on the free plan.
    pub const FREE_WRITES_PER_DAY: usize = 1_000;
    /// Reads a day on the free plan.
    pub const FREE_READS_PER_DAY: usize = 100_000;
    /// KV operations of one invocation.
    pub const OPERATIONS: usize = 1_000;
    /// Least `cacheTtl` of a read.
    pub const MIN_CACHE_TTL_S: u64 = 30;
    /// How long a write may take to be seen everywhere.
    /// Source: <https://developers.cloudflare.com/kv/concepts/how-kv-works/>.
    pub const VISIBLE_EVERYWHERE_MS: u64 = 60_000;

    /// Documents the Coordinator keeps in KV: the snapshot and the sealed keys.
    pub const DOCUMENTS: usize = 2;
    /// Least time between two of the Coordinator's writes of one document.
    pub const WRITE_INTERVAL_MS: u64 = 5_000;
    /// The same on the free plan, where both documents share `FREE_WRITES_PER_DAY`.
    pub const FREE_WRITE_INTERVAL_MS: u64 = 180_000;
    /// Sealed keys kept in KV for when the Coordinator is silent.
    pub const KEYS: usize = 500;
}

/// Sizes Rondo promises to work at.
pub mod promised {
    /// Upstream keys.
    pub const KEYS: usize = 20_000;
    /// Client tokens.
    pub const TOKENS: usize = 10_000;
    /// Model pools.
    pub const POOLS: usize = 100;
    /// One live key among a thousand is found within so many requests.
    pub const REQUESTS_TO_FIND_A_LIVE_KEY: usize = 25;
}

/// One request's bytes.
pub mod request {
    /// Longest request body, counted while it is read; more is 413.
    pub const BODY_BYTES: usize = 16 * 1024 * 1024;
    /// Objects, lists and commas of a body that is read into structs, which only translated ones are. At most about
    /// 300 bytes are kept for each (`{"":0},` in a schema is two and becomes some 400), so this is 64 MiB of an isolate's
    /// 128.
    pub const BODY_PARTS: usize = 200_000;
    /// What is read of a stream before its first complete event must have come.
    pub const GATE_BYTES: usize = 64 * 1024;
    /// Longest non-streaming answer that is held whole before anything goes to the client.
    pub const HELD_ANSWER_BYTES: usize = 1024 * 1024;
    /// Longest non-streaming answer that is translated into another dialect, which takes all of it at once.
    pub const TRANSLATED_BYTES: usize = 8 * 1024 * 1024;
    /// What is read of an upstream's error body; the rest is cancelled.
    pub const ERROR_BODY_BYTES: usize = 64 * 1024;
    /// Body of an admin call that is no batch.
    pub const ADMIN_BODY_BYTES: usize = 1024 * 1024;
    /// Body of a batch of keys: 10,000 of 400 bytes.
    pub const ADMIN_BATCH_BODY_BYTES: usize = 4 * 1024 * 1024;
    /// A client's `x-request-id` is taken over up to this length.
    pub const REQUEST_ID_BYTES: usize = 128;
    /// Longest deadline a client may ask for (`x-rondo-deadline-ms` and the SDKs' timeout headers).
    pub const DEADLINE_MAX_MS: u64 = 15 * 60 * 1_000;
}

/// Default time limits of the upstream call; all are settings.
pub mod timeout {
    /// Until the upstream's headers, streaming.
    pub const HEADERS_MS: u64 = 30_000;
    /// Until the upstream's headers, non-streaming: they come with the whole answer.
    pub const HEADERS_WHOLE_MS: u64 = 120_000;
    /// Until the first event of a stream.
    pub const FIRST_EVENT_MS: u64 = 60_000;
    /// Silence in the middle of a stream.
    pub const SILENCE_MS: u64 = 30_000;
    /// The whole request.
    pub const TOTAL_MS: u64 = 15 * 60 * 1_000;
    /// Bounds of every time limit as a setting.
    pub const SETTING_MS: core::ops::RangeInclusive<u64> = 100..=3_600_000;
}

/// The rules of a grant. Times are durations from receipt: clocks differ.
pub mod grant {
    /// A grant must be used this soon after it was given. It is what bounds revocation.
    pub const USE_WITHIN_MS: u64 = 5_000;
    /// A grant due later than this from now is a ticket; bookings reach no further ahead.
    pub const TICKET_BEYOND_MS: u64 = 2_000;
    /// A sent grant that is not renewed lapses: it counts as sent, outcome unknown.
    pub const SENT_LAPSES_MS: u64 = 90_000;
    /// An open stream renews its grant this often.
    pub const RENEW_EVERY_MS: u64 = 60_000;
    /// Settled grant numbers are kept this long, so that a repeated settle changes nothing.
    pub const NUMBERS_KEPT_MS: u64 = 120_000;
    /// Different models one request tries at most.
    pub const MODELS_PER_REQUEST: usize = 3;
    /// Grants one ask may be answered with.
    pub const GRANTS_PER_ASK: usize = 64;
    /// Settles one ask or flush may carry; what is left goes with the next.
    pub const SETTLES_PER_ASK: usize = 256;
    /// A client that gives no limit on its answer has this many tokens reserved for it. Cerebras was seen to
    /// reserve as much (`docs/`, upstream notes); true usage replaces it at settle.
    pub const DEFAULT_COMPLETION_TOKENS: u64 = 16_384;
}

/// How isolates and the Coordinator talk.
pub mod coordinator {
    /// A call that takes longer counts as no answer, and the isolate goes on without it.
    pub const TIMEOUT_MS: u64 = 1_000;
    /// No isolate authenticates from a snapshot that was not confirmed for longer than this.
    pub const SNAPSHOT_UNCONFIRMED_MAX_MS: u64 = 60_000;
    /// A request that needs no grant asks for the epoch first when its own is older than this.
    pub const EPOCH_CHECK_MS: u64 = 5_000;
    /// The same unknown digest makes an isolate ask at most this often.
    pub const UNKNOWN_DIGEST_CHECK_MS: u64 = 2_000;
    /// Unknown digests an isolate remembers.
    pub const UNKNOWN_DIGESTS_KEPT: usize = 1_024;
    /// Unsettled grants are sent this soon unless another ask takes them along.
    pub const SETTLE_FLUSH_MS: u64 = 250;
    /// Settles an isolate keeps while the Coordinator is silent; the oldest go first.
    pub const SETTLES_KEPT: usize = 10_000;
    /// A new incarnation counts this much lease capacity as spent.
    pub const LEASE_COUNTED_SPENT_MS: u64 = 5_000;
    /// Recent requests kept for the admin page. They never hold content.
    pub const RECENT_REQUESTS: usize = 1_000;
    /// Attempts told of one request. One that made more (they are a setting) tells its last.
    pub const ATTEMPTS_TOLD: usize = 48;
    /// Of what a request was changed in on its way so much is told: the settles' own bound is shared by all reports.
    pub const NOTES_TOLD: usize = 12;
    /// Longest ask, settles included.
    pub const ASK_BYTES: usize = 256 * 1024;
}

/// The live stream of requests, and what one of its invocations may spend: the free plan has 50 subrequests.
pub mod events {
    /// A stream ends by itself after this; the browser takes it up again.
    pub const STREAM_MS: u64 = 45_000;
    /// Most one call of the Coordinator waits for news.
    pub const WAIT_MS: u64 = 15_000;
    /// Least time between two such calls.
    pub const GAP_MS: u64 = 1_000;
    /// Such calls of one stream.
    pub const CALLS: usize = 24;
    /// Looks at D1 for names, of one stream; each is two queries.
    pub const LOOKUPS: usize = 20;
    /// Least time between two pulses.
    pub const PULSE_EVERY_MS: u64 = 2_000;
    /// A comment is sent after so long without an event.
    pub const HEARTBEAT_MS: u64 = 15_000;
    /// Requests told at once; of more the newest.
    pub const AT_ONCE: usize = 200;
    /// Streams that the Coordinator lets wait at the same time; others are answered at once.
    pub const FOLLOWERS: usize = 100;
}

/// The alarm that writes usage to D1, and how long it is kept there.
pub mod flush {
    /// Default of `flush_interval_ms`.
    pub const INTERVAL_MS: u64 = 15_000;
    /// A smaller `flush_interval_ms` becomes this.
    pub const INTERVAL_MIN_MS: u64 = 1_000;
    /// Longest `flush_interval_ms`.
    pub const INTERVAL_MAX_MS: u64 = 3_600_000;
    /// Rollups per minute in total.
    pub const MINUTES_KEPT_MS: u64 = 48 * HOUR_MS;
    /// Rollups per minute of each key.
    pub const KEY_MINUTES_KEPT_MS: u64 = 6 * HOUR_MS;
    /// Rollups per hour. Days are kept for good.
    pub const HOURS_KEPT_MS: u64 = 90 * 24 * HOUR_MS;

    const HOUR_MS: u64 = 3_600_000;
}

/// Defaults and bounds of settings that no other group holds.
pub mod settings {
    /// Default of `max_wait_ms`: what cannot be served by then gets an honest 429 at once.
    pub const MAX_WAIT_MS: u64 = 20_000;
    /// Longest `max_wait_ms`.
    pub const MAX_WAIT_MAX_MS: u64 = 10 * 60 * 1_000;
    /// Default of `attempt_budget`: leaves 10 of the free plan's subrequests for asks and settles.
    pub const ATTEMPT_BUDGET: u32 = 40;
    /// Largest `attempt_budget`, within the subrequests relied on.
    pub const ATTEMPT_BUDGET_MAX: u64 = 900;
    /// Longest `pace_ms` and `key_pace_ms`; 0, their default, is off.
    pub const PACE_MAX_MS: u64 = 600_000;
    /// Default of `address_requests_per_minute`, which applies in access mode `public`.
    pub const ADDRESS_REQUESTS_PER_MINUTE: u64 = 60;
    /// The catalog is read again after this; a stale copy serves when that fails.
    pub const CATALOG_KEPT_MS: u64 = 6 * 3_600_000;
    /// Longest fetch of the catalog, from sending to the end of the answer.
    pub const CATALOG_FETCH_MS: u64 = 10_000;
    /// Longest answer that is read as the catalog.
    pub const CATALOG_BYTES: usize = 1024 * 1024;
    /// The catalog is fetched again this soon after a failure; doubles with each in a row.
    pub const CATALOG_RETRY_MS: u64 = 60_000;
    /// The longest time between two tries.
    pub const CATALOG_RETRY_MAX_MS: u64 = 3_600_000;
    /// A report that a model is gone has the catalog looked at before its time, but not sooner than this.
    pub const CATALOG_DOUBTED_MS: u64 = 10 * 60_000;
    /// A key found invalid is tested again this often.
    pub const INVALID_RETEST_MS: u64 = 24 * 3_600_000;
    /// A suspended group is tested again this often.
    pub const SUSPENDED_RETEST_MS: u64 = 6 * 3_600_000;
}

/// Passwords, sessions and tokens.
pub mod auth {
    /// Shortest admin password.
    pub const PASSWORD_MIN_CHARS: usize = 8;
    /// Longest admin password.
    pub const PASSWORD_MAX_BYTES: usize = 1_024;
    /// Fewest PBKDF2 iterations a stored record may have; the most is `workers::PBKDF2_MAX_ITERATIONS`.
    pub const PBKDF2_MIN_ITERATIONS: u32 = 10_000;
    /// A session lives this long.
    pub const SESSION_MS: u64 = 7 * 24 * 3_600_000;
    /// Sessions alive at once; a login beyond it ends the oldest.
    pub const SESSIONS: usize = 100;
    /// Failed logins in a minute from one address.
    pub const FAILURES_PER_MINUTE_ADDRESS: usize = 5;
    /// Failed logins in a minute in all.
    pub const FAILURES_PER_MINUTE: usize = 60;
    /// Strength asked of `ENCRYPTION_KEY` and `SETUP_TOKEN`.
    pub const SECRET_MIN_BITS: u32 = 128;
    /// Shortest `ENCRYPTION_KEY`.
    pub const ENCRYPTION_KEY_MIN_CHARS: usize = 32;
    /// Shortest setup code, for messages: it follows from `SECRET_MIN_BITS`, at 6 bits a character of base64url.
    pub const SETUP_CODE_MIN_CHARS: usize = 22;
    /// Longest setup code.
    pub const SETUP_CODE_MAX_CHARS: usize = 512;
    /// Shortest token an operator may bring along.
    pub const OWN_TOKEN_MIN_CHARS: usize = 16;
    /// Longest token, in a header or brought along.
    pub const TOKEN_MAX_CHARS: usize = 512;
}

/// What the admin API and the request scan accept. Longer or more is 400 naming the field.
pub mod input {
    /// A label of a key.
    pub const LABEL_CHARS: usize = 200;
    /// A name: token, pool, alias or quota group.
    pub const NAME_CHARS: usize = 100;
    /// A provider's id.
    pub const PROVIDER_CHARS: usize = 64;
    /// An upstream model's id.
    pub const MODEL_ID_BYTES: usize = 256;
    /// An upstream key in clear.
    pub const UPSTREAM_KEY_BYTES: usize = 4_096;
    /// A row's id.
    pub const ROW_ID_BYTES: usize = 128;
    /// A `base_url`.
    pub const BASE_URL_BYTES: usize = 2_048;
    /// A key's `options`, as JSON.
    pub const OPTIONS_BYTES: usize = 4_096;
    /// The search text of a list.
    pub const SEARCH_CHARS: usize = 200;
    /// Largest weight of a key or pool member; the least is 1, since 0 is no weight but `enabled: false`.
    pub const WEIGHT_MAX: u64 = 100;
    /// Models kept of a provider's public list.
    pub const CATALOG_MODELS: usize = 1_000;
    /// Models of one pool.
    pub const POOL_MEMBERS: usize = 100;
    /// Models one token may be limited to.
    pub const TOKEN_MODELS: usize = 100;
    /// Limit overrides in the settings.
    pub const LIMIT_OVERRIDES: usize = 1_000;
    /// Page size of a list when none is asked for.
    pub const PAGE_SIZE: u64 = 50;
    /// Largest page size.
    pub const PAGE_SIZE_MAX: u64 = 200;
    /// Keys of one batch call.
    pub const BATCH_KEYS: usize = 10_000;
    /// Keys the admin page and scripts send at a time: sealing more takes the free plan's CPU.
    pub const BATCH_KEYS_AT_A_TIME: usize = 500;
    /// Ids of one bulk delete or test.
    pub const BULK_IDS: usize = 10_000;
    /// Quota groups of one confirmation; a suggestion names at most 64.
    pub const BULK_GROUPS: usize = 100;
    /// Points of one series for a chart.
    pub const SERIES_POINTS: usize = 1_500;
    /// Recent requests of one answer.
    pub const RECENT_ROWS_MAX: usize = 500;
    /// Largest rate or token limit that can be set; JavaScript's numbers hold it exactly.
    pub const LIMIT_VALUE_MAX: u64 = 9_007_199_254_740_991;
}

// The numbers lean on one another; a change that breaks one of these does not compile.
const _: () = {
    assert!(
        grant::RENEW_EVERY_MS + grant::USE_WITHIN_MS < grant::SENT_LAPSES_MS,
        "a renewal must come in time"
    );
    assert!(
        grant::SENT_LAPSES_MS < grant::NUMBERS_KEPT_MS,
        "a lapsed grant's late settle must be recognised"
    );
    assert!(grant::TICKET_BEYOND_MS < grant::USE_WITHIN_MS, "a delay must end before the grant does");
    assert!(
        (settings::ATTEMPT_BUDGET as usize) < workers::FREE_SUBREQUESTS,
        "asks and settles are subrequests too"
    );
    assert!(
        events::CALLS + events::LOOKUPS < workers::FREE_SUBREQUESTS - 5,
        "the session and the keyring are subrequests too"
    );
    assert!(
        (settings::ATTEMPT_BUDGET_MAX as usize) < workers::PAID_SUBREQUESTS_RELIED_ON,
        "asks are subrequests too"
    );
    assert!(kv::WRITE_INTERVAL_MS >= kv::SAME_KEY_WRITE_MS, "KV refuses faster writes of one key");
    assert!(
        86_400_000 / kv::FREE_WRITE_INTERVAL_MS * kv::DOCUMENTS as u64 <= kv::FREE_WRITES_PER_DAY as u64,
        "the free plan's writes must last the day"
    );
    assert!(d1::JSON_PARAM_BYTES < d1::ROW_BYTES, "a bound text counts against the row");
    assert!(request::GATE_BYTES < request::HELD_ANSWER_BYTES, "the gate is the smaller buffer");
    assert!(
        4 * request::BODY_BYTES < workers::ISOLATE_MEMORY_BYTES,
        "some bodies must fit an isolate at once"
    );
    assert!(input::BATCH_KEYS_AT_A_TIME <= input::BATCH_KEYS, "a piece is no more than the whole");
    assert!(input::PAGE_SIZE <= input::PAGE_SIZE_MAX, "the default must be allowed");
    assert!(coordinator::SETTLE_FLUSH_MS < workers::WAIT_UNTIL_MS, "a settle is sent within wait_until");
    assert!(auth::PBKDF2_MIN_ITERATIONS <= workers::PBKDF2_MAX_ITERATIONS, "the range must not be empty");
    assert!(auth::SETUP_CODE_MIN_CHARS as u32 * 6 >= auth::SECRET_MIN_BITS, "the message must be true");
    assert!(flush::INTERVAL_MIN_MS <= flush::INTERVAL_MS, "the default must be allowed");
};
