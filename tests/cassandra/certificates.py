# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""An authority, and what it signed for servers on this machine and for one client. PEM files."""

import os
import subprocess

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3"


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Certificates:
    """`authority` and `client_certificate` are certificates, `client_key` is a key, `server` both
    in one file. `stranger` is an authority that signed nothing of these."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.authority = self._make_authority("authority")
        self.stranger = self._make_authority("stranger")
        self.client_key, self.client_certificate = self._sign("client", "keyUsage=digitalSignature")
        self.server = self._path("server.both")
        with open(self.server, "w") as both:
            for path in self._sign("server", NAMES):
                with open(path) as part:
                    both.write(part.read())

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _make_authority(self, name):
        path = self._path(name + ".pem")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj",
                f"/CN=kanyun tests {name}", "-keyout", self._path(name + ".key"), "-out", path)
        return path

    def _sign(self, name, extension):
        key, request, path = (self._path(name + end) for end in (".key", ".request", ".pem"))
        extensions = self._path(name + ".extensions")
        with open(extensions, "w") as file:
            file.write(extension + "\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey",
                self._path("authority.key"), "-CAcreateserial", "-days", "3650", "-extfile",
                extensions, "-out", path)
        return key, path
