# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Three nodes on 127.0.0.1 to .3, each with a third of the ring."""

import os

from harness import free_ports
from node import TIMEOUT, Node

ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
TOKENS = [-2**63, -2**63 + 2**64 // 3, -2**63 + 2 * (2**64 // 3)]


class Cluster:
    def __init__(self, directory, heap="256M", **options):
        port = free_ports(3)
        self.nodes = [Node(os.path.join(str(directory), address), address=address, port=port,
                           seeds=ADDRESSES, token=token, heap=heap, **options)
                      for address, token in zip(ADDRESSES, TOKENS)]
        self.port = port

    @property
    def hosts(self):
        return ADDRESSES

    def start(self):
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.wait_ready()
        for node in self.nodes:
            for other in self.nodes:
                if other is not node:
                    self._wait_seen(node, other, "UP")
        return self

    @staticmethod
    def _wait_seen(node, other, state, after=0):
        node.process.wait_line(rf"/{other.address}:\d+ is now {state}", after, TIMEOUT)

    def _others(self, node):
        """Those that run, and how much they have logged."""
        return [(other, len(other.process.lines)) for other in self.nodes
                if other is not node and other.is_running()]

    def kill(self, index):
        """Returns what wait_noticed takes."""
        node = self.nodes[index]
        others = self._others(node)
        node.kill()
        return node, others

    def wait_noticed(self, killed):
        node, others = killed
        for other, after in others:
            if other.is_running():
                self._wait_seen(other, node, "DOWN", after)

    def start_again(self, *indexes):
        """Starts them together, and waits until all nodes that run see each other."""
        marks = {node.address: len(node.process.lines) for node in self.nodes}
        again = [self.nodes[index] for index in indexes]
        for node in again:
            node.begin()
            marks[node.address] = 0
        for node in again:
            node.wait_ready()
            for other in self.nodes:
                if other is not node and other.is_running():
                    self._wait_seen(node, other, "UP")
                    self._wait_seen(other, node, "UP", marks[other.address])

    def end(self):
        for node in self.nodes:
            node.end()
