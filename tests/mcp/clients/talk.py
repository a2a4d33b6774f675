"""One conversation with an MCP server by the Python SDK: talk.py legacy|auto|modern TARGET, as talk.mjs has it."""
import asyncio
import json
import sys
import uuid

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

era, target = sys.argv[1], json.loads(sys.argv[2])


async def failure(awaitable):
    try:
        await awaitable
    except MCPError as error:
        return str(error)
    return ""


async def talk(server):
    async with Client(server, mode={"modern": "2026-07-28"}.get(era, era)) as client:
        report = {"version": client.protocol_version, "server": client.server_info.name if client.server_info else None,
                  "instructions": client.instructions}
        report["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        if "remember" in report["tools"]:
            report["text"] = f"python-{era}: {uuid.uuid4()} {uuid.uuid4()}"  # like no other
            report["remembered"] = (await client.call_tool("remember", {"text": report["text"]})).structured_content
            report["recalled"] = (await client.call_tool("recall", {"query": report["text"]})).structured_content
            report["explained"] = (await client.call_tool("explain", {"id": report["remembered"]["id"]})).structured_content
            wrong = await client.call_tool("remember", {"text": 7})
            report["wrong"] = {"isError": wrong.is_error, "content": [{"text": wrong.content[0].text}]}
        else:
            report["progress"] = []

            async def note(progress, total, message):
                report["progress"].append(progress)

            await client.call_tool("test_tool_with_progress", {}, progress_callback=note)
            with anyio.move_on_after(0.3) as scope:
                await client.call_tool("test_wait", {})
            report["aborted"] = "cancelled" if scope.cancelled_caught else ""
            report["after"] = (await client.call_tool("test_simple_text", {})).content[0].text
            report["blocks"] = [block.type for block in (await client.call_tool("test_multiple_content_types", {})).content]
        report["unknown"] = await failure(client.call_tool("no_such_tool", {}))
    print(json.dumps({**report, "problems": []}))


async def main():
    if "url" not in target:
        return await talk(StdioServerParameters(**target))
    async with httpx2.AsyncClient(headers=target.get("headers"), timeout=30) as http:
        await talk(streamable_http_client(target["url"], http_client=http))


asyncio.run(main())
