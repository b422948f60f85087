#!/usr/bin/env python3
"""An MCP server over stdio for what the protocol of 2026-07-28 has of its own: questions that a call asks its client in
its results, and subscriptions. Made with the official SDK, and run in target/peers/mcp-python."""

from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

server = MCPServer("modern", version="1")


class Person(BaseModel):
    name: str
    check: bool


async def person() -> Elicit[Person]:
    return Elicit("Who are you?", Person)


@server.tool()
def greet(person: Annotated[Person, Resolve(person)]) -> str:
    """Greets, once it is told whom."""
    return f"Hello, {person.name}"


@server.tool()
async def change(ctx: Context) -> str:
    """Tells those who listen that the tools have changed."""
    await ctx.notify_tools_changed()
    return "changed"


server.run("stdio")
