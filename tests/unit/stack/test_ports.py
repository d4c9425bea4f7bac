"""Ports that were settled are this process's own until it ends."""

import subprocess
import sys

from stack import ports

HOST = "127.0.0.1"
CHILD = f"from stack import ports; print(ports.settle({HOST!r}, {{'one': 0}})[0]['one'], flush=True); input()"


def test_two_platforms_that_start_at_once_take_different_ports(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        theirs = int(other.stdout.readline())
        first = theirs - 1
        monkeypatch.setattr(ports, "BELOW_EPHEMERAL", range(first, first + 40 * ports.BLOCK))
        monkeypatch.setattr(ports, "_ours", {})
        monkeypatch.setattr(ports.random, "sample", lambda blocks, k: list(blocks[:k]))  # theirs comes first
        ours = ports.settle(HOST, {"one": 0, "two": 0})[0]
        other.communicate("\n")
    assert set(ours.values()).isdisjoint(range(first, first + ports.BLOCK))


def test_a_process_uses_up_what_it_holds():
    several = [ports.settle(HOST, {"server": 0})[0]["server"] for _ in range(2 * ports.BLOCK)]
    assert len(set(several)) == len(several)
    assert len({port // ports.BLOCK for port in several}) <= 4


def test_a_busy_port_moves_and_says_so():
    with ports.socket.create_server((HOST, 0)) as busy:
        wanted = busy.getsockname()[1]
        settled, moved = ports.settle(HOST, {"edge": wanted})
    assert settled["edge"] != wanted
    assert moved == [ports.Moved("edge", wanted, settled["edge"])]
