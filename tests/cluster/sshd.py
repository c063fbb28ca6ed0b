"""An SSH server for a host of a test: `python -m tests.cluster.sshd ADDRESS KEY AUTHORIZED` runs what it is told to."""

import asyncio
import sys

import asyncssh


async def serve(session: "asyncssh.SSHServerProcess[bytes]") -> None:
    """One command, as sshd(8) runs it for root: neither a signal reaches it nor the end of the connection."""
    pipe = asyncio.subprocess.PIPE
    command = await asyncio.create_subprocess_shell(
        session.command or "true", stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    assert command.stdout and command.stderr
    await asyncio.gather(passed_on(command.stdout, session.stdout), passed_on(command.stderr, session.stderr))
    session.exit(await command.wait() & 0xFF)


async def passed_on(said: asyncio.StreamReader, to: "asyncssh.SSHWriter[bytes]") -> None:
    """All that a command says, before its end is told."""
    while data := await said.read(1 << 16):
        to.write(data)


async def main(address: str, key: str, authorized: str) -> None:
    """Listen for ever."""
    await asyncssh.listen(
        address, 22, server_host_keys=[key], authorized_client_keys=authorized, process_factory=serve, encoding=None
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
