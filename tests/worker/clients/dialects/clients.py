"""The official clients of the other dialects for Python, told what to do line by line.

    python clients.py anthropic|genai|responses

The protocol is that of stainless.py: a task a line in, its outcome a line out.
"""

import asyncio
import json
import re
import sys

NAME = sys.argv[1]
FINISH = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "STOP": "stop", "MAX_TOKENS": "length"}


class Left(Exception):
    """The task was to leave after the first piece of text."""


class Seen:
    """What a stream has brought."""

    def __init__(self, task):
        self.leave = task.get("leave")
        self.text = ""
        self.pieces = 0

    def add(self, text):
        if text:
            self.text += text
            self.pieces += 1
            if self.leave:
                raise Left


def functions(params):
    return [tool["function"] for tool in params.get("tools", [])]


def answer(turn_id, text, reasoning, calls, finish, usage, pieces):
    prompt, completion, thought = usage
    counts = {"prompt": prompt, "completion": completion, "total": prompt + completion, "reasoning": thought}
    return {"id": turn_id, "text": text, "reasoning": reasoning, "toolCalls": calls, "finish": finish, "usage": counts, "pieces": pieces}


class Messages:
    """anthropic"""

    def __init__(self):
        import anthropic

        self.package, self.sync, self.asynchronous = anthropic, anthropic.Anthropic, anthropic.AsyncAnthropic

    def params(self, task):
        params = {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 1024}, **task["params"]}
        tools = [{"name": f["name"], "description": f["description"], "input_schema": f["parameters"]} for f in functions(params)]
        # The client itself has no such argument any more.
        extra = {"extra_body": {"temperature": params.pop("temperature")}} if "temperature" in params else {}
        return {**params, **extra, **({"tools": tools} if tools else {})}

    def answer(self, message, headers, pieces=1):
        def texts(kind, field):
            return "".join(getattr(block, field) for block in message.content if block.type == kind)

        calls = [{"id": b.id, "name": b.name, "arguments": b.input} for b in message.content if b.type == "tool_use"]
        usage = message.usage
        details = getattr(usage, "output_tokens_details", None)
        thought = details.thinking_tokens if details else 0
        prompt = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
        finish = FINISH.get(message.stop_reason, message.stop_reason)
        return answer(
            headers["inference-id"], texts("text", "text"), texts("thinking", "thinking"), calls, finish,
            (prompt, usage.output_tokens, thought), pieces,
        )

    def whole(self, client, params):
        raw = client.messages.with_raw_response.create(**params)
        return raw.parse(), raw.headers

    async def whole_async(self, client, params):
        raw = await client.messages.with_raw_response.create(**params)
        return await raw.parse(), raw.headers

    def streamed(self, client, params, seen):
        with client.messages.stream(**params) as stream:
            for text in stream.text_stream:
                seen.add(text)
            return stream.get_final_message(), stream.response.headers

    async def streamed_async(self, client, params, seen):
        async with client.messages.stream(**params) as stream:
            async for text in stream.text_stream:
                seen.add(text)
            return await stream.get_final_message(), stream.response.headers

    def resumed(self, params, message, told, result):
        back = {"type": "tool_result", "tool_use_id": told["toolCalls"][0]["id"], "content": result}
        more = [{"role": "assistant", "content": message.content}, {"role": "user", "content": [back]}]
        return {**params, "messages": [*params["messages"], *more]}


class Responses:
    """openai, by its client for Responses"""

    def __init__(self):
        import openai

        self.package, self.sync, self.asynchronous = openai, openai.OpenAI, openai.AsyncOpenAI

    def params(self, task):
        params = {**task["params"], "input": task["params"]["messages"], "store": False}
        del params["messages"]
        tools = [{"type": "function", "strict": False, **f} for f in functions(params)]
        carried = {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        return {**params, **carried, **({"tools": tools} if tools else {})}

    def answer(self, response, headers, pieces=1):
        calls = [
            {"id": item.call_id, "name": item.name, "arguments": json.loads(item.arguments)}
            for item in response.output if item.type == "function_call"
        ]
        thoughts = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
        ended = "tool_calls" if calls else "stop"
        usage = response.usage
        told = answer(
            headers["inference-id"], response.output_text, "".join(thoughts), calls,
            ended if response.status == "completed" else "length",
            (usage.input_tokens, usage.output_tokens, usage.output_tokens_details.reasoning_tokens), pieces,
        )
        assert told["usage"]["total"] == usage.total_tokens
        return told

    def whole(self, client, params):
        raw = client.responses.with_raw_response.create(**params)
        return raw.parse(), raw.headers

    async def whole_async(self, client, params):
        raw = await client.responses.with_raw_response.create(**params)
        return raw.parse(), raw.headers

    def streamed(self, client, params, seen):
        with client.responses.stream(**params) as stream:
            for event in stream:
                seen.add(event.delta if event.type == "response.output_text.delta" else "")
            return stream.get_final_response(), stream._response.headers

    async def streamed_async(self, client, params, seen):
        async with client.responses.stream(**params) as stream:
            async for event in stream:
                seen.add(event.delta if event.type == "response.output_text.delta" else "")
            return await stream.get_final_response(), stream._response.headers

    def resumed(self, params, response, told, result):
        back = {"type": "function_call_output", "call_id": told["toolCalls"][0]["id"], "output": result}
        return {**params, "input": [*params["input"], *response.output, back]}


class Gemini:
    """google-genai"""

    def __init__(self):
        from google import genai
        from google.genai import errors

        self.genai, self.package = genai, errors

    def make(self, task):
        return self.genai.Client(api_key=task["token"], http_options={"base_url": task["base"], "headers": task.get("headers")})

    def params(self, task):
        given = task["params"]
        config = {"thinking_config": {"include_thoughts": True}}
        if "temperature" in given:
            config["temperature"] = given["temperature"]
        declared = [
            {"name": f["name"], "description": f["description"], "parameters_json_schema": f["parameters"]} for f in functions(given)
        ]
        if declared:
            config["tools"] = [{"function_declarations": declared}]
        contents = [{"role": "user", "parts": [{"text": message["content"]}]} for message in given["messages"]]
        return {"model": given["model"], "contents": contents, "config": config}

    def parts(self, pieces):
        contents = [piece.candidates[0].content for piece in pieces if piece.candidates]
        return [part for content in contents if content for part in content.parts or []]

    def answer(self, pieces, _headers, _pieces=1):
        parts = self.parts(pieces)
        calls = [part.function_call for part in parts if part.function_call]
        said = [part.text for part in parts if part.text and not part.thought]
        thoughts = [part.text for part in parts if part.text and part.thought]
        reason = [piece.candidates[0].finish_reason for piece in pieces if piece.candidates and piece.candidates[0].finish_reason][-1].name
        usage = [piece.usage_metadata for piece in pieces if piece.usage_metadata][-1]
        thought = usage.thoughts_token_count or 0
        return answer(
            pieces[0].response_id, "".join(said), "".join(thoughts), [{"id": c.id, "name": c.name, "arguments": c.args} for c in calls],
            "tool_calls" if calls and reason == "STOP" else FINISH.get(reason, reason),
            (usage.prompt_token_count, usage.candidates_token_count + thought, thought), len(said),
        )

    def said(self, piece):
        return "".join(part.text for part in self.parts([piece]) if part.text and not part.thought)

    def whole(self, client, params):
        return [client.models.generate_content(**params)], None

    async def whole_async(self, client, params):
        return [await client.aio.models.generate_content(**params)], None

    def streamed(self, client, params, seen):
        pieces = []
        stream = client.models.generate_content_stream(**params)
        try:
            for piece in stream:
                pieces.append(piece)
                seen.add(self.said(piece))
        finally:
            stream.close()
        return pieces, None

    async def streamed_async(self, client, params, seen):
        pieces = []
        async for piece in await client.aio.models.generate_content_stream(**params):
            pieces.append(piece)
            seen.add(self.said(piece))
        return pieces, None

    def resumed(self, params, pieces, told, result):
        call = told["toolCalls"][0]
        back = {"function_response": {"id": call["id"], "name": call["name"], "response": {"output": result}}}
        more = [{"role": "model", "parts": self.parts(pieces)}, {"role": "user", "parts": [back]}]
        return {**params, "contents": [*params["contents"], *more]}


dialect = {"anthropic": Messages, "responses": Responses, "genai": Gemini}[NAME]()


def make(task, kind="sync"):
    if NAME == "genai":
        return dialect.make(task)
    options = {"max_retries": task["maxRetries"]} if "maxRetries" in task else {}
    return getattr(dialect, kind)(base_url=task["base"], api_key=task["token"], default_headers=task.get("headers"), **options)


def turn(task, client, params, seen):
    said, headers = dialect.streamed(client, params, seen) if task.get("stream") else dialect.whole(client, params)
    return said, dialect.answer(said, headers, seen.pieces or 1)


async def turn_async(task, params, seen):
    client = make(task, "asynchronous")
    if task.get("stream"):
        said, headers = await dialect.streamed_async(client, params, seen)
    else:
        said, headers = await dialect.whole_async(client, params)
    return dialect.answer(said, headers, seen.pieces or 1)


def chat(task):
    seen = Seen(task)
    try:
        params = dialect.params(task)
        if task.get("asynchronous"):
            return {"turns": [asyncio.run(turn_async(task, params, seen))]}
        with make(task) as client:
            said, told = turn(task, client, params, seen)
            if "toolResult" not in task:
                return {"turns": [told]}
            again = dialect.resumed(params, said, told, task["toolResult"])
            return {"turns": [told, turn(task, client, again, Seen(task))[1]]}
    except Left:
        return {"turns": [], "textBefore": seen.text}
    except Exception as error:  # whatever comes out is what is tested
        return {"error": shown(error), "textBefore": seen.text}


def shown(error):
    exported = getattr(dialect.package, type(error).__name__, None) is type(error)
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", {})
    body = getattr(error, "body", None)
    body = body if isinstance(body, dict) else {}
    code = getattr(error, "code", None) or body.get("code") or ((body.get("error") or {}).get("details") or {}).get("error_code")
    named = isinstance(code, str)
    in_body = re.search(r"'retryDelay': '([\d.]+)s'", str(error))
    out = {
        "class": type(error).__name__ if exported else f"unexported {type(error).__name__}",
        "status": getattr(error, "status_code", None) or (None if named else code),
        "message": str(error),
        "code": code if named else None,
        "retryAfter": headers.get("retry-after") or (in_body and in_body.group(1)),
    }
    return {name: value for name, value in out.items() if value is not None}


def models(task):
    with make(task) as client:
        if NAME == "genai":
            return [model.name.removeprefix("models/") for model in client.models.list()]
        return [model.id for model in client.models.list()]


print(json.dumps({"version": NAME}), flush=True)
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps(models(job) if job.get("models") else chat(job)), flush=True)
