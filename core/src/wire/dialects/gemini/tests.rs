use super::*;
use crate::wire::cleanup::strict_schema_fault;
use crate::wire::dialects::Answering as Any;

const SEED: Seed = Seed { now_s: 1_787_427_094, entropy: [0xAB; 16] };

fn translated(body: &str) -> Translated {
    request(body.as_bytes(), Some("models/gemini-2.5-pro".into()), Some(Framing::Sse), SEED).unwrap()
}

fn chat(body: &Value) -> Value {
    serde_json::from_slice(&translated(&body.to_string()).body).unwrap()
}

fn refusal(body: &Value) -> String {
    let error = request(body.to_string().as_bytes(), None, None, SEED).unwrap_err();
    assert_eq!((error.status, error.kind.as_ref()), (400, "invalid_request_error"));
    error.param.into_owned()
}

fn paths(translated: &Translated) -> Vec<&str> {
    translated.notes.all().iter().map(|note| note.path.as_str()).collect()
}

fn asked(more: Value) -> Value {
    let mut body = json!({"contents": [{"parts": [{"text": "a"}]}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn configured(config: Value) -> Value {
    chat(&asked(json!({"generationConfig": config})))
}

#[test]
fn a_request_of_gemini_cli_is_translated() {
    let translated = translated(include_str!("fixtures/gemini-cli.json"));
    let body: Value = serde_json::from_slice(&translated.body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "tool", "tool"]);
    assert_eq!(messages[0]["content"], "You are an interactive CLI agent.");
    assert_eq!(messages[4]["reasoning"], "**Looking** at the files first.");
    assert_eq!(
        messages[4]["tool_calls"][0]["function"],
        json!({"name": "read_file", "arguments": "{\"absolute_path\":\"/srv/app/build.rs\"}"})
    );
    assert_eq!(messages[5]["content"], "fn main() {\n\tprintln!(\"hi\");\n}\n");
    assert_eq!(messages[6]["content"], "{\"error\":\"File not found.\"}");
    assert_eq!(
        body["tools"],
        json!([
            {"type": "function", "function": {"name": "read_file", "description": "Reads a file.", "parameters": {
                "properties": {"absolute_path": {"description": "The path.", "type": "string"}, "limit": {"type": "number"}},
                "required": ["absolute_path"], "type": "object"}}},
            {"type": "function", "function": {"name": "list_directory", "description": "Lists a directory.", "parameters": {
                "type": "object", "properties": {"path": {"type": ["string", "null"]}}}}},
        ])
    );
    for (field, value) in [
        ("model", json!("gemini-2.5-pro")),
        ("stream", json!(true)),
        ("tool_choice", json!("auto")),
        ("temperature", json!(1.0)),
        ("top_p", json!(0.95)),
        ("reasoning_effort", json!("medium")),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    assert_eq!(body.as_object().unwrap().len(), 8, "{body}");
    assert_eq!(
        paths(&translated),
        [
            "safetySettings",
            "contents.3.parts.2.thoughtSignature",
            "generationConfig.topK",
            "generationConfig.thinkingConfig"
        ]
    );
    let Any::Gemini(answering) = translated.answering else { panic!() };
    assert!(answering.include_thoughts);
}

#[test]
fn snake_case_is_understood() {
    let body = chat(&serde_json::from_str(include_str!("fixtures/genai-python.json")).unwrap());
    assert_eq!(
        body,
        json!({
            "model": "gemini-2.5-pro",
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "What is the weather in Paris?"}
            ],
            "stream": true,
            "max_completion_tokens": 256,
            "stop": ["END"],
            "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Tells the weather.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}}
        })
    );
}

#[test]
fn an_instruction_may_have_any_of_its_forms() {
    for form in [
        json!("be kind"),
        json!({"parts": [{"text": "be"}, {"text": "kind"}]}),
        json!({"role": "system", "parts": {"text": "be\nkind"}}),
        json!([{"text": "be"}, {"text": "kind"}]),
        json!({"text": "be kind"}),
    ] {
        let body = chat(&asked(json!({"systemInstruction": form})));
        let content = body["messages"][0]["content"].as_str().unwrap();
        assert_eq!(content.replace('\n', " "), "be kind", "{form}");
        assert_eq!(body["messages"][1]["role"], "user");
    }
    assert_eq!(chat(&asked(json!({"systemInstruction": ""})))["messages"][0]["role"], "user");
}

#[test]
fn sampling_limits_and_counts_are_kept() {
    let body = configured(json!({
        "temperature": 0.5, "topP": "0.9", "candidateCount": 2, "maxOutputTokens": "100", "seed": 7,
        "presencePenalty": 0.25, "frequencyPenalty": -1, "stopSequences": ["a", "", "b", "c", "d"],
        "responseLogprobs": true, "logprobs": 3
    }));
    for (field, value) in [
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("n", json!(2)),
        ("max_completion_tokens", json!(100)),
        ("seed", json!(7)),
        ("presence_penalty", json!(0.25)),
        ("frequency_penalty", json!(-1.0)),
        ("stop", json!(["a", "b", "c", "d"])),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(3)),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    assert_eq!(configured(json!({"candidateCount": 1, "maxOutputTokens": 0})).as_object().unwrap().len(), 3);
}

#[test]
fn thinking_becomes_an_effort_that_every_model_takes() {
    for (thinking, effort) in [
        (json!({"thinkingBudget": 0}), json!("low")),
        (json!({"thinkingBudget": 512}), json!("low")),
        (json!({"thinkingBudget": 8192}), json!("medium")),
        (json!({"thinkingBudget": 24576}), json!("high")),
        (json!({"thinkingBudget": -1}), json!(null)),
        (json!({"thinkingLevel": "MINIMAL"}), json!("low")),
        (json!({"thinking_level": "medium"}), json!("medium")),
        (json!({"thinkingLevel": "HIGH", "thinkingBudget": 0}), json!("high")),
        (json!({"includeThoughts": true}), json!(null)),
    ] {
        let body = configured(json!({"thinkingConfig": thinking}));
        assert_eq!(body["reasoning_effort"], effort, "{thinking}");
    }
}

#[test]
fn answers_in_json_are_asked_for() {
    let mime = "application/json";
    assert_eq!(
        configured(json!({"responseMimeType": mime}))["response_format"],
        json!({"type": "json_object"})
    );
    assert_eq!(configured(json!({"responseMimeType": "text/plain"}))["response_format"], json!(null));
    let schema = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]});
    let wanted = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": {
        "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}}});
    for name in ["responseSchema", "response_schema"] {
        assert_eq!(configured(json!({"responseMimeType": mime, name: schema}))["response_format"], wanted);
    }
    for mime in ["application/json", "APPLICATION_JSON"] {
        let format = json!({"responseFormat": [{"text": {"mimeType": mime, "schema": wanted["json_schema"]["schema"]}}]});
        assert_eq!(configured(format)["response_format"], wanted);
    }
    assert_eq!(strict_schema_fault(json!({"response_format": wanted}).to_string().as_bytes()), None);
    let open = json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}});
    let body = configured(json!({"responseMimeType": mime, "responseJsonSchema": open}));
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": false, "schema": open}});
    assert_eq!(body["response_format"], format);
}

#[test]
fn tools_are_chosen_as_the_client_says() {
    let choice = |config: Value, tools: Value| {
        let config = json!({"functionCallingConfig": config});
        let body = chat(&asked(json!({"tools": tools, "toolConfig": config})));
        (body["tool_choice"].clone(), body["tools"].as_array().map_or(0, Vec::len))
    };
    let two = json!([{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}, {"googleSearch": {}}]);
    assert_eq!(choice(json!({"mode": "AUTO"}), two.clone()), (json!("auto"), 2));
    assert_eq!(choice(json!({"mode": "ANY"}), two.clone()), (json!("required"), 2));
    assert_eq!(choice(json!({"mode": "NONE"}), two.clone()), (json!("none"), 2));
    assert_eq!(choice(json!({}), two.clone()), (json!(null), 2));
    let one = json!({"type": "function", "function": {"name": "g"}});
    assert_eq!(choice(json!({"mode": "any", "allowedFunctionNames": ["g"]}), two.clone()), (one, 1));
    assert_eq!(choice(json!({"mode": "ANY"}), json!([{"googleSearch": {}}])), (json!(null), 0));
    let body = asked(
        json!({"tools": two, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}}),
    );
    assert_eq!(refusal(&body), "toolConfig.functionCallingConfig.allowedFunctionNames");
}

#[test]
fn a_function_without_parameters_has_an_empty_schema_and_one_tool_need_not_be_a_list() {
    let body = chat(&asked(json!({"tools": {"functionDeclarations": {"name": "f"}}})));
    assert_eq!(
        body["tools"],
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}])
    );
}

#[test]
fn what_can_not_be_translated_is_refused_by_its_path() {
    for (body, path) in [
        (json!({}), "contents"),
        (json!({"contents": [{"parts": []}]}), "contents"),
        (asked(json!({"cachedContent": "cachedContents/a"})), "cachedContent"),
        (asked(json!({"tools": [{"functionDeclarations": [{}]}]})), "tools.0.functionDeclarations.0.name"),
        (
            asked(json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": 1}]}]})),
            "tools.0.functionDeclarations.0.parameters",
        ),
        (asked(json!({"generationConfig": {"maxOutputTokens": -1}})), "generationConfig.maxOutputTokens"),
        (asked(json!({"generationConfig": {"seed": 0.5}})), "generationConfig.seed"),
        (
            asked(json!({"generationConfig": {"stopSequences": ["a", "b", "c", "d", "e"]}})),
            "generationConfig.stopSequences",
        ),
        (asked(json!({"generationConfig": {"temperature": "hot"}})), "generationConfig.temperature"),
        (
            asked(json!({"generationConfig": {"responseMimeType": "text/x.enum"}})),
            "generationConfig.responseMimeType",
        ),
        (
            asked(json!({"generationConfig": {"responseModalities": ["IMAGE"]}})),
            "generationConfig.responseModalities",
        ),
        (
            asked(json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": 1}})),
            "generationConfig.responseSchema",
        ),
        (json!({"contents": [{"parts": [{"text": 1}]}]}), "contents.0.parts.0.text"),
    ] {
        assert_eq!(refusal(&body), path, "{body}");
    }
    assert_eq!(request(b"{\"contents\":", None, None, SEED).unwrap_err().code, "invalid_json");
}

#[test]
fn what_is_left_out_is_noted() {
    let translated = translated(
        &asked(json!({
            "labels": {"team": "a"}, "safetySettings": [], "some key!": 1,
            "tools": [{"googleSearch": {}, "codeExecution": {}}, {"urlContext": {}}],
            "generationConfig": {"topK": 1, "speechConfig": {}, "responseFormat": {"image": {}}}
        }))
        .to_string(),
    );
    let mut noted = paths(&translated);
    noted.sort_unstable();
    assert_eq!(
        noted,
        [
            "?",
            "generationConfig.responseFormat.0.image",
            "generationConfig.speechConfig",
            "generationConfig.topK",
            "labels",
            "safetySettings",
            "tools.0.codeExecution",
            "tools.0.googleSearch",
            "tools.1.urlContext"
        ]
    );
}

#[test]
fn a_whole_answer_is_translated() {
    let body = asked(json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}})).to_string();
    let answering = request(body.as_bytes(), Some("m".into()), None, SEED).unwrap().answering;
    let whole = r#"{"id":"chatcmpl-U","choices":[{"finish_reason":"tool_calls","index":0,"message":{"content":"Hi","reasoning":"hm","role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"logprobs":{"content":[{"token":"Hi","logprob":-0.5,"top_logprobs":[{"token":"Ho","logprob":-1.5}]}]}}],"created":1,"model":"gpt-oss-120b","object":"chat.completion","usage":{"total_tokens":30,"completion_tokens":10,"completion_tokens_details":{"reasoning_tokens":4},"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":0}}}"#;
    let wanted = r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Hi"},{"functionCall":{"id":"a","name":"f","args":{"x":1}}}],"role":"model"},"finishReason":"STOP","index":0,"avgLogprobs":-0.5,"logprobsResult":{"topCandidates":[{"candidates":[{"token":"Ho","logProbability":-1.5}]}],"chosenCandidates":[{"token":"Hi","logProbability":-0.5}]}}],"usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":6,"thoughtsTokenCount":4,"totalTokenCount":30},"modelVersion":"gpt-oss-120b","responseId":"chatcmpl-U"}"#;
    assert_eq!(String::from_utf8(answering.whole(whole.as_bytes()).unwrap()).unwrap(), wanted);
    let answering =
        request(asked(json!({})).to_string().as_bytes(), Some("m".into()), None, SEED).unwrap().answering;
    let bare = answering.whole(
        br#"{"choices":[{"index":0,"message":{"content":"x","reasoning":"h"},"finish_reason":"length"}]}"#,
    );
    let wanted = r#"{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"MAX_TOKENS","index":0}],"modelVersion":"m","responseId":"abababababababababababab"}"#;
    assert_eq!(String::from_utf8(bare.unwrap()).unwrap(), wanted);
}

#[test]
fn errors_are_worded_as_googles() {
    let told = |error: &ApiError| String::from_utf8(error_body(error)).unwrap();
    assert_eq!(
        told(&ApiError::invalid_api_key()),
        format!(
            "{{\"error\":{{\"code\":401,\"message\":\"{}\",\"status\":\"UNAUTHENTICATED\"}}}}",
            ApiError::invalid_api_key().message
        )
    );
    let limited: Value = serde_json::from_str(&told(&ApiError::rate_limited(1_500))).unwrap();
    assert_eq!(limited["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(
        limited["error"]["details"],
        json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"}])
    );
    let refused = request(b"{}", None, None, SEED).unwrap_err();
    let refused: Value = serde_json::from_str(&told(&refused)).unwrap();
    assert_eq!(refused["error"]["details"][0]["fieldViolations"][0]["field"], "contents");
    for (code, name) in [
        (400, "INVALID_ARGUMENT"),
        (413, "INVALID_ARGUMENT"),
        (404, "NOT_FOUND"),
        (503, "UNAVAILABLE"),
        (500, "INTERNAL"),
        (504, "DEADLINE_EXCEEDED"),
    ] {
        assert_eq!(status(code), name);
    }
}

#[test]
fn tokens_are_counted_in_either_form() {
    let count = |body: &Value| -> u64 {
        let answer: Value =
            serde_json::from_slice(&count_tokens(body.to_string().as_bytes()).unwrap()).unwrap();
        assert_eq!(answer.as_object().unwrap().len(), 1);
        answer["totalTokens"].as_u64().unwrap()
    };
    let body = json!({"contents": [{"parts": [{"text": "The quick brown fox jumps over the lazy dog."}]}]});
    let plain = count(&body);
    assert!((10..25).contains(&plain), "{plain}");
    assert_eq!(count(&json!({"generateContentRequest": body, "model": "models/m"})), plain);
    assert_eq!(count_tokens(b"{}").unwrap_err().param, "contents");
}

#[test]
fn models_are_listed_in_googles_form() {
    let full = Listed {
        name: "gpt-oss-120b",
        display_name: Some("GPT OSS 120B"),
        description: Some("Open."),
        input_tokens: Some(131_072),
        output_tokens: Some(40_960),
    };
    let bare = Listed { name: "pool", ..Listed::default() };
    let methods = r#""supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]"#;
    let first = format!(
        r#"{{"name":"models/gpt-oss-120b","version":"001","displayName":"GPT OSS 120B","description":"Open.","inputTokenLimit":131072,"outputTokenLimit":40960,{methods}}}"#
    );
    let second = format!(r#"{{"name":"models/pool","version":"001","displayName":"pool",{methods}}}"#);
    assert_eq!(
        String::from_utf8(models(&[full, bare])).unwrap(),
        format!(r#"{{"models":[{first},{second}]}}"#)
    );
    assert_eq!(String::from_utf8(model(&full)).unwrap(), first);
}
