"""The clients that Stainless generates for Python, told what to do line by line.

    python stainless.py openai|cerebras

Each line of stdin is a task (`Task` in stainless.mjs, `models: true` for the list of models); each line
of stdout is its outcome. The first line of stdout is `{"version": ...}`.
"""

import asyncio
import json
import sys

if sys.argv[1] == "openai":
    import openai as package
    from openai import AsyncOpenAI as AsyncClient, OpenAI as Client
else:
    import cerebras.cloud.sdk as package
    from cerebras.cloud.sdk import AsyncCerebras as AsyncClient, Cerebras as Client


def make(task, cls=Client):
    options = {"max_retries": task["maxRetries"]} if "maxRetries" in task else {}
    return cls(base_url=task["base"], api_key=task["token"], default_headers=task.get("headers"), **options)


def usage_of(usage):
    if usage is None:
        return None
    details = usage.completion_tokens_details
    return {
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
        "total": usage.total_tokens,
        "reasoning": details.reasoning_tokens if details else None,
    }


def call_of(call_id, name, arguments):
    return {"id": call_id, "name": name, "arguments": json.loads(arguments)}


class Joined:
    """A streamed answer, put together."""

    def __init__(self):
        self.id = self.finish = self.usage = None
        self.text = self.reasoning = ""
        self.pieces = 0
        self.calls = []

    def add(self, chunk):
        self.id = self.id or chunk.id
        self.usage = usage_of(chunk.usage) or self.usage
        for choice in (chunk.choices or [])[:1]:
            self.finish = choice.finish_reason or self.finish
            if choice.delta.content:
                self.text += choice.delta.content
                self.pieces += 1
            self.reasoning += getattr(choice.delta, "reasoning", None) or ""
            for part in choice.delta.tool_calls or []:
                if part.index == len(self.calls):
                    self.calls.append({"id": part.id, "name": part.function.name, "arguments": ""})
                self.calls[part.index]["arguments"] += part.function.arguments or ""

    def answer(self):
        calls = [call_of(call["id"], call["name"], call["arguments"]) for call in self.calls]
        return {
            "id": self.id, "text": self.text, "reasoning": self.reasoning, "toolCalls": calls,
            "finish": self.finish, "usage": self.usage, "pieces": self.pieces,
        }

    def message(self):
        calls = [{"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}} for c in self.calls]
        return {"role": "assistant", "content": self.text, "tool_calls": calls}


def whole(completion):
    choice = completion.choices[0]
    message = choice.message
    calls = [call_of(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return {
        "id": completion.id, "text": message.content or "", "reasoning": getattr(message, "reasoning", None) or "",
        "toolCalls": calls, "finish": choice.finish_reason, "usage": usage_of(completion.usage), "pieces": 1,
    }, message


def turn(client, task, params, joined):
    """One call: (answer, message to send back); None when the task is to leave."""
    extra = {"extra_body": task["unknown"]} if "unknown" in task else {}
    if not task.get("stream"):
        return whole(client.chat.completions.create(**params, **extra))
    with client.chat.completions.create(**params, **extra, stream=True) as stream:
        for chunk in stream:
            joined.add(chunk)
            if task.get("leave") and joined.text:
                return None
    return joined.answer(), joined.message()


async def turn_async(task, params, joined):
    async with make(task, AsyncClient) as client:
        if not task.get("stream"):
            return whole(await client.chat.completions.create(**params))
        async for chunk in await client.chat.completions.create(**params, stream=True):
            joined.add(chunk)
    return joined.answer(), joined.message()


def chat(task):
    joined = Joined()
    try:
        params = task["params"]
        if task.get("asynchronous"):
            return {"turns": [asyncio.run(turn_async(task, params, joined))[0]]}
        with make(task) as client:
            first = turn(client, task, params, joined)
            if first is None:
                return {"turns": [], "textBefore": joined.text}
            answer, message = first
            if "toolResult" not in task:
                return {"turns": [answer]}
            result = {"role": "tool", "tool_call_id": answer["toolCalls"][0]["id"], "content": task["toolResult"]}
            again = {**params, "messages": [*params["messages"], message, result]}
            return {"turns": [answer, turn(client, task, again, Joined())[0]]}
    except Exception as error:  # whatever comes out is what is tested
        return {"error": shown(error), "textBefore": joined.text}


def shown(error):
    # By identity, so that an error that only bears the name is not taken for it.
    exported = getattr(package, type(error).__name__, None) is type(error)
    response = getattr(error, "response", None)
    body = getattr(error, "body", None)
    out = {
        "class": type(error).__name__ if exported else f"unexported {type(error).__name__}",
        "status": getattr(error, "status_code", None),
        "message": str(error),
        "code": getattr(error, "code", None) or (body.get("code") if isinstance(body, dict) else None),
        "retryAfter": response.headers.get("retry-after") if response is not None else None,
    }
    return {name: value for name, value in out.items() if value is not None}


print(json.dumps({"version": package.__version__}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    if task.get("models"):
        with make(task) as client:
            outcome = [model.id for model in client.models.list().data]
    else:
        outcome = chat(task)
    print(json.dumps(outcome), flush=True)
