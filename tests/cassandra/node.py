# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Real Cassandra from the jars of tools/cassandra-jars: single nodes, and clusters of three.

A node logs to a pipe, and what is waited for is a line of it. Its files (configuration, data, log)
are in one folder, which outlives its process: start() goes on where stop() or kill() ended.
"""

import functools
import json
import os
import socket
import subprocess
import threading

from harness import ROOT, Process, free_ports

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = {"5.0": "5.0.9", "4.1": "4.1.10"}
TIMEOUT = 180  # seconds; three nodes start at once, on a busy machine
USER, PASSWORD = "cassandra", "cassandra"  # what PasswordAuthenticator begins with

# What a commit log makes durable, and when (docs of cassandra.yaml: commitlog_sync).
COMMIT_LOGS = {
    "periodic": {"commitlog_sync": "periodic", "commitlog_sync_period": "1000ms"},
    "group": {"commitlog_sync": "group", "commitlog_sync_group_window": "10ms"},
    "batch": {"commitlog_sync": "batch"},
}

SETTINGS = {
    "cluster_name": "kanyun-tests",
    "num_tokens": 1,
    "auto_bootstrap": False,
    "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
    "endpoint_snitch": "SimpleSnitch",
    "phi_convict_threshold": 5,
    "hinted_handoff_enabled": True,
    "hints_flush_period": "1000ms",
    "max_hint_window": "3h",
    "commitlog_segment_size": "8MiB",
    "commitlog_total_space": "256MiB",
    "memtable_heap_space": "128MiB",
    "memtable_offheap_space": "128MiB",
    "memtable_allocation_type": "heap_buffers",
    "key_cache_size": "8MiB",
    "counter_cache_size": "0MiB",
    "file_cache_enabled": False,
    "networking_cache_size": "32MiB",
    "concurrent_reads": 8,
    "concurrent_writes": 16,
    "concurrent_counter_writes": 4,
    "concurrent_materialized_view_writes": 4,
    "concurrent_compactors": 1,
    "compaction_throughput": "0MiB/s",
    "disk_access_mode": "mmap_index_only",
    "disk_optimization_strategy": "ssd",
    "auto_snapshot": False,
    "incremental_backups": False,
    "dynamic_snitch": False,
    "cdc_enabled": False,
    **{f"{name}request_timeout": "10s" for name in ("read_", "range_", "write_", "")},
}


# A lone node needs no time to learn of others; three need some, or they drop each other.
PROPERTIES = {
    "skip_wait_for_gossip_to_settle": 0, "ring_delay_ms": 1000, "superuser_setup_delay_ms": 0,
    "shutdown_announce_in_ms": 0, "memtable.row_overhead_size": 180,
}


class Unreachable(Exception):
    """Cassandra cannot be had here; the text says why."""


@functools.cache
def jars(release):
    """The folder of a release's jars ("5.0"), which are fetched if they are not there."""
    made = subprocess.run([os.path.join(ROOT, "tools/cassandra-jars"), VERSIONS[release]],
                          capture_output=True, text=True)
    if made.returncode == 75:
        raise Unreachable(made.stderr.strip())
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def security(certificates, client_certificates=False):
    """Settings: passwords, and nothing but TLS (tests/cassandra/certificates.py)."""
    return {
        "authenticator": "PasswordAuthenticator",
        "authorizer": "CassandraAuthorizer",
        "role_manager": "CassandraRoleManager",
        "client_encryption_options": {
            "enabled": True, "optional": False, "require_client_auth": client_certificates,
            "ssl_context_factory": {
                "class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
            "keystore": certificates.server, "truststore": certificates.authority,
            "accepted_protocols": ["TLSv1.2", "TLSv1.3"]}}


class Node:
    """One node. `settings` go over those above; `tier` is 4 where its speed is measured."""

    def __init__(self, directory, release="5.0", address="127.0.0.1", port=None, seeds=None,
                 token=0, heap="512M", tier=1, commit_log="periodic", settings=None):
        self.directory = str(directory)
        self.release, self.address = release, address
        self.port = port or free_ports(3)  # and the next two
        storage_port = self.port + 1
        self.heap, self.tier = heap, tier
        seeds = ",".join(f"{seed}:{storage_port}" for seed in seeds or [address])
        self.settings = {
            **SETTINGS, **COMMIT_LOGS[commit_log], **(settings or {}),
            "initial_token": str(token), "listen_address": address, "rpc_address": address,
            "native_transport_port": self.port, "storage_port": storage_port,
            "ssl_storage_port": storage_port + 1,
            "seed_provider": [{"class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                               "parameters": [{"seeds": seeds}]}]}
        self.process = None
        self._has_user = False

    @property
    def hosts(self):
        return [self.address]

    def _command(self):
        folder, path = jars(self.release), self.directory
        agent = next(name for name in os.listdir(folder) if name.startswith("jamm-"))
        # Without this root's process would lock all of its memory.
        unlocked = ["--bounding-set", "-ipc_lock"] if os.geteuid() == 0 else []
        return ["setpriv", "--pdeathsig", "KILL", *unlocked, "java", f"@{HERE}/jvm.flags",
                f"-javaagent:{folder}/{agent}", f"-Xms{self.heap}", f"-Xmx{self.heap}",
                f"-XX:TieredStopAtLevel={self.tier}", f"-Djava.io.tmpdir={path}/tmp",
                f"-Djna.tmpdir={path}/tmp", f"-Dcassandra.config=file://{path}/cassandra.yaml",
                f"-Dcassandra.storagedir={path}/data", f"-Dcassandra.logdir={path}/log",
                f"-Dlogback.configurationFile=file://{HERE}/logback.xml",
                *(f"-Dcassandra.{name}={value}" for name, value in PROPERTIES.items()),
                "-cp", f"{folder}/*", "org.apache.cassandra.service.CassandraDaemon"]

    def begin(self):
        """Starts it, and does not wait."""
        for name in ("data", "log", "tmp"):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        with open(os.path.join(self.directory, "cassandra.yaml"), "w") as file:
            json.dump(self.settings, file, indent=1)  # JSON is YAML
        self.process = Process(self._command(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)

    def wait_ready(self):
        self.process.wait_line("Startup complete", timeout=TIMEOUT)
        if self.settings.get("authenticator") and not self._has_user:
            self.process.wait_line("Created default superuser role", timeout=TIMEOUT)
            self._has_user = True
        return self

    def start(self):
        self.begin()
        return self.wait_ready()

    def stop(self):
        self.process.terminate()

    def kill(self):
        self.process.kill()

    def is_running(self):
        return self.process is not None and self.process.process.poll() is None

    def end(self):
        """However far it came."""
        if self.process is not None:
            self.process.kill()


def forward(place, listener):
    """Carries bytes between whoever connects and the node, until the listener is closed."""
    def carry(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def accept():
        try:
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((place.address, place.port))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
